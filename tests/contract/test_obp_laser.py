"""A Ventana's laser: on only inside a scan that asked for it, and off after everything that can happen."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from drivers.clock import ManualClock
from drivers.contract import ExposureSettings, Medium
from drivers.devices._obp_message import encode
from drivers.errors import AskAgain, DriverError, InterlockOpen, Interrupted, LaserAlarm, NoAnswer
from drivers.links.faulty import Faults, FaultyPipes
from drivers.session import Session
from firmware_sim.devices._obp_firmware import ObpFirmware
from firmware_sim.devices.obp import ObpOnUsb
from firmware_sim.scene import RAMAN_LINES
from tests.contract.obp_ends import OBP, instrument, scans_of, session_on
from tests.contract.usb_wire import UsbWire

VENTANA = OBP.over("usb")
SETTINGS = ExposureSettings(integration_ms=200.0, repeats=2, laser_mw=40.0, laser_unattended=True)
DARK = ExposureSettings(integration_ms=200.0)


def ventana(**more: object) -> ObpOnUsb:
    firmware = instrument("ventana", "usb", **more)  # type: ignore[arg-type]
    assert isinstance(firmware, ObpOnUsb)
    return firmware


def test_a_scan_with_the_laser_has_dark_frames_first_and_is_lit_at_the_power_asked_for():
    firmware = ventana()
    (scan,) = scans_of(firmware, "usb", SETTINGS)
    assert scan.dark is not None
    meant = list(firmware.meant)

    assert [(on, mw) for _, on, mw in firmware.laser_log] == [(True, pytest.approx(40.0)), (False, 0.0)]
    np.testing.assert_array_equal(scan.dark, np.array(meant[-5:-3]))
    np.testing.assert_array_equal(scan.raw, np.array(meant[-2:]))
    assert scan.laser_mw == 40.0
    assert scan.calibration.excitation_nm == 785.0


def test_the_strongest_line_of_polystyrene_is_where_the_standard_has_it():
    (scan,) = scans_of(ventana(), "usb", SETTINGS)
    assert scan.dark is not None
    shift_cm1 = 1e7 / 785.0 - 1e7 / scan.axis

    light = scan.counts - scan.dark.mean(axis=0)

    strongest_cm1, _ = max(RAMAN_LINES["polystyrene"], key=lambda line: line[1])
    assert shift_cm1[np.argmax(light)] == pytest.approx(strongest_cm1, abs=3.0)


def test_without_laser_mw_it_stays_off():
    firmware = ventana()
    scans_of(firmware, "usb", DARK, scans=3)

    assert firmware.laser_log == []


def test_a_laser_that_a_former_process_left_on_is_off_before_anything_else_is_asked():
    firmware, clock = ventana(), ManualClock()
    session = session_on(firmware, clock)
    firmware.bench.switch_laser(True, 0.0)
    asked: list[int] = []
    serve = firmware.serve

    def listen(message: bytes, arrived_s: float, *, fired: bool = False) -> list[tuple[float, bytes]]:
        asked.append(int.from_bytes(message[8:12], "little"))
        return serve(message, arrived_s, fired=fired)

    firmware.serve = listen  # type: ignore[method-assign]
    session.perform(VENTANA.open())

    assert not firmware.bench.laser_on
    assert asked[:2] == [0x810031, 0x810021]


def test_a_ventana_without_a_laser_is_used_without():
    unit = session_on(ventana(quirks=["no-laser"])).perform(VENTANA.open())

    assert unit.limits is not None
    assert unit.limits.laser_mw is None
    (scan,) = scans_of(ventana(quirks=["no-laser"]), "usb", DARK)
    assert len(scan.counts) == 1024


def test_an_open_interlock_is_said_and_leaves_it_off():
    firmware = ventana(quirks=["interlock"])

    with pytest.raises(InterlockOpen, match="did not come on") as caught:
        scans_of(firmware, "usb", SETTINGS)

    assert "interlock" in caught.value.hint
    assert not firmware.bench.laser_on


def test_a_laser_that_does_not_go_off_is_an_alarm_at_every_turn():
    firmware = ventana(quirks=["stuck-laser"])
    session = session_on(firmware)
    unit = session.perform(VENTANA.open())
    session.perform(VENTANA.configure(unit, SETTINGS))

    for conversation in (VENTANA.scan(unit, SETTINGS), VENTANA.close(), VENTANA.open()):
        with pytest.raises(LaserAlarm) as caught:
            session.perform(conversation)
        assert "cut its power" in caught.value.hint


@pytest.mark.parametrize("fault", ["error@1-:11", "error@2-:7", "error@4-:11", "busy@4-8", "busy@9-14"])
def test_a_scan_that_fails_leaves_the_laser_off_or_raises_the_alarm(fault: str):
    firmware = ventana()
    session = session_on(firmware)
    unit = session.perform(VENTANA.open())
    session.perform(VENTANA.configure(unit, SETTINGS))
    firmware.operate(f"faults {fault}")

    alarmed = False
    try:
        session.perform(VENTANA.scan(unit, SETTINGS))
    except LaserAlarm:
        alarmed = True
    except AskAgain:
        pass

    assert alarmed == firmware.bench.laser_on
    session.perform(VENTANA.close())
    assert not firmware.bench.laser_on


def test_a_scan_cut_off_anywhere_leaves_the_laser_to_close_and_close_switches_it_off():
    lit = 0
    for steps in range(60):
        firmware = ventana()
        session = session_on(firmware)
        unit = session.perform(VENTANA.open())
        session.perform(VENTANA.configure(unit, SETTINGS))
        scan = VENTANA.scan(unit, SETTINGS)
        answer: bytes | None = None
        with contextlib.suppress(StopIteration):
            for _ in range(steps):
                answer = session._perform(scan.send(answer), session._stop)
        scan.close()
        lit += firmware.bench.laser_on
        session.perform(VENTANA.close())
        assert not firmware.bench.laser_on, steps

    assert lit > 5  # the test has caught it while it was on


LINES: list[Medium] = ["serial", "tcp"]


def on_a_line(medium: Medium, **more: object) -> ObpFirmware:
    return instrument("ventana", medium, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("medium", LINES)
def test_on_a_line_a_light_source_tells_the_model_and_is_off_before_that_is_asked(medium: Medium):
    """Neither says a Ventana its product id, nor has its spectrum another length than an STS's."""
    firmware = on_a_line(medium)
    firmware.bench.switch_laser(True, 0.0)
    lit_at: list[tuple[int, bool]] = []
    serve = firmware.serve

    def listen(message: bytes, arrived_s: float, *, fired: bool = False) -> list[tuple[float, bytes]]:
        lit_at.append((int.from_bytes(message[8:12], "little"), firmware.bench.laser_on))
        return serve(message, arrived_s, fired=fired)

    firmware.serve = listen  # type: ignore[method-assign]
    unit = session_on(firmware).perform(OBP.over(medium).open())

    assert (unit.identity.model, unit.calibration.excitation_nm) == ("Ventana", 785.0)
    assert unit.limits is not None
    assert unit.limits.laser_mw == (1.0, 100.0)
    finding_the_line, off = {0x100, 0x810}, 0x810031
    assert off in {asked for asked, lit in lit_at if lit} <= finding_the_line | {off}


@pytest.mark.parametrize("medium", LINES)
def test_on_a_line_a_laser_is_told_off_even_where_a_long_exposure_keeps_the_answer_back(medium: Medium):
    firmware, clock = on_a_line(medium), ManualClock()
    session = session_on(firmware, clock)
    unit = session.perform(OBP.over(medium).open())
    long = ExposureSettings(integration_ms=20_000.0, laser_mw=40.0, laser_unattended=True)
    session.perform(OBP.over(medium).configure(unit, long))
    firmware.bench.switch_laser(True, clock.now_s())
    firmware.serve(encode(0x101100, b"", flags=0, regarding=1, md5=False), clock.now_s())

    with pytest.raises(NoAnswer):
        session.perform(OBP.over(medium).close(), interruptible=False)

    assert not firmware.bench.laser_on


@pytest.mark.parametrize("medium", LINES)
def test_on_a_line_the_laser_is_lit_inside_a_scan_only(medium: Medium):
    firmware = on_a_line(medium)
    (scan,) = scans_of(firmware, medium, SETTINGS)

    assert [(on, mw) for _, on, mw in firmware.laser_log] == [(True, pytest.approx(40.0)), (False, 0.0)]
    assert (scan.laser_mw, scan.raw.shape, scan.dark is not None) == (40.0, (2, 1024), True)


@pytest.mark.parametrize("medium", LINES)
def test_on_a_line_a_laser_that_a_scan_left_on_is_switched_off_by_close(medium: Medium):
    firmware = on_a_line(medium)
    session = session_on(firmware)
    session.perform(OBP.over(medium).open())
    firmware.bench.switch_laser(True, 0.0)

    session.perform(OBP.over(medium).close())

    assert not firmware.bench.laser_on


@pytest.mark.parametrize("medium", LINES)
def test_on_a_line_a_laser_that_does_not_go_off_is_an_alarm(medium: Medium):
    firmware = on_a_line(medium, quirks=["stuck-laser"])
    firmware.bench.switch_laser(True, 0.0)

    with pytest.raises(LaserAlarm) as caught:
        session_on(firmware).perform(OBP.over(medium).open())

    assert "cut its power" in caught.value.hint


@pytest.mark.parametrize("medium", LINES)
@pytest.mark.parametrize(("model", "told"), [("sts-nir", "STS-NIR"), ("fx", "Ocean FX")])
def test_on_a_line_an_instrument_without_a_laser_offers_none(medium: Medium, model: str, told: str):
    unit = session_on(instrument(model, medium)).perform(OBP.over(medium).open())

    assert unit.identity.model == told
    assert unit.limits is not None
    assert unit.limits.laser_mw is None


@pytest.mark.parametrize("medium", LINES)
def test_on_a_line_closing_what_has_gone_silent_takes_no_longer_than_a_station_waits(medium: Medium):
    """edged gives a closing three seconds."""
    firmware, clock = instrument("sts-nir", medium), ManualClock()
    session = session_on(firmware, clock)
    session.perform(OBP.over(medium).open())
    firmware.operate("faults drop=1")
    began_s = clock.now_s()

    with pytest.raises(NoAnswer):
        session.perform(OBP.over(medium).close(), interruptible=False)

    assert clock.now_s() - began_s < 3.0


class Stopping(UsbWire):
    """Is told to stop at one of its reads, as a station is that shuts down."""

    def read_from(self, endpoint: int, limit: int, within_s: float) -> bytes:
        self.reads = getattr(self, "reads", 0) + 1
        if self.reads == self.stop_at:
            self.session.interrupt()
        return super().read_from(endpoint, limit, within_s)

    stop_at = 0
    session: Session


def test_a_scan_that_is_interrupted_anywhere_switches_the_laser_off_itself():
    lit = 0
    for stop_at in range(1, 60):
        firmware, clock = ventana(), ManualClock()
        wire = Stopping(firmware, clock)
        session = wire.session = Session(wire, clock=clock)
        unit = session.perform(VENTANA.open())
        session.perform(VENTANA.configure(unit, SETTINGS))
        wire.reads, wire.stop_at = 0, stop_at
        try:
            session.perform(VENTANA.scan(unit, SETTINGS))
        except Interrupted:
            lit += len(firmware.laser_log) > 0
        assert not firmware.bench.laser_on, stop_at

    assert lit > 3


@pytest.mark.parametrize("seed", range(20))
def test_lost_transfers_never_leave_the_laser_on_without_an_alarm_or_a_lost_link(seed: int):
    firmware, clock = ventana(), ManualClock()
    wire = UsbWire(firmware, clock)
    session = Session(FaultyPipes(wire, Faults(loss=0.08, seed=seed), clock=clock), clock=clock)
    alarmed = False
    try:
        unit = session.perform(VENTANA.open())
        session.perform(VENTANA.configure(unit, SETTINGS))
        for _ in range(4):
            session.perform(VENTANA.scan(unit, SETTINGS))
            assert not firmware.bench.laser_on
    except LaserAlarm:
        alarmed = True
    except DriverError:
        pass

    assert alarmed or not firmware.bench.laser_on
