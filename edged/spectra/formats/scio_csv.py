"""The CSV of the SCiO application: a column for each nanometre, a row for each scan.

"band740","band741", ...
1.499853245,1.500665151, ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.spectra.formats.asked import Asked
from edged.spectra.formats.cells import Dialect
from edged.spectra.formats.compose import compose
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.wide_csv import MAX_ROWS
from edged.spectra.rows import FileError, Lost, Row
from edged.spectra.spectrum import AxisUnit, Quantity, SpectrumError

_DIALECT = Dialect(delimiter=",", decimal_comma=False)
_BAND = re.compile(r"band(\d{3,4})")


def is_scio(head: str) -> bool:
    """Whether a file that begins so is one of these."""
    return _BAND.match(head.lstrip('"')) is not None


def read_scio(lines: Lines, asked: Asked) -> Iterator[Row]:
    """Yield one row a line after the first. Raises FileError for other columns than bands, no rows, and too many."""
    yield from band_table(lines, asked).rows(lines, max_rows=MAX_ROWS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BandTable:
    """What the first row says: the axis, float64."""

    axis: NDArray[np.float64]
    unit: AxisUnit
    quantity: Quantity

    def rows(self, lines: Lines, *, rows_before: int = 0, max_rows: int | None = None) -> Iterator[Row]:
        """Yield one row a line. Raises FileError for no rows at all, and for more than `max_rows`."""
        row = rows_before
        for number, line in lines:
            row += 1
            where = f"{lines.path}: line {number}"
            if max_rows is not None and row > max_rows:
                raise FileError(f"{lines.path}: more than {max_rows} spectra", hint="split it into smaller files")
            try:
                values = np.array(_DIALECT.values(_DIALECT.split(line), where, 1), dtype=np.float64)
            except SpectrumError as error:
                yield Lost(row=row, title="", error=error)
                continue
            yield compose(self.axis, values, row=row, title="", unit=self.unit, quantity=self.quantity, where=where)
        if not row:
            raise FileError(f"{lines.path}: holds names of bands and no spectrum", hint="export it again")


def band_table(lines: Lines, asked: Asked) -> BandTable:
    """Take the first row. Raises FileError for other columns than bands."""
    number, line = next(lines, (1, ""))
    bands = [_BAND.fullmatch(cell) for cell in _DIALECT.split(line)]
    axis = np.array([float(band[1]) for band in bands if band is not None], dtype=np.float64)
    if not len(axis) == len(bands) > 0:
        raise FileError(f"{lines.path}: line {number} has columns that are no bands", hint="export the bands only")
    unit = asked.unit_where_file_says("nm", str(lines.path))
    return BandTable(axis=axis, unit=unit, quantity=asked.quantity_of((), str(lines.path)))
