"""How long attachments are kept, and how much of the disk stays free. Records themselves are kept for ever.

An attachment (the raw scan, the spectrum) is some kB, its record about two. Dropping an attachment leaves its digest in
the record, so the chain stays verifiable. Where a broker is configured, those of records that were not sent yet go only
when the size demands it, and last: a board that never finds its broker must not fill up. Never dropped: those of the
newest white reference of each instrument at each station, and the responses that self tests with a glass are compared
with (one an instrument, and one more after each repair).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from edged.store.errors import StoreDenied, StoreFull
from edged.store.journal import Journal

BATCH = 500  # attachments dropped in one transaction: the store thread is never away for long


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """The policy. `max_age_days`, `max_attachment_bytes`: None for no limit. `reserve_bytes`: free disk left alone.

    spares_unsent: age drops nothing of what was not sent yet. False where nobody sends: all would stay for ever.
    """

    max_age_days: float | None = 90.0
    max_attachment_bytes: int | None = 2 * 2**30
    reserve_bytes: int = 64 * 2**20
    spares_unsent: bool = True

    def __post_init__(self) -> None:
        for name in ("max_age_days", "max_attachment_bytes", "reserve_bytes"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} is {value}; it must not be negative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Space for the journal: `free_bytes` on the disk plus what is unused inside the file."""

    free_bytes: int
    reserve_bytes: int

    @property
    def is_enough(self) -> bool:
        """Whether a new measurement may begin."""
        return self.free_bytes >= self.reserve_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What retention let go."""

    attachments: int = 0
    size_bytes: int = 0


def room(journal: Journal, policy: Retention) -> Room:
    """Return the room there is now."""
    try:
        free = shutil.disk_usage(journal.path.parent).free
    except OSError as error:
        raise StoreDenied(
            f"{journal.path.parent}: {error.strerror or error}", hint="is the disk still there?"
        ) from error
    return Room(free_bytes=free + journal.database.unused_bytes(), reserve_bytes=policy.reserve_bytes)


def require_room(journal: Journal, policy: Retention) -> None:
    """Raise StoreFull when a new measurement should not begin, rather than fail in the middle of it."""
    now = room(journal, policy)
    if not now.is_enough:
        raise StoreFull(
            f"{journal.path}: {now.free_bytes / 2**20:.1f} MiB left, reserve is {now.reserve_bytes / 2**20:.1f} MiB",
            hint=f"make room on the disk of {journal.path.parent}, or shorten the retention of attachments",
        )


def apply(journal: Journal, policy: Retention, *, now: datetime) -> Dropped:
    """Drop one batch of what the policy lets go, oldest first. Call again until it returns nothing dropped."""
    through = _old_through(journal, policy, now)
    excess = _excess_bytes(journal, policy)
    if through is None and excess <= 0:
        return Dropped()
    with journal.database.transaction("drop old attachments"):
        chosen = _oldest(journal, through=through, excess_bytes=excess, unsent=not policy.spares_unsent)
        if not chosen and excess > 0:
            chosen = _oldest(journal, through=None, excess_bytes=excess, unsent=True)
        journal.database.execute_many(
            "UPDATE attachments SET data = NULL WHERE seq = ? AND name = ?", [(seq, name) for seq, name, _ in chosen]
        )
    return Dropped(attachments=len(chosen), size_bytes=sum(size for _, _, size in chosen))


def _oldest(journal: Journal, *, through: int | None, excess_bytes: int, unsent: bool) -> list[tuple[int, str, int]]:
    """Return (seq, name, size) of what may go, oldest first: to record `through`, and until `excess_bytes` are met.

    unsent: of records that were not sent yet, too.
    """
    rows = journal.database.execute(
        """
        SELECT a.seq, a.name, a.size FROM attachments a JOIN records r USING (seq)
        WHERE a.data IS NOT NULL AND (? OR a.seq NOT IN (SELECT seq FROM outbox))
          AND NOT (r.kind = 'reference' AND a.seq = (
              SELECT max(n.seq) FROM records n
              WHERE n.kind = 'reference' AND n.station IS r.station AND n.serial IS r.serial))
          AND NOT (r.kind = 'selftest' AND a.name = 'response.npz')
        ORDER BY a.seq, a.name LIMIT ?
        """,
        (unsent, BATCH),
    ).fetchall()
    chosen: list[tuple[int, str, int]] = []
    size_bytes = 0
    for seq, name, size in rows:
        if (through is None or seq > through) and size_bytes >= excess_bytes:
            break
        chosen.append((seq, name, size))
        size_bytes += size
    return chosen


def _old_through(journal: Journal, policy: Retention, now: datetime) -> int | None:
    """Return the newest record older than the limit, with none before it that is younger.

    An unsynced clock's record is as old as the next synced one. A wall time ahead of now is nobody's age.
    """
    if policy.max_age_days is None:
        return None
    today = now.astimezone(UTC)
    limit, latest = _wall(today - timedelta(days=policy.max_age_days)), _wall(today)
    with journal.database.errors("read"):
        young = journal.database.execute(
            "SELECT min(seq) FROM records WHERE clock = 'synced' AND wall >= ? AND wall <= ?", (limit, latest)
        ).fetchone()[0]
        old = journal.database.execute(
            "SELECT max(seq) FROM records WHERE clock = 'synced' AND wall < ? AND (? IS NULL OR seq < ?)",
            (limit, young, young),
        ).fetchone()[0]
    return None if old is None else int(old)


def _wall(moment: datetime) -> str:
    """As records say it, but for the zone, so that equal milliseconds sort before it."""
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00")


def _excess_bytes(journal: Journal, policy: Retention) -> int:
    if policy.max_attachment_bytes is None:
        return 0
    with journal.database.errors("read"):
        held = journal.database.execute(
            "SELECT coalesce(sum(size), 0) FROM attachments WHERE data IS NOT NULL"
        ).fetchone()
    return int(held[0]) - policy.max_attachment_bytes
