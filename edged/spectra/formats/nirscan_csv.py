"""The CSV file that the programs for DLP NIRscan and InnoSpectra handhelds save: one scan a file.

***Scan Config Information***,,,,,,,***Reference Scan Information***, ...   settings, versions, coefficients
***Scan Data***, ...
Wavelength (nm),Absorbance (AU),Reference Signal (unitless),Sample Signal (unitless)
900.813664922249,-0.117087124581832,3907,5116

Absorbance is against the reference that the instrument had stored, whatever that was; the sample's signal, the dark
level taken off by the instrument, is given as counts or intensity.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from edged.spectra.axis import axis_of
from edged.spectra.formats.asked import Asked
from edged.spectra.formats.cells import Dialect
from edged.spectra.formats.lines import Lines
from edged.spectra.rows import FileError, Found, Lost, Row, clean_title
from edged.spectra.spectrum import MAX_POINTS, Quantity, Spectrum, SpectrumError

MAX_HEADER_LINES = 200
COLUMNS: Final[dict[Quantity, str]] = {
    "absorbance": "absorbance",
    "intensity": "sample signal",
    "counts": "sample signal",
}
_DIALECT = Dialect(delimiter=",", decimal_comma=False)


def is_nirscan(head: str) -> bool:
    """Whether a file that begins so is one of these."""
    start = head.split("\n", 1)[0].lower()
    return start.startswith("***scan config") or (start.startswith("wavelength (nm)") and "absorbance (au)" in start)


def read_nirscan(lines: Lines, asked: Asked) -> Iterator[Row]:
    """Yield the one spectrum of the file; its title is the file's name. Raises FileError."""
    path = lines.path
    quantity = asked.quantity_of(tuple(COLUMNS), str(path))
    unit = asked.unit_where_file_says("nm", str(path))
    column = _column(lines, COLUMNS[quantity])
    axis: list[float] = []
    values: list[float] = []
    lost: SpectrumError | None = None
    for number, line in lines:
        cells = _DIALECT.split(line)
        where = f"{path}: line {number}"
        try:
            axis.append(_DIALECT.value(cells[0], f"{where}, column 1"))
        except SpectrumError as error:
            raise FileError(error.message, hint="save the scan again") from error
        if len(axis) > MAX_POINTS:
            raise FileError(f"{path}: more than {MAX_POINTS} points", hint="this is no scan of one sample")
        try:
            cell = cells[column] if column < len(cells) else ""
            values.append(_DIALECT.value(cell, f"{where}, column {column + 1}"))
        except SpectrumError as error:
            lost = lost or error
    title = clean_title(path.stem)
    if not axis:
        raise FileError(f"{path}: no spectrum after its header", hint="the scan was not saved completely")
    positions, found = axis_of(axis, "nm", unit=unit, where=str(path))
    if lost is not None:
        yield Lost(row=1, title=title, error=lost)
        return
    array = np.array(values, dtype=np.float32)
    yield Found(row=1, spectrum=Spectrum(axis=positions, values=array, axis_unit=found, quantity=quantity, title=title))


def _column(lines: Lines, wanted: str) -> int:
    for number, line in lines:
        if number > MAX_HEADER_LINES:
            break
        cells = [cell.lower() for cell in _DIALECT.split(line)]
        if cells[0].startswith("wavelength (nm)"):
            for column, name in enumerate(cells):
                if name.startswith(wanted):
                    return column
            raise FileError(f"{lines.path}: line {number} names no column {wanted!r}", hint="save the scan again")
    raise FileError(f"{lines.path}: its scan data are missing", hint="the scan was not saved completely")
