"""The small parts of the daemon: notification, clock, health, supervision, watchdog."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drivers.contract import ExposureSettings, ScanSettings
from edged.acquire.reading import Moment
from edged.acquire.station import SCAN_WITHIN_S
from edged.acquire.worker import Worker
from edged.config.vocabulary import Exposure
from edged.service.clock import BoardClock, moment_of, taken_at
from edged.service.health import CONDITIONS, Health
from edged.service.look import alert_of
from edged.service.notify import Notifier
from edged.service.settings import scan_within_s
from edged.service.supervise import keep_running
from edged.service.threads import StoreThread
from edged.service.watch import watch
from edged.store.journal import Journal


def test_the_manager_gets_its_words_one_datagram_each(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "n"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "n")})

        notifier.ready()
        notifier.status("two\nlines  and more")
        notifier.alive()
        notifier.stopping()
        notifier.close()

        heard = [manager.recv(100) for _ in range(4)]
    assert heard == [b"READY=1", b"STATUS=two lines and more", b"WATCHDOG=1", b"STOPPING=1"]


def test_an_abstract_socket_is_reached_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0edged-test-{os.getpid()}")
        notifier = Notifier({"NOTIFY_SOCKET": f"@edged-test-{os.getpid()}"})
        notifier.ready()
        notifier.close()

        assert manager.recv(100) == b"READY=1"


def test_without_a_manager_or_with_a_dead_one_nothing_happens(tmp_path: Path) -> None:
    for environ in ({}, {"NOTIFY_SOCKET": str(tmp_path / "none")}):
        notifier = Notifier(environ)
        notifier.ready()
        notifier.close()
        notifier.close()


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdogs_time_is_taken_only_if_it_is_meant_for_us(
    environ: dict[str, str], watchdog_s: float | None
) -> None:
    assert Notifier(environ).watchdog_s == watchdog_s


def test_a_moment_is_written_as_rfc_3339_with_milliseconds_and_read_back() -> None:
    wall_s = datetime(2026, 11, 21, 1, 40, 7, 250_000, tzinfo=UTC).timestamp()
    moment = Moment(wall_s=wall_s, monotonic_s=12.5, boot_id="b", synced=False)

    taken = taken_at(moment)

    assert (taken.wall, taken.clock) == ("2026-11-21T01:40:07.250Z", "unsynced")
    assert moment_of(taken) == moment


def test_the_boards_clock_names_this_boot_and_asks_each_time_whether_it_is_synced() -> None:
    answers = iter([False, True])
    clock = BoardClock(is_synced=lambda: next(answers))

    first, second = clock.now(), clock.now()

    assert first.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert (first.synced, second.synced) == (False, True)
    assert second.monotonic_s >= first.monotonic_s


def test_a_warning_shows_when_it_has_lasted_long_enough_and_is_gone_when_it_ends() -> None:
    now_s = 0.0
    health = Health(lambda: now_s)
    health.set("broker_away", stands=True, detail="refused")
    assert health.warnings() == []

    now_s = 10.0
    health.set("broker_away", stands=True, detail="timed out")
    [shown] = health.warnings()
    health.set("broker_away", stands=False)

    assert (shown.code, shown.detail, shown.since_s) == ("broker_away", "timed out", 0.0)
    assert health.warnings() == []


def test_what_to_do_about_a_station_names_it() -> None:
    health = Health(lambda: 60.0)
    health.set("reference_missing", stands=True, subject="bench")

    assert health.warnings()[0].text.endswith("edged measure bench --reference")


def test_an_alert_names_the_part_that_was_restarted() -> None:
    health = Health(lambda: 1.0)
    health.set("task_restarts", stands=True, subject="look", detail="2 times")
    (ailment,) = health.warnings()
    now = Moment(wall_s=1e9, monotonic_s=2.0, boot_id="boot", synced=True)

    alert = alert_of(ailment, active=True, now=now, stations={})

    assert (alert.text, alert.station) == ("look: 2 times", None)


def test_faults_come_first_and_an_absent_station_says_nothing_of_its_reference() -> None:
    now_s = 0.0
    health = Health(lambda: now_s)
    for subject in ("a", "b"):
        health.set("reference_stale", stands=True, subject=subject)
    health.set("station_absent", stands=True, subject="a")
    health.set("bundle_unusable", stands=True)
    now_s = 60.0

    assert [(w.code, w.subject) for w in health.warnings()] == [
        ("bundle_unusable", ""),
        ("station_absent", "a"),
        ("reference_stale", "b"),
    ]


def test_who_has_no_model_is_sent_to_the_command_that_says_why() -> None:
    assert CONDITIONS["bundle_unusable"].text.endswith(": edged doctor")


def test_every_condition_tells_the_cure_and_hides_only_what_exists() -> None:
    for condition in CONDITIONS.values():
        assert len(condition.text) > 20
        assert set(condition.hides) <= set(CONDITIONS)


def test_a_part_that_fails_is_started_again_and_logged_at_powers_of_ten(caplog: pytest.LogCaptureFixture) -> None:
    runs, pauses = 0, []

    async def part() -> None:
        nonlocal runs
        runs += 1
        if runs > 30:
            await asyncio.Event().wait()
        raise ValueError("a bug")

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def life() -> None:
        task = asyncio.create_task(keep_running("part", part, pause=pause))
        while runs <= 30:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(life())
    assert len([r for r in caplog.records if "part=part" in r.message]) == 2
    assert caplog.records[0].exc_info is not None
    assert (pauses[0], max(pauses)) == (0.5, 30.0)


def test_a_part_that_was_well_for_long_waits_no_longer_than_at_first() -> None:
    now_s, lives, pauses = 0.0, [1.0, 1.0, 1.0, 3600.0, 1.0], []

    async def part() -> None:
        nonlocal now_s
        if not lives:
            await asyncio.Event().wait()
        now_s += lives.pop(0)
        raise ValueError("a bug")

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async def life() -> None:
        task = asyncio.create_task(keep_running("part", part, pause=pause, clock=lambda: now_s))
        while len(pauses) < 5:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})

    asyncio.run(life())
    assert pauses == [0.5, 1.0, 2.0, 0.5, 1.0]


def test_a_part_that_ends_while_the_daemon_stops_is_not_started_again() -> None:
    runs = 0

    async def part() -> None:
        nonlocal runs
        runs += 1

    asyncio.run(keep_running("part", part, is_stopping=lambda: True))
    assert runs == 1


def test_systemd_hears_nothing_while_one_thread_hangs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    gate = threading.Event()

    async def life() -> tuple[int, list[str]]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(tmp_path / "n"))
            manager.setblocking(False)
            notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "n"), "WATCHDOG_USEC": "600000"})
            health = Health(lambda: 0.0)
            workers = [Worker("good"), Worker("bad")]
            hung = asyncio.ensure_future(workers[1].call(gate.wait, within_s=0.0))
            watching = asyncio.create_task(watch(workers, notifier, health))
            while not caplog.records:
                await asyncio.sleep(0.001)
            shown = [w.detail for w in health.warnings()]
            heard = _count(manager)
            gate.set()
            await hung
            while not _count(manager):
                await asyncio.sleep(0.001)
            watching.cancel()
            await asyncio.wait({watching})
            for worker in workers:
                assert await worker.stop(2)
            notifier.close()
            return heard, shown

    heard, shown = asyncio.run(life())
    assert (heard, len(shown)) == (0, 1)
    assert "bad" in shown[0].split(", ")  # on a loaded machine another may be late as well


def _count(manager: socket.socket) -> int:
    try:
        return len(manager.recv(100))
    except BlockingIOError:
        return 0


def test_a_disk_that_hangs_while_the_journal_is_closed_does_not_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go = threading.Event()
    close = Journal.close

    def hang(journal: Journal) -> None:
        let_go.wait()
        close(journal)

    monkeypatch.setattr(Journal, "close", hang)

    async def life() -> None:
        store = StoreThread(tmp_path)
        await store.open()
        async with asyncio.timeout(4):
            assert not await store.close()
        let_go.set()
        assert await store.worker.stop(5)

    asyncio.run(life())


def test_a_scan_may_take_as_long_as_its_exposures_its_laser_and_the_search_for_them() -> None:
    fixed, auto = Exposure(), Exposure(auto=True, budget_s=40.0)
    lit = ExposureSettings(integration_ms=1_000.0, repeats=3, laser_mw=50.0)

    assert scan_within_s(ScanSettings(), auto) == SCAN_WITHIN_S
    assert scan_within_s(lit, fixed) - SCAN_WITHIN_S >= 2 * 6.0 + 3.0  # six frames twice, and a warning of 3 s
    assert scan_within_s(lit, auto) - SCAN_WITHIN_S >= 2 * 40.0 + 8 * 3.0
