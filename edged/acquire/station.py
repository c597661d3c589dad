"""The life of one instrument: found, opened, watched, measured with, lost, found again. Lives on the event loop.

Everything that blocks goes through `Caller.call` to the station's own thread. Triggers wait in a bounded queue: full
answers TooMany, so that a human's trigger is served or refused in words, never skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn, Protocol, TypeVar

from drivers.contract import Environment, Identity, RawScan
from drivers.errors import (
    AskAgain,
    DriverError,
    Interrupted,
    LinkMissing,
    Park,
    Reopen,
    Resynchronise,
    WrongInstrument,
)
from edged.acquire.errors import AcquireError, MeasurementLost, NotReady, TooMany
from edged.acquire.lifecycle import RecoveryPlan, State, after_failed_opening
from edged.acquire.reading import Moment, Reading
from edged.recurring import Recurring

T = TypeVar("T")
log = logging.getLogger(__name__)

MAX_WAITING = 8  # triggers; at 3 s a scan the last one waits for half a minute, which is as long as a human does
OPEN_WITHIN_S = 60.0  # a scan that an earlier session began may have to come to its end first
SCAN_WITHIN_S = 90.0  # the longest scan: 2 x the device's estimate + 5 s, and the transfer at 115200 baud
ENVIRONMENT_WITHIN_S = 10.0
CLOSE_WITHIN_S = 3.0
MISTAKE_HINT = "the log tells where; it is tried again, but please report it"
LET_GO_S = 1.0  # a driver that is interrupted returns within 0.3 s


class Instrument(Protocol):
    """What a station does to its instrument. Every method but `interrupt` blocks, on the station's thread.

    All but `close` raise DriverError when the driver's own patience is over, and Interrupted after `interrupt`.
    """

    def open(self) -> Identity:
        """Open the link, make the light source safe, ask who is there."""

    def prepare(self) -> None:
        """Make the configured settings current. Called once after `open`, when the instrument is the right one."""

    def scan(self, *, lit: bool = True) -> RawScan:
        """Measure once; with lit False the laser stays off, if there is one."""

    def keep_alive(self) -> Environment:
        """Ask something cheap."""

    def close(self) -> None:
        """Switch the light off if anyone still listens, and close. Never raises; closing twice is fine."""

    def interrupt(self) -> None:
        """From any thread: make a blocking call return soon."""


class Caller(Protocol):
    """The station's thread, as `edged.acquire.worker.Worker`."""

    async def call(self, function: Callable[[], T], *, within_s: float) -> T:
        """Run it there and return its result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StationPlan:
    """What the configuration says of a station. `serial_number` None accepts any instrument of the kind.

    scan_within_s: how long one scan may take before the instrument is taken for lost.
    """

    name: str
    kind: str
    port: str
    serial_number: str | None = None
    scan_within_s: float = SCAN_WITHIN_S
    recovery: RecoveryPlan = field(default_factory=RecoveryPlan)


@dataclass(frozen=True, slots=True, kw_only=True)
class StationStatus:
    """A station at one moment. `message` and `hint` are empty when all is well; `since_s` is monotonic."""

    name: str
    kind: str
    port: str
    state: State
    since_s: float
    message: str
    hint: str
    failures: int
    waiting: int
    identity: Identity | None
    environment: Environment | None


@dataclass(frozen=True, slots=True)
class _Waiting:
    answer: asyncio.Future[Reading]
    asked_s: float
    lit: bool


class Station:
    """Run `run` as one task; ask with `measure`. Not thread-safe: event loop only."""

    def __init__(
        self,
        plan: StationPlan,
        instrument: Instrument,
        caller: Caller,
        *,
        now: Callable[[], Moment],
        clock: Callable[[], float],
        on_change: Callable[[StationStatus], None] = lambda _: None,
    ) -> None:
        self.plan = plan
        self._instrument = instrument
        self._caller = caller
        self._now = now
        self._clock = clock
        self._on_change = on_change
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._look_again = False
        self._ended = False
        self._state = State.OPENING
        self._since_s = clock()
        self._message = ""
        self._hint = ""
        self._failures = Recurring(log)  # openings in a row
        self._losses = Recurring(log)  # of an opened instrument, with nothing that went well in between
        self._identity: Identity | None = None
        self._environment: Environment | None = None

    @property
    def status(self) -> StationStatus:
        """Return what is known now."""
        return StationStatus(
            name=self.plan.name,
            kind=self.plan.kind,
            port=self.plan.port,
            state=self._state,
            since_s=self._since_s,
            message=self._message,
            hint=self._hint,
            failures=self._failures.count,
            waiting=len(self._waiting),
            identity=self._identity,
            environment=self._environment,
        )

    @property
    def is_busy(self) -> bool:
        """Whether an interval trigger should be skipped now."""
        return self._state is not State.READY or bool(self._waiting)

    async def measure(self, *, lit: bool = True) -> Reading:
        """Wait for the station's turn and return one reading, with lit False without a laser. Raises AcquireError."""
        if self._ended:
            raise NotReady(f"{self.plan.name}: the service is stopping")
        if self._state in (State.ABSENT, State.PARKED):
            raise self._not_ready()
        if len(self._waiting) >= MAX_WAITING:
            raise TooMany(
                f"{self.plan.name}: {MAX_WAITING} measurements are waiting already", hint="ask again in a while"
            )
        answer: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(answer, self._clock(), lit)
        self._waiting.append(waiting)
        self._wake.set()
        try:
            return await answer
        finally:
            if waiting in self._waiting:  # only a caller that gave up; failing, `remove` would print the whole reading
                self._waiting.remove(waiting)

    def look_again(self) -> None:
        """Try a parked or absent instrument at once rather than at the next slow look."""
        self._look_again = True
        self._wake.set()

    async def run(self) -> NoReturn:
        """Live until cancelled; then the light is off, the port closed, and whoever waits has an answer.

        Raises what is no DriverError, a mistake of ours, after telling it; whoever runs us may do so again.
        """
        self._ended = False
        try:
            while True:
                await self._open_until_ready()
                await self._serve_until_lost()
        except Exception as error:
            self._failures.told_otherwise()  # the message stays while it is opened anew
            self._become(State.PARKED, f"edged itself failed: {type(error).__name__}: {error}", MISTAKE_HINT)
            self._answer_all(self._not_ready())
            raise
        except BaseException:
            self._ended = True
            self._instrument.interrupt()
            self._answer_all(NotReady(f"{self.plan.name}: the service is stopping"))
            raise
        finally:
            await _shielded(self._caller.call(self._instrument.close, within_s=CLOSE_WITHIN_S))

    async def _open_until_ready(self) -> None:
        while True:
            if self._failures.count == 0:
                self._become(State.OPENING, "", "")
            try:
                self._identity = await self._call(self._open_and_compare, within_s=OPEN_WITHIN_S)
            except DriverError as error:
                self._log_again(self._failures, error)
                setback = after_failed_opening(error, failures=self._failures.count, plan=self.plan.recovery)
                await self._caller.call(self._instrument.close, within_s=CLOSE_WITHIN_S)
                hint = error.hint
                if setback.state is State.PARKED and isinstance(error, Resynchronise):
                    hint = hint or f"is the device on {self.plan.port} a {self.plan.kind}? see: edged devices"
                self._become(setback.state, error.message, hint)
                self._answer_all(self._not_ready())
                await self._pause(setback.retry_s)
            else:
                if self._losses.count == 0 or self._losses.is_told:
                    self._log_ready(self._identity)
                self._failures.over()
                self._become(State.READY, "", "")
                return

    def _open_and_compare(self) -> Identity:
        """On the station's thread."""
        identity = self._instrument.open()
        expected = self.plan.serial_number
        if expected is not None and identity.serial_number != expected:
            raise WrongInstrument(
                f"{self.plan.port}: serial number {identity.serial_number}, but {expected} is configured",
                hint=f"plug in {expected}, or set station.{self.plan.name}.serial_number",
            )
        self._instrument.prepare()
        return identity

    async def _serve_until_lost(self) -> None:
        try:
            while True:
                if self._waiting:
                    await self._serve(self._waiting.popleft())
                elif not await self._pause(self.plan.recovery.keep_alive_s):
                    await self._keep_alive()
        except DriverError as error:
            self._failures.told_otherwise()  # as a loss
            self._log_again(self._losses, error)
            await self._caller.call(self._instrument.close, within_s=CLOSE_WITHIN_S)
            self._identity = None
            self._environment = None
            self._become(State.PARKED if isinstance(error, Park) else State.ABSENT, error.message, error.hint)
            self._answer_all(self._not_ready())
            if isinstance(error, Park) and not isinstance(error, LinkMissing):
                await self._pause(self.plan.recovery.parked_s)

    async def _keep_alive(self) -> None:
        """Notice a loss while idle. A device that is busy is not lost."""
        try:
            self._environment = await self._call(self._instrument.keep_alive, within_s=ENVIRONMENT_WITHIN_S)
        except AskAgain as error:
            self._become(State.READY, error.message, error.hint)
        else:
            self._losses.over()
            self._become(State.READY, "", "")

    async def _serve(self, waiting: _Waiting) -> None:
        """One measurement. Raises DriverError, after answering, when the instrument has to be opened anew."""
        if waiting.answer.done():
            return
        started_s = self._clock()
        self._become(State.MEASURING, "", "")
        try:
            measure = self._scan if waiting.lit else self._scan_unlit
            scan, moment, arrived_s = await self._call(measure, within_s=self.plan.scan_within_s)
        except AskAgain as error:
            self._become(State.READY, "", "")
            _refuse(waiting, MeasurementLost(f"{self.plan.name}: {error.message}", hint=error.hint))
        except DriverError as error:
            _refuse(waiting, MeasurementLost(f"{self.plan.name}: {error.message}", hint=error.hint))
            raise
        except BaseException:
            _refuse(waiting, NotReady(f"{self.plan.name}: the measurement was broken off"))
            raise
        else:
            self._losses.over()
            self._environment = scan.environment
            self._become(State.READY, "", "")
            if not waiting.answer.done():
                waiting.answer.set_result(
                    Reading(
                        station=self.plan.name,
                        scan=scan,
                        moment=moment,
                        arrived_s=arrived_s,
                        timing_ms={
                            "wait": round((started_s - waiting.asked_s) * 1e3, 3),
                            "scan": round((arrived_s - started_s) * 1e3, 3),
                        },
                    )
                )

    async def _call(self, function: Callable[[], T], *, within_s: float) -> T:
        """Talk to the instrument. One that answers, but so slowly that it takes longer, is lost: Reopen is raised."""
        timer = asyncio.get_running_loop().call_later(within_s, self._instrument.interrupt)
        try:
            return await self._caller.call(function, within_s=within_s + LET_GO_S)
        except Interrupted as error:
            raise Reopen(
                f"{self.plan.port}: the instrument kept us busy for {within_s:g} s", hint="switch it off and on"
            ) from error
        finally:
            timer.cancel()

    def _scan(self) -> tuple[RawScan, Moment, float]:
        """On the station's thread."""
        return self._instrument.scan(), self._now(), self._clock()

    def _scan_unlit(self) -> tuple[RawScan, Moment, float]:
        """The same without a laser."""
        return self._instrument.scan(lit=False), self._now(), self._clock()

    async def _pause(self, seconds: float) -> bool:
        """Wait; true when something woke us before the time was over."""
        if self._look_again or self._waiting:
            self._look_again = False
            return True
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._look_again = False
        return True

    def _become(self, state: State, message: str, hint: str) -> None:
        if (state, message, hint) == (self._state, self._message, self._hint):
            return
        if state is not self._state:
            self._since_s = self._clock()
        self._state, self._message, self._hint = state, message, hint
        self._on_change(self.status)

    def _log_ready(self, identity: Identity) -> None:
        if self._failures.count:
            log.info("station=%s is back after %d attempts", self.plan.name, self._failures.count)
        log.info(
            "station=%s ready model=%s serial_number=%s port=%s",
            self.plan.name,
            identity.model,
            identity.serial_number,
            self.plan.port,
        )

    def _log_again(self, fault: Recurring, error: DriverError) -> None:
        if isinstance(error, LinkMissing):
            fault.again(logging.INFO, "station=%s no instrument: %s", self.plan.name, error.message)
        else:
            fault.again(logging.WARNING, "station=%s %s", self.plan.name, error)

    def _not_ready(self) -> NotReady:
        return NotReady(f"{self.plan.name} is {self._state}: {self._message}", hint=self._hint)

    def _answer_all(self, error: AcquireError) -> None:
        while self._waiting:
            _refuse(self._waiting.popleft(), error)


def _refuse(waiting: _Waiting, error: AcquireError) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)


async def _shielded(action: object) -> None:
    """Let it finish in its time though we are being cancelled; its own failure is of no interest any more.

    The thread may be held by what nobody can interrupt, a look-up of a name say: a stop does not wait for that.
    """
    task = asyncio.ensure_future(action)  # type: ignore[call-overload]
    with contextlib.suppress(Exception):
        async with asyncio.timeout(CLOSE_WITHIN_S):
            await asyncio.shield(task)
