"""What the daemon looks at by itself: the clock, of which it writes a correction when it is known, and references."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drivers.contract import Identity
from edged.acquire.reading import Moment
from edged.bundle.archive import bundle_from_bytes
from edged.config.vocabulary import Configuration, StationConfig
from edged.infer.analyze import Analyzer
from edged.service.clock import BoardClock, taken_at
from edged.service.health import Health
from edged.service.look import Lookout
from edged.service.measure import Measuring
from edged.service.notify import Notifier
from edged.service.threads import Loaded, ModelThread, StoreThread
from edged.store.identity import Uuid7
from edged.store.journal import Journal
from edged.store.record import Draft, Record
from edged.store.retention import Retention
from tests.bundle.tiny import tiny_bytes

JANUARY_1970_S = 30.0
NOVEMBER_2026_S = 1_795_230_000.0
SCAN = {"scan": b"x"}


class Board:
    """A board's clocks: the wall clock is what a test sets it to, the monotonic one never goes back."""

    def __init__(self) -> None:
        self.wall_s, self.monotonic_s, self.synced = JANUARY_1970_S, 10.0, False
        self.clock = BoardClock(
            is_synced=lambda: self.synced, wall_s=lambda: self.wall_s, monotonic_s=lambda: self.monotonic_s
        )

    def sync(self) -> None:
        """Five seconds later a time server has answered."""
        self.wall_s, self.monotonic_s, self.synced = NOVEMBER_2026_S, self.monotonic_s + 5.0, True


def lookout_of(
    board: Board,
    store: StoreThread,
    model: ModelThread,
    health: Health,
    *,
    policy: Retention,
    seen: asyncio.Event,
    began: Moment,
    stations: Mapping[str, Any] | None = None,
) -> Lookout:
    """A lookout over `stations`, name -> a station as it sees one."""
    held, config = dict(stations or {}), StationConfig(kind="obp", port="usb")
    new_id = Uuid7()
    return Lookout(
        configuration=Configuration(site="lab", device="board", station=dict.fromkeys(held, config)),
        stations=held,
        measuring=Measuring(
            device="board",
            preset="balanced",
            stations={name: (station, config) for name, station in held.items()},
            model=model,
            store=store,
            policy=policy,
            new_id=new_id,
            clock=lambda: 0.0,
            on_record=lambda _: None,
        ),
        model=model,
        store=store,
        policy=policy,
        publisher=None,
        health=health,
        notifier=Status(seen),
        clock=board.clock,
        began=began,
        new_id=new_id,
        on_record=lambda _: None,
    )


def looked(
    tmp_path: Path, board: Board, *, before: Callable[[], list[Draft]], between: Callable[[], None] = lambda: None
) -> list[Record]:
    """Store `before`, begin, let `between` happen, look once, tidy, and return all records there are then."""

    async def life() -> list[Record]:
        store, model = StoreThread(tmp_path), ModelThread()
        await store.open()
        for draft in before():
            await store(functools.partial(Journal.append, draft=draft, attachments=SCAN, publish=False))
        health, policy = Health(lambda: board.monotonic_s), Retention(reserve_bytes=0)
        seen = asyncio.Event()
        began = board.clock.now()
        between()
        lookout = lookout_of(board, store, model, health, policy=policy, seen=seen, began=began)
        looking = asyncio.create_task(lookout.run())
        async with asyncio.timeout(10):
            await seen.wait()
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        await lookout.tidy(board.clock.now())
        records = await store(lambda journal: list(journal.records()))
        await model.close()
        await store.close()
        return records

    return asyncio.run(life())


class Status(Notifier):
    """Hears the line for `systemctl status`, which ends every look."""

    def __init__(self, seen: asyncio.Event) -> None:
        super().__init__({})
        self._seen = seen

    def status(self, text: str) -> None:
        assert text
        self._seen.set()


def warned_of(tmp_path: Path, own: Loaded) -> list[str]:
    """What a look says of the white reference of a station that has none, by the model that judges there."""

    async def life() -> list[str]:
        board, store, model, health = Board(), StoreThread(tmp_path), ModelThread(), Health(lambda: 60.0)
        model.own = {"raman": own}
        await store.open()
        identity = Identity(kind="obp", model="QE", serial_number="1")
        lookout = lookout_of(
            board,
            store,
            model,
            health,
            policy=Retention(reserve_bytes=0),
            seen=asyncio.Event(),
            began=board.clock.now(),
            stations={"raman": SimpleNamespace(status=SimpleNamespace(identity=identity))},
        )
        await lookout.look_at_reference("raman", board.clock.now())
        await model.close()
        await store.close()
        return [warning.code for warning in health.warnings()]

    return asyncio.run(life())


def unsynced_note(board: Board) -> Draft:
    return Draft(kind="reference", id=Uuid7()(), device="board", taken_at=taken_at(board.clock.now()))


def test_when_the_clock_becomes_known_one_record_says_how_far_it_was_off(tmp_path: Path) -> None:
    board = Board()

    [record] = looked(tmp_path, board, before=list, between=board.sync)

    assert (record.kind, record.taken_at.clock, record.taken_at.monotonic_s) == ("clock", "synced", 15.0)
    assert record.taken_at.wall == "2026-11-21T03:00:00.000Z"
    assert record.note is not None
    assert f"{NOVEMBER_2026_S - 15.0 - (JANUARY_1970_S - 10.0):+.3f} s" in record.note


@pytest.mark.parametrize("synced", [False, True])
def test_a_clock_that_is_not_known_yet_or_was_from_the_start_needs_no_correction(tmp_path: Path, synced: bool) -> None:
    board = Board()
    if synced:
        board.sync()

    assert looked(tmp_path, board, before=list) == []


def test_records_of_a_daemon_that_ended_before_the_clock_was_known_are_corrected_by_the_next(tmp_path: Path) -> None:
    board = Board()

    def before() -> list[Draft]:
        drafts = [unsynced_note(board)]
        board.sync()
        return drafts

    old, correction = looked(tmp_path, board, before=before)

    assert (old.taken_at.clock, correction.kind) == ("unsynced", "clock")
    assert correction.note is not None
    assert f"{NOVEMBER_2026_S - JANUARY_1970_S - 5.0:+.3f} s" in correction.note


def test_records_of_an_earlier_boot_are_beyond_correction(tmp_path: Path) -> None:
    board = Board()
    draft = unsynced_note(board)
    elsewhere = draft.model_copy(update={"taken_at": draft.taken_at.model_copy(update={"boot_id": "another"})})
    board.sync()

    assert [record.kind for record in looked(tmp_path, board, before=lambda: [elsewhere])] == ["reference"]


@pytest.mark.parametrize(("synced", "kept"), [(False, SCAN["scan"]), (True, None)])
def test_raw_scans_are_dropped_by_age_only_by_a_clock_that_is_known(
    tmp_path: Path, synced: bool, kept: bytes | None
) -> None:
    board = Board()
    board.sync()
    draft = Draft(kind="result", id=Uuid7()(), device="board", taken_at=taken_at(board.clock.now()))

    def a_year_later() -> list[Draft]:
        board.wall_s, board.synced = NOVEMBER_2026_S + 366 * 86_400, synced
        return [draft]

    looked(tmp_path, board, before=a_year_later)

    with Journal.open(tmp_path / "journal.db", read_only=True) as journal:
        assert journal.attachment(draft.id, "scan") == kept


@pytest.mark.parametrize(("quantity", "told"), [("absorbance", ["reference_missing"]), ("intensity", [])])
def test_a_white_reference_is_missed_where_the_model_wants_one(tmp_path: Path, quantity: str, told: list[str]) -> None:
    analyzer = Analyzer(bundle_from_bytes(tiny_bytes(quantity=quantity)))

    assert warned_of(tmp_path, Loaded(analyzer=analyzer)) == told


def test_a_station_of_which_no_model_is_known_is_not_told_to_take_a_white_reference(tmp_path: Path) -> None:
    assert warned_of(tmp_path, Loaded(analyzer=None, problem="no bundle 'raman9' is installed")) == []
