"""The text file of HORIBA's LabSpec 6: one scan a file, its axis often descending.

#Laser (nm)=	785
#Title=	acetonitrile
#AxisType[0]=Intens  #AxisUnit[0]=Cnt   the values
#AxisType[1]=Spectr  #AxisUnit[1]=1/cm  the axis, here a Raman shift; each on its own line
3513.15	331.5
"""

from __future__ import annotations

from collections.abc import Iterator

from edged.spectra.formats.asked import Asked
from edged.spectra.formats.cells import Dialect
from edged.spectra.formats.compose import compose
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.picked import picked
from edged.spectra.formats.words import axis_named, values_named
from edged.spectra.rows import FileError, Lost, Row, clean_title
from edged.spectra.spectrum import SpectrumError

MAX_HEADER_LINES = 500
_DIALECT = Dialect(delimiter="\t", decimal_comma=False)


def is_horiba(head: str) -> bool:
    """Whether a file that begins so is one of these."""
    return head.startswith("#") and "#AxisType[" in head


def read_horiba(lines: Lines, asked: Asked) -> Iterator[Row]:
    """Yield the one spectrum of the file. Raises FileError for a header without data."""
    where = str(lines.path)
    told, table = _header(lines)
    title = clean_title(told.get("Title", "") or told.get("Sample", "") or lines.path.stem)
    units = {told.get(f"AxisType[{i}]", ""): told.get(f"AxisUnit[{i}]", "") for i in range(4)}
    try:
        axis = axis_named(units.get("Spectr", ""))
        if axis is None:
            unit = clean_title(units.get("Spectr", ""))
            raise FileError(f"{where}: its axis is in {unit or 'no unit'}", hint="save it in nm or 1/cm")
        quantity = asked.quantity_named(values_named(units.get("Intens", "")), where)
        positions, values = picked(table, _DIALECT, axis=0, values=1, where=where, only=2)
        unit = asked.unit_where_file_says(axis.unit, where)
    except SpectrumError as error:
        yield Lost(row=1, title=title, error=error)
        return
    yield compose(
        positions * axis.scale,
        values,
        row=1,
        title=title,
        unit=unit,
        quantity=quantity,
        where=where,
    )


def _header(lines: Lines) -> tuple[dict[str, str], Iterator[tuple[int, str]]]:
    """Return what the header says, and the lines after it."""
    told: dict[str, str] = {}
    every = lines.every()
    for number, line in every:
        if not line.startswith("#"):
            return told, _after((number, line), every)
        if number > MAX_HEADER_LINES:
            break
        name, _, value = line[1:].partition("=")
        told[name.strip()] = value.strip()
    raise FileError(f"{lines.path}: no spectrum after its header", hint="the scan was not saved completely")


def _after(first: tuple[int, str], rest: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    yield first
    yield from rest
