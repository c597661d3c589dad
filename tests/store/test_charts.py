"""The state of drift beside the journal: all or nothing, and never newer than the journal."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from edged.store.charts import MAX_BODY_BYTES, Kept, load_charts, save_charts
from edged.store.database import MIGRATIONS
from edged.store.errors import StoreRejected
from edged.store.journal import Journal
from tests.store.drafts import draft


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with Journal.open(tmp_path / "journal.db") as journal:
        for _ in range(3):
            journal.append(draft())
    return tmp_path / "journal.db"


def test_what_is_kept_is_there_after_a_restart_and_what_is_gone_is_not(path: Path) -> None:
    with Journal.open(path) as journal:
        assert load_charts(journal) == Kept()
        save_charts(journal, seq=2, bodies={"a": b"1", "b": b"2"})
        save_charts(journal, seq=3, bodies={"b": b"3"})

    with Journal.open(path) as journal:
        save_charts(journal, seq=3, bodies={"c": b"4"}, stay=["b"])
    with Journal.open(path, read_only=True) as journal:
        assert load_charts(journal) == Kept(seq=3, bodies={"b": b"3", "c": b"4"})


def test_a_state_ahead_of_its_journal_is_of_another_one_and_does_not_count(path: Path) -> None:
    with Journal.open(path) as journal:
        save_charts(journal, seq=4, bodies={"a": b"1"})

        assert load_charts(journal) == Kept()


def test_a_body_beyond_the_limit_is_refused_and_one_that_somebody_put_there_is_not_read(path: Path) -> None:
    with Journal.open(path) as journal:
        save_charts(journal, seq=3, bodies={"a": b"1"})
        with pytest.raises(StoreRejected, match="at most"):
            save_charts(journal, seq=3, bodies={"a": bytes(MAX_BODY_BYTES + 1)})
    with sqlite3.connect(path) as other:
        other.execute("INSERT INTO drift VALUES ('b', ?)", (bytes(MAX_BODY_BYTES + 1),))
    other.close()

    with Journal.open(path) as journal:
        assert load_charts(journal) == Kept(seq=3, bodies={"a": b"1"})
        save_charts(journal, seq=3, bodies={}, stay=["a"])
        assert journal.database.execute("SELECT key FROM drift ORDER BY key").fetchall() == [("a",), ("seq",)]


def test_a_journal_that_no_drift_was_followed_in_is_read_as_it_is_and_gets_its_place_from_who_writes(
    tmp_path: Path,
) -> None:
    """The state is no part of the edition: it can be made again, and who only reads needs none."""
    old = sqlite3.connect(tmp_path / "journal.db")
    with Journal.open(tmp_path / "new.db") as journal:
        body = journal.append(draft()).model_dump_json(by_alias=True)
        application = journal.database.execute("PRAGMA application_id").fetchone()[0]
    old.executescript(f"{MIGRATIONS[0]}; PRAGMA application_id = {application}; PRAGMA user_version = 1;")
    old.execute("INSERT INTO records VALUES (1, 'x', 'result', NULL, NULL, 'w', 'synced', 'h', ?)", (body,))
    old.commit()
    old.close()

    with Journal.open(tmp_path / "journal.db", read_only=True) as journal:
        assert len(list(journal.records())) == 1
    with Journal.open(tmp_path / "journal.db") as journal:
        save_charts(journal, seq=1, bodies={})
        assert (journal.count(), load_charts(journal)) == (1, Kept(seq=1))
        assert journal.database.execute("PRAGMA user_version").fetchone()[0] == 1
