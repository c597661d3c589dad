"""Walks the chain and says where it breaks first."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from edged.store.canonical import canonical, parsed
from edged.store.database import Database
from edged.store.errors import StoreDamaged


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a walk along the chain found.

    intact: nothing broken. broken_seq and reason: the first broken place, None and "" when intact.
    records: how many were walked before that. attachments_dropped: let go by retention; their digests are in the chain.
    """

    intact: bool
    records: int
    attachments_checked: int
    attachments_dropped: int
    broken_seq: int | None = None
    reason: str = ""


class _Broken(Exception):
    """A way out of the walk, not an error."""

    def __init__(self, seq: int, reason: str) -> None:
        super().__init__(reason)
        self.seq = seq
        self.reason = reason


@dataclass(slots=True)
class _Tally:
    records: int = 0
    checked: int = 0
    dropped: int = 0


def verify(database: Database, *, genesis: str, expected: tuple[int, str] | None = None) -> Verification:
    """Check every record, link and attachment in order; `expected` is a (seq, hash) that must be part of the chain."""
    tally = _Tally()
    try:
        with database.errors("read"):
            _walk(database, genesis, expected, tally)
    except _Broken as broken:
        return Verification(
            intact=False,
            records=tally.records,
            attachments_checked=tally.checked,
            attachments_dropped=tally.dropped,
            broken_seq=broken.seq,
            reason=broken.reason,
        )
    except StoreDamaged as error:
        return Verification(
            intact=False,
            records=tally.records,
            attachments_checked=tally.checked,
            attachments_dropped=tally.dropped,
            broken_seq=tally.records + 1,
            reason=error.message,
        )
    return Verification(
        intact=True,
        records=tally.records,
        attachments_checked=tally.checked,
        attachments_dropped=tally.dropped,
    )


def _walk(database: Database, genesis: str, expected: tuple[int, str] | None, tally: _Tally) -> None:
    previous = genesis
    rows = database.execute(
        "SELECT seq, id, kind, station, serial, wall, clock, hash, CAST(body AS BLOB) FROM records ORDER BY seq"
    )
    for seq, *columns, body in rows:
        wanted = tally.records + 1
        if seq != wanted:
            raise _Broken(wanted, f"record {wanted} is missing; the next one stored is {seq}")
        digests = _check_record(seq, columns, bytes(body), previous)
        _check_attachments(database, seq, digests, tally)
        previous = columns[-1]
        if expected is not None and expected[0] == seq and expected[1] != previous:
            raise _Broken(seq, f"hash is {previous}, but {expected[1]} was noted elsewhere for this record")
        tally.records = seq
    if expected is not None and expected[0] > tally.records:
        raise _Broken(tally.records + 1, f"the tail is missing: record {expected[0]} was noted elsewhere")
    stray = database.execute("SELECT min(seq) FROM attachments WHERE seq NOT IN (SELECT seq FROM records)").fetchone()[
        0
    ]
    if stray is not None:
        raise _Broken(int(stray), "attachments without their record")


def _check_record(seq: int, columns: list[Any], body: bytes, previous: str) -> dict[str, str]:
    """Return the digests of its attachments."""
    try:
        fields: Any = parsed(body)
        if canonical(fields) != body:
            raise _Broken(seq, "the stored text is not in canonical form: it was edited")
        stated = fields.pop("hash")
        without_hash = canonical(fields)
        own = [
            fields["id"],
            fields["kind"],
            fields["station"],
            (fields["instrument"] or {}).get("serial_number"),
            fields["taken_at"]["wall"],
            fields["taken_at"]["clock"],
            stated,
        ]
        place, link, digests = fields["seq"], fields["prev_hash"], dict(fields["attachments"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _Broken(seq, f"the stored text is not a record: {error}") from error
    if hashlib.sha256(without_hash).hexdigest() != stated:
        raise _Broken(seq, "contents and hash do not agree: the record was edited")
    if place != seq:
        raise _Broken(seq, f"the record in this place is number {place}: records were moved")
    if link != previous:
        raise _Broken(seq, "prev_hash is not the hash of the record before: records were replaced or moved")
    if own != columns:
        raise _Broken(seq, "the columns of the table do not say what the record says")
    return digests


def _check_attachments(database: Database, seq: int, digests: dict[str, str], tally: _Tally) -> None:
    stored = database.execute("SELECT name, size, CAST(data AS BLOB) FROM attachments WHERE seq = ?", (seq,)).fetchall()
    if {name for name, _, _ in stored} != set(digests):
        raise _Broken(seq, "attachments are missing or were added")
    for name, size, data in stored:
        if data is None:
            tally.dropped += 1
        elif len(data) != size or hashlib.sha256(data).hexdigest() != digests[name]:
            raise _Broken(seq, f"attachment {name} was altered")
        else:
            tally.checked += 1
