"""The level without light: from pixels that are never lit (electric dark), and from frames with the source off.

Formulas: counts - mean(dark pixels), each frame for itself (Ocean: SeaBreeze, get_edark_corrected_spectrum; Wasatch.PY:
apply_edc); counts - dark spectrum. Place in the chain: electric dark after even/odd and before the array is cut, which
removes the dark pixels; the dark spectrum after averaging, and it went through the same steps. Ends: none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked
from edged.spectra.spectrum import SpectrumError

VERSION = 1


def electric_level(counts: NDArray[np.float64], dark_pixels: Sequence[int]) -> NDArray[np.float64]:
    """Return the mean of the dark pixels (indices from 0) of each frame: counts (..., pixels) -> (..., 1).

    Raises SpectrumError for no dark pixels or one outside the array.
    """
    values = checked(counts)
    pixels = np.asarray(dark_pixels, dtype=np.intp)
    if len(pixels) == 0 or pixels.min() < 0 or pixels.max() >= values.shape[-1]:
        raise SpectrumError(
            f"dark pixels {tuple(pixels.tolist())} are not some of 0 to {values.shape[-1] - 1}",
            hint="they belong to another detector; switch electric_dark off",
        )
    level: NDArray[np.float64] = values[..., pixels].mean(axis=-1, keepdims=True)
    return level


def subtract(counts: NDArray[np.float64], level: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return counts (..., pixels) less a level (..., 1) or a dark spectrum (pixels,).

    Negative results are noise and stay. Raises SpectrumError when the lengths do not fit.
    """
    values, dark = checked(counts), checked(level, "dark")
    if dark.shape[-1] not in (1, values.shape[-1]):
        raise SpectrumError(
            f"the dark spectrum has {dark.shape[-1]} pixels, the measurement {values.shape[-1]}",
            hint="take the dark with the settings of the sample",
        )
    return values - dark
