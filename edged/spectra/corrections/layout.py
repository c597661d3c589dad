"""Which pixels of an array see the spectrum, and in which direction: cuts the ends off and turns the axis.

Sources: active ranges and dark pixels of Ocean's QE65000 and Maya; Wasatch's horizontal region of interest, garbage at
the ends of its IMX detectors (there overwritten, here cut off) and feature bit "invert x". Where no active range is
stored it is the longest run of pixels without a dark one, since dark pixels are masked at the ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from drivers.contract import Calibration
from edged.spectra.corrections.bad_pixels import Gaps, gaps
from edged.spectra.spectrum import MIN_POINTS, SpectrumError

VERSION = 1
Scalar = TypeVar("Scalar", np.float64, np.bool_)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The array of one instrument. length: pixels as read.

    pixels: indices into the pixels as read, in the order of the result. positions: the same pixels as the maker counts
    them, after the axis is turned. bad: bad pixels, in terms of the result. dark: as read, never lit, not bad.
    """

    length: int
    pixels: NDArray[np.intp]
    positions: NDArray[np.float64]
    bad: Gaps
    dark: tuple[int, ...]

    def __post_init__(self) -> None:
        self.pixels.flags.writeable = False
        self.positions.flags.writeable = False

    def cut(self, values: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return counts or flags (..., pixels as read) as (..., pixels), in the direction of the result."""
        first, last = int(self.pixels[0]), int(self.pixels[-1])
        if first <= last:
            return np.ascontiguousarray(values[..., first : last + 1])
        return np.ascontiguousarray(values[..., last : first + 1][..., ::-1])


@lru_cache(maxsize=16)  # what an instrument stores does not change between its scans
def layout_of(calibration: Calibration, length: int) -> Layout:
    """Return the layout of an array of `length` pixels.

    Raises SpectrumError for stored pixels that it does not have.
    """
    for name, listed in (("bad", calibration.bad_pixels), ("dark", calibration.dark_pixels)):
        if listed and not (min(listed) >= 0 and max(listed) < length):
            raise SpectrumError(
                f"{name} pixels {min(listed)} to {max(listed)} are stored, the detector has 0 to {length - 1}",
                hint="the instrument's memory belongs to another detector; have it checked by its maker",
            )
    first, last = calibration.active or _longest_lit(calibration.dark_pixels, length)
    if not (first >= 0 and last < length and last - first + 1 >= MIN_POINTS):
        raise SpectrumError(
            f"the active range {first} to {last} is not {MIN_POINTS} or more of the pixels 0 to {length - 1}",
            hint="the instrument's memory belongs to another detector; have it checked by its maker",
        )
    pixels = np.arange(first, last + 1)
    positions = pixels.astype(np.float64)
    bad = np.asarray(sorted({pixel - first for pixel in calibration.bad_pixels if first <= pixel <= last}), np.intp)
    if calibration.invert:
        pixels, positions, bad = pixels[::-1], (length - 1) - positions[::-1], len(pixels) - 1 - bad[::-1]
    dark = tuple(sorted(set(calibration.dark_pixels) - set(calibration.bad_pixels)))
    return Layout(length=length, pixels=pixels, positions=positions, bad=gaps(bad, len(pixels)), dark=dark)


def _longest_lit(dark_pixels: tuple[int, ...], length: int) -> tuple[int, int]:
    edges = [-1, *sorted(set(dark_pixels)), length]
    before, after = max(pairwise(edges), key=lambda gap: gap[1] - gap[0])
    return before + 1, after - 1
