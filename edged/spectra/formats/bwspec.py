"""The text file of B&W Tek's BWSpec and BWRam: one scan a file, with semicolons, often with decimal commas.

File Version;BWSpec4.11_1            name and value, some ninety lines
Pixel;Wavelength;Wavenumber;Raman Shift;Dark;Reference;Raw data #1;Dark Subtracted #1;%TR #1;Absorbance #1; ...
38;   ;   ;   ;995,0000; ...         pixels outside the calibrated range have no axis
"""

from __future__ import annotations

from collections.abc import Iterator

from edged.spectra.formats.asked import Asked
from edged.spectra.formats.cells import Dialect
from edged.spectra.formats.compose import compose
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.picked import picked
from edged.spectra.rows import FileError, Lost, Row, clean_title
from edged.spectra.spectrum import AxisUnit, Quantity, SpectrumError

MAX_HEADER_LINES = 500
AXES: dict[AxisUnit, str] = {"cm-1": "Raman Shift", "nm": "Wavelength"}
COLUMNS: dict[Quantity, tuple[str, float]] = {
    "intensity": ("Dark Subtracted #1", 1.0),
    "counts": ("Dark Subtracted #1", 1.0),
    "absorbance": ("Absorbance #1", 1.0),
    "reflectance": ("%TR #1", 0.01),
}
_DIALECT = Dialect(delimiter=";", decimal_comma=True)


def is_bwspec(head: str) -> bool:
    """Whether a file that begins so is one of these."""
    return head.startswith("File Version;BW")


def read_bwspec(lines: Lines, asked: Asked) -> Iterator[Row]:
    """Yield the one spectrum of the file, unless asked otherwise its intensity over the Raman shift.

    Its title is the file's name. Raises FileError for a header without data.
    """
    where, title = str(lines.path), clean_title(lines.path.stem)
    columns = _columns(lines)
    unit, quantity = asked.unit or "cm-1", asked.quantity or "intensity"
    name, scale = COLUMNS[quantity]
    try:
        axis, values = _column(columns, AXES[unit], where), _column(columns, name, where)
        positions, numbers = picked(lines, _DIALECT, axis=axis, values=values, where=where)
    except SpectrumError as error:
        yield Lost(row=1, title=title, error=error)
        return
    numbers = numbers * scale
    yield compose(positions, numbers, row=1, title=title, unit=unit, quantity=quantity, where=where)


def _columns(lines: Lines) -> list[str]:
    for number, line in lines:
        if line.startswith("Pixel;"):
            return _DIALECT.split(line)
        if number > MAX_HEADER_LINES:
            break
    raise FileError(f"{lines.path}: no spectrum after its header", hint="the scan was not saved completely")


def _column(columns: list[str], name: str, where: str) -> int:
    if name not in columns:
        raise FileError(f"{where}: has no column {name!r}", hint="save the scan with all its columns")
    return columns.index(name)
