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
from edged.spectra.formats.lines import Lines, Stretch
from edged.spectra.formats.nirscan_csv import is_nirscan, read_nirscan
from edged.spectra.formats.ocean_text import is_ocean, read_ocean
from edged.spectra.formats.opus import is_opus, read_opus
from edged.spectra.formats.renishaw_text import is_renishaw, read_renishaw
from edged.spectra.formats.scio_csv import BandTable, band_table, is_scio, read_scio
from edged.spectra.formats.source import MAX_ARCHIVE_BYTES, head_of, open_source, read_whole
from edged.spectra.formats.spc import is_spc, read_spc
from edged.spectra.formats.wdf import is_wdf, read_wdf
from edged.spectra.formats.wide_csv import WideTable, is_wide, read_wide, wide_table
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
    stretch: Stretch | None = None,
) -> Iterator[Row]:
    """Yield the spectra of a file in its order: Found, or Lost where one cannot be read and the others can.

    unit, quantity: of axis and values; None takes what the file says. A file that says something else is refused.
    assumed: what the values are where neither `quantity` nor the file says it; tables rarely do.
    stretch: only these lines, of a table that `edged.spectra.stretches` has cut; such a table may be of any length.
    Raises FileError, possibly after some rows, when the file gives no spectra, or no more of them.
    """
    asked = Asked(unit=unit, quantity=quantity, assumed=assumed)
    place = Path(path)
    if stretch is not None:
        yield from _read_stretch(place, asked, stretch)
        return
    with open_source(place) as file:
        head = head_of(file, place)
        refuse_foreign(head, place)
        for fits, read_bytes in BINARY:
            if fits(head):
                yield from read_bytes(read_whole(file, place), place, asked)
                return
        text = _beginning(head)
        lines = Lines(file, place)
        for looks, read_lines in TEXT:
            if looks(text):
                yield from read_lines(lines, asked)
                return
        yield from _read_table(lines, asked)


def table_of_rows(lines: Lines, head: bytes, asked: Asked) -> WideTable | BandTable | None:
    """Take the first row of a file that is a table with one spectrum a line; None for any other.

    Raises FileError as `read_spectra` does for a file whose first row is none.
    """
    text = _beginning(head)
    if any(fits(head) for fits, _ in BINARY) or any(looks(text) for looks, _ in TEXT if looks is not is_scio):
        return None
    if is_scio(text):
        return band_table(lines, asked)
    probe = [line for _, line in lines.peek(PROBE_LINES)]
    if not probe or not is_wide(probe, dialect := dialect_of(probe)):
        return None
    return wide_table(lines, dialect, asked)


def _read_stretch(path: Path, asked: Asked, stretch: Stretch) -> Iterator[Row]:
    with open_source(path, max_bytes=MAX_ARCHIVE_BYTES) as file:
        lines = Lines(file, path)
        table = table_of_rows(lines, head_of(file, path), asked)
        if table is None:
            raise FileError(f"{path}: is no table with one spectrum a line any more", hint="leave the file as it is")
        lines.go_to(stretch)
        yield from table.rows(lines, rows_before=stretch.rows_before)


def _beginning(head: bytes) -> str:
    return head.removeprefix(b"\xef\xbb\xbf").decode("latin-1").lstrip("\r\n\t ")


def _read_table(lines: Lines, asked: Asked) -> Iterator[Row]:
    probe = [line for _, line in lines.peek(PROBE_LINES)]
    if not probe:
        raise FileError(f"{lines.path}: is empty", hint="name a file with spectra")
    dialect = dialect_of(probe)
    if is_wide(probe, dialect):
        yield from read_wide(lines, dialect, asked)
    else:
        yield from read_columns(lines, dialect, asked)
