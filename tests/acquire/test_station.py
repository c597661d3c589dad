"""The life of one instrument, in virtual time: what each error leads to, and that every trigger is answered."""

from __future__ import annotations

import asyncio
import logging

import pytest

from drivers.errors import (
    BadSettings,
    DeviceBusy,
    DeviceRefused,
    DriverError,
    LinkDenied,
    LinkLost,
    LinkMissing,
    NoAnswer,
    WireError,
    WrongInstrument,
)
from edged.acquire.errors import AcquireError, MeasurementLost, NotReady, TooMany
from edged.acquire.lifecycle import RecoveryPlan, State, after_failed_opening
from edged.acquire.station import CLOSE_WITHIN_S, MAX_WAITING, SCAN_WITHIN_S
from tests.acquire.bench import Bench, in_virtual_time

PLAN = RecoveryPlan()


def test_an_instrument_is_opened_prepared_and_ready() -> None:
    async def life() -> None:
        bench = Bench()
        await bench.until("ready")
        await bench.stop()

        assert bench.instrument.calls == ["open", "prepare", "interrupt", "close"]
        assert bench.states == ["ready"]

    in_virtual_time(life)


def test_a_stop_does_not_wait_for_a_thread_that_is_held_by_what_nobody_can_interrupt() -> None:
    async def life() -> None:
        bench = Bench()
        await bench.until("ready")
        bench.close_s = 60.0
        loop = asyncio.get_running_loop()
        began_s = loop.time()

        await bench.stop()

        assert bench.task.cancelled()
        assert loop.time() - began_s == pytest.approx(CLOSE_WITHIN_S, abs=0.01)
        await asyncio.sleep(bench.close_s)

    in_virtual_time(life)


def test_a_trigger_gives_one_reading_with_the_time_its_scan_took() -> None:
    async def life() -> None:
        bench = Bench(scan_s=2.0)
        await bench.until("ready")

        reading = await bench.station.measure()

        assert reading.scan.scan_index == 1
        assert reading.timing_ms["scan"] == pytest.approx(2000, abs=1)
        assert bench.states == ["ready", "measuring", "ready"]
        await bench.stop()

    in_virtual_time(life)


def test_triggers_wait_their_turn_and_one_too_many_is_told_so() -> None:
    async def life() -> None:
        bench = Bench()
        await bench.until("ready")
        under_way = asyncio.create_task(bench.station.measure())
        await bench.until("measuring")
        waiting = [asyncio.create_task(bench.station.measure()) for _ in range(MAX_WAITING)]
        await asyncio.sleep(0)

        with pytest.raises(TooMany):
            await bench.station.measure()
        readings = await asyncio.gather(under_way, *waiting)

        assert [r.scan.scan_index for r in readings] == list(range(1, MAX_WAITING + 2))
        await bench.stop()

    in_virtual_time(life)


def test_a_trigger_whose_asker_has_gone_is_not_measured() -> None:
    async def life() -> None:
        bench = Bench()
        await bench.until("ready")
        first, second = (asyncio.create_task(bench.station.measure()) for _ in range(2))
        await bench.until("measuring")
        second.cancel()
        await first
        await asyncio.sleep(5)

        assert bench.instrument.calls.count("scan") == 1
        await bench.stop()

    in_virtual_time(life)


@pytest.mark.parametrize("error", [LinkLost("gone"), WireError("noise"), NoAnswer("silence")])
def test_a_scan_that_is_cut_off_answers_everyone_and_opens_the_instrument_anew(error: DriverError) -> None:
    async def life() -> None:
        bench = Bench()
        await bench.until("ready")
        bench.instrument.scanning = [error]
        asked = [asyncio.create_task(bench.station.measure()) for _ in range(2)]

        answers = await asyncio.gather(*asked, return_exceptions=True)
        await bench.until("ready")

        assert [type(a) for a in answers] == [MeasurementLost, NotReady]
        assert bench.instrument.calls[-3:] == ["close", "open", "prepare"]
        assert (await bench.station.measure()).scan.scan_index == 2
        await bench.stop()

    in_virtual_time(life)


@pytest.mark.parametrize("error", [DeviceBusy("busy"), DeviceRefused("no light", codes={"scan": 1})])
def test_a_device_that_refuses_a_scan_stays_open_and_the_refusal_is_the_answer(error: DriverError) -> None:
    async def life() -> None:
        bench = Bench()
        await bench.until("ready")
        bench.instrument.scanning = [error]

        with pytest.raises(MeasurementLost, match=error.message):
            await bench.station.measure()

        assert bench.instrument.calls.count("open") == 1
        assert bench.station.status.state is State.READY
        await bench.stop()

    in_virtual_time(life)


def test_a_loss_while_idle_is_noticed_and_mended_within_3_s_of_the_return() -> None:
    async def life() -> None:
        bench = Bench()
        await bench.until("ready")
        missing = [LinkMissing("no such port") for _ in range(20)]
        bench.instrument.keeping, bench.instrument.opening = [LinkLost("gone")], list(missing)
        await bench.until("absent")
        loop = asyncio.get_running_loop()
        while bench.instrument.opening:
            await asyncio.sleep(0.001)
        back_s = loop.time()

        await bench.until("ready")

        assert loop.time() - back_s < 3.0
        await bench.stop()

    in_virtual_time(life)


@pytest.mark.parametrize("error", [LinkDenied("denied", hint="join dialout"), BadSettings("points", hint="fewer")])
def test_what_only_a_human_can_mend_parks_the_station_with_the_hint_and_is_retried_slowly(error: DriverError) -> None:
    async def life() -> None:
        bench = Bench()
        bench.instrument.opening = [error, error]
        await bench.until("parked")
        status = bench.station.status
        began_s = asyncio.get_running_loop().time()

        with pytest.raises(NotReady) as refused:
            await bench.station.measure()
        await bench.until("ready")

        assert (status.message, status.hint) == (error.message, error.hint)
        assert refused.value.hint == error.hint
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(2 * PLAN.parked_s, abs=1)
        await bench.stop()

    in_virtual_time(life)


def test_a_parked_station_is_tried_at_once_on_command() -> None:
    async def life() -> None:
        bench = Bench()
        bench.instrument.opening = [LinkDenied("denied")]
        await bench.until("parked")
        began_s = asyncio.get_running_loop().time()

        bench.station.look_again()
        await bench.until("ready")

        assert asyncio.get_running_loop().time() - began_s < 0.1
        await bench.stop()

    in_virtual_time(life)


def test_another_serial_number_parks_the_station_before_any_setting_is_sent() -> None:
    async def life() -> None:
        bench = Bench(serial_number="6100099")
        await bench.until("parked")
        await bench.stop()

        assert "prepare" not in bench.instrument.calls
        assert "6100099" in bench.history[0].hint

    in_virtual_time(life)


def test_a_foreign_device_is_parked_after_a_few_attempts_and_not_talked_to_every_second() -> None:
    async def life() -> None:
        bench = Bench()
        bench.instrument.opening = [WireError("noise") for _ in range(1000)]
        await asyncio.sleep(60)

        assert bench.station.status.state is State.PARKED
        assert "edged devices" in bench.station.status.hint
        assert bench.instrument.calls.count("open") <= PLAN.park_after + 60 / PLAN.parked_s + 1
        await bench.stop()

    in_virtual_time(life)


def test_stopping_answers_who_waits_and_closes_the_instrument() -> None:
    async def life() -> None:
        bench = Bench()
        await bench.until("ready")
        asked = [asyncio.create_task(bench.station.measure()) for _ in range(3)]
        await bench.until("measuring")

        await bench.stop()
        answers = await asyncio.gather(*asked, return_exceptions=True)

        assert all(isinstance(a, AcquireError) for a in answers)
        assert bench.instrument.calls[-2:] == ["interrupt", "close"]

    in_virtual_time(life)


def test_an_instrument_that_never_comes_to_an_end_is_opened_anew_before_the_watchdog_barks() -> None:
    async def life() -> None:
        bench = Bench(scan_s=1e6)
        await bench.until("ready")
        loop = asyncio.get_running_loop()
        began_s = loop.time()

        with pytest.raises(MeasurementLost, match="kept us busy for 90 s"):
            await bench.station.measure()
        await bench.until("ready")

        assert loop.time() - began_s == pytest.approx(SCAN_WITHIN_S, abs=1)
        assert bench.instrument.calls == ["open", "prepare", "interrupt", "close", "open", "prepare"]
        await bench.stop()

    in_virtual_time(life)


def test_a_mistake_of_ours_is_told_until_the_station_that_was_started_again_is_ready() -> None:
    async def life() -> None:
        bench = Bench()
        bench.instrument.opening = [TypeError("no integer"), TypeError("no integer")]

        for _ in range(2):
            with pytest.raises(TypeError):
                await bench.task
            assert (bench.station.status.state, bench.states) == (State.PARKED, ["parked"])
            assert "TypeError: no integer" in bench.station.status.message
            assert "report" in bench.station.status.hint
            assert bench.instrument.calls[-1] == "close"
            with pytest.raises(NotReady, match="no integer"):
                await bench.station.measure()
            bench.task = asyncio.create_task(bench.station.run())
        await bench.until("ready")

        assert (bench.station.status.message, bench.states) == ("", ["parked", "ready"])
        assert (await bench.station.measure()).scan.scan_index == 1
        await bench.stop()

    in_virtual_time(life)


def test_a_mistake_of_ours_in_a_scan_answers_everyone_with_what_it_was() -> None:
    async def life() -> None:
        bench = Bench()
        await bench.until("ready")
        bench.instrument.scanning = [ZeroDivisionError("division by zero")]
        asked = [asyncio.create_task(bench.station.measure()) for _ in range(2)]

        answers = await asyncio.gather(*asked, return_exceptions=True)

        assert all(isinstance(a, NotReady) for a in answers)
        assert "division by zero" in str(answers[1])
        assert "stopping" not in "".join(map(str, answers))
        with pytest.raises(ZeroDivisionError):
            await bench.task

    in_virtual_time(life)


def test_a_trigger_that_comes_after_the_end_is_told_so() -> None:
    async def life() -> None:
        bench = Bench()
        await bench.until("ready")
        await bench.stop()

        async with asyncio.timeout(60):
            with pytest.raises(NotReady, match="stopping"):
                await bench.station.measure()

    in_virtual_time(life)


def test_an_instrument_that_opens_well_and_is_lost_again_and_again_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def life() -> None:
        bench = Bench()
        bench.instrument.keeping = [LinkLost("unplugged") for _ in range(50)]
        while bench.instrument.keeping:
            await asyncio.sleep(1)
        await bench.stop()

    with caplog.at_level(logging.INFO):
        in_virtual_time(life)

    assert [record.getMessage().split("(")[-1] for record in caplog.records if "unplugged" in record.message] == [
        "time 1)",
        "time 10)",
    ]
    assert sum(" ready " in record.message for record in caplog.records) <= 3


def test_a_busy_device_that_is_only_kept_alive_is_not_lost() -> None:
    async def life() -> None:
        bench = Bench()
        await bench.until("ready")
        bench.instrument.keeping = [DeviceBusy("busy with a phone", hint="end the call")]
        await asyncio.sleep(1.5 * PLAN.keep_alive_s)
        shown = bench.station.status

        await asyncio.sleep(2 * PLAN.keep_alive_s)

        assert (shown.state, shown.message) == (State.READY, "busy with a phone")
        assert bench.station.status.message == ""
        await bench.stop()

    in_virtual_time(life)


def test_an_interval_trigger_knows_when_to_skip() -> None:
    async def life() -> None:
        bench = Bench()
        assert bench.station.is_busy
        await bench.until("ready")
        assert not bench.station.is_busy
        asked = asyncio.create_task(bench.station.measure())
        await asyncio.sleep(0)
        assert bench.station.is_busy
        await asked
        await bench.stop()

    in_virtual_time(life)


@pytest.mark.parametrize(
    ("error", "failures", "state"),
    [
        (LinkMissing("x"), 1000, State.ABSENT),
        (LinkLost("x"), 1, State.ABSENT),
        (NoAnswer("x"), PLAN.park_after - 1, State.ABSENT),
        (NoAnswer("x"), PLAN.park_after, State.PARKED),
        (LinkDenied("x"), 1, State.PARKED),
        (WrongInstrument("x"), 1, State.PARKED),
    ],
)
def test_a_failed_opening_is_sorted_by_its_cure(error: DriverError, failures: int, state: State) -> None:
    setback = after_failed_opening(error, failures=failures, plan=PLAN)

    assert setback.state is state
    assert setback.retry_s <= (PLAN.parked_s if state is State.PARKED else 1.0)
