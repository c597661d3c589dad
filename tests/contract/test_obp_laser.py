"""A Ventana's laser: on only inside a scan that asked for it, and off after everything that can happen."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from drivers.clock import ManualClock
from drivers.contract import ExposureSettings, Medium
from drivers.devices._obp_message import encode
from drivers.errors import AskAgain, DriverError, InterlockOpen, Interrupted, LaserAlarm, NoAnswer
from drivers.links.faulty import Faults, FaultyLink, FaultyPipes
from drivers.session import Session
from firmware_sim.devices._obp_firmware import ObpFirmware
from firmware_sim.devices._obp_models import MODELS as SIMULATED
from firmware_sim.devices.obp import ObpOnUsb
from firmware_sim.scene import RAMAN_LINES, Ramp
from tests.contract.obp_ends import OBP, SerialWire, instrument, scans_of, session_on
from tests.contract.usb_wire import UsbWire

VENTANA = OBP.over("usb")
LINES: list[Medium] = ["serial", "tcp"]
EVERYWHERE: list[Medium] = ["usb", *LINES]
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


@pytest.mark.parametrize("medium", EVERYWHERE)
def test_a_scan_cut_off_anywhere_leaves_the_laser_to_close_and_close_switches_it_off(medium: Medium):
    device, lit = OBP.over(medium), 0
    for steps in range(60):
        firmware = instrument("ventana", medium)
        session = session_on(firmware)
        unit = session.perform(device.open())
        session.perform(device.configure(unit, SETTINGS))
        scan = device.scan(unit, SETTINGS)
        answer: bytes | None = None
        with contextlib.suppress(StopIteration):
            for _ in range(steps):
                answer = session._perform(scan.send(answer), session._stop)
        scan.close()
        lit += firmware.bench.laser_on
        session.perform(device.close())
        assert not firmware.bench.laser_on, steps

    assert lit > 5  # the test has caught it while it was on


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
    assert [asked for asked, lit in lit_at if lit] == [0x810031]


def lit_in_an_exposure_of_20_s(model: str, medium: Medium, **more: object) -> ObpFirmware:
    """A process was killed in the middle of a scan; the instrument does nothing else before the exposure is over."""
    firmware = instrument(model, medium, **more)  # type: ignore[arg-type]
    firmware.bench.set_integration(20_000_000)
    firmware.bench.clear_buffer()
    firmware.bench.switch_laser(True, 0.0)
    firmware.serve(encode(0x101100, b"", flags=0, regarding=1, md5=False), 0.0)
    return firmware


@pytest.mark.parametrize(
    ("medium", "more"),
    [
        ("serial", {"baud": 115_200}),
        ("serial", {"baud": 9_600}),
        ("serial", {"baud": 19_200}),
        ("serial", {"quirks": ["refuses-md5"]}),
        ("tcp", {}),
        ("tcp", {"quirks": ["refuses-md5"]}),
    ],
)
def test_on_a_line_opening_in_a_long_exposure_has_the_laser_off_as_soon_as_that_is_over(
    medium: Medium, more: dict[str, object]
):
    """It answers nobody until then, and opening gives up long before."""
    firmware, clock = lit_in_an_exposure_of_20_s("ventana", medium, **more), ManualClock()

    with pytest.raises(NoAnswer):
        session_on(firmware, clock).perform(OBP.over(medium).open())

    gave_up_s = clock.now_s()
    assert gave_up_s < 20.0
    assert [on for _, on, _ in firmware.laser_log] == [True, False]
    assert firmware.laser_log[-1][0] == pytest.approx(20.0, abs=0.01)
    clock.advance(21.0 - gave_up_s)
    unit = session_on(firmware, clock).perform(OBP.over(medium).open())
    assert unit.identity.model == "Ventana"


@pytest.mark.parametrize("medium", LINES)
def test_on_a_line_an_instrument_without_a_laser_opens_after_a_long_exposure_as_it_always_did(medium: Medium):
    firmware, clock = lit_in_an_exposure_of_20_s("sts-nir", medium), ManualClock()
    clock.advance(20.1)

    unit = session_on(firmware, clock).perform(OBP.over(medium).open())

    assert (unit.identity.model, unit.notes) == ("STS-NIR", ())


@pytest.mark.parametrize("fault", ["busy@1-1", "busy@1-3", "corrupt@1", "busy@1-1,corrupt@2,drop@3"])
@pytest.mark.parametrize("medium", LINES)
def test_on_a_line_closing_goes_on_until_the_laser_is_off(medium: Medium, fault: str):
    firmware = on_a_line(medium)
    session = session_on(firmware)
    session.perform(OBP.over(medium).open())
    firmware.bench.switch_laser(True, 0.0)
    firmware.operate(f"faults {fault}")

    session.perform(OBP.over(medium).close(), interruptible=False)

    assert not firmware.bench.laser_on


@pytest.mark.parametrize("medium", LINES)
def test_on_a_line_closing_what_never_does_as_it_is_told_is_an_alarm(medium: Medium):
    firmware = on_a_line(medium)
    session = session_on(firmware)
    session.perform(OBP.over(medium).open())
    firmware.bench.switch_laser(True, 0.0)
    firmware.operate("faults busy")

    with pytest.raises(LaserAlarm, match="told 3 times to be off") as caught:
        session.perform(OBP.over(medium).close(), interruptible=False)

    assert "if it has a laser, cut its power" in caught.value.hint


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
@pytest.mark.parametrize(
    ("wavelength", "told", "excitation_nm"),
    [
        ((798.5, 0.1452, -1.4e-5), "Ventana", 785.0),
        ((929.7, -0.1165, -1.4e-5), "Ventana", 785.0),  # the same, red end first
        ((535.0, 0.13, 0.0), "Ventana", 532.0),
        ((430.0, 0.655, 0.0), "Ventana", None),  # the VIS-NIR of its data sheet, 430 to 1100 nm
        ((379.0, 0.338, -2.2e-5), "STS-VIS", None),  # a Spark
        ((640.2, 0.4552, -1.2e-5), "STS-NIR", None),
        ((780.0, 0.44, 0.0), "STS-NIR", None),
    ],
)
def test_on_a_line_without_a_light_source_the_range_tells_a_ventana(
    medium: Medium, wavelength: tuple[float, ...], told: str, excitation_nm: float | None
):
    facts = replace(SIMULATED["ventana"], wavelength=wavelength)
    unit = session_on(on_a_line(medium, quirks=["no-laser"], facts=facts)).perform(OBP.over(medium).open())

    assert (unit.identity.model, unit.calibration.excitation_nm) == (told, excitation_nm)
    assert unit.limits is not None
    assert unit.limits.laser_mw is None
    assert unit.limits.saturation_counts == (65_535 if told == "Ventana" else 16_383)


@pytest.mark.parametrize("medium", LINES)
def test_on_a_line_a_ventana_without_a_light_source_is_used_to_its_full_scale(medium: Medium):
    firmware = on_a_line(medium, quirks=["no-laser"], scene=Ramp(first=20_000.0, step=100.0))
    (scan,) = scans_of(firmware, medium, ExposureSettings(integration_ms=500.0))

    assert scan.raw.max() > 16_383
    np.testing.assert_array_equal(scan.raw[-1], firmware.meant[-1])


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


class Stop:
    """Tells the session to stop at one of its reads, as a station is that shuts down."""

    session: Session
    reads = 0
    at = 0

    def count(self) -> None:
        self.reads += 1
        if self.reads == self.at:
            self.session.interrupt()


@dataclass
class StoppingPipes(UsbWire):
    stop: Stop = field(default_factory=Stop)

    def read_from(self, endpoint: int, limit: int, within_s: float) -> bytes:
        self.stop.count()
        return super().read_from(endpoint, limit, within_s)


@dataclass
class StoppingLine(SerialWire):
    stop: Stop = field(default_factory=Stop)

    def read(self, limit: int, within_s: float) -> bytes:
        self.stop.count()
        return super().read(limit, within_s)


@pytest.mark.parametrize(
    ("medium", "reads"),
    [("usb", range(1, 30)), ("serial", range(1, 200, 3)), ("tcp", range(1, 200, 3))],  # all that a scan needs
)
def test_a_scan_that_is_interrupted_anywhere_switches_the_laser_off_itself(medium: Medium, reads: range):
    device, lit, ended = OBP.over(medium), 0, 0
    wire_of: Any = StoppingPipes if medium == "usb" else StoppingLine
    for stop_at in reads:
        firmware, clock = instrument("ventana", medium), ManualClock()
        wire = wire_of(firmware, clock)
        session = wire.stop.session = Session(wire, clock=clock)
        unit = session.perform(device.open())
        session.perform(device.configure(unit, SETTINGS))
        wire.stop.reads, wire.stop.at = 0, stop_at
        try:
            session.perform(device.scan(unit, SETTINGS))
            ended += 1
        except Interrupted:
            lit += len(firmware.laser_log) > 0
        assert not firmware.bench.laser_on, stop_at

    assert lit > 3
    assert ended > 0  # and it was interrupted at its last reads too


@pytest.mark.parametrize("medium", EVERYWHERE)
@pytest.mark.parametrize("seed", range(20))
def test_what_is_lost_on_the_way_never_leaves_the_laser_on_without_an_alarm_or_a_lost_link(medium: Medium, seed: int):
    """On USB whole transfers; on a line bytes, of our words too: one in 5000 leaves most frames of 2112 as they are."""
    device, firmware, clock = OBP.over(medium), instrument("ventana", medium), ManualClock()
    session = session_on(firmware, clock)
    cable: Any = FaultyPipes if medium == "usb" else FaultyLink
    faults = Faults(loss=0.08 if medium == "usb" else 0.0002, both_ways=True, seed=seed)
    session = Session(cable(session.link, faults, clock=clock), clock=clock)
    alarmed = False
    try:
        unit = session.perform(device.open())
        session.perform(device.configure(unit, SETTINGS))
        for _ in range(4):
            session.perform(device.scan(unit, SETTINGS))
            assert not firmware.bench.laser_on
    except LaserAlarm:
        alarmed = True
    except DriverError:
        pass

    assert alarmed or not firmware.bench.laser_on
