"""A bench in virtual time: an instrument that does what a test says, and a clock that moves when everybody waits."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import numpy as np

from drivers.contract import Environment, Identity, RawScan, ScanSettings
from drivers.errors import Interrupted
from edged.acquire.lifecycle import RecoveryPlan
from edged.acquire.reading import Moment
from edged.acquire.station import Station, StationPlan, StationStatus

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer when nothing else is to be done."""

    def __init__(self) -> None:
        super().__init__(_JumpingSelector(self))
        self.now_s = 1000.0

    def time(self) -> float:
        return self.now_s


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits and no timer is set: a deadlock"
            self._loop.now_s += timeout
        return ready


def in_virtual_time(test: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine function to its end; takes no real time however long it waits."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(test())


def raw_scan(
    *, serial_number: str = "6100023", index: int = 1, gain: int = 16, counts: int = 20_000, **settings: Any
) -> RawScan:
    points = 16
    return RawScan(
        identity=Identity(kind="nirscan", model="NIR-M-R2", serial_number=serial_number),
        settings=ScanSettings(**settings),
        scan_index=index,
        axis=np.linspace(900.0, 1700.0, points),
        axis_unit="nm",
        counts=np.full(points, counts, dtype=np.float64),
        raw=np.full(points, counts, dtype=np.int32),
        dark_level=0.0,
        saturated=np.zeros(points, dtype=bool),
        gain=gain,
        environment=Environment(detector_c=25.0),
        blob=b"blob",
    )


class FakeInstrument:
    """Each list holds what the next calls do: an error is raised, anything else returned; when empty, all is well."""

    def __init__(self) -> None:
        self.opening: list[Exception | str] = []
        self.scanning: list[Exception | asyncio.Event] = []
        self.keeping: list[Exception] = []
        self.calls: list[str] = []
        self.interrupted = asyncio.Event()

    def open(self) -> Identity:
        self.calls.append("open")
        serial_number = self._next(self.opening, "6100023")
        return Identity(kind="nirscan", model="NIR-M-R2", serial_number=serial_number)

    def prepare(self) -> None:
        self.calls.append("prepare")

    def scan(self, *, lit: bool = True) -> RawScan:
        self.calls.append("scan")
        self._next(self.scanning, None)
        return raw_scan(index=self.calls.count("scan"))

    def keep_alive(self) -> Environment:
        self.calls.append("keep_alive")
        self._next(self.keeping, None)
        return Environment(detector_c=24.0)

    def close(self) -> None:
        self.calls.append("close")

    def interrupt(self) -> None:
        self.calls.append("interrupt")
        self.interrupted.set()

    def _next(self, plan: list[Any], well: T) -> T:
        what = plan.pop(0) if plan else well
        if isinstance(what, Exception):
            raise what
        return what  # type: ignore[no-any-return]


class Bench:
    """A station with its fake instrument; its thread is the loop, each call taking `call_s` of virtual time."""

    def __init__(self, *, serial_number: str | None = None, scan_s: float = 2.0) -> None:
        self.instrument = FakeInstrument()
        self.history: list[StationStatus] = []
        self._scan_s = scan_s
        self.close_s = 0.0
        loop = asyncio.get_running_loop()
        plan = StationPlan(
            name="bench", kind="nirscan", port="/dev/x", serial_number=serial_number, recovery=RecoveryPlan()
        )
        self.station = Station(
            plan, self.instrument, self, now=self.moment, clock=loop.time, on_change=self.history.append
        )
        self.task = asyncio.create_task(self.station.run())

    @property
    def states(self) -> list[str]:
        return [status.state.value for status in self.history]

    def moment(self) -> Moment:
        now_s = asyncio.get_running_loop().time()
        return Moment(wall_s=now_s, monotonic_s=now_s, boot_id="boot", synced=True)

    async def call(self, function: Callable[[], T], *, within_s: float) -> T:
        assert within_s > 0
        if function == self.instrument.close:
            if self.close_s:
                await asyncio.sleep(self.close_s)
            return function()
        try:
            async with asyncio.timeout(self._scan_s if function == self.station._scan else 0.01):
                await self.instrument.interrupted.wait()
        except TimeoutError:
            return function()
        self.instrument.interrupted.clear()
        raise Interrupted("stopped on request")

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait({self.task})

    async def until(self, state: str) -> None:
        while self.station.status.state.value != state:
            await asyncio.sleep(0.001)
