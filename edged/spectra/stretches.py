"""A long table with one spectrum a line, cut into stretches that are read apart and give the same spectra. Any thread.

Only the ends of lines are looked for here. Whether a line is a spectrum is for `read_spectra` to say, in its own words.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path

from edged.spectra.files import table_of_rows
from edged.spectra.formats.asked import Asked
from edged.spectra.formats.foreign import refuse_foreign
from edged.spectra.formats.lines import LINE_END, MAX_LINE_BYTES, PASSED_OVER, Lines, Stretch
from edged.spectra.formats.source import MAX_ARCHIVE_BYTES, head_of, open_source, unreadable
from edged.spectra.rows import FileError
from edged.spectra.spectrum import AxisUnit, Quantity

STRETCH_BYTES = 1 << 20  # some 500 spectra of 228 points: a tenth of a second's work
STRETCH_ROWS = 1000  # of short spectra: bounds the verdicts on one stretch to some MB
_SKIPPED = (PASSED_OVER + LINE_END + "#").encode()  # a line may be none for us only if it begins with one of these


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A stretch and the SHA-256 of its bytes; of the first one, of those before it too."""

    stretch: Stretch
    digest: bytes


def cut(
    path: str | os.PathLike[str],
    *,
    unit: AxisUnit | None = None,
    quantity: Quantity | None = None,
    assumed: Quantity = "absorbance",
) -> Iterator[Cut]:
    """Yield the stretches of a table of rows, in order; none of a file that is not one, or that gives no spectra.

    The arguments are those of `read_spectra`. Raises FileError where the disk fails after the first row.
    """
    place = Path(path)
    asked = Asked(unit=unit, quantity=quantity, assumed=assumed)
    try:
        file = open_source(place, max_bytes=MAX_ARCHIVE_BYTES)
    except FileError:
        return
    with file:
        try:
            begin = _first_row(file, place, asked)
        except FileError:
            return
        if begin is not None:
            try:
                yield from _cut(file, *begin)
            except OSError as error:
                raise unreadable(place, error) from error


def is_row(raw: bytes) -> bool:
    """Whether a line of a file, its end included, is one that `Lines` gives when it is iterated."""
    if raw[0] not in _SKIPPED:
        return True
    line = raw.rstrip(LINE_END.encode())
    return bool(line.strip(PASSED_OVER.encode())) and not line.startswith(b"#")


def _first_row(file: BufferedReader[FileIO], path: Path, asked: Asked) -> tuple[int, int] | None:
    """Where the line after the first row begins, and how many lines are before; None for no table of rows."""
    head = head_of(file, path)
    refuse_foreign(head, path)
    if table_of_rows(Lines(file, path), head, asked) is None:
        return None
    file.seek(0)
    number, _ = next(Lines(file, path))  # a new one, which has not looked ahead
    return file.tell(), number


def _cut(file: BufferedReader[FileIO], begin: int, lines_before: int) -> Iterator[Cut]:
    file.seek(0)
    digest = hashlib.sha256(file.read(begin))
    start, rows_before = begin, 0
    end, lines, rows = start, lines_before, 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        digest.update(raw)
        end += len(raw)
        lines += 1
        rows += is_row(raw)
        if rows > rows_before and (end - start >= STRETCH_BYTES or rows - rows_before >= STRETCH_ROWS):
            yield Cut(
                stretch=Stretch(start=start, end=end, lines_before=lines_before, rows_before=rows_before),
                digest=digest.digest(),
            )
            start, lines_before, rows_before, digest = end, lines, rows, hashlib.sha256()
    if end > start or rows == 0:
        yield Cut(
            stretch=Stretch(start=start, end=end, lines_before=lines_before, rows_before=rows_before),
            digest=digest.digest(),
        )
