"""Ocean on bad days: the outcome is what the simulator meant or an error, and afterwards a good day follows."""

from __future__ import annotations

import contextlib
from itertools import product
from typing import Any

import numpy as np
import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import Control, Drain, ExposureSettings, RawScan, Receive, Send, UsbLink
from drivers.errors import DriverError, Interrupted, LinkLost, NoAnswer, WireError
from drivers.session import Session
from firmware_sim.devices.ooi import SPECTRUM_FAULTS, OoiSpectrometer
from firmware_sim.faults import FaultPlan
from firmware_sim.scene import Ramp
from firmware_sim.usb_faults import FaultyUsb
from tests.contract.usb_wire import UsbWire

DEVICE = registry.load("ooi")
SETTINGS = ExposureSettings(integration_ms=50.0, repeats=2)
MODELS = ["nirquest512", "usb2000plus", "usb4000", "flame-nir"]


def unit_with(plan: str, model: str, **options: Any) -> OoiSpectrometer:
    faults = FaultPlan.parse(plan, seed=1, own=SPECTRUM_FAULTS)
    return OoiSpectrometer(Ramp(), model=model, seed=3, faults=faults, **options)


def live(link: UsbLink, clock: ManualClock, settings: ExposureSettings = SETTINGS) -> RawScan:
    """Open, configure, scan, look around, close."""
    session = Session(link, clock=clock)
    try:
        unit = session.perform(DEVICE.open())
        session.perform(DEVICE.configure(unit, settings))
        scan = session.perform(DEVICE.scan(unit, settings))
        session.perform(DEVICE.environment(unit))
        session.perform(DEVICE.close())
    finally:
        session.close()
    return scan


def is_right(scan: RawScan, firmware: OoiSpectrometer) -> bool:
    """Every frame is one that was meant, each a later one than the last, exposed with the time that was asked for."""
    meant = list(firmware.meant)
    found = [next((at for at, frame in enumerate(meant) if (frame == row).all()), -1) for row in scan.raw]
    return found == sorted(set(found)) and -1 not in found and scan.exposure_ms == SETTINGS.integration_ms


@pytest.mark.parametrize("strikes", [1, 2, 3])
@pytest.mark.parametrize("fault", ["no_sync", "bad_sync", "short_spectrum", "short_spectrum@{}:1", "stall_spectrum"])
@pytest.mark.parametrize("model", MODELS)
def test_a_spoilt_spectrum_is_asked_for_again(model: str, fault: str, strikes: int):
    plan = fault.format(strikes) if "@" in fault else f"{fault}@{strikes}"
    clock, firmware = ManualClock(), unit_with(plan, model)

    assert is_right(live(UsbWire(firmware, clock), clock), firmware)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("bad_sync", WireError), ("no_sync", NoAnswer), ("short_spectrum", NoAnswer), ("stall_spectrum", WireError)],
)
def test_spectra_that_are_always_spoilt_end_in_an_error_of_the_wire(fault: str, error: type[DriverError]):
    clock = ManualClock()

    with pytest.raises(error):
        live(UsbWire(unit_with(fault, "nirquest512"), clock), clock)
    assert clock.now_s() < 40.0  # the cooler's half minute is in it


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("leftover", [1, 3])
def test_spectra_that_a_killed_session_asked_for_are_not_taken_for_new_ones(model: str, leftover: int):
    clock, firmware = ManualClock(), unit_with("", model)
    wire = UsbWire(firmware, clock)
    for _ in range(leftover):
        wire.write_to(0x01, b"\x09", 1.0)

    scan = live(wire, clock)

    assert [(frame == row).all() for frame, row in zip(list(firmware.meant)[-2:], scan.raw, strict=True)] == [
        True,
        True,
    ]


@pytest.mark.parametrize("model", MODELS)
def test_a_long_exposure_of_a_killed_session_is_let_pass(model: str):
    clock, firmware = ManualClock(), unit_with("", model)
    wire = UsbWire(firmware, clock)
    ticks = 30_000_000 // firmware.model.tick_us
    for command in (b"\x02" + ticks.to_bytes(4, "little"), b"\x09", b"\x09"):
        wire.write_to(0x01, command, 1.0)

    scan = live(wire, clock)

    assert is_right(scan, firmware)
    assert (scan.raw[-1] == firmware.meant[-1]).all()


@pytest.mark.parametrize("model", MODELS)
def test_a_session_cut_off_anywhere_leaves_the_instrument_usable(model: str):
    for transfers in range(60):
        clock, firmware = ManualClock(), unit_with("", model)
        wire = UsbWire(firmware, clock)
        with contextlib.suppress(Enough):
            live(Dying(wire, transfers), clock)

        scan = live(wire, clock)
        assert (scan.raw[-1] == firmware.meant[-1]).all(), transfers


@pytest.mark.parametrize("model", MODELS)
def test_unplugging_at_any_transfer_is_a_lost_link(model: str):
    for transfers in range(40):
        clock, firmware = ManualClock(), unit_with("", model)
        with pytest.raises(LinkLost):
            live(Dying(UsbWire(firmware, clock), transfers, LinkLost("unplugged")), clock)

        assert is_right(live(UsbWire(firmware, clock), clock), firmware)


def test_an_external_trigger_that_was_left_on_is_switched_off():
    clock, firmware = ManualClock(), unit_with("", "usb2000plus")
    wire = UsbWire(firmware, clock)
    wire.write_to(0x01, b"\x0a\x03\x00", 1.0)
    wire.write_to(0x01, b"\x09", 1.0)

    assert is_right(live(wire, clock), firmware)


def test_a_spectrum_that_never_comes_ends_soon_and_can_be_interrupted():
    clock, firmware = ManualClock(), unit_with("", "usb2000plus")
    session = Session(UsbWire(firmware, clock), clock=clock)
    unit = session.perform(DEVICE.open())
    firmware.write(0x01, b"\x0a\x03\x00", clock.now_s())
    began_s = clock.now_s()

    with pytest.raises(NoAnswer, match=r"no answer within 2\.1 s"):
        session.perform(DEVICE.scan(unit, ExposureSettings(integration_ms=50.0)))
    assert clock.now_s() - began_s < 10.0

    session.interrupt()
    with pytest.raises(Interrupted):
        session.perform(DEVICE.scan(unit, SETTINGS))


class Deaf(UsbWire):
    """The firmware does not know some commands."""

    def write_to(self, endpoint: int, data: bytes, within_s: float) -> None:
        if data[0] not in (0xFE, 0x6B):
            super().write_to(endpoint, data, within_s)


def test_a_unit_without_status_and_fpga_is_usable():
    clock, firmware = ManualClock(), unit_with("", "nirquest512")
    scan = live(Deaf(firmware, clock), clock)

    assert is_right(scan, firmware)
    assert "fpga" not in scan.identity.versions


def test_two_units_do_not_disturb_each_other():
    clock = ManualClock()
    firmwares = [unit_with("", "nirquest512"), unit_with("", "usb2000plus")]
    scans = [live(UsbWire(firmware, clock), clock) for firmware in firmwares for _ in range(2)]

    assert [len(scan.axis) for scan in scans] == [512, 512, 2048, 2048]
    assert {scan.identity.serial_number for scan in scans} == {"NQ51A0123", "USB2+H01234"}


def test_a_scan_stays_fresh_after_one_that_came_too_late():
    clock, firmware = ManualClock(), unit_with("no_sync@3", "usb2000plus")
    session = Session(UsbWire(firmware, clock), clock=clock)
    unit = session.perform(DEVICE.open())
    session.perform(DEVICE.configure(unit, SETTINGS))
    for _ in range(4):
        scan = session.perform(DEVICE.scan(unit, SETTINGS))
        np.testing.assert_array_equal(scan.raw[-1], firmware.meant[-1])


@pytest.mark.parametrize(
    ("plan", "seed"),  # not duplicate: the toggle bit of USB keeps a packet from being taken twice
    [
        *product(["drop=0.05", "truncate=0.05", "delay=0.1", "slow=0.1", "stall=0.05", "garbage"], range(4)),
        ("hangup@7", 0),  # nothing is left to chance
        ("hangup@25", 0),
    ],
)
@pytest.mark.parametrize("model", MODELS)
def test_transfers_that_suffer_give_a_right_scan_or_an_error_and_a_good_day_follows(model: str, plan: str, seed: int):
    clock, firmware = ManualClock(), unit_with("", model)
    faulty = FaultyUsb(firmware, FaultPlan.parse(plan, seed=seed))
    scans = []
    with contextlib.suppress(DriverError):
        scans.append(live(UsbWire(faulty, clock), clock))
    faulty.operate("faults none")
    scans.append(live(UsbWire(faulty, clock), clock))

    assert all(is_right(scan, firmware) for scan in scans)


class Enough(Exception):
    """The process was killed here."""


class Dying:
    """Ends a session after so many transfers."""

    def __init__(self, link: UsbLink, transfers: int, how: Exception | None = None) -> None:
        self.name = link.name
        self._link = link
        self._left = transfers
        self._how = how or Enough()

    @property
    def in_endpoints(self) -> tuple[int, ...]:
        return self._link.in_endpoints

    def read_from(self, endpoint: int, limit: int, within_s: float) -> bytes:
        data = self._link.read_from(endpoint, limit, within_s)
        if data:
            self._count()
        return data

    def write_to(self, endpoint: int, data: bytes, within_s: float) -> None:
        self._count()
        self._link.write_to(endpoint, data, within_s)

    def control(self, transfer: Control) -> bytes:
        self._count()
        return self._link.control(transfer)

    def clear_halts(self) -> None:
        self._link.clear_halts()

    def interrupt(self) -> None:
        self._link.interrupt()

    def close(self) -> None:
        """The wire stays for the next session."""

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise self._how


def test_the_driver_never_writes_the_memory_or_moves_to_another_pipe() -> None:
    clock, firmware = ManualClock(), unit_with("", "usb4000")
    session = Session(UsbWire(firmware, clock), clock=clock)
    unit = session.perform(DEVICE.open())
    pipes, codes = set(), set()
    for conversation in (DEVICE.configure(unit, SETTINGS), DEVICE.scan(unit, SETTINGS)):
        answer: bytes | None = None
        with contextlib.suppress(StopIteration):
            while True:
                match conversation.send(answer):
                    case Send(data=data, endpoint=endpoint):
                        codes.add(data[0])
                        pipes.add(endpoint)
                        firmware.write(0x01, data, clock.now_s())
                        answer = None
                    case Receive(endpoint=int() as endpoint, framer=framer):
                        pipes.add(endpoint)
                        clock.advance(60.0)
                        answer = firmware.read(endpoint, framer.limit_bytes, clock.now_s())
                    case Drain():
                        raise AssertionError("nothing went wrong, and it drained")

    assert pipes == {0x01, 0x81, 0x82, 0x86}
    assert codes == {0xFE, 0x0A, 0x02, 0x09}
