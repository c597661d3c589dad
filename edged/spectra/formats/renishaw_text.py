"""The text file of Renishaw's WiRE: one scan a file, its Raman shift descending. It names columns, no units.

#Wave		#Intensity
3199.438477	59.220352
"""

from __future__ import annotations

from collections.abc import Iterator

from edged.spectra.formats.asked import Asked
from edged.spectra.formats.cells import Dialect
from edged.spectra.formats.compose import compose
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.picked import picked
from edged.spectra.rows import Lost, Row, clean_title
from edged.spectra.spectrum import AxisUnit, SpectrumError

UNIT: AxisUnit = "cm-1"  # what WiRE shows and saves unless told otherwise; --unit nm then says so
_DIALECT = Dialect(delimiter="\t", decimal_comma=False)


def is_renishaw(head: str) -> bool:
    """Whether a file that begins so is one of these, or a map, which is refused."""
    first = head.split("\n", 1)[0]
    return first.startswith("#") and "#Wave" in first and "#Intensity" in first


def read_renishaw(lines: Lines, asked: Asked) -> Iterator[Row]:
    """Yield the one spectrum of the file; its title is the file's name."""
    where, title = str(lines.path), clean_title(lines.path.stem)
    table = ((number, line.replace("\t\t", "\t")) for number, line in lines)
    try:
        axis, values = picked(table, _DIALECT, axis=0, values=1, where=where, only=2)
        quantity = asked.quantity_of(("intensity", "counts"), where)
    except SpectrumError as error:
        yield Lost(row=1, title=title, error=error)
        return
    unit = asked.unit or UNIT
    yield compose(axis, values, row=1, title=title, unit=unit, quantity=quantity, where=where)
