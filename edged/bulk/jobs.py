"""From the files of a run to its jobs, in order: small files together, long tables in stretches, all others one by one.

The same files give the same jobs, each with the digest of what it reads. So a run that goes on finds out whether what
it has judged is still what lies there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edged.bulk.errors import RunBroken
from edged.bulk.inputs import Listing, files_in
from edged.bulk.sources import is_journal
from edged.bulk.work import Job, Order, Stamp, Unit, changed
from edged.spectra.formats.source import MAX_FILE_BYTES
from edged.spectra.rows import FileError
from edged.spectra.stretches import cut

SMALL_BYTES = 64 << 10  # a file up to here is read whole, whatever it is
TOGETHER_BYTES, TOGETHER = 256 << 10, 200  # of small files in one job: some 25 scans of a handheld
_BLOCK = 1 << 20


@dataclass(slots=True, kw_only=True)
class Past:
    """What a run has done before it goes on: so many jobs, and up to which records it read a journal, by its number.

    given: how many jobs have been found again.
    """

    jobs: int = 0
    journal_ends: Mapping[int, Sequence[int]] = field(default_factory=dict)
    given: int = 0

    def is_ahead(self) -> bool:
        """Whether the run has done more than what has been found again."""
        return self.given < self.jobs


def jobs(order: Order, listed: Sequence[Listing], match: str | None, past: Past | None = None) -> Iterator[Job]:
    """Yield the jobs of a run, those that are done among them, cut as they were.

    Raises NotThisRun when a folder does not hold what was listed, RunBroken by the disk.
    """
    past = past or Past()
    for job in _in_order(order, listed, match, past):
        past.given += 1
        yield job


def _in_order(order: Order, listed: Sequence[Listing], match: str | None, past: Past) -> Iterator[Job]:
    number = 0
    for listing in listed:
        seen, small = Listing(name=listing.name), list[Unit]()
        for file, stamp in files_in(listing.name, match):
            seen.add(file, stamp)
            number += 1
            kept = is_journal(file)
            if not kept and (stamp is None or stamp.size_bytes <= SMALL_BYTES):
                small.append(Unit(file=file, stamp=stamp))
                if len(small) == TOGETHER or _size(small) >= TOGETHER_BYTES:
                    yield _together(small)
                    small = []
                continue
            if small:
                yield _together(small)
                small = []
            yield from _of_journal(file, stamp, number, past) if kept else _of_large(order, file, stamp, number)
        if small:
            yield _together(small)
        if seen.document() != listing.document():
            raise changed(listing.name)


def _size(units: Sequence[Unit]) -> int:
    return sum(unit.stamp.size_bytes for unit in units if unit.stamp is not None)


def _together(units: Sequence[Unit]) -> Job:
    digest = hashlib.sha256()
    for unit in units:
        digest.update(os.fsencode(unit.file) + b"\0")
        if unit.stamp is not None:
            digest.update(_content(unit.file))
    return Job(units=tuple(units), digest=digest.digest(), size_bytes=_size(units))


def _of_large(order: Order, file: str, stamp: Stamp | None, number: int) -> Iterator[Job]:
    try:
        before = 0
        for found in cut(file, unit=order.unit, quantity=order.quantity, assumed=order.assumed):
            named = hashlib.sha256(os.fsencode(file) + b"\0" + found.digest)
            yield Job(
                units=(Unit(file=file, stamp=stamp, part=found.stretch),),
                digest=named.digest(),
                size_bytes=found.stretch.end - before,
                of_file=number,
            )
            before = found.stretch.end
    except FileError as error:
        raise RunBroken(error.message, hint=error.hint) from error
    if not before:
        yield _together([Unit(file=file, stamp=stamp)])


def _of_journal(file: str, stamp: Stamp | None, number: int, past: Past) -> Iterator[Job]:
    from edged.bulk.journals import ranges  # loads the store, which few need

    whole_bytes, ends = stamp.size_bytes if stamp else 0, past.journal_ends.get(number, ())
    found = bool(ends)
    try:
        for part in ranges(file, ends, is_passed=past.is_ahead):
            found = True
            named = hashlib.sha256(os.fsencode(file) + b"\0" + part.digest)
            yield Job(
                units=(Unit(file=file, stamp=None, part=part.records),),
                digest=named.digest(),
                size_bytes=int(part.share * whole_bytes),
                of_file=number,
                journal_end=part.end,
            )
    except FileError as error:
        if found:
            raise RunBroken(error.message, hint=error.hint) from error
        yield _together([Unit(file=file, stamp=None)])  # the reader says what is wrong with it


def _content(file: str) -> bytes:
    """The SHA-256 of a file; of one that cannot be read, or is too large to be, only that."""
    digest = hashlib.sha256()
    try:
        with Path(file).open("rb") as source:
            if os.fstat(source.fileno()).st_size > MAX_FILE_BYTES:
                return b"too large"
            while block := source.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        return f"unreadable: {error.errno}".encode()
    return digest.digest()
