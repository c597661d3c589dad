"""The CSV of the SCiO application: a column for each nanometre, a row for each scan.

"band740","band741", ...
1.499853245,1.500665151, ...
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from edged.spectra.formats.asked import Asked
from edged.spectra.formats.cells import Dialect
from edged.spectra.formats.compose import compose
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.wide_csv import MAX_ROWS
from edged.spectra.rows import FileError, Lost, Row
from edged.spectra.spectrum import SpectrumError

_DIALECT = Dialect(delimiter=",", decimal_comma=False)
_BAND = re.compile(r"band(\d{3,4})")


def is_scio(head: str) -> bool:
    """Whether a file that begins so is one of these."""
    return _BAND.match(head.lstrip('"')) is not None


def read_scio(lines: Lines, asked: Asked) -> Iterator[Row]:
    """Yield one row a line after the first. Raises FileError for other columns than bands."""
    number, line = next(lines, (1, ""))
    bands = [_BAND.fullmatch(cell) for cell in _DIALECT.split(line)]
    axis = np.array([float(band[1]) for band in bands if band is not None], dtype=np.float64)
    if not len(axis) == len(bands) > 0:
        raise FileError(f"{lines.path}: line {number} has columns that are no bands", hint="export the bands only")
    unit = asked.unit_where_file_says("nm", str(lines.path))
    quantity = asked.quantity_of((), str(lines.path))
    row = 0
    for number, line in lines:
        row += 1
        where = f"{lines.path}: line {number}"
        if row > MAX_ROWS:
            raise FileError(f"{lines.path}: more than {MAX_ROWS} spectra", hint="split it into smaller files")
        try:
            values = np.array(_DIALECT.values(_DIALECT.split(line), where, 1), dtype=np.float64)
        except SpectrumError as error:
            yield Lost(row=row, title="", error=error)
            continue
        yield compose(axis, values, row=row, title="", unit=unit, quantity=quantity, where=where)
    if not row:
        raise FileError(f"{lines.path}: holds names of bands and no spectrum", hint="export it again")
