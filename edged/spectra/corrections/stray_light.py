"""Light scattered inside the instrument onto all pixels alike: takes a share of the mean off each.

Formula: (counts - s mean(counts)) / (1 - s), the inverse of counts = (1 - s) true + s mean(true), which keeps the sum.
It is the case of one scattered share for all pixels of Zong et al. 2006, "Simple spectral stray light correction method
for array spectroradiometers", Appl. Opt. 45, 1111. Ocean stores one or two numbers a unit without publishing how they
are meant, so that the chain does this only when asked. Place in the chain: on linear counts without dark, before
neighbours are mixed. Ends: none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked
from edged.spectra.spectrum import SpectrumError

VERSION = 1
MAX_SHARE = 0.1  # a spectrometer that scatters more is broken; usual are 0.05 to 0.5 %


def remove(counts: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return counts (..., pixels), dark removed, without the light that is spread evenly: `share` of all, 0 to 0.1.

    Raises SpectrumError for another share.
    """
    if not 0.0 <= share <= MAX_SHARE:
        raise SpectrumError(
            f"a stray light share of {share:g} is outside 0 to {MAX_SHARE:g}",
            hint="the stored number is not a share of the light; switch stray_light off",
        )
    values = checked(counts)
    result: NDArray[np.float64] = (values - share * values.mean(axis=-1, keepdims=True)) / (1.0 - share)
    return result
