"""Every device with a laser, through random lives with faults, interruptions, pulled cables and killed processes.

What is guaranteed: light comes out only while a measurement that asked for it is under way, and never more of it than
was asked for. When the last word was an error that only a human or a new opening can cure (a killed process, a lost
link, a laser alarm) there may be light until the unit's own watchdog has run out, which was set before the laser was
used; a unit without one is refused unless the user accepts that it is dark from the next opening on only, which begins
with switching off. An open interlock is a refusal in words.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers import devices, registry
from drivers.clock import ManualClock
from drivers.contract import Device, ExposureSettings, Step
from drivers.errors import AskAgain, DriverError, InterlockOpen, Interrupted, LaserAlarm, LinkLost, NoAnswer, Stalled
from drivers.session import Session
from firmware_sim.devices.obp import OWN_FAULTS as OBP_FAULTS
from firmware_sim.devices.obp import ObpOnUsb
from firmware_sim.devices.wasatch import OWN_FAULTS, WasatchSpectrometer
from firmware_sim.faults import FaultPlan
from firmware_sim.scene import Raman
from firmware_sim.usb_faults import FaultyUsb
from tests.contract.usb_wire import UsbWire

Light = list[tuple[float, float, float]]  # from, to (infinite while it lasts), mW


@dataclass(frozen=True, kw_only=True)
class Laser:
    """One model with a laser. spoil: what an operator can do. watchdog_s: what the unit's is set to; None: it has none.

    refuses_within_s: when an open interlock is known; dark frames come first.
    """

    name: str
    device: Device[Any]
    make: Callable[[], Any]
    light: Callable[[Any], Light]
    watchdog_s: Callable[[Any], float] | None
    spoil: tuple[str, ...]
    open_interlock: Callable[[], Any]
    power_mw: tuple[float, ...] = (20.0, 40.0, 99.0)
    refuses_within_s: float = 0.5
    own_faults: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def wasatch(model: str) -> WasatchSpectrometer:
    return WasatchSpectrometer(Raman(), model=model, seed=1)


def wasatch_open_interlock(model: str) -> WasatchSpectrometer:
    firmware = wasatch(model)
    firmware.operate("interlock open")
    return firmware


def wasatch_light(firmware: WasatchSpectrometer) -> Light:
    return [(flash.start_s, flash.end_s, flash.power_mw) for flash in firmware.laser.flashes]


def obp_light(firmware: ObpOnUsb) -> Light:
    changes = firmware.laser_log
    ends = [*(at_s for at_s, _, _ in changes[1:]), math.inf]
    return [(at_s, end_s, mw) for (at_s, on, mw), end_s in zip(changes, ends, strict=False) if on]


TRANSFERS_SPOILT = tuple(  # not "corrupt": the bus checks every packet, and a switch that lies is another fault
    f"faults {fault}"
    for fault in (
        "drop=0.05", "drop@9-", "truncate=0.1", "delay=0.1:0.4", "slow=0.3:0.2", "duplicate@3-5", "stall=0.05",
        "stall@20-", "hangup@15", "hangup@60", "hangup=9000:0.5", "garbage=64",
    )
)  # fmt: skip
WASATCH_SPOILT = tuple(
    f"faults {fault}"
    for fault in (
        "none", "off_ignored@1", "off_ignored@2-3", "off_ignored", "readback_stuck@1-2", "readback_stuck", "lost@3",
        "enable_refused", "late@4", "late=0.2", "interlock_opens@5", "watchdog_expires@5", "short_read=0.05",
        "stall_frame=0.1", "flat=0.2", "short_frame=0.1", "lost=0.2", "slow_boot",
    )
)  # fmt: skip
LASERS = [
    Laser(
        name=f"wasatch {model}",
        device=registry.load("wasatch"),
        make=lambda model=model: wasatch(model),  # type: ignore[misc]
        light=wasatch_light,
        watchdog_s=lambda firmware: float(firmware.laser.watchdog_s),
        spoil=("interlock open", "interlock closed", "watchdog", *WASATCH_SPOILT, *TRANSFERS_SPOILT),
        own_faults=OWN_FAULTS,
        open_interlock=lambda model=model: wasatch_open_interlock(model),  # type: ignore[misc]
    )
    for model in ("wp785xs", "xs-imx")
] + [
    Laser(
        name="obp ventana",
        device=registry.load("obp").over("usb"),
        make=lambda: ObpOnUsb("ventana", Raman(), seed=1),
        light=obp_light,
        watchdog_s=None,
        spoil=(
            "faults none", "faults error@2-:7", "faults error@4-:11", "faults busy@4-8", "faults off_refused@1-2:10",
            "faults off_refused@2", "faults off_refused", *TRANSFERS_SPOILT,
        ),
        own_faults=OBP_FAULTS,
        open_interlock=lambda: ObpOnUsb("ventana", Raman(), seed=1, quirks=["interlock"]),
        refuses_within_s=5.0,
    ),
]  # fmt: skip
MOST_S = 180.0  # no watchdog may be set to more
EVERY = pytest.mark.parametrize("laser", LASERS, ids=str)
DARK = ExposureSettings(integration_ms=30.0)
LIT = ExposureSettings(integration_ms=30.0, repeats=2, laser_mw=40.0, laser_unattended=True)


class Killed(BaseException):
    """The process is no more: nothing that it would have done is done."""


class Eventful(Session):
    """A session in which something happens at one of its steps."""

    happens: str | None = None
    at_step = 0
    step = 0

    def _perform(self, step: Step, stop: Any) -> bytes | None:
        self.step += 1
        if self.happens is None or self.step != self.at_step:
            return super()._perform(step, stop)
        match self.happens:
            case "killed before":
                raise Killed
            case "killed":
                super()._perform(step, stop)
                raise Killed
            case "interrupted":
                self.interrupt()
            case "unplugged":
                self.link.close()
            case "refused":
                raise Stalled("refused")
            case "unheard":
                raise NoAnswer("no answer")
            case "answer lost":
                super()._perform(step, stop)
                raise NoAnswer("no answer")
        return super()._perform(step, stop)


@dataclass
class Window:
    """A measurement that asked for light: from, to, at most so many mW."""

    start_s: float
    end_s: float
    power_mw: float


@dataclass
class Life:
    """What a station, its operator and bad luck do to one unit. `errors` are those of measurements, in order."""

    laser: Laser
    clock: ManualClock = field(default_factory=ManualClock)
    windows: list[Window] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.firmware: Any = self.laser.make()
        self.usb = FaultyUsb(self.firmware, FaultPlan(seed=1), own=self.laser.own_faults)
        self.wire = UsbWire(self.usb, self.clock)
        self.session: Eventful | None = None
        self.unit: Any = None
        self.asked = DARK

    def do(self, command: tuple[Any, ...]) -> None:
        match command:
            case "operate", line:
                self.firmware.wake(self.clock.now_s())
                self.usb.operate(line)
            case "wait", seconds:
                self.clock.advance(seconds)
            case "open", happens, at_step:
                self.open(happens, at_step)
            case "configure", asked, happens, at_step if self.unit is not None:
                self.asked = asked
                self.talk(lambda: self.laser.device.configure(self.unit, asked), happens, at_step)
            case "scan", happens, at_step if self.unit is not None:
                self.scan(happens, at_step)
            case "close", happens, at_step if self.unit is not None:
                self.talk(self.laser.device.close, happens, at_step, interruptible=False)

    def open(self, happens: str | None = None, at_step: int = 0) -> None:
        self.unit = None
        if self.wire._gone:
            self.wire = UsbWire(self.usb, self.clock)
        self.session = Eventful(self.wire, clock=self.clock)

        def keep() -> Any:
            self.unit = yield from self.laser.device.open()

        self.talk(keep, happens, at_step)
        if self.unit is not None and self.laser.watchdog_s is None:
            self._end_windows(self.clock.now_s())

    def scan(self, happens: str | None = None, at_step: int = 0) -> None:
        window = Window(self.clock.now_s(), math.inf, self.asked.laser_mw or 0.0)
        if self.asked.laser_mw is not None:
            self.windows.append(window)
        error = self.talk(lambda: self.laser.device.scan(self.unit, self.asked), happens, at_step)
        if error is not None:
            self.errors.append(error)
        window.end_s = self.clock.now_s()
        if isinstance(error, Killed | LinkLost | LaserAlarm):
            watchdog_s = self.laser.watchdog_s(self.firmware) if self.laser.watchdog_s else math.inf
            assert watchdog_s <= MOST_S or self.laser.watchdog_s is None
            window.end_s += watchdog_s

    def talk(
        self, begin: Callable[[], Any], happens: str | None, at_step: int, *, interruptible: bool = True
    ) -> BaseException | None:
        """Hold a conversation; return what ended it badly. Who is killed, parked or cut off has to open anew."""
        assert self.session is not None
        self.session.happens, self.session.at_step, self.session.step = happens, at_step, 0
        try:
            self.session.perform(begin(), interruptible=interruptible)
        except (DriverError, Interrupted, Killed) as error:
            if isinstance(error, Killed | LinkLost | LaserAlarm):
                self.unit = None
            return error
        finally:
            self.session.happens = None
        return None

    def _end_windows(self, now_s: float) -> None:
        for window in self.windows:
            window.end_s = min(window.end_s, now_s)

    def light(self) -> Light:
        """All the light there ever was, an hour later."""
        self.clock.advance(3_600.0)
        self.firmware.wake(self.clock.now_s())
        return self.laser.light(self.firmware)

    def judge(self) -> None:
        for start_s, end_s, power_mw in self.light():
            allowed = [
                window
                for window in self.windows
                if window.start_s <= start_s
                and end_s <= window.end_s + 1e-6
                and power_mw <= window.power_mw * (1 + 1e-6)
            ]
            assert allowed, f"{power_mw:g} mW from {start_s:g} to {end_s:g} s, allowed was {self.windows}"


ACCIDENTS = ("killed before", "killed", "interrupted", "unplugged", "refused", "unheard", "answer lost")


def commands(laser: Laser) -> st.SearchStrategy[list[tuple[Any, ...]]]:
    accident = st.one_of(st.none(), st.sampled_from(ACCIDENTS))
    step = st.integers(1, 160)
    lit = st.builds(
        lambda power_mw, ms, repeats: ExposureSettings(
            integration_ms=ms, repeats=repeats, laser_mw=power_mw, laser_unattended=True
        ),
        st.sampled_from(laser.power_mw),
        st.sampled_from((30.0, 200.0)),
        st.integers(1, 2),
    )
    one = st.one_of(
        st.tuples(st.just("scan"), accident, step),
        st.tuples(st.just("scan"), accident, step),
        st.tuples(st.just("configure"), st.one_of(lit, st.just(DARK)), st.none(), step),
        st.tuples(st.just("configure"), lit, accident, step),
        st.tuples(st.just("open"), accident, st.integers(1, 30)),
        st.tuples(st.just("open"), st.none(), step),
        st.tuples(st.just("close"), accident, st.integers(1, 8)),
        st.tuples(st.just("operate"), st.sampled_from(laser.spoil)),
        st.tuples(st.just("wait"), st.sampled_from((0.01, 1.0, 30.0))),
    )
    return st.lists(one, min_size=1, max_size=10)


def lead(laser: Laser, life: list[tuple[Any, ...]]) -> Life:
    led = Life(laser)
    for command in (("open", None, 0), ("configure", LIT, None, 0), *life):
        led.do(command)
    return led


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@EVERY
@given(data=st.data())
def test_there_is_light_only_in_measurements_that_asked_for_it_and_never_more(laser: Laser, data: st.DataObject):
    lead(laser, data.draw(commands(laser))).judge()


@pytest.mark.deep
@settings(max_examples=1_500, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@EVERY
@given(data=st.data())
def test_there_is_light_only_in_measurements_that_asked_for_it_in_many_lives(laser: Laser, data: st.DataObject):
    lead(laser, data.draw(commands(laser))).judge()


def steps_of_a_scan(laser: Laser) -> int:
    led = lead(laser, [("scan", None, 0)])
    assert led.session is not None
    assert not led.errors
    return led.session.step


@EVERY
def test_a_good_measurement_has_light_once_at_the_power_asked_for(laser: Laser):
    led = lead(laser, [("scan", None, 0), ("configure", DARK, None, 0), ("scan", None, 0)])
    ((_, _, power_mw),) = led.light()

    assert 0.98 * 40.0 <= power_mw <= 40.0
    assert not led.errors
    led.judge()


@EVERY
@pytest.mark.parametrize("happens", ACCIDENTS)
def test_whatever_happens_at_any_step_of_a_measurement_the_light_goes_off_in_its_time(laser: Laser, happens: str):
    lit = 0
    for at_step in range(1, steps_of_a_scan(laser) + 1):
        led = lead(laser, [("scan", happens, at_step)])
        now_s = led.clock.now_s()
        lit += any(end_s > now_s for _, end_s, _ in laser.light(led.firmware))
        if happens not in ("killed", "killed before", "unplugged"):
            assert not any(end_s > now_s for _, end_s, _ in laser.light(led.firmware)), at_step
        if laser.watchdog_s is not None:
            led.judge()
        led.do(("open", None, 0))
        led.judge()

    assert (lit > 3) == (happens in ("killed", "killed before", "unplugged"))


@EVERY
def test_what_a_killed_process_left_on_is_off_before_anything_else_is_asked(laser: Laser):
    caught = 0
    for at_step in range(1, steps_of_a_scan(laser) + 1):
        led = lead(laser, [("scan", "killed", at_step)])
        if not any(math.isinf(end_s) for _, end_s, _ in laser.light(led.firmware)):
            continue
        caught += 1
        led.do(("open", "killed", 6))  # who is there, off, off?: then the process dies again

        assert not any(math.isinf(end_s) for _, end_s, _ in laser.light(led.firmware))
    assert caught > 3


@EVERY
def test_an_open_interlock_is_refused_at_once_and_in_words(laser: Laser):
    spoilt = replace(laser, make=laser.open_interlock)
    led = lead(spoilt, [])
    began_s = led.clock.now_s()
    led.do(("scan", None, 0))

    assert [type(error) for error in led.errors] == [InterlockOpen]
    (error,) = led.errors
    assert isinstance(error, AskAgain)
    assert "interlock" in str(error)
    assert error.hint
    assert led.clock.now_s() - began_s < laser.refuses_within_s
    assert led.light() == []


@EVERY
@pytest.mark.parametrize("power_mw", [-1.0, 0.0, 0.5, 451.0, 1e9, math.nan, math.inf])
def test_a_power_that_the_laser_cannot_do_is_refused_before_anything_is_sent(laser: Laser, power_mw: float):
    led = lead(laser, [])
    assert led.session is not None
    led.do(("configure", replace(LIT, laser_mw=power_mw), None, 0))

    assert led.session.step == 0
    with contextlib.suppress(DriverError):
        led.session.perform(laser.device.scan(led.unit, replace(LIT, laser_mw=power_mw)))
    assert led.session.step == 0
    assert led.light() == []


def test_every_fault_of_a_laser_that_the_simulator_knows_is_in_the_lives():
    known = {*OWN_FAULTS, *OBP_FAULTS} - {"dim"}
    faults = [line.split()[1] for laser in LASERS for line in laser.spoil if line.startswith("faults")]
    named = {fault.split("@")[0].split("=")[0] for fault in faults}

    assert known <= named


def test_every_family_with_a_laser_is_in_the_table():
    listed = {laser.device.kind for laser in LASERS}
    folder = Path(devices.__path__[0])
    with_laser = {path.stem.split("_")[1] for path in folder.glob("_*_laser.py")}

    assert with_laser == listed
    assert with_laser <= set(registry.kinds())
