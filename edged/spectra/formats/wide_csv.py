"""A table with the axis in its first row and one spectrum a row, read as a stream, from any of its rows on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edged.spectra.axis import axis_of
from edged.spectra.formats.asked import Asked
from edged.spectra.formats.cells import Dialect, numbers_in
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.words import offered_by
from edged.spectra.rows import FileError, Found, Lost, Row, clean_title
from edged.spectra.spectrum import MIN_POINTS, AxisUnit, Quantity, Spectrum, SpectrumError

MAX_ROWS = 100_000  # one file read whole; at 64 MB these would be spectra of some 80 points
NEAR = 1.2  # neighbours on an axis differ by less than this factor; an axis and an absorbance by more


def is_wide(probe: Sequence[str], dialect: Dialect) -> bool:
    """Whether the first of these lines is an axis, rather than a row of names or the first row of columns.

    A row of numbers is no axis when the first column is one: its cells follow each other closely, and the row's do not,
    or count 1, 2, 3 as names do.
    """
    head = dialect.split(probe[0])
    numeric = numbers_in(dialect, probe[0])
    if numeric < MIN_POINTS or numeric * 2 < len(head):
        return False
    corner = dialect.number(head[0])
    column = [dialect.number(dialect.split(line)[0]) for line in probe[1:]]
    if corner is not None:
        first_step = dialect.number(head[1])
        return not (_runs([corner, *column]) and not _runs([corner, first_step]))
    names = [dialect.number(cell) for cell in head[1:] if cell]
    counting = names[0] in (0, 1) and all(b is not None and a is not None and b - a == 1 for a, b in pairwise(names))
    return not (counting and _runs(column))


def read_wide(lines: Lines, dialect: Dialect, asked: Asked) -> Iterator[Row]:
    """Yield one row a line after the first. Raises FileError for a bad axis, for no rows, and for too many."""
    yield from wide_table(lines, dialect, asked).rows(lines, max_rows=MAX_ROWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class WideTable:
    """What the first row says: the axis, float64, and how many cells a spectrum has before and after its values."""

    dialect: Dialect
    axis: NDArray[np.float64]
    unit: AxisUnit
    quantity: Quantity
    before: int
    after: int

    def rows(self, lines: Lines, *, rows_before: int = 0, max_rows: int | None = None) -> Iterator[Row]:
        """Yield one row a line. Raises FileError for no rows at all, and for more than `max_rows`."""
        row, points = rows_before, len(self.axis)
        for number, line in lines:
            row += 1
            if max_rows is not None and row > max_rows:
                raise FileError(f"{lines.path}: more than {max_rows} spectra", hint="split it into smaller files")
            cells = self.dialect.split(line)
            before = _before(cells, points, self.before, self.after)
            title = _title([*cells[:before], *cells[before + points :]], self.dialect)
            where = f"{lines.path}: line {number}"
            try:
                values = _values(cells, before, self.after, points, self.dialect, where)
                array = np.array(values, dtype=np.float32)
                spectrum = Spectrum(
                    axis=self.axis, values=array, axis_unit=self.unit, quantity=self.quantity, title=title
                )
            except SpectrumError as error:
                yield Lost(row=row, title=title, error=error)
            else:
                yield Found(row=row, spectrum=spectrum)
        if row == 0:
            raise FileError(
                f"{lines.path}: holds an axis of {points} points and no spectrum", hint="add one row a spectrum"
            )


def wide_table(lines: Lines, dialect: Dialect, asked: Asked) -> WideTable:
    """Take the first row. Raises FileError for a bad axis."""
    number, line = next(lines)
    where = f"{lines.path}: line {number}"
    head = dialect.split(line)
    holds = [column for column, cell in enumerate(head) if dialect.number(cell) is not None]
    first, end = holds[0], holds[-1] + 1
    try:
        positions = dialect.values(head[first:end], where, first + 1)
    except SpectrumError as error:
        raise FileError(f"{error.message}, in the axis", hint="the first row holds the axis positions") from error
    label = " ".join(head[:first])
    quantity = asked.quantity_of(offered_by(label), where)
    axis, unit = axis_of(positions, label, unit=asked.unit, where=where)
    after = sum(bool(cell) for cell in head[end:])
    return WideTable(dialect=dialect, axis=axis, unit=unit, quantity=quantity, before=first, after=after)


def _title(cells: Sequence[str], dialect: Dialect) -> str:
    """What names a spectrum among the cells around its values: the first text, else the first number."""
    text = [cell for cell in cells if cell and dialect.number(cell) is None]
    return clean_title(next(iter([*text, *cells]), ""))


def _before(cells: Sequence[str], points: int, first: int, after: int) -> int:
    """How many cells stand before the values: as many as in the header, or one where the header has none."""
    filled = len(cells)
    while filled > points and not cells[filled - 1]:
        filled -= 1
    if filled == points:
        return 0
    return first or int(filled == points + 1 and not after)


def _values(cells: Sequence[str], before: int, after: int, points: int, dialect: Dialect, where: str) -> list[float]:
    rest = list(cells[before:])
    while len(rest) > points + after and not rest[-1]:
        rest.pop()
    if not points <= len(rest) <= points + after:
        raise SpectrumError(
            f"{where} has {len(rest)} values, the axis {points}", hint="one value for each axis position"
        )
    return dialect.values(rest[:points], where, before + 1)


def _runs(cells: Sequence[float | None]) -> bool:
    """Whether these numbers follow each other as positions of an axis do."""
    if len(cells) < 2 or any(cell is None or not cell > 0 for cell in cells):
        return False
    steps = [(a, b) for a, b in pairwise(cells) if a is not None and b is not None]
    close = all(max(a, b) < NEAR * min(a, b) for a, b in steps)
    return close and (all(a < b for a, b in steps) or all(a > b for a, b in steps))
