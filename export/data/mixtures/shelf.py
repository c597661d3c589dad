"""A library made ready for mixing: tables of its rows, and weighted sums of many rows at once, each moved on the axis.

One interpolation does everything that moves a spectrum: from the instrument's axis to the grid, the instrument's own
error, and that of each compound. Two would blur it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.errors import DataUnusable

FINER = (
    4  # points of the even table for each of the library's or grid's, whichever is closer: its knots are kept to 1/16
)
MOST_POINTS = 65_536  # of a fine table's row; two of its points that nearly coincide would ask for any number
ROWS = 96  # added up at once: with 512 points, all that is in work stays in a core's cache
Rows = NDArray[np.int64]
Table = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """What is added up: [e] each. mixture: ascending not required. moved, stretched: by how much the grid is displaced
    at its middle and at its ends, in units of the axis; None where nothing moves."""

    mixture: Rows
    row: Rows
    weight: NDArray[np.float64]
    moved: NDArray[np.float64] | None = None
    stretched: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scans:
    """Which rows are of which compound: those of `compound` are order[start:start + count]."""

    order: Rows
    start: Rows
    count: Rows

    def one_of(self, compound: Rows, rng: np.random.Generator) -> Rows:
        """Return a row of each compound, any of its scans."""
        return self.order[self.start[compound] + (rng.random(len(compound)) * self.count[compound]).astype(np.int64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Tables of rows on the grid, and finer ones where they are to be moved. `at` is the grid in points of the latter,
    `per_unit` how many of its points are one unit of the axis, `along` runs from -1 to 1 over the grid.
    """

    on_grid: Table
    fine: Table | None
    at: NDArray[np.float32]
    per_unit: float
    along: NDArray[np.float32]

    def sums(self, entries: Entries, n: int) -> Table:
        """Return [n, points]: the weighted sum of each mixture's entries, zero where it has none."""
        out = np.zeros((n, len(self.at)), dtype=np.float32)
        order = np.argsort(entries.mixture, kind="stable")
        count = np.bincount(entries.mixture, minlength=n)
        start = np.cumsum(count) - count
        for many in np.unique(count[count > 0]):
            alike = np.flatnonzero(count == many)
            at_once = max(ROWS // many, 1)
            for first in range(0, len(alike), at_once):
                mixtures = alike[first : first + at_once]
                which = order[start[mixtures] + np.arange(many)[:, None]]
                out[mixtures] = _added(self._weighted(entries, which.ravel()).reshape(*which.shape, -1))
        return out

    def _weighted(self, entries: Entries, which: Rows) -> Table:
        row, weight = entries.row[which], entries.weight[which, None].astype(np.float32)
        if entries.moved is None:
            parts = self.on_grid[row]
        else:
            assert self.fine is not None
            place = self.at + (entries.moved[which] * self.per_unit).astype(np.float32)[:, None]
            if entries.stretched is not None:
                place += (entries.stretched[which] * self.per_unit).astype(np.float32)[:, None] * self.along
            parts = _interpolated(self.fine, row, place)
        parts *= weight
        return parts


def _added(parts: Table) -> Table:
    """Return the sum over the first axis. Writes to `parts`.

    The order is that of numpy's `reduceat`, in which mixtures have been added up from the first: a seed's are kept to
    the bit. It adds to the first what the rest is together, which from eight on has eight running sums.
    """
    first, rest = parts[0], parts[1:]
    if not len(rest):
        return first
    whole = len(rest) // 8 * 8
    total = rest[0]
    if whole:
        for begin in range(8, whole, 8):
            rest[:8] += rest[begin : begin + 8]
        for step in (1, 2, 4):
            rest[0 : 8 : 2 * step] += rest[step : 8 : 2 * step]
    for each in rest[whole or 1 :]:
        total += each
    first += total
    return first


def _interpolated(fine: Table, row: Rows, place: Table) -> Table:
    """Return what stands in each row at places, in points; beyond the ends, the end value. Writes to `place`."""
    points = fine.shape[1]
    np.clip(place, 0.0, points - 1.0, out=place)
    left = np.floor(place)
    np.minimum(left, points - 2.0, out=left)
    place -= left
    at = left.astype(np.int64)
    at += (row * points)[:, None]
    flat = fine.ravel()
    low = flat.take(at)
    high = flat[1:].take(at)
    high -= low
    high *= place
    high += low
    return high


def shelf_of(
    tables: Sequence[NDArray[np.float64]], axis: NDArray[np.float64], grid: NDArray[np.float64], *, moves: bool
) -> Shelf:
    """Put tables [rows, points of the axis] under each other, ready for mixing on the grid, which lies within the axis.

    moves: whether entries will be displaced. Raises DataUnusable for an axis whose points nearly coincide.
    """
    values = np.concatenate(tables)
    on_grid = np.stack([np.interp(grid, axis, row) for row in values]).astype(np.float32)
    fine, step, at = None, 1.0, np.zeros(len(grid))
    if moves:
        closest = min(float(np.diff(axis).min()), float(np.diff(grid).min()))
        points = int(np.ceil((axis[-1] - axis[0]) / closest * FINER)) + 1
        if points > MOST_POINTS:
            raise DataUnusable(
                f"two points of the axis or the grid are {closest:g} apart on a length of {axis[-1] - axis[0]:g}",
                hint="bring the library onto an axis without points that nearly coincide",
            )
        even = np.linspace(axis[0], axis[-1], points)
        step = float(even[1] - even[0])
        fine = np.stack([np.interp(even, axis, row) for row in values]).astype(np.float32)
        at = (grid - axis[0]) / step
    return Shelf(
        on_grid=on_grid,
        fine=fine,
        at=at.astype(np.float32),
        per_unit=1.0 / step,
        along=np.linspace(-1.0, 1.0, len(grid)).astype(np.float32),
    )


def scans_on(compounds: NDArray[np.int64], many: int) -> Scans:
    """Return the rows of each of `many` compounds."""
    count = np.bincount(compounds, minlength=many)
    return Scans(
        order=np.argsort(compounds, kind="stable").astype(np.int64),
        start=(np.cumsum(count) - count).astype(np.int64),
        count=count.astype(np.int64),
    )
