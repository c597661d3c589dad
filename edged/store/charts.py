"""Where monitoring left off: its state beside the journal, in the same file. A cache: the journal itself is the truth.

What is here was made from the records up to `seq`. If a power cut lost the latest of it, the records behind `seq` are
read again; if all of it is lost, all of them are.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from edged.store.errors import StoreRejected
from edged.store.journal import Journal

MAX_KEY = 1_024  # station, serial number, digest and label, with room
MAX_BODY_BYTES = 2 * 2**20  # 500 readings of 512 points while they are learned from take one
MAX_ROWS = 256  # bounds what a foreign hand can make us load
_SEQ = "seq"
_SEQ_FORMAT = struct.Struct("<Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """seq: of the last record that went into it; None when there is nothing. bodies: by key."""

    seq: int | None = None
    bodies: Mapping[str, bytes] = field(default_factory=dict)


def load_charts(journal: Journal) -> Kept:
    """Return what was kept; nothing at all when it is not as `save_charts` left it. Raises StoreError."""
    with journal.database.errors("read"):
        rows = journal.database.execute(
            "SELECT key, CAST(body AS BLOB) FROM drift WHERE length(key) <= ? AND length(body) <= ? LIMIT ?",
            (MAX_KEY, MAX_BODY_BYTES, MAX_ROWS),
        ).fetchall()
    bodies = {str(key): bytes(body) for key, body in rows}
    seq = bodies.pop(_SEQ, b"")
    if len(seq) != _SEQ_FORMAT.size:
        return Kept()
    head = journal.head()
    number = int(_SEQ_FORMAT.unpack(seq)[0])
    return Kept(seq=number, bodies=bodies) if head is not None and number <= head.seq else Kept()


def save_charts(journal: Journal, *, seq: int, bodies: Mapping[str, bytes], stay: Collection[str] = ()) -> None:
    """Replace these bodies, note how far the journal was read, and drop all else but the keys that `stay`.

    So whatever `load_charts` did not return goes, too. All or nothing. Raises StoreError.
    """
    for key, body in bodies.items():
        if len(key) > MAX_KEY or len(body) > MAX_BODY_BYTES:
            raise StoreRejected(f"state of drift {key[:64]!r}: {len(body)} bytes; at most {MAX_BODY_BYTES}")
    rows: list[tuple[object, ...]] = [(_SEQ, _SEQ_FORMAT.pack(seq)), *bodies.items()]
    with journal.database.transaction("keep the state of drift"):
        marks = ",".join("?" * len(stay))
        journal.database.execute(f"DELETE FROM drift WHERE key NOT IN ({marks})", tuple(stay))  # noqa: S608 - marks
        journal.database.execute_many("INSERT OR REPLACE INTO drift (key, body) VALUES (?, ?)", rows)
