"""What the journal keeps of an instrument, whole and damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from drivers.contract import RawScan
from edged.acquire.reading import Moment, Reading
from edged.service.drifting import readable
from edged.service.kept import find_references
from edged.service.measure import Measuring
from edged.service.pipeline import Asked, References, Rules, white_reading
from edged.service.selftests import RESPONSE
from edged.service.threads import StoreThread
from edged.store.errors import StoreDamaged
from edged.store.identity import Uuid7
from edged.store.journal import Journal
from edged.store.record import Record
from firmware_sim.scene import Raman
from tests.acquire.bench import raw_scan
from tests.acquire.scenes import Glass, NeonLamp, scan_of
from tests.service.test_selftest import Place, living, selftests
from tests.store.drafts import draft

NOW = Moment(wall_s=1000.0, monotonic_s=50.0, boot_id="a", synced=True)


def tamper(journal: Path, *changes: tuple[str, tuple[object, ...]]) -> None:
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("DROP TRIGGER records_never_change")
        connection.execute("DROP TRIGGER attachments_only_lose_data")
        for change, values in changes:
            connection.execute(change, values)
        connection.commit()


def found(journal: Journal) -> References:
    return find_references(journal, station="bench", serial_number="6100023")


def test_no_flipped_bit_of_the_newest_reference_goes_unseen_and_the_one_before_it_does_not_hold_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        for _ in range(2):
            rules: dict[str, Any] = {"asked": Asked(), "rules": Rules(), "device": "board", "new_id": Uuid7()}
            reading = Reading(station="bench", scan=raw_scan(), moment=NOW, arrived_s=0.0)
            white = white_reading(reading, None, before=None, min_reference_counts=1, **rules)
            journal.append(white.draft, attachments=white.attachments)
        whole = found(journal)
        body = journal.body(journal.record(2).id)
    assert body is not None
    assert (whole.white is not None, whole.damaged) == (True, {})
    tamper(path)

    with Journal.open(path) as journal:
        for place in range(0, len(body), 5):
            spoilt = bytes([*body[:place], body[place] ^ 1, *body[place + 1 :]])
            with journal.database.errors("spoil"):
                journal.database.execute("UPDATE records SET body = ? WHERE seq = 2", (spoilt,))
            kept = found(journal)
            assert kept.white is None, body[place : place + 20]
            assert "record 2: " in kept.damaged["white"]


def test_a_page_of_the_file_that_was_lost_costs_only_the_reference_on_it(tmp_path: Path) -> None:
    """A card that returns zeros: SQLite itself finds the chain of pages broken."""
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        rules: dict[str, Any] = {"asked": Asked(), "rules": Rules(), "device": "board", "new_id": Uuid7()}
        reading = Reading(station="bench", scan=raw_scan(), moment=NOW, arrived_s=0.0)
        white = white_reading(reading, None, before=None, min_reference_counts=1, **rules)
        marked = white.draft.model_copy(update={"note": "n" * 20_000})
        journal.append(marked, attachments=white.attachments)
    whole = bytearray(path.read_bytes())
    page = whole.index(b"n" * 4_000) // 4096 * 4096 + 4096
    whole[page : page + 4096] = bytes(4096)
    path.write_bytes(whole)

    with Journal.open(path) as journal:
        kept = found(journal)

    assert kept.white is None
    assert kept.damaged["white"].startswith("the white reference is damaged: record 1: ")
    assert "edged measure bench --reference" in kept.damaged["white"]


@pytest.fixture(scope="module")
def scans() -> tuple[RawScan, RawScan, RawScan]:
    """A neon lamp, polystyrene and a glass before one Raman instrument."""
    return scan_of(NeonLamp()), scan_of(Raman("polystyrene")), scan_of(Glass())


def test_a_damaged_self_test_hides_those_before_it_until_they_are_taken_again(
    tmp_path: Path, scans: tuple[RawScan, RawScan, RawScan]
) -> None:
    neon, polystyrene, _ = scans
    (first, *_), _ = living(tmp_path, Place(polystyrene, neon, neon), selftests("polystyrene", "neon", "neon"))
    assert first.instrument is not None
    serial_number = first.instrument.serial_number
    tamper(tmp_path / "journal.db", ("UPDATE records SET body = replace(body, 'neon', 'xeon') WHERE seq = 3", ()))

    async def work(measuring: Measuring, _: StoreThread) -> list[References]:
        seen = [await measuring.references("bench", serial_number)]
        for material in ("neon", "polystyrene"):
            await measuring.selftest("bench", material, Asked())
            seen.append(await measuring.references("bench", serial_number))
        return seen

    (hidden, partly, cured), _ = living(tmp_path, Place(neon, polystyrene), work)

    assert (set(hidden.selftests), set(partly.selftests), set(cured.selftests)) == (
        set(),
        {"lamp"},
        {"lamp", "axis"},
    )
    assert "record 3: " in hidden.damaged["selftest"]
    assert "polystyrene" in hidden.damaged["selftest"]
    assert partly.damaged["selftest"].endswith("edged selftest bench, with polystyrene")
    assert cured.damaged == {}


def test_a_damaged_response_of_a_glass_is_none_and_the_next_self_test_keeps_a_new_one(
    tmp_path: Path, scans: tuple[RawScan, RawScan, RawScan], caplog: pytest.LogCaptureFixture
) -> None:
    _, _, glass = scans
    living(tmp_path, Place(glass), selftests("srm-2241"))
    tamper(tmp_path / "journal.db", ("UPDATE attachments SET data = data || x'00' WHERE name = ?", (RESPONSE,)))

    (new,), _ = living(tmp_path, Place(glass), selftests("srm-2241"))

    record: Record = new
    assert record.selftest is not None
    assert record.selftest.compared_with is None
    assert RESPONSE in record.attachments
    assert "record=1 cannot be read" in caplog.text


def test_a_time_that_no_longer_is_one_makes_a_damaged_record_where_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal.open(path) as journal:
        record = journal.append(draft())
        body = journal.body(record.id)
    assert body is not None
    spoilt = body.replace(record.taken_at.wall.encode(), b"2026-13-" + b"0" * 16)
    tamper(path, ("UPDATE records SET body = ?", (spoilt,)))

    with Journal.open(path) as journal:
        with pytest.raises(StoreDamaged):
            journal.record(1)
        assert list(readable(journal, newest_first=True)) == []
