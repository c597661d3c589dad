"""Several frames of one scan: which of them count, where one was saturated, and their mean.

The first frame after a change of exposure may still be of the old one (Ocean), dim or flat (Wasatch XS): it is thrown
away, and the number of frames dropped is kept with the scan. Saturation is flagged and never repaired.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked
from edged.spectra.spectrum import SpectrumError

VERSION = 1  # of the mean
SETTLED_SHARE = 0.02  # a laser is stable to a percent; a frame of another exposure differs by far more


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The frames that count. dropped: how many came before them. settled: their levels agree within 2 %."""

    frames: NDArray[np.float64]
    dropped: int
    settled: bool

    def __post_init__(self) -> None:
        self.frames.flags.writeable = False


def keep_settled(frames: NDArray[np.float64], *, throw_away: int = 0) -> Kept:
    """Drop the first `throw_away` frames, then more from the front while their mean level is not that of the rest.

    frames: (frames, pixels). The rest is judged by its median level, and half of it always stays. Raises SpectrumError
    when nothing would be left.
    """
    values = np.atleast_2d(checked(frames, "frames"))
    if not 0 <= throw_away < len(values):
        raise SpectrumError(
            f"{throw_away} of {len(values)} frames are to be thrown away", hint="measure more frames than that"
        )
    levels = values[throw_away:].mean(axis=1)
    agrees = np.abs(levels - np.median(levels)) <= SETTLED_SHARE * abs(float(np.median(levels)))
    early = min(int(np.argmax(agrees)), len(levels) // 2)
    return Kept(
        frames=values[throw_away + early :].copy(), dropped=throw_away + early, settled=bool(agrees[early:].all())
    )


def saturated_pixels(raw: NDArray[np.int32], limit: int) -> NDArray[np.bool_]:
    """Return where frames (frames, pixels) of the detector's own numbers reach `limit`, frame by frame."""
    return np.atleast_2d(raw) >= limit


def average(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean (pixels,) of frames (frames, pixels)."""
    mean: NDArray[np.float64] = np.atleast_2d(checked(frames, "frames")).mean(axis=0)
    return mean
