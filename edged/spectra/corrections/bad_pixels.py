"""Pixels that the maker found dead or hot: a straight line between the good neighbours stands in.

Formula: Wasatch.PY, FeatureIdentificationDevice.correct_bad_pixels. Place in the chain: after the axis is turned,
before anything that mixes neighbours. Ends: a run of bad pixels at an end takes the value of the nearest good one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked
from edged.spectra.spectrum import SpectrumError

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Bad pixels in ascending order, the good ones beside each (twice the same at an end), and its place between them.

    share: 0 at left, 1 at right.
    """

    pixels: NDArray[np.intp]
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    share: NDArray[np.float64]

    def __post_init__(self) -> None:
        for array in (self.pixels, self.left, self.right, self.share):
            array.flags.writeable = False


def gaps(bad: Sequence[int] | NDArray[np.intp], length: int) -> Gaps:
    """Return what stands in for the pixels `bad` (indices from 0, any order) of an array of `length` pixels.

    Raises SpectrumError for an index outside the array and when no good pixel is left.
    """
    listed = np.asarray(bad, dtype=np.intp)
    if len(listed) and (listed.min() < 0 or listed.max() >= length):
        wrong = listed.min() if listed.min() < 0 else listed.max()
        raise SpectrumError(
            f"bad pixel {wrong} is not one of 0 to {length - 1}",
            hint="the list in the instrument's memory belongs to another detector; switch bad_pixels off",
        )
    is_good = np.ones(length, dtype=np.bool_)
    is_good[listed] = False
    pixels, good = np.flatnonzero(~is_good), np.flatnonzero(is_good)
    if len(good) == 0:
        raise SpectrumError(f"all {length} pixels are listed as bad", hint="switch bad_pixels off")
    after = np.searchsorted(good, pixels)
    left, right = good[np.maximum(after - 1, 0)], good[np.minimum(after, len(good) - 1)]
    share = np.clip((pixels - left) / np.maximum(right - left, 1), 0.0, 1.0)
    return Gaps(pixels=pixels, left=left, right=right, share=share)


def bridge(counts: NDArray[np.float64], over: Gaps) -> NDArray[np.float64]:
    """Return counts (..., pixels) with each gap on the straight line between the good pixels beside it."""
    values = checked(counts).copy()
    if len(over.pixels):
        left = values[..., over.left]
        values[..., over.pixels] = left + over.share * (values[..., over.right] - left)
    return values
