"""A stranger with the file and an SQLite shell changes something; `verify` names the place."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from edged.store.canonical import canonical
from edged.store.journal import Head, Journal
from tests.store.drafts import draft

Change = Callable[[sqlite3.Connection], object]
TRIGGERS = (
    "records_never_change",
    "records_never_go",
    "records_follow",
    "attachments_never_go",
    "attachments_only_lose_data",
)


def edit(db: sqlite3.Connection) -> None:
    db.execute("UPDATE records SET body = replace(body, 'Acetaminophen', 'Ibuprofen!!!!') WHERE seq = 3")


def edit_and_hash_again(db: sqlite3.Connection) -> None:
    record = json.loads(db.execute("SELECT body FROM records WHERE seq = 3").fetchone()[0])
    record["operator"] = "someone else"
    del record["hash"]
    record["hash"] = hashlib.sha256(canonical(record)).hexdigest()
    db.execute("UPDATE records SET body = ?, hash = ? WHERE seq = 3", (canonical(record), record["hash"]))


def space(db: sqlite3.Connection) -> None:
    db.execute("UPDATE records SET body = replace(body, '\"seq\":3', '\"seq\": 3') WHERE seq = 3")


def delete(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM attachments WHERE seq = 3")
    db.execute("DELETE FROM records WHERE seq = 3")


def delete_the_last_but_for_its_attachment(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM records WHERE seq = 6")


def close_the_gap(db: sqlite3.Connection) -> None:
    delete(db)
    db.execute("UPDATE records SET seq = seq - 1 WHERE seq > 3")
    db.execute("UPDATE attachments SET seq = seq - 1 WHERE seq > 3")


def swap(db: sqlite3.Connection) -> None:
    for old, new in ((3, 99), (4, 3), (99, 4)):
        db.execute("UPDATE records SET seq = ? WHERE seq = ?", (new, old))


def change_a_column(db: sqlite3.Connection) -> None:
    db.execute("UPDATE records SET station = 'elsewhere' WHERE seq = 3")


def change_an_attachment(db: sqlite3.Connection) -> None:
    db.execute("UPDATE attachments SET data = x'00' WHERE seq = 3")


def remove_an_attachment(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM attachments WHERE seq = 3")


def add_an_attachment(db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO attachments VALUES (3, 'extra', 1, x'00')")


def write_rubbish(db: sqlite3.Connection) -> None:
    db.execute("UPDATE records SET body = '[]' WHERE seq = 3")


CASES: list[tuple[Change, int, str]] = [
    (edit, 3, "edited"),
    (edit_and_hash_again, 4, "replaced"),
    (space, 3, "edited"),
    (delete, 3, "missing"),
    (delete_the_last_but_for_its_attachment, 6, "attachments without their record"),
    (close_the_gap, 3, "moved"),
    (swap, 3, "moved"),
    (change_a_column, 3, "columns"),
    (change_an_attachment, 3, "altered"),
    (remove_an_attachment, 3, "missing"),
    (add_an_attachment, 3, "added"),
    (write_rubbish, 3, "not a record"),
]


def filled(path: Path) -> Head:
    with Journal.open(path) as journal:
        for number in range(6):
            journal.append(draft(), attachments={"scan": bytes([number])}, publish=False)
        head = journal.head()
    assert head is not None
    return head


def tamper(path: Path, change: Change) -> None:
    db = sqlite3.connect(path)
    for trigger in TRIGGERS:
        db.execute(f"DROP TRIGGER {trigger}")
    change(db)
    db.commit()
    db.close()


@pytest.mark.parametrize(("change", "seq", "words"), CASES, ids=[case[0].__name__ for case in CASES])
def test_a_change_behind_our_back_is_found_and_named(tmp_path: Path, change: Change, seq: int, words: str) -> None:
    filled(tmp_path / "j.db")

    tamper(tmp_path / "j.db", change)

    with Journal.open(tmp_path / "j.db", read_only=True) as journal:
        found = journal.verify()
    assert (found.intact, found.broken_seq) == (False, seq)
    assert words in found.reason
    assert found.records == seq - 1


def test_a_cut_tail_is_found_by_a_head_that_was_kept_elsewhere(tmp_path: Path) -> None:
    head = filled(tmp_path / "j.db")

    tamper(
        tmp_path / "j.db",
        lambda db: db.executescript("DELETE FROM attachments WHERE seq > 4; DELETE FROM records WHERE seq > 4"),
    )

    with Journal.open(tmp_path / "j.db", read_only=True) as journal:
        assert journal.verify().intact
        found = journal.verify(expected_head=head)
    assert (found.intact, found.broken_seq) == (False, 5)
    assert "tail" in found.reason


def test_another_history_is_found_by_a_head_that_was_kept_elsewhere(tmp_path: Path) -> None:
    filled(tmp_path / "j.db")

    with Journal.open(tmp_path / "j.db", read_only=True) as journal:
        found = journal.verify(expected_head=Head(seq=2, hash="f" * 64))

    assert (found.intact, found.broken_seq) == (False, 2)
    assert "noted elsewhere" in found.reason
