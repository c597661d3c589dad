"""What scans of a burst share: a detector's temperature, and on USB the integration time that was read back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from drivers.clock import ManualClock
from drivers.contract import ExposureSettings, Medium, RawScan
from drivers.devices import obp, ooi
from drivers.devices._obp_memory import ObpUnit
from drivers.devices._recent import RECENT_S, Recent
from drivers.session import Session
from firmware_sim.devices.ooi import OoiSpectrometer
from firmware_sim.scene import Ramp
from tests.contract.obp_ends import instrument, session_on
from tests.contract.usb_wire import UsbWire

TEMPERATURE, READ_BACK, SPECTRUM = 0x400001, 0x110000, 0x101100
SETTINGS = ExposureSettings(integration_ms=10.0)


def test_an_answer_is_old_before_it_came_after_its_time_and_once_something_happened():
    clock = ManualClock()
    recent = Recent(clock, 0)
    assert recent.is_old()

    assert recent.keep(7) == 7
    assert not recent.is_old()
    clock.advance(RECENT_S)
    assert recent.is_old()

    recent.keep(8)
    recent.forget()
    assert recent.is_old()
    assert recent.value == 8


@dataclass
class Heard:
    """Hears what is sent, as a trace."""

    questions: list[bytes] = field(default_factory=list)

    def sent(self, data: bytes) -> None:
        self.questions.append(data)

    def received(self, data: bytes) -> None: ...

    def flush(self) -> None: ...

    def note(self, text: str) -> None: ...

    def since(self) -> list[bytes]:
        told, self.questions = self.questions, []
        return told


@dataclass
class Cooled:
    """A NIRQuest whose driver goes by a clock of its own, configured."""

    clock: ManualClock = field(default_factory=ManualClock)
    heard: Heard = field(default_factory=Heard)

    def __post_init__(self) -> None:
        self.device = replace(ooi.DEVICE, clock=self.clock)
        wire = ManualClock()
        self.firmware = OoiSpectrometer(Ramp(), model="nirquest512", speed=0.0)
        self.session = Session(UsbWire(self.firmware, wire), trace=self.heard, clock=wire)
        self.unit = self.session.perform(self.device.open())
        self.session.perform(self.device.configure(self.unit, SETTINGS))
        self.heard.since()

    def asked_in_a_scan(self) -> list[str]:
        self.session.perform(self.device.scan(self.unit, SETTINGS))
        return [data.hex() for data in self.heard.since()]


def test_scans_of_a_burst_ask_a_cooled_detector_once_a_second():
    cooled = Cooled()

    assert cooled.asked_in_a_scan() == ["72", "09"]
    assert cooled.asked_in_a_scan() == ["09"]
    cooled.clock.advance(0.9 * RECENT_S)
    assert cooled.asked_in_a_scan() == ["09"]
    cooled.clock.advance(0.1 * RECENT_S)
    assert cooled.asked_in_a_scan() == ["72", "09"]


def test_after_configure_and_after_opening_anew_the_detector_is_asked_again():
    cooled = Cooled()
    cooled.asked_in_a_scan()

    cooled.session.perform(cooled.device.configure(cooled.unit, SETTINGS))
    cooled.heard.since()
    assert cooled.asked_in_a_scan() == ["72", "09"]
    cooled.unit = cooled.session.perform(cooled.device.open())
    cooled.heard.since()
    assert cooled.asked_in_a_scan() == ["72", "09"]


def test_a_cooler_that_gives_up_shows_within_a_second_of_scans():
    cooled = Cooled()
    assert cooled.session.perform(cooled.device.scan(cooled.unit, SETTINGS)).settled

    cooled.firmware.write(0x01, b"\x71\0\0", 0.0)  # the cooler off: the sensor is at room temperature at once
    cooled.clock.advance(RECENT_S)
    scan = cooled.session.perform(cooled.device.scan(cooled.unit, SETTINGS))

    assert scan.environment.detector_c == pytest.approx(25.0, abs=1.0)
    assert not scan.settled


def test_a_look_at_the_conditions_always_asks_and_spares_the_next_scan_the_question():
    cooled = Cooled()
    cooled.asked_in_a_scan()

    cooled.session.perform(cooled.device.environment(cooled.unit))
    assert [data.hex() for data in cooled.heard.since()] == ["72"]
    assert cooled.asked_in_a_scan() == ["09"]


@contextmanager
def sts(medium: Medium, plan: str = "") -> Iterator[tuple[Session, obp.ObpDevice, ObpUnit, Heard]]:
    heard, clock = Heard(), ManualClock()
    device = replace(obp.DEVICE, clock=clock).over(medium)
    made = session_on(instrument("sts-nir", medium, plan=plan))
    with Session(made.link, trace=heard, clock=made._clock) as session:
        unit = session.perform(device.open())
        session.perform(device.configure(unit, SETTINGS))
        heard.since()
        yield session, device, unit, heard


def messages(heard: Heard) -> list[int]:
    return [int.from_bytes(data[8:12], "little") for data in heard.since()]


def test_over_usb_the_integration_time_is_not_read_back_for_each_scan_of_a_burst():
    with sts("usb") as (session, device, unit, heard):
        for expected in ([SPECTRUM, TEMPERATURE], [SPECTRUM], [SPECTRUM]):
            session.perform(device.scan(unit, SETTINGS))
            assert messages(heard) == expected

        unit.at_exposure.forget()
        scan: RawScan = session.perform(device.scan(unit, SETTINGS))
        assert messages(heard) == [SPECTRUM, READ_BACK]
    assert scan.environment.detector_c is not None


def test_over_usb_a_fault_makes_the_integration_time_be_read_back():
    with sts("usb") as (session, device, unit, heard):
        session.perform(device.scan(unit, SETTINGS))
        heard.since()
        session.link.firmware.operate("faults busy@1")  # type: ignore[union-attr]
        session.perform(device.scan(unit, SETTINGS))

        assert messages(heard) == [SPECTRUM, SPECTRUM, READ_BACK]


@pytest.mark.parametrize("medium", ["serial", "tcp"])
def test_on_a_line_that_outlives_a_restart_the_integration_time_is_read_back_for_each_scan(medium: Medium):
    with sts(medium) as (session, device, unit, heard):
        for expected in ([SPECTRUM, READ_BACK, TEMPERATURE], [SPECTRUM, READ_BACK]):
            session.perform(device.scan(unit, SETTINGS))
            assert messages(heard) == expected
