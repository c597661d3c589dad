"""The spectra that a daemon has kept: the results of a journal, each with what was found of its measurement.

A journal may grow while it is read, and be in use: what it holds never changes, and each record's hash stands for it.
How far a run reads it is fixed when the run comes to it, so that the same ranges are found again however it has grown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from edged.acquire.references import unpack_spectrum
from edged.bulk.records import Records
from edged.spectra.rows import FileError, Found, Lost, Row
from edged.spectra.spectrum import SpectrumError
from edged.store.errors import StoreDamaged, StoreError
from edged.store.journal import Journal
from edged.store.record import SPECTRUM, Record

KIND = "result"
RECORDS = 500  # in one job: some tenths of a second's work
_COUNT = "SELECT count(*), coalesce(max(seq), 0) FROM records WHERE kind = ?"
_NEWEST = 2**62
_NEXT = (  # not by the index of kinds, which would sort all results anew for each part
    "SELECT seq, hash FROM records NOT INDEXED WHERE kind = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """RECORDS results of a journal, or as many as there are up to `end`, the last `seq` that was there when it was cut.

    share: of all results of the journal. digest: over their hashes.
    """

    records: Records
    end: int
    share: float
    digest: bytes


def ranges(file: str, ends: Sequence[int] = (), *, is_passed: Callable[[], bool] = lambda: False) -> Iterator[Range]:
    """Yield the results of a journal as they were cut before, up to each of `ends`, and then those that came since.

    is_passed: asked after those of `ends`; true where the run has left this journal, and what came since is not its
    own. Raises FileError.
    """
    with _opened(file) as journal:
        with journal.database.errors("read"):
            count, newest = journal.database.execute(_COUNT, (KIND,)).fetchone()
        after = 0
        for end in ends:
            yield from _up_to(journal, after, end, count)
            after = end
        if not is_passed():
            yield from _up_to(journal, after, newest, count)


def _up_to(journal: Journal, after: int, end: int, count: int) -> Iterator[Range]:
    while after < end:
        if not (rows := _next(journal, after, end)):
            return
        first, after = rows[0][0], rows[-1][0]
        yield Range(
            records=Records(first_seq=first, last_seq=after),
            end=end,
            share=len(rows) / max(count, len(rows)),
            digest=hashlib.sha256("".join(f"{seq} {hash_}\n" for seq, hash_ in rows).encode()).digest(),
        )


def read_results(file: str, records: Records | None = None) -> Iterator[tuple[Row, Record | None]]:
    """Yield the spectrum of each result, or of those in a range, and its record. A row's number is the record's `seq`,
    its title the record's id. A record that is not what was stored is a lost row, and None. Raises FileError for what
    is no journal, or one whose table cannot be read.
    """
    after, last = (0, _NEWEST) if records is None else (records.first_seq - 1, records.last_seq)
    with _opened(file) as journal:
        while rows := _next(journal, after, last):
            for seq, _ in rows:
                yield _result(journal, file, seq)
            after = rows[-1][0]


def _next(journal: Journal, after: int, end: int) -> list[tuple[int, str]]:
    """Return `seq` and hash of the next RECORDS results, without a look at what they hold."""
    with journal.database.errors("read"):
        return journal.database.execute(_NEXT, (KIND, after, end, RECORDS)).fetchall()


def _result(journal: Journal, file: str, seq: int) -> tuple[Row, Record | None]:
    try:
        record = journal.record(seq)
    except StoreDamaged as error:
        return Lost(row=seq, title="", error=SpectrumError(f"{file}: {error.message}", hint=error.hint)), None
    return _row(journal, file, record), record


def _row(journal: Journal, file: str, record: Record) -> Row:
    where = f"{file}: record {record.seq}"
    try:
        data = journal.attachment(record.id, SPECTRUM)
        if data is None:
            raise SpectrumError(
                f"{where}: its spectrum is gone", hint="storage.attachments_max_mb says how many are kept"
            )
        spectrum = replace(unpack_spectrum(data), title=record.id)
    except (SpectrumError, StoreDamaged) as error:
        message = error.message if error.message.startswith(where) else f"{where}: {error.message}"
        return Lost(row=record.seq, title=record.id, error=SpectrumError(message, hint=error.hint))
    return Found(row=record.seq, spectrum=spectrum)


@contextmanager
def _opened(file: str) -> Iterator[Journal]:
    try:
        with Journal.open(Path(file), read_only=True) as journal:
            yield journal
    except StoreError as error:
        raise FileError(error.message, hint=error.hint) from error
