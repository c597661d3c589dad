"""What is still to be sent. Entries come with their record, in one transaction, and go when the broker has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edged.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A stored record on its way. `body` holds its bytes exactly as stored."""

    seq: int
    id: str
    kind: str
    station: str | None
    body: bytes


class Outbox:
    """The unsent part of a journal, in the same file and on the same thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enter(self, seq: int) -> None:
        """Note a record for sending. Called by the journal inside the transaction that stores the record."""
        self._database.execute("INSERT INTO outbox (seq) VALUES (?)", (seq,))

    def pending(self, limit: int, *, after_seq: int = 0) -> list[Outgoing]:
        """Return the oldest unsent records with a larger `seq`, in order, at most `limit`."""
        with self._database.errors("read the outbox"):
            rows = self._database.execute(
                "SELECT r.seq, r.id, r.kind, r.station, CAST(r.body AS BLOB) FROM outbox o JOIN records r USING (seq)"
                " WHERE o.seq > ? ORDER BY o.seq LIMIT ?",
                (after_seq, limit),
            ).fetchall()
        return [Outgoing(seq=s, id=i, kind=k, station=t, body=bytes(b)) for s, i, k, t, b in rows]

    def mark_sent(self, seqs: Iterable[int]) -> None:
        """Forget these entries; they will not be sent again. Unknown ones are passed over."""
        with self._database.transaction("mark records as sent"):
            self._database.execute_many("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in seqs])

    def depth(self) -> int:
        """Return how many records are still to be sent."""
        with self._database.errors("read the outbox"):
            return int(self._database.execute("SELECT count(*) FROM outbox").fetchone()[0])
