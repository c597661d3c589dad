"""Which peak is which line of a table, when the axis may be off by an unknown offset and a small stretch. Any thread.

Every offset and stretch of a grid is tried and scored by how well the shifted table and the peaks look alike, as
stick spectra: the cosine of strengths and square roots of prominences. Unexplained peaks and missing lines both lower
it, so that coincidences with noise or with another compound do not add up. The best hypothesis is then refined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edged.spectra.standards.materials import STRONGEST
from edged.spectra.standards.peaks import Peak

SEARCH = 30.0  # 1/cm, half again what a correction may reach: enough to say "by 25" instead of "nothing found"
STRETCHES = np.linspace(-0.004, 0.004, 9)  # 12 1/cm over a range of 3,000
CATCH = 6.0  # 1/cm between a peak and the shifted table while searching
KEEP = 4.0  # 1/cm after refinement
MAX_ERROR = 0.5  # 1/cm, standard error: a third of the tightest limit; a worse position proves nothing
RESOLVED = 1.2  # widths between two lines of a table that count as two
MINOR = 0.5  # strength of a hidden neighbour, as a share of the line's, that is tolerated

Row = NDArray[np.float64]
Doubt = Literal["blended", "uncertain", "saturated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A line of the table and the peak that is it. difference = found - table.

    doubt: why it is shown and yet does not count; None if it counts. blended: a neighbour in the table is too near to
    be told apart. uncertain: its standard error is over MAX_ERROR. saturated: beyond the detector's range.
    """

    table: float
    strength: int
    found: float
    error: float
    snr: float
    fwhm: float
    doubt: Doubt | None

    @property
    def difference(self) -> float:
        """Return found minus table, in the unit of the axis."""
        return self.found - self.table


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The best assignment. likeness: 0 to 1, alike in all. found is about table * (1 + stretch) + offset."""

    likeness: float
    offset: float
    stretch: float
    matches: tuple[Match, ...]


def assign(lines: Sequence[tuple[float, int]], peaks: Sequence[Peak], *, span: tuple[float, float]) -> Assignment:
    """Return the best assignment of peaks to lines (position, strength), both ascending.

    span: ends of the spectrum's axis; lines outside are not missed.
    """
    nothing = Assignment(likeness=0.0, offset=0.0, stretch=0.0, matches=())
    table = np.array([position for position, _ in lines])
    strength = np.array([strength for _, strength in lines], dtype=np.float64)
    inside = (table > span[0] + KEEP) & (table < span[1] - KEEP)
    table, strength = table[inside], strength[inside]
    if not len(table) or not peaks:
        return nothing
    found = np.array([peak.position for peak in peaks])
    bright = np.array([peak.height for peak in peaks])
    near = (found > table[0] - SEARCH - CATCH) & (found < table[-1] + SEARCH + CATCH)
    if not near.any():
        return nothing
    sticks = np.where(near, STRONGEST * np.sqrt(bright / bright[near].max()), 0.0)
    offset, stretch = _search(table, strength, found, sticks)
    pairs, likeness = _refine(table, strength, found, sticks, offset, stretch)
    if not pairs:
        return nothing
    offset, stretch = _line(table, found, pairs)
    matches = tuple(_match(table, strength, peaks, pairs, line) for line in sorted(pairs))
    return Assignment(likeness=likeness, offset=offset, stretch=stretch, matches=matches)


def _search(table: Row, strength: Row, found: Row, sticks: Row) -> tuple[float, float]:
    """Return offset and stretch of the hypothesis that looks most alike; of equals the smallest shift."""
    offsets = np.arange(-SEARCH, SEARCH + 1.0)
    offsets = offsets[np.argsort(np.abs(offsets), kind="stable")]
    center = float(table.mean())
    best, at = -1.0, (0.0, 0.0)
    for stretch in STRETCHES[np.argsort(np.abs(STRETCHES), kind="stable")]:
        expected = offsets[:, None] + (table + stretch * (table - center))[None, :]
        closeness = 1.0 - (np.abs(expected[:, :, None] - found[None, None, :]) / CATCH) ** 2
        scores = np.max(np.maximum(closeness, 0.0) * sticks, axis=2) @ strength
        first = int(np.argmax(scores))
        if scores[first] > best * (1.0 + 1e-9):
            best, at = float(scores[first]), (float(offsets[first] - stretch * center), float(stretch))
    return at


def _refine(
    table: Row, strength: Row, found: Row, sticks: Row, offset: float, stretch: float
) -> tuple[dict[int, int], float]:
    """Return pairs of line and peak near the hypothesis, one to one, and their likeness."""
    pairs: dict[int, int] = {}
    for reach in (CATCH, KEEP, KEEP):
        pairs = _pairs(table * (1.0 + stretch) + offset, strength, found, sticks, reach)
        if not pairs:
            return {}, 0.0
        offset, stretch = _line(table, found, pairs)
    both = sum(strength[line] * sticks[peak] for line, peak in pairs.items())
    return pairs, float(both / np.sqrt(np.sum(strength**2) * np.sum(sticks**2)))


def _pairs(expected: Row, strength: Row, found: Row, sticks: Row, reach: float) -> dict[int, int]:
    """Return one peak for a line and one line for a peak: the strongest lines choose first, by closeness and size."""
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for line in np.argsort(-strength, kind="stable"):
        distance = np.abs(found - expected[line])
        near = [int(peak) for peak in np.flatnonzero(distance <= reach) if int(peak) not in taken]
        if near:
            chosen = max(near, key=lambda peak: float(sticks[peak] * (1.0 - (distance[peak] / (1.5 * reach)) ** 2)))
            pairs[int(line)] = chosen
            taken.add(chosen)
    return pairs


def _line(table: Row, found: Row, pairs: dict[int, int]) -> tuple[float, float]:
    """Return offset and stretch through the pairs: the median shift of few, a robust line of six and more."""
    lines = np.array(sorted(pairs))
    x, y = table[lines], found[[pairs[int(line)] for line in lines]]
    shift = y - x
    if len(lines) < 6:
        return float(np.median(shift)), 0.0
    a, b = np.triu_indices(len(x), 1)
    apart = np.abs(x[b] - x[a]) > 100.0  # Theil-Sen over pairs that are far enough apart to tell a slope
    if not apart.any():
        return float(np.median(shift)), 0.0
    slopes = (shift[b] - shift[a])[apart] / (x[b] - x[a])[apart]
    slope = float(np.clip(np.median(slopes), STRETCHES[0], STRETCHES[-1]))
    return float(np.median(shift - slope * x)), slope


def _match(table: Row, strength: Row, peaks: Sequence[Peak], pairs: dict[int, int], line: int) -> Match:
    peak = peaks[pairs[line]]
    doubt: Doubt | None = None
    if peak.saturated:
        doubt = "saturated"
    elif _is_blended(table, strength, peak, pairs, line):
        doubt = "blended"
    elif peak.error > MAX_ERROR:
        doubt = "uncertain"
    return Match(
        table=float(table[line]),
        strength=int(strength[line]),
        found=peak.position,
        error=peak.error,
        snr=peak.snr,
        fwhm=peak.fwhm,
        doubt=doubt,
    )


def _is_blended(table: Row, strength: Row, peak: Peak, pairs: dict[int, int], line: int) -> bool:
    """Whether a neighbouring line without a peak of its own may hide in this one and draw it."""
    for other in np.flatnonzero(np.abs(table - table[line]) < max(RESOLVED * peak.fwhm, KEEP)):
        if other != line and int(other) not in pairs and strength[other] > MINOR * strength[line]:
            return True
    return False
