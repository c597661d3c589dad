"""Cosmic rays in Raman frames: finds the pixels that one struck, and puts what the other frames or pixels say there.

A ray adds light to one to three neighbouring pixels of one frame. Frames of one scan are compared with each other
(`repair_between_frames`); a single frame with itself (`repair_single_frame`), in the manner of Whitaker and Hayes 2018,
"A simple algorithm for despiking Raman spectra", Chemom. Intell. Lab. Syst. 179, 82: modified z-scores of the
differences between neighbours, here with a noise that rises with the light and with a limit on width and shape, because
differences alone take narrow bands for rays. Place in the chain: between frames before the mean, a single frame after
the dark is off. Saturated pixels are left alone. What was detected and what was wrongly repaired on real spectra is
told in docs/corrections.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked
from edged.spectra.corrections.bad_pixels import bridge, gaps
from edged.spectra.spectrum import SpectrumError

VERSION = 1
THRESHOLD = 7.0  # sigmas, above the other frames or from neighbour to neighbour; 6 finds more and errs twice as often
TAIL = 3.0  # sigmas for the neighbours of a pixel that was struck: a ray seldom ends at the pixel's edge
TAIL_SHARE = 0.05  # of the ray, in a single frame: less may be the curve of a band that the line cuts off
DRIFT_SHARE = 0.05  # of a band: what it may change between frames beyond the common drift: laser, bleaching, hand
REACH = 6  # pixels from a ray to where its frame is as if nothing were, and half the width of a usual band
MIN_PIXELS = 2 * REACH + 1
MAX_SHOULDERS = 0.2  # of the flanks; a Gaussian band of 2 pixels FWHM has at least 0.31, a wider one more, a ray none
MAX_WIDTH = 2  # pixels of a ray in a single frame; 3 cannot be told from a band
SAMPLE = 128  # pixels a group that noise and drift are estimated from; bounds the time, sigma is good to 6 %
MIN_VARIANCE = 1.0 / 12.0  # counts^2: of rounding to whole counts
MAX_PER_COUNT = 1.0  # counts^2 of shot noise a count: one electron is one count at most in a detector for Raman
_MAD_TO_SIGMA = 1.482602


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """counts as given, with the values at `rays` (bool, same shape) replaced. Both are read-only."""

    counts: NDArray[np.float64]
    rays: NDArray[np.bool_]

    def __post_init__(self) -> None:
        self.counts.flags.writeable = False
        self.rays.flags.writeable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Noise:
    """Variance `floor` at the level `dim`, and so much more for each count above it."""

    dim: float
    floor: float
    per_count: float

    def sigma(self, level: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sqrt(self.floor + self.per_count * np.maximum(level - self.dim, 0.0))


def repair_between_frames(frames: NDArray[np.float64], saturated: NDArray[np.bool_] | None = None) -> Repaired:
    """Replace what stands out of one frame by the mean of the frames that agree.

    frames: (frames, pixels), at least 2; saturated: the same shape. The reference is the median frame (of an even
    number the lower one: rays only add), the noise the median absolute deviation between frames. A frame may drift as a
    whole, a band or the background for itself. Ends: judged like the rest; an array of under 13 pixels is not judged.
    Raises SpectrumError for fewer frames.
    """
    values = checked(frames, "frames")
    if values.ndim != 2 or len(values) < 2:
        raise SpectrumError("rays are found between frames when there are two or more", hint="set `repeats` to 3")
    if values.shape[1] < MIN_PIXELS:
        return Repaired(counts=values.copy(), rays=np.zeros(values.shape, dtype=np.bool_))
    reference = _lower_median(values)
    above = values - reference
    drift, noise = _compared(above, reference)
    excess = _above_surroundings(above - drift)
    sigma = noise.sigma(reference)
    allowed = DRIFT_SHARE * (reference - _local_minimum(reference))
    rays = excess > THRESHOLD * sigma + allowed
    if rays.any():
        rays |= _beside(rays) & (excess > TAIL * sigma + allowed)
        rays &= ~rays.all(axis=0)
        if saturated is not None:
            rays &= ~saturated
    repaired = values.copy()
    pixels = np.flatnonzero(rays.any(axis=0))
    if len(pixels):
        struck = rays[:, pixels]
        level = values[:, pixels] - drift[:, pixels]
        agreed = np.where(struck, 0.0, level).sum(axis=0) / np.count_nonzero(~struck, axis=0)
        repaired[:, pixels] = np.where(struck, agreed + drift[:, pixels], values[:, pixels])
    return Repaired(counts=repaired, rays=rays)


def repair_single_frame(counts: NDArray[np.float64], saturated: NDArray[np.bool_] | None = None) -> Repaired:
    """Replace spikes of one or two pixels by a line between their neighbours.

    counts: (pixels,), dark removed, or hot pixels are taken for rays. Ends: the first and last two pixels are not
    judged, nor is an array of under 13.
    """
    values = checked(counts)
    if values.ndim != 1:
        raise SpectrumError(f"a single frame is one row of pixels, not {values.shape}")
    rays = np.zeros(len(values), dtype=np.bool_)
    if len(values) < MIN_PIXELS:
        return Repaired(counts=values.copy(), rays=rays)
    step = np.diff(values)
    bend = np.abs(np.diff(step))
    groups = _groups(values[1:-1])
    noise = _line(
        [_median(values[1:-1][group]) for group in groups],
        [_variance(bend[group]) / 6.0 for group in groups],
    )
    for width in range(1, MAX_WIDTH + 1):
        rays |= _spikes(values, step, noise, width)
    if rays.any():
        line = bridge(values, gaps(np.flatnonzero(rays | _beside(rays)), len(values)))
        excess = values - line
        height = np.where(rays, excess, 0.0)
        height[1:-1] = np.maximum(height[:-2], height[2:])
        rays |= _beside(rays) & (excess > TAIL * noise.sigma(line) + TAIL_SHARE * height)
    if saturated is not None:
        rays &= ~saturated
    return Repaired(counts=bridge(values, gaps(np.flatnonzero(rays), len(values))), rays=rays)


def _spikes(values: NDArray[np.float64], step: NDArray[np.float64], noise: _Noise, width: int) -> NDArray[np.bool_]:
    """Pixels i to i + width - 1 between two steep flanks, outside of which the spectrum goes on as if nothing were."""
    count = len(step) - width - 2
    before, rise = step[:count], step[1 : count + 1]
    fall, after = -step[width + 1 : width + 1 + count], -step[width + 2 :]
    sigma = np.sqrt(2.0) * noise.sigma(0.5 * (values[1 : count + 1] + values[width + 2 : -1]))
    slope = 0.5 * (before - after)  # of a band or background that the spike stands on
    least = np.minimum(np.minimum(rise, fall), np.minimum(rise - slope, fall + slope))
    found = np.flatnonzero((least > THRESHOLD * sigma) & (before + after < MAX_SHOULDERS * (rise + fall)))
    mask = np.zeros(len(values), dtype=np.bool_)
    for offset in range(width):
        mask[found + 2 + offset] = True
    return mask


def _lower_median(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(frames) == 3:  # the usual number, and ten times faster than sorting
        first, second, third = frames
        between: NDArray[np.float64] = np.maximum(
            np.minimum(first, second), np.minimum(np.maximum(first, second), third)
        )
        return between
    middle = (len(frames) - 1) // 2
    lower: NDArray[np.float64] = np.partition(frames, middle, axis=0)[middle]
    return lower


def _groups(level: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of pixels below and above the mean, at most SAMPLE of each; the same twice where all are alike."""
    above = level > level.mean()
    dim, bright = np.flatnonzero(~above), np.flatnonzero(above)
    if len(dim) == 0 or len(bright) == 0:  # the mean of equal numbers is rounded to either side of them
        dim = bright = np.arange(len(level))
    return dim[:: len(dim) // SAMPLE + 1], bright[:: len(bright) // SAMPLE + 1]


def _compared(above: NDArray[np.float64], reference: NDArray[np.float64]) -> tuple[NDArray[np.float64], _Noise]:
    """From how far each frame is above the reference: how far it is as a whole, a line through the medians of dim and
    bright pixels; and the noise, from pairs of frames and pairs of neighbours, between which drift is much the same.
    """
    changes = above[1:] - above[:-1]
    changes = np.abs(changes[:, 1:] - changes[:, :-1])
    levels, medians, variances = [], [], []
    for group in _groups(reference):
        sample = above[:, group]
        middle = sample.shape[1] // 2
        medians.append(np.partition(sample, middle, axis=1)[:, middle])
        variances.append(_variance(changes[:, np.minimum(group, changes.shape[1] - 1)]) / 4.0)
        levels.append(_median(reference[group]))
    noise = _line(levels, variances)
    slope = np.zeros(len(above))
    if levels[1] - levels[0] > THRESHOLD * np.sqrt(noise.floor):
        slope = (medians[1] - medians[0]) / (levels[1] - levels[0])
    return medians[0][:, None] + slope[:, None] * (reference - levels[0]), noise


def _line(levels: list[float], variances: list[float]) -> _Noise:
    """Through the variances of dim and bright pixels, in which moving bands are contained: hence the bound.

    Without contrast nothing is known of shot noise, and it is taken for the bound.
    """
    (low, high), floor = levels, max(variances[0], MIN_VARIANCE)
    if high - low <= THRESHOLD * np.sqrt(floor):
        return _Noise(dim=low, floor=floor, per_count=MAX_PER_COUNT)
    return _Noise(dim=low, floor=floor, per_count=min(max((variances[1] - floor) / (high - low), 0.0), MAX_PER_COUNT))


def _variance(sizes: NDArray[np.float64]) -> float:
    return (_MAD_TO_SIGMA * _median(sizes)) ** 2


def _median(values: NDArray[np.float64]) -> float:
    """The upper median; numpy's own spends most of its time on what cannot occur here."""
    middle = values.size // 2
    return float(np.partition(values, middle, axis=None)[middle])


def _local_minimum(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least within REACH pixels to each side."""
    least = np.concatenate([np.full(REACH, values[0]), values, np.full(REACH, values[-1])])
    covered, width = 1, 2 * REACH + 1
    while covered < width:
        shift = min(covered, width - covered)
        least = np.minimum(least[:-shift], least[shift:])
        covered += shift
    return least


def _above_surroundings(residual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Less what is left REACH pixels to each side, the higher one: a background that drifts is there, a ray is not."""
    around = np.empty_like(residual)
    np.maximum(residual[:, : -2 * REACH], residual[:, 2 * REACH :], out=around[:, REACH:-REACH])
    around[:, :REACH], around[:, -REACH:] = residual[:, REACH : 2 * REACH], residual[:, -2 * REACH : -REACH]
    return residual - around


def _beside(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    beside = np.zeros_like(mask)
    beside[..., 1:] |= mask[..., :-1]
    beside[..., :-1] |= mask[..., 1:]
    return beside & ~mask
