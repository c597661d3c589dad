"""Wasatch on bad days: the outcome is what the simulator meant or an error, and afterwards a good day follows."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import Control, ExposureSettings, RawScan, Step, UsbLink
from drivers.errors import (
    BadSettings,
    DeviceRefused,
    DriverError,
    InterlockOpen,
    Interrupted,
    LaserAlarm,
    LinkLost,
    NoAnswer,
    WireError,
    WrongInstrument,
)
from drivers.session import Session
from firmware_sim.devices.wasatch import OWN_FAULTS, WasatchSpectrometer
from firmware_sim.faults import FaultPlan
from firmware_sim.scene import Raman, Ramp, Scene
from tests.contract.usb_wire import UsbWire

DEVICE = registry.load("wasatch")
SETTINGS = ExposureSettings(integration_ms=50.0, repeats=2)
LIT = ExposureSettings(integration_ms=50.0, repeats=2, laser_mw=40.0)
MODELS = ["wp785", "wp785xs", "wp785x2048", "wp1064", "xs-imx"]
LASERS = ["wp785xs", "xs-imx"]


def unit_with(plan: str, model: str, scene: Scene | None = None, **options: Any) -> WasatchSpectrometer:
    faults = FaultPlan.parse(plan, seed=1, own=OWN_FAULTS)
    return WasatchSpectrometer(scene or Ramp(), model=model, seed=3, faults=faults, **options)


def live(link: UsbLink, clock: ManualClock, settings: ExposureSettings = SETTINGS, *, scans: int = 1) -> RawScan:
    """Open, configure, scan, look around, close."""
    session = Session(link, clock=clock)
    try:
        unit = session.perform(DEVICE.open())
        session.perform(DEVICE.configure(unit, settings))
        for _ in range(scans):
            scan = session.perform(DEVICE.scan(unit, settings))
        session.perform(DEVICE.environment(unit))
        session.perform(DEVICE.close())
    finally:
        session.close()
    return scan


def opened(firmware: WasatchSpectrometer, settings: ExposureSettings) -> tuple[Session, Any, ManualClock]:
    clock = ManualClock()
    session = Session(UsbWire(firmware, clock), clock=clock)
    unit = session.perform(DEVICE.open())
    session.perform(DEVICE.configure(unit, settings))
    return session, unit, clock


def is_right(scan: RawScan, firmware: WasatchSpectrometer) -> bool:
    """Every frame is one that was meant, each a later one than the last."""
    meant = list(firmware.meant)
    rows = scan.raw if scan.dark is None else np.concatenate([scan.dark, scan.raw])
    found = [next((at for at, frame in enumerate(meant) if (frame == row).all()), -1) for row in rows]
    return found == sorted(set(found)) and -1 not in found


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("strikes", [1, 2, 3])
@pytest.mark.parametrize("fault", ["lost@{}", "short_frame@{}", "short_frame@{}:1", "stall_frame@{}", "late@{}:0.3"])
def test_a_spoilt_spectrum_is_asked_for_again(model: str, fault: str, strikes: int):
    clock, firmware = ManualClock(), unit_with(fault.format(strikes), model)
    scan = live(UsbWire(firmware, clock), clock)

    assert is_right(scan, firmware)
    assert (scan.raw[-1] == firmware.meant[-1]).all()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("late_s", [0.8, 1.15, 1.3, 2.5, 3.2, 5.0, 9.0])
@pytest.mark.parametrize("strikes", [2, 3, 4])
def test_a_spectrum_that_comes_after_its_time_is_never_taken_for_a_later_one(model: str, late_s: float, strikes: int):
    session, unit, _ = opened(unit_with("", model), SETTINGS)
    firmware = session.link.firmware  # type: ignore[union-attr]
    firmware.operate(f"faults late@{strikes}:{late_s}")
    right = 0
    for _ in range(12):
        with contextlib.suppress(WireError, NoAnswer):
            scan = session.perform(DEVICE.scan(unit, SETTINGS))
            right += 1
            np.testing.assert_array_equal(scan.raw[-1], firmware.meant[-1])
            assert is_right(scan, firmware)

    assert right >= 8


@pytest.mark.parametrize(
    ("fault", "error"), [("lost", NoAnswer), ("short_frame", NoAnswer), ("stall_frame", WireError)]
)
@pytest.mark.parametrize("model", ["wp785x2048", "xs-imx"])
def test_spectra_that_are_always_spoilt_end_in_an_error_of_the_wire(model: str, fault: str, error: type[DriverError]):
    clock = ManualClock()

    with pytest.raises(error):
        live(UsbWire(unit_with(fault, model), clock), clock)
    assert clock.now_s() < 40.0  # the cooler's half minute is in it


@pytest.mark.parametrize("model", LASERS)
def test_flat_spectra_are_thrown_away_with_the_dim_one_behind_them(model: str):
    firmware = unit_with("flat@2-4,dim@5", model)
    clock = ManualClock()
    scan = live(UsbWire(firmware, clock), clock)

    assert np.ptp(scan.raw, axis=1).min() > 0
    np.testing.assert_array_equal(scan.raw, np.array(list(firmware.meant)[-2:]))
    assert scan.raw.max() > 0.9 * firmware.meant[-1].max()
    assert scan.frames_dropped > 1


def test_a_sensor_that_does_not_wake_up_is_told():
    clock = ManualClock()
    with pytest.raises(DeviceRefused, match="does not wake up"):
        live(UsbWire(unit_with("flat", "xs-imx"), clock), clock)


def test_a_sensor_at_full_scale_all_over_is_saturated_and_not_asleep():
    clock = ManualClock()
    scan = live(UsbWire(unit_with("saturate", "xs-imx"), clock), clock)

    assert scan.saturated.all()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("leftover", [1, 3])
def test_spectra_that_a_killed_session_asked_for_are_not_taken_for_new_ones(model: str, leftover: int):
    clock, firmware = ManualClock(), unit_with("", model)
    wire = UsbWire(firmware, clock)
    for _ in range(leftover):
        wire.control(acquire(model))

    scan = live(wire, clock)

    np.testing.assert_array_equal(scan.raw, np.array(list(firmware.meant)[-2:]))


@pytest.mark.parametrize("model", MODELS)
def test_a_long_exposure_of_a_killed_session_is_let_pass(model: str):
    clock, firmware = ManualClock(), unit_with("", model)
    wire = UsbWire(firmware, clock)
    stage = bytes(8) if firmware.model.is_arm else b""
    wire.control(Control(request_type=0x40, request=0xB2, value=30_000, data=stage))
    for _ in range(2):
        wire.control(acquire(model))

    scan = live(wire, clock)

    assert is_right(scan, firmware)
    np.testing.assert_array_equal(scan.raw[-1], firmware.meant[-1])


def acquire(model: str) -> Control:
    return Control(request_type=0x40, request=0xAD, data=bytes(8) if model in LASERS else b"")


@pytest.mark.parametrize("model", MODELS)
def test_a_scan_that_was_interrupted_leaves_nothing_for_the_next_one(model: str):
    settings = ExposureSettings(integration_ms=500.0, repeats=2)
    for at_step in range(2, 5):
        session, unit, _ = opened(unit_with("", model), settings)
        firmware = session.link.firmware  # type: ignore[union-attr]
        Stopped(session, at_step)
        with pytest.raises(Interrupted):
            session.perform(DEVICE.scan(unit, settings))
        for _ in range(3):
            scan = session.perform(DEVICE.scan(unit, settings))
            np.testing.assert_array_equal(scan.raw[-1], firmware.meant[-1])
            assert is_right(scan, firmware)


class Stopped:
    """Interrupts a session before one of its steps."""

    def __init__(self, session: Session, at_step: int) -> None:
        perform, self._left = session._perform, at_step

        def stopping(step: Step, stop: Any) -> bytes | None:
            self._left -= 1
            if self._left == 0:
                session.interrupt()
            return perform(step, stop)

        session._perform = stopping  # type: ignore[method-assign]


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("model", ["wp785", "xs-imx"])
def test_short_answers_are_never_read_past_their_end(model: str, seed: int):
    clock = ManualClock()
    firmware = WasatchSpectrometer(
        Ramp(), model=model, faults=FaultPlan.parse(f"short_read=0.1:{seed % 4}", seed=seed, own=OWN_FAULTS)
    )
    with contextlib.suppress(WireError, WrongInstrument, LaserAlarm):
        assert is_right(live(UsbWire(firmware, clock), clock), firmware)


@pytest.mark.parametrize("model", MODELS)
def test_a_unit_that_is_deaf_while_it_boots_is_waited_for(model: str):
    clock, firmware = ManualClock(), unit_with("slow_boot@1:0.25", model)

    assert is_right(live(UsbWire(firmware, clock), clock), firmware)


@pytest.mark.parametrize("state", ["good", "old", "bad-floats", "no-laser", "no-excitation"])
@pytest.mark.parametrize("model", MODELS)
def test_every_memory_with_an_axis_gives_spectra(model: str, state: str):
    clock, firmware = ManualClock(), unit_with("", model, memory_state=state)

    assert is_right(live(UsbWire(firmware, clock), clock), firmware)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("state", ["bad-floats", "no-laser", "no-excitation", "good"])
def test_a_laser_that_must_not_be_used_is_refused_with_the_reason(model: str, state: str):
    if state == "good" and model in LASERS:
        return
    clock = ManualClock()
    firmware = unit_with("", model, memory_state=state)
    session = Session(UsbWire(firmware, clock), clock=clock)
    unit = session.perform(DEVICE.open())

    assert unit.limits.laser_mw is None
    with pytest.raises(BadSettings, match=r"is not used: (it has no|the memory)"):
        session.perform(DEVICE.configure(unit, LIT))
    assert state == "no-laser" or any("laser is not used" in note for note in unit.notes)


def test_a_blank_memory_is_the_wrong_instrument_and_its_laser_was_switched_off():
    clock, firmware = ManualClock(), unit_with("", "wp785xs", memory_state="blank")
    wire = UsbWire(firmware, clock)
    with pytest.raises(WrongInstrument, match="not programmed"):
        Session(wire, clock=clock).perform(DEVICE.open())

    assert {"event": "laser", "serial_number": "WP-01234", "on": False} in wire.events


@pytest.mark.parametrize("model", LASERS)
def test_a_watchdog_that_runs_out_in_a_scan_is_noticed_and_named(model: str):
    session, unit, _ = opened(unit_with("", model, Raman()), LIT)
    firmware = session.link.firmware  # type: ignore[union-attr]
    firmware.operate("faults watchdog_expires@5")

    with pytest.raises(DeviceRefused, match=r"its watchdog of .* ran out") as caught:
        session.perform(DEVICE.scan(unit, LIT))
    assert "watchdog" in caught.value.codes
    assert is_right(session.perform(DEVICE.scan(unit, LIT)), firmware)


@pytest.mark.parametrize("model", LASERS)
@pytest.mark.parametrize("spectrum", [3, 4, 5])
def test_an_interlock_that_is_opened_in_a_scan_is_noticed_and_named(model: str, spectrum: int):
    session, unit, _ = opened(unit_with("", model, Raman()), LIT)
    firmware = session.link.firmware  # type: ignore[union-attr]
    firmware.operate(f"faults interlock_opens@{spectrum}")

    with pytest.raises(InterlockOpen, match="interlock was opened"):
        session.perform(DEVICE.scan(unit, LIT))
    with pytest.raises(InterlockOpen, match="interlock is open"):
        session.perform(DEVICE.scan(unit, LIT))
    firmware.operate("interlock closed")
    assert is_right(session.perform(DEVICE.scan(unit, LIT)), firmware)


@pytest.mark.parametrize("model", LASERS)
def test_a_laser_that_is_refused_is_told_long_before_its_time_is_over(model: str):
    session, unit, clock = opened(unit_with("", model, Raman()), LIT)
    session.link.firmware.operate("faults enable_refused")  # type: ignore[union-attr]
    began_s = clock.now_s()

    with pytest.raises(DeviceRefused, match="refused to enable"):
        session.perform(DEVICE.scan(unit, LIT))
    assert clock.now_s() - began_s < 4.5  # the warning delay, in which a unit may not say so yet, is in it


@pytest.mark.parametrize("model", LASERS)
@pytest.mark.parametrize(("fault", "alarm"), [("off_ignored@1-2", False), ("readback_stuck@1-2", False)])
def test_a_laser_that_goes_off_at_the_third_try_is_off(model: str, fault: str, alarm: bool):
    session, unit, _ = opened(unit_with("", model, Raman()), LIT)
    firmware = session.link.firmware  # type: ignore[union-attr]
    firmware.operate(f"faults {fault}")

    assert is_right(session.perform(DEVICE.scan(unit, LIT)), firmware)
    assert not firmware.laser.firing


@pytest.mark.parametrize("fault", ["off_ignored", "readback_stuck"])
def test_a_laser_that_does_not_say_that_it_is_off_is_an_alarm_at_every_turn(fault: str):
    session, unit, _ = opened(unit_with("", "xs-imx", Raman()), LIT)
    session.link.firmware.operate(f"faults {fault}")  # type: ignore[union-attr]

    with pytest.raises(LaserAlarm, match="3 times") as caught:
        session.perform(DEVICE.scan(unit, LIT))
    assert "power" in caught.value.hint
    if fault == "readback_stuck":
        for conversation in (DEVICE.close(), DEVICE.open()):
            with pytest.raises(LaserAlarm):
                session.perform(conversation)


@pytest.mark.parametrize("model", ["wp785x2048", "xs-imx"])
def test_unplugging_at_any_step_is_a_lost_link_and_a_good_day_follows(model: str):
    settings = SETTINGS if model not in LASERS else LIT
    firmware, clock = unit_with("", model, Raman()), ManualClock()
    for at_step in range(1, 200, 7):
        session = Session(UsbWire(firmware, clock), clock=clock)
        Unplugged(session, at_step)
        try:
            unit = session.perform(DEVICE.open())
            session.perform(DEVICE.configure(unit, settings))
            session.perform(DEVICE.scan(unit, settings))
        except LinkLost:
            pass
        else:
            break
        assert is_right(live(UsbWire(firmware, clock), clock, settings), firmware)


class Unplugged:
    """Pulls the cable before one of a session's steps."""

    def __init__(self, session: Session, at_step: int) -> None:
        perform, self._left = session._perform, at_step

        def pulling(step: Step, stop: Any) -> bytes | None:
            self._left -= 1
            if self._left == 0:
                session.link.close()
            return perform(step, stop)

        session._perform = pulling  # type: ignore[method-assign]


@pytest.mark.parametrize("at_step", range(1, 6))
def test_after_settings_that_were_not_made_current_no_scan_is_given(at_step: int):
    session, unit, _ = opened(unit_with("", "xs-imx"), SETTINGS)
    Stopped(session, at_step)
    with pytest.raises(Interrupted):
        session.perform(DEVICE.configure(unit, ExposureSettings(integration_ms=80.0)))

    for settings in (SETTINGS, ExposureSettings(integration_ms=80.0)):
        with pytest.raises(BadSettings, match="configure, then scan"):
            session.perform(DEVICE.scan(unit, settings))
    session.perform(DEVICE.configure(unit, SETTINGS))
    assert session.perform(DEVICE.scan(unit, SETTINGS)).exposure_ms == 50.0


def test_no_request_is_forbidden_or_has_the_wrong_stage_on_any_board():
    for model in MODELS:
        clock, firmware = ManualClock(), unit_with("lost@2,flat@3", model, Raman())
        wire = UsbWire(firmware, clock)
        live(wire, clock, LIT if model in LASERS else SETTINGS, scans=3)

        assert not [event for event in wire.events if event["event"] in ("forbidden", "data_stage")]


def test_the_state_of_the_laser_and_the_temperature_are_not_asked_for_too_often():
    clock, firmware = ManualClock(), unit_with("", "wp785xs", Raman())
    wire = Listening(firmware, clock)
    live(wire, clock, LIT, scans=2)
    live(wire, clock, ExposureSettings(integration_ms=7.0), scans=40)

    for request, rate_hz in ((0xD7, 10.0), (0xE2, 100.0)):
        moments = wire.asked[request]
        busiest = max(sum(at <= other < at + 1.0 for other in moments) for at in moments)
        assert busiest <= rate_hz, request


class Listening(UsbWire):
    """Notes when something was asked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked: dict[int, list[float]] = {}

    def control(self, transfer: Control) -> bytes:
        self.asked.setdefault(transfer.request, []).append(self.clock.now_s())
        return super().control(transfer)

    def close(self) -> None:
        """The wire stays for the next session."""
