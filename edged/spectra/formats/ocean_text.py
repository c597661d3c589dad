"""The text files of Ocean's programs: SpectraSuite and OceanView, one scan a file.

SpectraSuite Data File                   or   Data from NAME Node
Number of Pixels in Processed Spectrum: 3648  or   XAxis mode: Wavelengths, Number of Pixels in Spectrum: 2048
>>>>>Begin Processed Spectral Data<<<<<       or   >>>>>Begin Spectral Data<<<<<
178.65	0.000
>>>>>End Processed Spectral Data<<<<<         or   the end of the file
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from edged.spectra.formats.asked import Asked
from edged.spectra.formats.cells import Dialect
from edged.spectra.formats.compose import DAMAGED, compose
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.picked import picked
from edged.spectra.rows import FileError, Lost, Row, clean_title
from edged.spectra.spectrum import AxisUnit, SpectrumError

MAX_HEADER_LINES = 500  # some twenty lines for each spectrometer of a group
MODES: Final[dict[str, AxisUnit]] = {"wavelengths": "nm", "raman shifts": "cm-1", "wavenumbers": "cm-1"}
_MARK = re.compile(r">>>>>\s*(Begin|End) [A-Za-z ]*Spectral Data\s*<<<<<")
_DIALECT = Dialect(delimiter="\t", decimal_comma=True)


def is_ocean(head: str) -> bool:
    """Whether a file that begins so is one of these."""
    return head.startswith("SpectraSuite Data File") or _MARK.search(head) is not None


def read_ocean(lines: Lines, asked: Asked) -> Iterator[Row]:
    """Yield the one spectrum of the file; its title is the file's name. Raises FileError for a header without data."""
    where, title = str(lines.path), clean_title(lines.path.stem)
    told = _header(lines)
    mode = told.get("xaxis mode", "wavelengths").lower()
    try:
        if mode not in MODES:
            raise FileError(f"{where}: its axis is in {clean_title(mode)}", hint="save it with wavelengths")
        axis, values = picked(_table(lines), _DIALECT, axis=0, values=1, where=where, only=2)
        named = next((value for name, value in told.items() if name.startswith("number of pixels in")), "")
        if named.isdecimal() and len(axis) < int(named[:9]):  # two instruments spliced give more than the first has
            raise SpectrumError(f"{where}: holds {len(axis)} of {named[:9]} points", hint=DAMAGED)
        unit = asked.unit_where_file_says(MODES[mode], where)
        quantity = asked.quantity_of((), where)
    except SpectrumError as error:
        yield Lost(row=1, title=title, error=error)
        return
    yield compose(axis, values, row=1, title=title, unit=unit, quantity=quantity, where=where)


def _header(lines: Lines) -> dict[str, str]:
    told: dict[str, str] = {}
    for number, line in lines.every():
        if _MARK.match(line):
            return told
        if number > MAX_HEADER_LINES:
            break
        name, _, value = line.partition(":")
        told[name.strip().lower()] = value.strip()
    raise FileError(f"{lines.path}: its spectral data are missing", hint="the scan was not saved completely")


def _table(lines: Lines) -> Iterator[tuple[int, str]]:
    for number, line in lines.every():
        if _MARK.match(line):
            return
        yield number, line
