"""Several frames of one scan: their mean. The driver has dropped those that do not count before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked

VERSION = 1


def average(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean (pixels,) of frames (frames, pixels)."""
    mean: NDArray[np.float64] = np.atleast_2d(checked(frames, "frames")).mean(axis=0)
    return mean
