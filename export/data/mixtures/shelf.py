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
        if not len(entries.mixture):
            return out
        order = np.argsort(entries.mixture, kind="stable")
        mixture = entries.mixture[order]
        parts = self._moved(entries, order) if entries.moved is not None else self.on_grid[entries.row[order]]
        parts *= entries.weight[order, None].astype(np.float32)
        first = np.flatnonzero(np.diff(mixture, prepend=-1))
        out[mixture[first]] = np.add.reduceat(parts, first, axis=0)
        return out

    def _moved(self, entries: Entries, order: Rows) -> Table:
        assert self.fine is not None
        assert entries.moved is not None
        moved = (entries.moved[order] * self.per_unit).astype(np.float32)[:, None]
        place = self.at + moved
        if entries.stretched is not None:
            place += (entries.stretched[order] * self.per_unit).astype(np.float32)[:, None] * self.along
        points = self.fine.shape[1]
        np.clip(place, 0.0, points - 1.0, out=place)  # beyond the ends, the end value
        left = np.minimum(place.astype(np.int32), points - 2)
        place -= left
        left = left + (entries.row[order] * points)[:, None]
        flat = self.fine.ravel()
        low = flat.take(left)
        left += 1
        high = flat.take(left)
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
