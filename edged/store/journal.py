"""The journal: drafts enter, records leave, and what has become a record never changes.

Each record's JSON is stored, and later sent, as the same bytes. They are canonical JSON (RFC 8785, see
`edged.store.canonical`) of all fields, `hash` among them. To verify without any of our code:

    hash        SHA-256, in lower-case hex, of the record's bytes with the text `"hash":"HASH",` cut out of them,
                where HASH is its value. (That is the canonical JSON of all other fields. HASH occurs nowhere else:
                a digest cannot contain itself.)
    prev_hash   `hash` of the record whose `seq` is one less; 64 zeros in the first record, whose `seq` is 1
    attachments name -> SHA-256, in lower-case hex, of each file stored beside the record

A journal lives on one thread: the one that opened it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from edged.store.canonical import Json, canonical
from edged.store.database import Database
from edged.store.errors import StoreDamaged, StoreRejected
from edged.store.outbox import Outbox
from edged.store.record import SCHEMA, Draft, Record
from edged.store.verify import Verification, verify

GENESIS = "0" * 64
MAX_ATTACHMENT_BYTES = 16 * 2**20  # a scan is some kB; bounds what one record can do to the disk
JOURNAL_FILE = "journal.db"  # its name in the folder `storage.path` of the configuration
PAGE = 200  # rows fetched at once while iterating

_CHOSEN = (  # as a blob: what someone else has written may be stored as text
    "SELECT seq, CAST(body AS BLOB) FROM records"
    " WHERE seq > ?1 AND seq < ?2 AND (?3 IS NULL OR kind = ?3) ORDER BY seq "
)
_OLDEST_FIRST = _CHOSEN + "ASC LIMIT ?4"
_NEWEST_FIRST = _CHOSEN + "DESC LIMIT ?4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of the chain. Whoever keeps it elsewhere can tell later whether the tail was cut off."""

    seq: int
    hash: str


class Journal:
    """An open journal. Every method raises StoreError, and only that, when file or disk do not play along."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.outbox = Outbox(database)

    @classmethod
    def open(cls, path: Path, *, read_only: bool = False) -> Journal:
        """Open the journal at `path`; create it unless `read_only`. Its directory must exist.

        read_only works beside a running daemon, and for users who may only read.
        """
        return cls(Database(path, read_only=read_only))

    @property
    def path(self) -> Path:
        """The file."""
        return self.database.path

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self.database.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, draft: Draft, *, attachments: Mapping[str, bytes] | None = None, publish: bool = True) -> Record:
        """Give the draft its place in the chain; when this returns, the record is on disk for good.

        publish: also enter it in the outbox, in the same transaction. Appending an id that is already stored returns
        the stored record if nothing differs, so a caller may repeat what it did not see the end of; else StoreRejected.
        """
        files = dict(attachments or {})
        for name, data in files.items():
            if len(data) > MAX_ATTACHMENT_BYTES:
                raise StoreRejected(f"attachment {name}: {len(data)} bytes; at most {MAX_ATTACHMENT_BYTES}")
        with self.database.transaction("store a record"):
            known = self.get(draft.id)
            if known is not None:
                return _same(known, draft, files)
            head = self.head() or Head(seq=0, hash=GENESIS)
            record, body = _chained(draft, files, head)
            serial = record.instrument.serial_number if record.instrument else None
            self.database.execute(
                "INSERT INTO records (seq, id, kind, station, serial, wall, clock, hash, body)"
                " VALUES (?,?,?,?,?,?,?,?,?)",
                (
                    record.seq,
                    record.id,
                    record.kind,
                    record.station,
                    serial,
                    record.taken_at.wall,
                    record.taken_at.clock,
                    record.hash,
                    body,
                ),
            )
            for name, data in files.items():
                self.database.execute(
                    "INSERT INTO attachments (seq, name, size, data) VALUES (?,?,?,?)",
                    (record.seq, name, len(data), data),
                )
            if publish:
                self.outbox.enter(record.seq)
        return record

    def records(
        self, *, after_seq: int = 0, limit: int | None = None, newest_first: bool = False, kind: str | None = None
    ) -> Iterator[Record]:
        """Yield records with a larger `seq`, in order, or from the newest down. New ones may appear meanwhile."""
        for body in self.bodies(after_seq=after_seq, limit=limit, newest_first=newest_first, kind=kind):
            yield record_from(body)

    def bodies(
        self, *, after_seq: int = 0, limit: int | None = None, newest_first: bool = False, kind: str | None = None
    ) -> Iterator[bytes]:
        """Yield the stored bytes of records, as `records` does."""
        for _, body in self.numbered(after_seq=after_seq, limit=limit, newest_first=newest_first, kind=kind):
            yield body

    def numbered(
        self, *, after_seq: int = 0, limit: int | None = None, newest_first: bool = False, kind: str | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """Yield (seq, stored bytes) as `records` does: for who must go on behind a record that cannot be read."""
        low, high, left = after_seq, 2**62, limit if limit is not None else 2**62
        query = _NEWEST_FIRST if newest_first else _OLDEST_FIRST
        while left > 0:
            with self.database.errors("read"):
                rows = self.database.execute(query, (low, high, kind, min(PAGE, left))).fetchall()
            for seq, body in rows:
                yield int(seq), bytes(body)
            if len(rows) < min(PAGE, left):
                return
            left -= len(rows)
            low, high = (low, rows[-1][0]) if newest_first else (rows[-1][0], high)

    def get(self, record_id: str) -> Record | None:
        """Return one record, or None when there is none of that id."""
        body = self.body(record_id)
        return None if body is None else record_from(body)

    def body(self, record_id: str) -> bytes | None:
        """Return the stored bytes of one record, or None when there is none of that id."""
        with self.database.errors("read"):
            row = self.database.execute("SELECT CAST(body AS BLOB) FROM records WHERE id = ?", (record_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def record(self, seq: int) -> Record:
        """Return the record of that number. Raises StoreDamaged, which names it, when it is not what was stored."""
        try:
            with self.database.errors("read"):
                row = self.database.execute("SELECT CAST(body AS BLOB) FROM records WHERE seq = ?", (seq,)).fetchone()
            if row is None:
                raise StoreDamaged("it is missing", hint="edged journal verify says what else is")
            return _proven(bytes(row[0]))
        except StoreDamaged as error:
            raise StoreDamaged(f"record {seq}: {error.message}", hint=error.hint) from error

    def newest(
        self, *, kind: str, station: str, serial_number: str, limit: int, holding: str | None = None
    ) -> Iterator[int]:
        """Yield the `seq` of records of this kind by that instrument at that station, the newest first.

        They are told by the index alone, so that one that cannot be read hides none behind it. limit: at most so many.
        holding: the name of an attachment that must still be there. A white reference is found this way: kind
        `reference`, its spectrum an attachment.
        """
        low = 2**62
        while limit > 0:
            with self.database.errors("read"):
                rows = self.database.execute(
                    "SELECT seq FROM records"
                    " WHERE kind = ?1 AND station = ?2 AND serial = ?3 AND seq < ?4 AND (?5 IS NULL OR EXISTS ("
                    "SELECT 1 FROM attachments a WHERE a.seq = records.seq AND a.name = ?5 AND a.data IS NOT NULL))"
                    " ORDER BY seq DESC LIMIT ?6",
                    (kind, station, serial_number, low, holding, min(PAGE, limit)),
                ).fetchall()
            for (seq,) in rows:
                yield int(seq)
            if len(rows) < PAGE:
                return
            limit -= len(rows)
            low = rows[-1][0]

    def attachment(self, record_id: str, name: str) -> bytes | None:
        """Return a file stored beside a record, or None when there never was one or retention has dropped it.

        Raises StoreDamaged when its digest is not the one in the record.
        """
        with self.database.errors("read"):
            row = self.database.execute(
                "SELECT CAST(a.data AS BLOB), CAST(r.body AS BLOB)"
                " FROM attachments a JOIN records r USING (seq) WHERE r.id = ? AND a.name = ?",
                (record_id, name),
            ).fetchone()
        if row is None or row[0] is None:
            return None
        data = bytes(row[0])
        if record_from(bytes(row[1])).attachments.get(name) != hashlib.sha256(data).hexdigest():
            raise StoreDamaged(
                f"{self.path}: attachment {name} of record {record_id} is not what was stored",
                hint="edged journal verify says what else has changed",
            )
        return data

    def head(self) -> Head | None:
        """Return the end of the chain, or None when there is no record yet."""
        with self.database.errors("read"):
            row = self.database.execute("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1").fetchone()
        return None if row is None else Head(seq=row[0], hash=row[1])

    def count(self, *, kind: str | None = None) -> int:
        """Return how many records there are, of one kind or of all."""
        with self.database.errors("read"):
            row = self.database.execute(
                "SELECT count(*) FROM records WHERE ?1 IS NULL OR kind = ?1", (kind,)
            ).fetchone()
        return int(row[0])

    def verify(self, *, expected_head: Head | None = None) -> Verification:
        """Walk the whole chain and all attachments. With a head that was kept elsewhere, a cut tail is found too."""
        return verify(
            self.database, genesis=GENESIS, expected=(expected_head.seq, expected_head.hash) if expected_head else None
        )


def record_from(body: bytes) -> Record:
    """Read a record from its stored bytes. Raises StoreDamaged when they are none."""
    try:
        return Record.model_validate_json(body)
    except ValidationError as error:
        raise StoreDamaged(
            f"a stored record cannot be read: {error.errors()[0]['msg']}", hint="edged journal verify says which one"
        ) from error


def _proven(body: bytes) -> Record:
    """Read a record whose hash is that of its bytes. Raises StoreDamaged for any other."""
    record = record_from(body)
    others = body.replace(f'"hash":"{record.hash}",'.encode(), b"", 1)
    if hashlib.sha256(others).hexdigest() != record.hash:
        raise StoreDamaged("contents and hash do not agree", hint="edged journal verify says what else has changed")
    return record


_OF_A_DRAFT = set(Draft.model_fields)  # whoever stores a record again brings the place that it had, too


def _chained(draft: Draft, files: Mapping[str, bytes], head: Head) -> tuple[Record, bytes]:
    fields: dict[str, Json] = draft.model_dump(mode="json", by_alias=True, include=_OF_A_DRAFT)
    fields |= {
        "schema": SCHEMA,
        "seq": head.seq + 1,
        "prev_hash": head.hash,
        "attachments": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
    }
    try:
        fields["hash"] = hashlib.sha256(canonical(fields)).hexdigest()
        return Record.model_validate(fields), canonical(fields)
    except ValueError as error:
        raise StoreRejected(f"record {draft.id}: {error}") from error


def _same(known: Record, draft: Draft, files: Mapping[str, bytes]) -> Record:
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    if Draft.model_validate(known.model_dump(include=_OF_A_DRAFT)) == draft and known.attachments == digests:
        return known
    raise StoreRejected(f"record {draft.id}: stored already, with other contents (seq {known.seq})")
