"""A table with the axis in its first column and one spectrum a column."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edged.spectra.axis import axis_of, named_unit, shift_begins
from edged.spectra.formats.asked import Asked
from edged.spectra.formats.cells import Dialect
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.words import offered_by
from edged.spectra.rows import FileError, Found, Lost, Row, clean_title
from edged.spectra.spectrum import MAX_POINTS, Spectrum, SpectrumError

MAX_CELLS = 8_000_000  # 32 MB as float32: the table has to be whole before its first column is
MAX_COLUMNS = 100_000
LAYOUTS = "the first row or the first column holds the axis; see edged analyze --help"


def read_columns(lines: Lines, dialect: Dialect, asked: Asked) -> Iterator[Row]:
    """Yield one row a column after the first. Raises FileError for a bad axis, no rows, a table too large."""
    path = lines.path
    ((number, first),) = lines.peek(1)
    head = dialect.split(first)
    label, titles = "", [""] * (len(head) - 1)
    if dialect.number(head[0]) is None:
        next(lines)
        while len(head) > 2 and not head[-1]:
            head.pop()
        label, titles = head[0], [clean_title(cell) for cell in head[1:]]
    if not titles or len(titles) > MAX_COLUMNS:
        raise FileError(f"{path}: line {number} has {len(head)} columns: no table of spectra", hint=LAYOUTS)
    axis: list[float] = []
    table: list[NDArray[np.float32]] = []
    lost: dict[int, SpectrumError] = {}
    for number, line in lines:
        if (len(axis) + 1) * len(titles) > MAX_CELLS or len(axis) == MAX_POINTS:
            raise FileError(f"{path}: more than {MAX_CELLS} values or {MAX_POINTS} points", hint="split it")
        where = f"{path}: line {number}"
        cells = dialect.split(line)
        try:
            axis.append(dialect.value(cells[0], f"{where}, column 1"))
        except SpectrumError as error:
            raise FileError(f"{error.message}, in the axis", hint=LAYOUTS) from error
        table.append(_values(cells[1:], len(titles), dialect, where, lost))
    if not axis:
        raise FileError(f"{path}: holds {len(titles)} names and no values", hint="add one row an axis position")
    quantity = asked.quantity_of(offered_by(label), str(path))
    begin = shift_begins(axis, asked.unit or named_unit(label))
    positions, found_unit = axis_of(axis[begin:], label, unit=asked.unit, where=str(path))
    columns = np.array(table[begin:], dtype=np.float32).T
    table.clear()
    for column, title in enumerate(titles):
        if column in lost:
            yield Lost(row=column + 1, title=title, error=lost[column])
            continue
        values = np.ascontiguousarray(columns[column])
        spectrum = Spectrum(axis=positions, values=values, axis_unit=found_unit, quantity=quantity, title=title)
        yield Found(row=column + 1, spectrum=spectrum)


def _values(
    cells: list[str], count: int, dialect: Dialect, where: str, lost: dict[int, SpectrumError]
) -> NDArray[np.float32]:
    """Return one row of the table. What is wrong is noted in `lost` under its column, the first fault only."""
    while len(cells) > count and not cells[-1]:
        cells.pop()
    if len(cells) > count:
        raise FileError(f"{where} has {len(cells) + 1} cells, the first row {count + 1}", hint=LAYOUTS)
    if len(cells) == count:
        try:
            return np.array(dialect.values(cells, where, 2), dtype=np.float32)
        except SpectrumError:
            pass  # some cell is bad: look at each
    row = np.zeros(count, dtype=np.float32)
    for column in range(count):
        cell = cells[column] if column < len(cells) else ""
        try:
            row[column] = dialect.value(cell, f"{where}, column {column + 2}")
        except SpectrumError as error:
            lost.setdefault(column, error)
    return row
