from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edged.store.errors import StoreBusy, StoreDamaged, StoreDenied, StoreForeign, StoreRejected
from edged.store.journal import GENESIS, MAX_ATTACHMENT_BYTES, Head, Journal
from tests.store.drafts import assert_chain, draft, next_id


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal.db") as opened:
        yield opened


def test_a_stranger_can_verify_the_chain_from_the_documented_rule_alone(journal: Journal) -> None:
    scan = bytes(range(256))
    for number in range(20):
        journal.append(draft(note=f'"hash":"{"0" * 64}", {number}', timing_ms={"a": 2.0**70, "b": 1e-7 * number}))
    journal.append(draft(), attachments={"scan": scan})

    records = assert_chain(journal.bodies())

    assert records[-1]["attachments"] == {"scan": hashlib.sha256(scan).hexdigest()}
    assert journal.head() == Head(seq=21, hash=records[-1]["hash"])
    assert journal.verify().intact


def test_the_first_record_follows_sixty_four_zeros(journal: Journal) -> None:
    record = journal.append(draft())

    assert record.prev_hash == GENESIS == "0" * 64
    assert record.seq == 1


def test_what_was_appended_is_there_after_opening_again(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "j.db") as first:
        stored = first.append(draft(), attachments={"spectrum": b"abc"})

    with Journal.open(tmp_path / "j.db") as second:
        assert second.get(stored.id) == stored
        assert second.attachment(stored.id, "spectrum") == b"abc"
        assert second.outbox.depth() == 1
        assert second.append(draft()).prev_hash == stored.hash


def test_what_is_acknowledged_survives_a_power_cut(journal: Journal) -> None:
    """A write-ahead log that is synced at every commit: what a killed process cannot show."""
    settings = [journal.database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

    assert settings == ["wal", 2]


def test_records_come_in_order_from_either_end(journal: Journal) -> None:
    for number in range(450):  # more than two pages
        journal.append(draft(kind="reference" if number % 10 == 0 else "result"))

    assert [r.seq for r in journal.records()] == list(range(1, 451))
    assert [r.seq for r in journal.records(newest_first=True, limit=3)] == [450, 449, 448]
    assert [r.seq for r in journal.records(after_seq=440)] == list(range(441, 451))
    assert len(list(journal.records(limit=201))) == 201
    assert [r.seq for r in journal.records(kind="reference", limit=2)] == [1, 11]
    assert (journal.count(), journal.count(kind="reference")) == (450, 45)


def test_the_newest_reference_of_an_instrument_is_found(journal: Journal) -> None:
    journal.append(draft(kind="reference"), attachments={"spectrum": b"old"})
    mine = journal.append(draft(kind="reference"), attachments={"spectrum": b"new"})
    journal.append(draft(kind="reference", serial="other"))
    journal.append(draft(kind="reference", station="shelf"))
    journal.append(draft(kind="result"))

    found = list(journal.newest(kind="reference", station="bench", serial_number="6100023", limit=2))

    assert found == [2, 1]
    assert journal.record(2) == mine
    assert journal.attachment(mine.id, "spectrum") == b"new"
    assert not list(journal.newest(kind="reference", station="bench", serial_number="none", limit=1))


def test_a_record_that_is_stored_again_under_another_id_has_a_place_of_its_own(journal: Journal) -> None:
    first = journal.append(draft())

    journal.append(first.model_copy(update={"id": next_id()}))

    assert journal.record(2).prev_hash == first.hash
    assert journal.verify().intact


@pytest.mark.parametrize(("change", "words"), [("'[]'", "cannot be read"), ("replace(body, 'bench', 'shelf')", "hash")])
def test_a_record_that_is_not_what_was_stored_is_named(journal: Journal, change: str, words: str) -> None:
    journal.append(draft())
    with sqlite3.connect(journal.path) as stranger:
        stranger.execute("DROP TRIGGER records_never_change")
        stranger.execute(f"UPDATE records SET body = {change}")
    stranger.close()

    with pytest.raises(StoreDamaged, match=f"record 1: .*{words}"):
        journal.record(1)
    with pytest.raises(StoreDamaged, match="record 2: it is missing"):
        journal.record(2)


def test_appending_again_what_is_stored_changes_nothing(journal: Journal) -> None:
    same = draft(timing_ms={"x": 1e-7})

    first, second = (journal.append(same, attachments={"scan": b"1"}) for _ in range(2))

    assert first == second
    assert (journal.count(), journal.outbox.depth()) == (1, 1)
    with pytest.raises(StoreRejected, match="other contents"):
        journal.append(same, attachments={"scan": b"2"})
    with pytest.raises(StoreRejected, match="other contents"):
        journal.append(same.model_copy(update={"note": "later"}), attachments={"scan": b"1"})


def test_a_refused_draft_leaves_nothing(journal: Journal) -> None:
    with pytest.raises(StoreRejected, match="bytes; at most"):
        journal.append(draft(), attachments={"scan": bytes(MAX_ATTACHMENT_BYTES + 1)})
    with pytest.raises(StoreRejected, match="not a JSON number"):
        journal.append(draft().model_copy(update={"timing_ms": {"x": float("nan")}}))

    assert (journal.count(), journal.outbox.depth(), journal.head()) == (0, 0, None)


def test_a_record_that_nobody_is_to_hear_of_stays_out_of_the_outbox(journal: Journal) -> None:
    journal.append(draft(), publish=False)

    assert journal.outbox.depth() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET body = 'x'",
        "DELETE FROM records",
        "INSERT INTO records SELECT 9, 'i', kind, station, serial, wall, clock, hash, body FROM records LIMIT 1",
        "UPDATE attachments SET data = x'00'",
        "UPDATE attachments SET data = NULL, name = 'other'",
        "DELETE FROM attachments",
    ],
)
def test_the_database_itself_refuses_to_change_the_past(journal: Journal, statement: str) -> None:
    journal.append(draft(), attachments={"scan": b"1"})

    with (
        sqlite3.connect(journal.path) as other,
        pytest.raises(sqlite3.IntegrityError, match=r"append-only|without a gap"),
    ):
        other.execute(statement)
    other.close()

    assert journal.verify().intact


def test_a_reader_sees_what_a_writer_beside_it_has_stored(journal: Journal) -> None:
    with Journal.open(journal.path, read_only=True) as reader:
        journal.append(draft())

        assert reader.count() == 1
        with pytest.raises(StoreDenied):
            reader.append(draft())


def test_two_writers_make_one_chain(journal: Journal) -> None:
    with Journal.open(journal.path) as other:
        for _ in range(5):
            journal.append(draft())
            other.append(draft())

    assert len(assert_chain(journal.bodies())) == 10


def test_a_writer_that_finds_the_journal_held_says_so(journal: Journal) -> None:
    journal.database.execute("PRAGMA busy_timeout = 20")
    holder = sqlite3.connect(journal.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreBusy, match="locked"):
        journal.append(draft())

    holder.execute("ROLLBACK")
    holder.close()
    assert journal.append(draft()).seq == 1


def test_a_journal_belongs_to_the_thread_that_opened_it(journal: Journal) -> None:
    caught: list[BaseException] = []

    def elsewhere() -> None:
        try:
            journal.count()
        except sqlite3.ProgrammingError as error:
            caught.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()

    assert len(caught) == 1


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    text, empty, foreign, later = (tmp_path / name for name in ("text", "empty", "foreign.db", "later.db"))
    text.write_text("This is no database at all, and long enough to be looked at. " * 40)
    empty.touch()
    for path, statement in ((foreign, "CREATE TABLE t (x)"), (later, "PRAGMA user_version = 99")):
        other = sqlite3.connect(path)
        other.execute(statement)
        other.commit()
        other.close()
    Journal.open(tmp_path / "own.db").close()
    other = sqlite3.connect(tmp_path / "own.db")
    other.execute("PRAGMA user_version = 99")
    other.close()
    before = text.read_bytes(), foreign.read_bytes()

    for path, words in (
        (text, "not a database"),
        (foreign, "not a journal"),
        (later, "not a journal"),
        (tmp_path / "own.db", "edition 99"),
    ):
        with pytest.raises(StoreForeign, match=words) as caught:
            Journal.open(path)
        assert caught.value.hint
    Journal.open(empty).close()

    assert (text.read_bytes(), foreign.read_bytes()) == before


def test_a_reader_refuses_a_journal_of_an_older_edition_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    """Only the daemon brings it up to date; a command that reads must not."""
    path = tmp_path / "j.db"
    Journal.open(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 0")
    db.execute("PRAGMA journal_mode = DELETE")
    db.close()
    before = path.read_bytes()

    with pytest.raises(StoreForeign, match="edition 0, not yet brought up to 1") as refused:
        Journal.open(path, read_only=True)

    assert "start the daemon" in refused.value.hint
    assert path.read_bytes() == before


def test_a_place_where_no_journal_can_be_is_refused_with_a_hint(tmp_path: Path) -> None:
    for path, read_only, words in (
        (tmp_path / "none" / "j.db", False, "no directory"),
        (tmp_path, False, "a directory"),
        (tmp_path / "j.db", True, "no such journal"),
    ):
        with pytest.raises(StoreDenied, match=words) as caught:
            Journal.open(path, read_only=read_only)
        assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_torn_pages_are_reported_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Journal.open(path) as journal:
        for _ in range(40):
            journal.append(draft())
    data = bytearray(path.read_bytes())
    for page in range(4096 * 4, len(data), 4096):
        data[page : page + 200] = b"\xa5" * 200
    path.write_bytes(data)

    with Journal.open(path) as journal:
        with pytest.raises(StoreDamaged) as caught:
            list(journal.records())
        found = journal.verify()

    assert caught.value.hint
    assert not found.intact
    assert found.broken_seq == found.records + 1
