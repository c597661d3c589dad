from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edged.store import retention
from edged.store.errors import StoreFull
from edged.store.journal import Journal
from edged.store.retention import Dropped, Retention
from tests.store.drafts import draft

NOW = datetime(2026, 11, 21, tzinfo=UTC)
OLD, NEW = "2026-01-01T00:00:00.000Z", "2026-11-20T00:00:00.000Z"
SCAN = {"scan": b"x" * 1000}
BY_AGE = Retention(max_age_days=30, max_attachment_bytes=None)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as opened:
        yield opened


def held(journal: Journal) -> list[int]:
    return [r.seq for r in journal.records() if journal.attachment(r.id, "scan") is not None]


def test_attachments_of_old_sent_records_go_and_the_chain_stays_whole(journal: Journal) -> None:
    for wall in (OLD, OLD, NEW):
        journal.append(draft(wall=wall), attachments=SCAN)
    journal.outbox.mark_sent([1, 2, 3])

    dropped = retention.apply(journal, BY_AGE, now=NOW)

    assert dropped == Dropped(attachments=2, size_bytes=2000)
    assert held(journal) == [3]
    found = journal.verify()
    assert (found.intact, found.attachments_checked, found.attachments_dropped) == (True, 1, 2)
    assert retention.apply(journal, BY_AGE, now=NOW) == Dropped()


def test_what_was_not_sent_yet_is_kept(journal: Journal) -> None:
    journal.append(draft(wall=OLD), attachments=SCAN)

    assert retention.apply(journal, BY_AGE, now=NOW) == Dropped()


def test_where_nobody_sends_age_alone_decides(journal: Journal) -> None:
    for wall in (OLD, NEW):
        journal.append(draft(wall=wall), attachments=SCAN)

    retention.apply(journal, replace(BY_AGE, spares_unsent=False), now=NOW)

    assert held(journal) == [2]
    assert journal.outbox.depth() == 2


@pytest.mark.parametrize(
    ("walls", "left"),
    [
        ([NEW, NEW, "1999-01-01T00:00:00.000Z", NEW], [1, 2, 3, 4]),  # one clock that was set wrongly for a moment
        ([OLD, "2099-01-01T00:00:00.000Z", OLD, NEW], [4]),
        ([OLD, NEW, OLD], [2, 3]),
    ],
)
def test_one_wrong_wall_time_makes_nothing_else_old(journal: Journal, walls: list[str], left: list[int]) -> None:
    for wall in walls:
        journal.append(draft(wall=wall), attachments=SCAN, publish=False)

    retention.apply(journal, BY_AGE, now=NOW)

    assert held(journal) == left


def test_the_newest_reference_of_each_instrument_is_kept(journal: Journal) -> None:
    for serial in ("a", "a", "b"):
        journal.append(draft(kind="reference", serial=serial, wall=OLD), attachments=SCAN, publish=False)

    retention.apply(journal, BY_AGE, now=NOW)

    assert held(journal) == [2, 3]


def test_a_record_from_an_unsynced_clock_is_as_old_as_the_next_synced_one(journal: Journal) -> None:
    for wall, clock in ((OLD, "synced"), ("1970-01-01T00:00:05.000Z", "unsynced"), (NEW, "synced")):
        journal.append(draft(wall=wall, clock=clock), attachments=SCAN, publish=False)  # type: ignore[arg-type]

    retention.apply(journal, BY_AGE, now=NOW)

    assert held(journal) == [2, 3]


def test_above_the_size_the_oldest_go_first(journal: Journal) -> None:
    for _ in range(10):
        journal.append(draft(wall=NEW), attachments=SCAN, publish=False)

    dropped = retention.apply(journal, Retention(max_age_days=None, max_attachment_bytes=4500), now=NOW)

    assert dropped.attachments == 6
    assert held(journal) == [7, 8, 9, 10]


def test_what_was_not_sent_yet_goes_last_but_goes_when_the_size_demands_it(journal: Journal) -> None:
    for _ in range(10):
        journal.append(draft(wall=NEW), attachments=SCAN)
    journal.outbox.mark_sent([8, 9])
    policy = Retention(max_age_days=None, max_attachment_bytes=4500)

    while retention.apply(journal, policy, now=NOW).attachments:
        pass

    assert held(journal) == [5, 6, 7, 10]
    assert journal.outbox.depth() == 8


def test_years_of_records_are_not_read_to_find_the_old_ones(journal: Journal) -> None:
    journal.append(draft(wall=OLD), attachments=SCAN, publish=False)
    statements: list[str] = []
    journal.database._connection.set_trace_callback(statements.append)
    retention.apply(journal, Retention(max_age_days=30, max_attachment_bytes=0), now=NOW)
    journal.database._connection.set_trace_callback(None)

    plans = [
        row[3]
        for statement in statements
        if statement.lstrip().startswith("SELECT")
        for row in journal.database.execute(f"EXPLAIN QUERY PLAN {statement}")
    ]

    assert len(plans) >= 3
    assert [plan for plan in plans if plan.startswith("SCAN") and "INDEX" not in plan and "outbox" not in plan] == []


def test_a_disk_down_to_its_reserve_refuses_before_the_measurement(journal: Journal) -> None:
    retention.require_room(journal, Retention(reserve_bytes=0))

    with pytest.raises(StoreFull, match="MiB left") as caught:
        retention.require_room(journal, Retention(reserve_bytes=2**60))
    assert caught.value.hint
