"""When a measurement or a self test runs by itself, in virtual time."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from drivers.contract import Identity
from edged.acquire.errors import MeasurementLost
from edged.acquire.reading import Moment
from edged.service.schedule import AGAIN_AFTER_S, LOOK_EVERY_S, NOT_YET_S, keep_measured, keep_tested
from tests.acquire.bench import in_virtual_time

INTERVAL_S = 3_600.0


class Bench:
    """A station and its measuring, as the schedule sees them. `lost`: so many measurements are lost at first.

    takes_s: how long each measurement of a sample takes, in order; the last one stays.
    """

    def __init__(
        self,
        *,
        busy_until_s: float = 0.0,
        last_s: float | None = None,
        lost: int = 0,
        takes_s: tuple[float, ...] = (0.0,),
    ) -> None:
        self.ran_s: list[float] = []
        self.status = SimpleNamespace(identity=Identity(kind="wasatch", model="WP", serial_number="1"))
        self._busy_until_s = busy_until_s
        self._last_s = last_s
        self._lost = lost
        self._takes_s = list(takes_s)
        self._began_s = asyncio.get_running_loop().time()

    @property
    def now_s(self) -> float:
        return asyncio.get_running_loop().time() - self._began_s

    @property
    def is_busy(self) -> bool:
        return self.now_s < self._busy_until_s

    async def selftest_due_s(self, name: str, serial_number: str, now: Moment) -> float:
        return 0.0 if self._last_s is None else self._last_s + INTERVAL_S - self.now_s

    async def selftest(self, name: str, material: str | None, asked: object) -> Any:
        assert not self.is_busy
        self.ran_s.append(self.now_s)
        if len(self.ran_s) <= self._lost:
            raise MeasurementLost("the laser did not warm up")
        self._last_s = self.now_s
        return SimpleNamespace(id="1", selftest=SimpleNamespace(verdict="pass"))

    async def sample(self, name: str, asked: object) -> None:
        assert not self.is_busy
        self.ran_s.append(self.now_s)
        await asyncio.sleep(self._takes_s.pop(0) if len(self._takes_s) > 1 else self._takes_s[0])
        if len(self.ran_s) <= self._lost:
            raise MeasurementLost("the instrument was unplugged")


def samples(for_s: float, **bench: Any) -> list[float]:
    """Seconds from the start at which a sample was measured, at an interval of 10 s."""

    async def life() -> list[float]:
        made: Any = Bench(**bench)
        task = asyncio.create_task(keep_measured(made, made, interval_s=10.0, name="bench"))
        await asyncio.sleep(for_s)
        task.cancel()
        await asyncio.wait({task})
        ran: list[float] = made.ran_s
        return ran

    return in_virtual_time(life)


def runs(for_s: float, **bench: Any) -> list[float]:
    """Seconds from the start at which a self test ran."""

    async def life() -> list[float]:
        made: Any = Bench(**bench)
        now = Moment(wall_s=0.0, monotonic_s=0.0, boot_id="a", synced=True)
        task = asyncio.create_task(keep_tested(made, made, now=lambda: now, name="bench"))
        await asyncio.sleep(for_s)
        task.cancel()
        await asyncio.wait({task})
        ran: list[float] = made.ran_s
        return ran

    return in_virtual_time(life)


def test_it_runs_at_once_and_then_once_an_interval() -> None:
    assert runs(2.5 * INTERVAL_S) == pytest.approx([LOOK_EVERY_S, INTERVAL_S, 2 * INTERVAL_S], abs=3 * LOOK_EVERY_S)


def test_a_restart_brings_none_forward() -> None:
    assert runs(INTERVAL_S, last_s=-600.0) == pytest.approx([INTERVAL_S - 600.0], abs=2 * LOOK_EVERY_S)


def test_it_waits_for_a_station_that_is_busy_and_runs_as_soon_as_it_is_not() -> None:
    assert runs(600.0, busy_until_s=500.0) == pytest.approx([500.0], abs=2 * LOOK_EVERY_S)


def test_one_that_gave_nothing_is_repeated_after_longer_and_longer() -> None:
    began, *rest = runs(10 * AGAIN_AFTER_S, lost=3)

    assert [later - began for later in rest] == pytest.approx(
        [AGAIN_AFTER_S, 3 * AGAIN_AFTER_S, 7 * AGAIN_AFTER_S], abs=4 * LOOK_EVERY_S
    )


def test_samples_are_measured_at_once_and_then_from_start_to_start() -> None:
    assert samples(35.0, takes_s=(4.0,)) == pytest.approx([0.0, 10.0, 20.0, 30.0], abs=1e-6)


def test_intervals_begin_when_the_station_is_ready_first() -> None:
    assert samples(30.0, busy_until_s=7.1) == pytest.approx([7.1, 17.1, 27.1], abs=NOT_YET_S)


def test_intervals_that_a_long_measurement_misses_are_skipped_and_one_that_is_lost_is_not_repeated() -> None:
    assert samples(65.0, takes_s=(25.0, 1.0), lost=2) == pytest.approx([0.0, 30.0, 40.0, 50.0, 60.0], abs=1e-6)
