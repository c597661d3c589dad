"""The CSV of Wasatch Photonics' ENLIGHTEN: one scan a file.

ENLIGHTEN Version,4.1.6          name and value, some fifty lines: Label, Technique, Laser Wavelength, ...
Pixel,Wavelength,Wavenumber,Processed     the axis in nm and as Raman shift; NA outside the range of interest
10,801.41,260.19,38.50
"""

from __future__ import annotations

from collections.abc import Iterator

from edged.spectra.formats.asked import Asked
from edged.spectra.formats.cells import Dialect
from edged.spectra.formats.compose import compose
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.picked import picked
from edged.spectra.formats.words import Values
from edged.spectra.rows import FileError, Lost, Row, clean_title
from edged.spectra.spectrum import AxisUnit, SpectrumError

MAX_HEADER_LINES = 500
AXES: dict[AxisUnit, str] = {"nm": "wavelength", "cm-1": "wavenumber"}
HOLDS = {  # what "Processed" is, by technique
    "raman": Values(offers=("intensity", "counts")),
    "absorbance": Values(offers=("absorbance",)),
    "": Values(),
}
_DIALECT = Dialect(delimiter=",", decimal_comma=False)


def is_enlighten(head: str) -> bool:
    """Whether a file that begins so is one of these."""
    return head.startswith("ENLIGHTEN Version,")


def read_enlighten(lines: Lines, asked: Asked) -> Iterator[Row]:
    """Yield the one spectrum of the file. Raises FileError for a header without data."""
    where = str(lines.path)
    told, columns = _header(lines)
    title = clean_title(told.get("label", "") or told.get("measurement id", "") or lines.path.stem)
    technique = told.get("technique", "").lower()
    unit = asked.unit or ("cm-1" if technique == "raman" else "nm")
    try:
        quantity = asked.quantity_named(HOLDS.get(technique, Values(foreign=clean_title(technique))), where)
        axis, values = _column(columns, AXES[unit], where), _column(columns, "processed", where)
        positions, numbers = picked(lines, _DIALECT, axis=axis, values=values, where=where)
    except SpectrumError as error:
        yield Lost(row=1, title=title, error=error)
        return
    yield compose(positions, numbers, row=1, title=title, unit=unit, quantity=quantity, where=where)


def _header(lines: Lines) -> tuple[dict[str, str], list[str]]:
    """Return what the header says, and the names of the columns, in small letters."""
    told: dict[str, str] = {}
    for number, line in lines:
        cells = _DIALECT.split(line)
        if cells[0] == "Pixel":
            return told, [cell.lower() for cell in cells]
        if number > MAX_HEADER_LINES:
            break
        told[cells[0].lower()] = cells[1] if len(cells) > 1 else ""
    raise FileError(f"{lines.path}: no spectrum after its header", hint="the scan was not saved completely")


def _column(columns: list[str], name: str, where: str) -> int:
    if columns.count(name) != 1:
        raise FileError(
            f"{where}: has {columns.count(name)} columns {name!r}", hint="export one measurement with all its columns"
        )
    return columns.index(name)
