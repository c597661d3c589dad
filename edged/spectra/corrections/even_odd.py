"""InGaAs arrays are read through two amplifiers, for even and odd pixels: makes the odd ones match.

Formula: odd' = odd * gain + offset. Wasatch.PY (correct_ingaas_gain_and_offset) takes the even pair off the odd pixels
and puts the odd pair on: (odd - even_offset) / even_gain * odd_gain + odd_offset; so gain = odd_gain / even_gain and
offset = odd_offset - gain * even_offset. Place in the chain: first, on pixels as read, because parity is lost when the
axis is turned or cut. Ends: none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked
from edged.spectra.spectrum import SpectrumError

VERSION = 1
MIN_GAIN, MAX_GAIN = 0.1, 10.0  # two halves of one chip; beyond, the stored numbers are not gains
MAX_OFFSET = 65_535.0  # counts; the range of the converter


def match_odd(counts: NDArray[np.float64], *, gain: float, offset: float) -> NDArray[np.float64]:
    """Return counts (..., pixels as read) with pixels 1, 3, 5 ... times `gain` plus `offset` (counts).

    Raises SpectrumError for a gain or offset that no detector has.
    """
    if not MIN_GAIN <= gain <= MAX_GAIN or not abs(offset) <= MAX_OFFSET:
        raise SpectrumError(
            f"odd pixels: gain {gain:g} is outside {MIN_GAIN:g} to {MAX_GAIN:g}, or offset {offset:g} beyond "
            f"{MAX_OFFSET:g} counts",
            hint="this part of the instrument's memory is not programmed; switch even_odd off",
        )
    values = checked(counts).copy()
    values[..., 1::2] *= gain
    values[..., 1::2] += offset
    return values
