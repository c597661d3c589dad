"""Boxcar: each pixel becomes the mean of itself and its neighbours.

Formula: mean of 2 h + 1 pixels; Wasatch.PY, utils.apply_boxcar, and Ocean's boxcar width. Place in the chain: after
single pixels are repaired, before the intensity curve. Ends: h shrinks to what both sides have, so that nothing is
shifted and the first and last pixel stay as they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked
from edged.spectra.spectrum import SpectrumError

VERSION = 1
MAX_HALF_WIDTH = 255  # a byte in Ocean's instruments


def boxcar(counts: NDArray[np.float64], half_width: int) -> NDArray[np.float64]:
    """Return the running mean of counts (..., pixels) over `half_width` pixels to each side; 0 changes nothing.

    Raises SpectrumError for a half width below 0 or above 255.
    """
    if not 0 <= half_width <= MAX_HALF_WIDTH:
        raise SpectrumError(f"a boxcar half width of {half_width} is outside 0 to {MAX_HALF_WIDTH}")
    values = checked(counts)
    if half_width == 0:
        return values.copy()
    length = values.shape[-1]
    half = min(half_width, (length - 1) // 2)
    sums = np.zeros((*values.shape[:-1], length + 1))
    np.cumsum(values, axis=-1, out=sums[..., 1:])
    means = np.empty_like(values)
    means[..., half : length - half] = (sums[..., 2 * half + 1 :] - sums[..., : length - 2 * half]) / (2 * half + 1)
    widths = np.arange(1, 2 * half, 2)
    means[..., :half] = sums[..., 1 : 2 * half : 2] / widths
    means[..., length - half :] = ((sums[..., -1:] - sums[..., -2 : -2 * half - 1 : -2]) / widths)[..., ::-1]
    return means
