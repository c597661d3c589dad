"""From a file, or a part of one, to its rows, whatever kind of file it is: a terminal and a worker both read by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edged.bulk.records import Records
from edged.infer.verdict import Reason
from edged.spectra.files import read_spectra
from edged.spectra.formats.lines import Stretch
from edged.spectra.rows import Row
from edged.spectra.spectrum import AxisUnit, Quantity, SpectrumError

JOURNAL_SUFFIX = ".db"  # of `edged.store.journal.JOURNAL_FILE`; to look into each file of an archive would take long
JOURNAL_MAGIC = b"SQLite format 3\0"

Read = tuple[str, Row | SpectrumError, tuple[Reason, ...]]
"""The name of a file; a row of it, or why it gives no more; and what is known of its measurement."""


def is_journal(file: str) -> bool:
    """Whether a file is a database with a journal's suffix; whether it is a journal shows when it is read."""
    path = Path(file)
    if path.suffix != JOURNAL_SUFFIX:
        return False
    try:
        if not path.is_file():
            return False
        with path.open("rb") as opened:
            return opened.read(len(JOURNAL_MAGIC)) == JOURNAL_MAGIC
    except (OSError, ValueError):
        return False


def read_source(
    file: str,
    part: Stretch | Records | None = None,
    *,
    unit: AxisUnit | None,
    quantity: Quantity | None,
    assumed: Quantity,
) -> Iterator[Read]:
    """Yield the rows of a file in their order, and at the end what ended it if that is an error.

    part: only this part of a long one. unit, quantity, assumed: as `read_spectra`; a journal says them itself.
    """
    try:
        if isinstance(part, Records) or (part is None and is_journal(file)):
            from edged.bulk.journals import read_results  # loads the store, which few need

            for row, record in read_results(file, part):
                yield file, row, record.quality.reasons if record and record.quality else ()
            return
        for row in read_spectra(Path(file), unit=unit, quantity=quantity, assumed=assumed, stretch=part):
            yield file, row, ()
    except SpectrumError as error:
        yield file, error, ()
