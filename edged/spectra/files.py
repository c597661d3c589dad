"""From a file to its spectra, one at a time. Knows the layouts by their contents, not by the file's name. Any thread.

Wide table: the first row holds the axis, each further row one spectrum, with a name before its values or without.
Column-wise table: the axis is in the first column, each further column one spectrum, with a row of names or without.
Vendor: the CSV of the DLP NIRscan and InnoSpectra programs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from edged.spectra.cells import dialect_of
from edged.spectra.columns_csv import read_columns
from edged.spectra.lines import Lines
from edged.spectra.nirscan_csv import is_nirscan, read_nirscan
from edged.spectra.rows import FileError, Row
from edged.spectra.spectrum import AxisUnit, Quantity
from edged.spectra.wide_csv import is_wide, read_wide

PROBE_LINES = 4


def read_spectra(
    path: str | os.PathLike[str], *, unit: AxisUnit | None = None, quantity: Quantity = "absorbance"
) -> Iterator[Row]:
    """Yield the spectra of a file in its order: Found, or Lost where one cannot be read and the others can.

    unit: that of the axis; None takes what the file says, else what its numbers look like.
    quantity: what the values are; files rarely say.
    Raises FileError, possibly after some rows, when the file gives no spectra, or no more of them.
    """
    with Lines(Path(path)) as lines:
        probe = [line for _, line in lines.peek(PROBE_LINES)]
        if not probe:
            raise FileError(f"{path}: is empty", hint="name a file with spectra")
        if is_nirscan(probe[0]):
            yield from read_nirscan(lines, unit=unit, quantity=quantity)
            return
        dialect = dialect_of(probe)
        if is_wide(probe, dialect):
            yield from read_wide(lines, dialect, unit=unit, quantity=quantity)
        else:
            yield from read_columns(lines, dialect, unit=unit, quantity=quantity)
