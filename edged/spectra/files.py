"""From a file to its spectra, one at a time. Knows the formats by their contents, not by the file's name. Any thread.

Wide table: the first row holds the axis, each further row one spectrum, with a name before its values or without.
Column-wise table: the axis is in the first column, each further column one spectrum, with a row of names or without.
The others are described where they are read, in edged/spectra/formats.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from edged.spectra.formats.asked import Asked
from edged.spectra.formats.bwspec import is_bwspec, read_bwspec
from edged.spectra.formats.cells import dialect_of
from edged.spectra.formats.columns_csv import read_columns
from edged.spectra.formats.enlighten_csv import is_enlighten, read_enlighten
from edged.spectra.formats.foreign import refuse_foreign
from edged.spectra.formats.horiba_text import is_horiba, read_horiba
from edged.spectra.formats.jcamp import is_jcamp, read_jcamp
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.nirscan_csv import is_nirscan, read_nirscan
from edged.spectra.formats.ocean_text import is_ocean, read_ocean
from edged.spectra.formats.opus import is_opus, read_opus
from edged.spectra.formats.renishaw_text import is_renishaw, read_renishaw
from edged.spectra.formats.scio_csv import is_scio, read_scio
from edged.spectra.formats.source import head_of, open_source, read_whole
from edged.spectra.formats.spc import is_spc, read_spc
from edged.spectra.formats.wdf import is_wdf, read_wdf
from edged.spectra.formats.wide_csv import is_wide, read_wide
from edged.spectra.rows import FileError, Row
from edged.spectra.spectrum import AxisUnit, Quantity

PROBE_LINES = 4
BINARY: tuple[tuple[Callable[[bytes], bool], Callable[[bytes, Path, Asked], Iterator[Row]]], ...] = (
    (is_opus, read_opus),
    (is_wdf, read_wdf),
    (is_spc, read_spc),  # the weakest sign comes last
)
TEXT: tuple[tuple[Callable[[str], bool], Callable[[Lines, Asked], Iterator[Row]]], ...] = (
    (is_jcamp, read_jcamp),
    (is_nirscan, read_nirscan),
    (is_enlighten, read_enlighten),
    (is_bwspec, read_bwspec),
    (is_ocean, read_ocean),
    (is_horiba, read_horiba),
    (is_renishaw, read_renishaw),
    (is_scio, read_scio),
)


def read_spectra(
    path: str | os.PathLike[str],
    *,
    unit: AxisUnit | None = None,
    quantity: Quantity | None = None,
    assumed: Quantity = "absorbance",
) -> Iterator[Row]:
    """Yield the spectra of a file in its order: Found, or Lost where one cannot be read and the others can.

    unit, quantity: of axis and values; None takes what the file says. A file that says something else is refused.
    assumed: what the values are where neither `quantity` nor the file says it; tables rarely do.
    Raises FileError, possibly after some rows, when the file gives no spectra, or no more of them.
    """
    asked = Asked(unit=unit, quantity=quantity, assumed=assumed)
    place = Path(path)
    with open_source(place) as file:
        head = head_of(file, place)
        refuse_foreign(head, place)
        for fits, read_bytes in BINARY:
            if fits(head):
                yield from read_bytes(read_whole(file, place), place, asked)
                return
        text = head.removeprefix(b"\xef\xbb\xbf").decode("latin-1").lstrip("\r\n\t ")
        lines = Lines(file, place)
        for looks, read_lines in TEXT:
            if looks(text):
                yield from read_lines(lines, asked)
                return
        yield from _read_table(lines, asked)


def _read_table(lines: Lines, asked: Asked) -> Iterator[Row]:
    probe = [line for _, line in lines.peek(PROBE_LINES)]
    if not probe:
        raise FileError(f"{lines.path}: is empty", hint="name a file with spectra")
    dialect = dialect_of(probe)
    if is_wide(probe, dialect):
        yield from read_wide(lines, dialect, asked)
    else:
        yield from read_columns(lines, dialect, asked)
