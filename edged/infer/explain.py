"""Why a model answers as it does: stretches of the spectrum are bridged, and what the answer loses is told of them.

    windows over the axis, each bridged by a straight line  -> one row a window
    the graph is asked of all rows, in batches              -> how far each target's score falls
    the fall is credited to the points that were changed    -> a relevance curve a target
    where the curve stands highest                          -> bands, each with its share

A score is evidence for a target: a compound's own logit, or for one class among others the logit less the logarithm of
the others' summed exponentials, so that what speaks for all classes alike counts for none. Needs no gradients, and no
more of a graph than its logits. The number of windows is limited, so that the time is. Same input, same bands; numpy
only, any thread. Occlusion: Zeiler and Fergus, arXiv 1311.2901 (2014).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from edged.bundle.vocabulary import Axis
from edged.infer.resample import positions as positions
from edged.infer.verdict import MAX_BANDS, Band

Reals = NDArray[np.float64]
Rows = NDArray[np.float32]
Ask = Callable[[Rows], Reals]
"""Rows [k, points] in, scores [k, targets] out."""

WIDTHS: Final[dict[Literal["nm", "cm-1"], tuple[float, float]]] = {
    "cm-1": (16.0, 32.0),  # two and four widths of a solid's band as a handheld resolves it
    "nm": (40.0, 80.0),  # of a second overtone and of a combination band
}
OVERLAP: Final = 2  # windows of one width over each point
MAX_WINDOWS: Final = 384  # 1,800 cm-1 take 338; bounds the time of an answer
CHUNK: Final = 32  # rows made at a time: bounds an array to 1 MB on the longest axis
TOLD: Final = 0.8  # of what speaks for a target; the rest is spread thin
LEAST_SHARE: Final = 0.02  # of a band beside others: a point that stands out by itself is none
MAX_CORES: Final = 4 * MAX_BANDS  # peaks that are looked at, of which those that touch are one band
STRUCTURE: Final[dict[Literal["nm", "cm-1"], float]] = {"cm-1": 0.03, "nm": 0.1}
"""Of a reference's most curved place: less is not called a band. In the near infrared bands stand on each other's
shoulders, so that nearly every place is curved a little."""
LEAST_POINTS: Final = 3  # of a window, its two ends included, which stay as they are


def windows(axis: Axis) -> list[NDArray[np.intp]]:
    """Return the windows of each width, [k, 2]: the places between which the line is drawn, and which stay.

    Windows grow with the axis where there would be more than MAX_WINDOWS. The very ends of the axis are never changed:
    a line needs two ends, and one drawn level from one would take a slope for a band.
    """
    step = (axis.stop - axis.start) / (axis.points - 1)
    stretched = 1.0
    while True:
        found = [_of_width(stretched * width / step, axis.points) for width in WIDTHS[axis.unit]]
        if sum(map(len, found)) <= MAX_WINDOWS:
            return found
        stretched *= 1.1


def relevance(row: Rows, axis: Axis, ask: Ask) -> Reals:
    """Return how much of each target's score rests on each point of `row` [points]: [targets, points], signed.

    What a window is worth is shared among its points by how far the line changed them; each point gets the mean over
    the windows that hold it, then over the widths.
    """
    whole = ask(row[None])[0]
    total = np.zeros((len(whole), axis.points))
    for places in windows(axis):
        credit = np.zeros_like(total)
        for bridged in _bridged(row, places):
            changed = np.abs(bridged - row)
            lengths = changed.sum(axis=1, keepdims=True)
            shares = np.divide(changed, lengths, out=np.zeros_like(changed), where=lengths > 0.0)
            credit += (whole - ask(bridged.astype(np.float32))).T @ shares
        total += credit / _cover(places, axis.points)
    return total / len(WIDTHS[axis.unit])


def bands(curve: Reals, axis: Axis) -> tuple[Band, ...]:
    """Return where the positive part of a relevance curve [points] stands highest, the largest share first.

    Each reaches to half of its height; those that touch are one. They hold TOLD of the whole, or as much as MAX_BANDS
    of them do.
    """
    left = np.maximum(curve, 0.0)
    total = float(left.sum())
    if not total > 0.0:
        return ()
    cores: list[tuple[int, int]] = []
    remaining = left.copy()
    while left.sum() - remaining.sum() < TOLD * total and len(cores) < MAX_CORES:
        first, last = _to_half(remaining, int(remaining.argmax()))
        if len(_joined([*cores, (first, last)])) > MAX_BANDS:
            break
        remaining[first : last + 1] = 0.0
        cores.append((first, last))
    found = [_band(left, stretch, core, axis, total) for stretch, core in _joined(cores)]
    found.sort(key=lambda band: (-band.share, band.low))
    return (found[0], *(band for band in found[1:] if band.share >= LEAST_SHARE))


def bridge_bands(row: Rows, told: tuple[Band, ...], axis: Axis) -> Rows:
    """Return `row` [points] with all of the bands bridged, each with half of the narrow window on either side."""
    step = (axis.stop - axis.start) / (axis.points - 1)
    beyond = WIDTHS[axis.unit][0] / 2.0
    inside = np.zeros(axis.points, dtype=bool)
    for band in told:
        first, last = (band.low - beyond - axis.start) / step, (band.high + beyond - axis.start) / step
        inside[max(int(np.ceil(first)), 0) : max(int(last), 0) + 1] = True
    kept = np.flatnonzero(~inside)
    if not len(kept):
        return np.full_like(row, row.mean())
    return np.interp(np.arange(axis.points), kept, row[kept]).astype(np.float32)


def structure(curve: Reals, axis: Axis) -> NDArray[np.bool_]:
    """Return where a reference [points] has bands: where bridging it, as a spectrum is bridged, changes it.

    In this way a slope or a level is no band, whatever the domain in which the reference stands.
    """
    total = np.zeros(axis.points)
    for places in windows(axis):
        changed = np.zeros(axis.points)
        for bridged in _bridged(curve, places):
            changed += np.abs(bridged - curve).sum(axis=0)
        total += changed / _cover(places, axis.points)
    highest = float(total.max())
    return np.asarray(total > STRUCTURE[axis.unit] * highest) if highest > 0.0 else np.zeros(axis.points, dtype=bool)


def _of_width(points: float, on_axis: int) -> NDArray[np.intp]:
    span = max(round(points), LEAST_POINTS - 1)  # from end to end, which is one less than its points
    span = min(span, on_axis - 1)
    first = np.arange(0, on_axis - 1 - span, max(span // OVERLAP, 1), dtype=np.intp)
    first = np.append(first, on_axis - 1 - span)  # the last one ends with the axis
    return np.stack([first, first + span], axis=1)


def _bridged(row: NDArray[np.floating], places: NDArray[np.intp]) -> Iterator[Reals]:
    """Yield rows [at most CHUNK, points], each with one window bridged."""
    values, at = row.astype(np.float64), np.arange(len(row))
    for start in range(0, len(places), CHUNK):
        first, last = places[start : start + CHUNK].T[:, :, None]
        left, right = values[first], values[last]
        along = (at - first) / (last - first)
        yield np.where((at > first) & (at < last), left + (right - left) * along, values)


def _cover(places: NDArray[np.intp], points: int) -> Reals:
    """How many windows change each point [points]; at least one."""
    at = np.arange(points)
    inside = (at > places[:, :1]) & (at < places[:, 1:])
    return np.asarray(np.maximum(inside.sum(axis=0), 1), dtype=np.float64)


def _to_half(curve: Reals, peak: int) -> tuple[int, int]:
    """The first and last place around a peak that stand above half of it."""
    low = np.flatnonzero(curve <= curve[peak] / 2.0)
    before, after = low[low < peak], low[low > peak]
    return int(before[-1]) + 1 if len(before) else 0, int(after[0]) - 1 if len(after) else len(curve) - 1


def _joined(cores: list[tuple[int, int]]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Stretches of cores that touch, each with the core that was found first, the highest."""
    found: list[tuple[tuple[int, int], tuple[int, int]]] = []
    for core in sorted(cores):
        if found and core[0] <= found[-1][0][1] + 1:
            stretch, highest = found.pop()
            best = min(highest, core, key=cores.index)
            found.append(((stretch[0], core[1]), best))
        else:
            found.append((core, core))
    return found


def _band(curve: Reals, stretch: tuple[int, int], core: tuple[int, int], axis: Axis, total: float) -> Band:
    at = positions(axis)
    half = (at[1] - at[0]) / 2.0
    highest = core[0] + int(curve[core[0] : core[1] + 1].argmax())
    inside = slice(stretch[0], stretch[1] + 1)
    return Band(
        low=max(float(at[stretch[0]] - half), axis.start),
        high=min(float(at[stretch[1]] + half), axis.stop),
        peak=float(at[highest] + 2.0 * half * _vertex(curve, highest)),
        share=min(float(curve[inside].sum()) / total, 1.0),
    )


def _vertex(curve: Reals, highest: int) -> float:
    """How far the parabola through a peak and its two neighbours has its top from the peak, in steps."""
    if not 0 < highest < len(curve) - 1:
        return 0.0
    before, top, after = curve[highest - 1 : highest + 2].tolist()
    bend = before - 2.0 * top + after
    return min(max(0.5 * (before - after) / bend, -0.5), 0.5) if bend < 0.0 else 0.0
