"""The door of every correction: numbers that are counts, and polynomials that an instrument has stored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.spectra.spectrum import MAX_POINTS, SpectrumError

MAX_VALUES = 8_000_000  # of one scan: 2,000 frames of the largest array in any supported guide; bounds it to 64 MB
MAX_COEFFICIENTS = 16  # the longest polynomial in any supported memory has 8; bounds the work on what a device says


def checked(counts: NDArray[np.float64], name: str = "counts") -> NDArray[np.float64]:
    """Return counts of one frame (pixels,) or several (frames, pixels) as float64, not copied if they are that already.

    Raises SpectrumError for another shape, no pixels, too many values, and a value that is not a finite number.
    """
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim not in (1, 2) or not 0 < values.shape[-1] <= MAX_POINTS or len(values) == 0:
        raise SpectrumError(
            f"{name} of shape {values.shape}: expected one row a frame with 1 to {MAX_POINTS} pixels each",
            hint="measure again; if it stays, the driver of this instrument is at fault",
        )
    if values.size > MAX_VALUES:
        raise SpectrumError(
            f"{name}: {len(values)} of {values.shape[-1]} pixels are more than {MAX_VALUES} values",
            hint="lower `repeats`",
        )
    if not np.isfinite(values).all():
        pixel = int(np.argwhere(~np.isfinite(values))[0, -1])
        raise SpectrumError(f"{name}: pixel {pixel} is not a finite number", hint="measure again")
    return values


def evaluated(coefficients: tuple[float, ...], x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return c0 + c1 x + c2 x^2 ... of float64 `x`. Raises SpectrumError for coefficients that are no numbers.

    name: what they are, for the message.
    """
    if not 0 < len(coefficients) <= MAX_COEFFICIENTS or not np.isfinite(coefficients).all():
        raise SpectrumError(
            f"{name}: the stored coefficients {coefficients} are not 1 to {MAX_COEFFICIENTS} numbers",
            hint="this part of the instrument's memory is not programmed; switch the correction off",
        )
    total = np.full_like(x, coefficients[-1], dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):  # hostile coefficients; the caller checks the range it allows
        for coefficient in reversed(coefficients[:-1]):
            total *= x
            total += coefficient
    return total
