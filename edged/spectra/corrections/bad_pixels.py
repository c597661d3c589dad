"""Pixels that the maker found dead or hot: a straight line between the good neighbours stands in.

Formula: Wasatch.PY, FeatureIdentificationDevice.correct_bad_pixels. Place in the chain: after the axis is turned,
before anything that mixes neighbours. Ends: a run of bad pixels at an end takes the value of the nearest good one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked
from edged.spectra.spectrum import SpectrumError

VERSION = 1


def bridge(counts: NDArray[np.float64], bad: Sequence[int] | NDArray[np.intp]) -> NDArray[np.float64]:
    """Return counts (..., pixels) with the pixels `bad` (indices from 0, any order) on a line between good neighbours.

    Raises SpectrumError for an index outside the array and when no good pixel is left.
    """
    values = checked(counts).copy()
    if len(bad) == 0:
        return values
    pixels, left, right = neighbours(bad, values.shape[-1])
    span = np.maximum(right - left, 1)
    share = (pixels - left) / span  # at an end left is right, and the share of nothing does not matter
    values[..., pixels] = values[..., left] + share * (values[..., right] - values[..., left])
    return values


def neighbours(
    bad: Sequence[int] | NDArray[np.intp], length: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the bad pixels in ascending order, and for each the good ones to its left and right, twice the same at an
    end. Raises SpectrumError as `bridge`.
    """
    listed = np.asarray(bad, dtype=np.intp)
    if listed.min() < 0 or listed.max() >= length:
        wrong = listed.min() if listed.min() < 0 else listed.max()
        raise SpectrumError(
            f"bad pixel {wrong} is not one of 0 to {length - 1}",
            hint="the list in the instrument's memory belongs to another detector; switch bad_pixels off",
        )
    good = np.ones(length, dtype=np.bool_)
    good[listed] = False
    pixels, indices = np.flatnonzero(~good), np.flatnonzero(good)
    if len(indices) == 0:
        raise SpectrumError(f"all {length} pixels are listed as bad", hint="switch bad_pixels off")
    after = np.searchsorted(indices, pixels)
    left, right = indices[np.maximum(after - 1, 0)], indices[np.minimum(after, len(indices) - 1)]
    return pixels, np.where(left > pixels, right, left), np.where(right < pixels, left, right)
