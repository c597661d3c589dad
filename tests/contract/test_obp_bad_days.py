"""OBP instruments on bad days: what comes out is what the instrument meant, or an error with its cure."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from drivers.clock import ManualClock
from drivers.contract import ExposureSettings, Medium, RawScan
from drivers.errors import (
    DeviceBusy,
    DeviceRefused,
    DriverError,
    LinkLost,
    NoAnswer,
    Reopen,
    WireError,
    WrongInstrument,
)
from drivers.session import Session
from firmware_sim.devices._obp_firmware import BAUDS, ObpFirmware
from firmware_sim.devices.obp import ObpOnLine, ObpOnUsb
from firmware_sim.faults import FaultPlan
from firmware_sim.usb_faults import FaultyUsb
from tests.contract.obp_ends import OBP, SerialWire, instrument, scans_of, session_on
from tests.contract.usb_wire import UsbWire

SETTINGS = ExposureSettings(integration_ms=20.0, repeats=2)
PIXEL = 400  # in the half that a glint leaves as it is
TRANSFERS = sorted({*range(1, 40, 4), *range(33, 39)})
SEARCHED = [baud for baud in BAUDS if baud <= 115_200]


def day(
    plan: str = "", model: str = "sts-nir", medium: Medium = "serial", *, scans: int = 2, **more: Any
) -> list[RawScan]:
    firmware = instrument(model, medium, plan=plan, **more)
    taken = scans_of(firmware, medium, SETTINGS, scans=scans)
    assert all(is_right(firmware, scan) for scan in taken)
    return taken


def is_right(firmware: ObpFirmware, scan: RawScan) -> bool:
    """Each frame is one that was meant, and as bright as it has to be after the exposure that was asked for."""
    detector = firmware.model.detector
    light_per_s = (20_000.0 + 100.0 * PIXEL) * detector.full_scale / 65_535
    expected = detector.offset_counts + light_per_s * SETTINGS.integration_ms / 1000
    meant = all(any(np.array_equal(row, frame) for frame in firmware.meant) for row in scan.raw)
    return meant and bool((abs(scan.raw[:, PIXEL] - expected) < 0.05 * expected).all())


@pytest.mark.parametrize("reply", [1, 2, 5, 12, 25, 33, 34, 36, 38, 40])
@pytest.mark.parametrize("fault", ["drop", "corrupt", "truncate", "delay", "duplicate", "sequence", "busy"])
def test_one_reply_that_goes_wrong_is_cured(fault: str, reply: int):
    assert len(day(f"{fault}@{reply}", baud=115_200)) == 2


def usb_day(plan: str, model: str, transfer: int) -> list[RawScan]:
    """Two scans on a bus with this fault, each judged."""
    firmware, clock, device = instrument(model), ManualClock(), OBP.over("usb")
    assert isinstance(firmware, ObpOnUsb)
    wire = UsbWire(FaultyUsb(firmware, FaultPlan.parse(plan, seed=transfer)), clock)
    session, scans = Session(wire, clock=clock), list[RawScan]()
    try:
        unit = session.perform(device.open())
        session.perform(device.configure(unit, SETTINGS))
        for _ in range(2):
            scans.append(session.perform(device.scan(unit, SETTINGS)))
    finally:
        assert all(is_right(firmware, scan) for scan in scans)
    return scans


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("fault", ["drop", "truncate", "delay", "duplicate", "stall", "slow"])
@pytest.mark.parametrize("model", ["sts-nir", "qe-pro"])
def test_one_usb_transfer_that_goes_wrong_is_cured(model: str, fault: str, transfer: int):
    assert len(usb_day(f"{fault}@{transfer}", model, transfer)) == 2


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("model", ["sts-nir", "qe-pro"])
def test_a_cable_pulled_at_any_usb_transfer_is_a_lost_link(model: str, transfer: int):
    with pytest.raises(LinkLost):
        usb_day(f"hangup@{transfer}", model, transfer)


@pytest.mark.parametrize("plan", ["garbage=1", "garbage=4096", "error@2:7", "error@3:3", "saturate@3"])
@pytest.mark.parametrize("model", ["sts-nir", "qe-pro"])
def test_one_bad_spectrum_or_a_line_with_garbage_is_cured(plan: str, model: str):
    assert len(day(plan, model, baud=115_200)) == 2


def test_a_stale_spectrum_of_a_qe_pro_is_never_taken_for_a_new_one():
    for frame in range(2, 9):
        scans = day(f"stale@{frame}", "qe-pro", "usb", scans=3)
        assert len({row.tobytes() for scan in scans for row in scan.raw}) == 6


@pytest.mark.parametrize(
    ("plan", "error", "codes"),
    [
        ("busy", DeviceBusy, None),
        ("error@1-:2", WrongInstrument, None),
        ("error@4-:11", DeviceRefused, {"out_of_memory": 11}),
        ("error@4-:13", Reopen, None),
        ("error@4-:9", Reopen, None),
    ],
)
def test_refusals_that_last_end_in_their_cure(plan: str, error: type[DriverError], codes: dict[str, int] | None):
    with pytest.raises(error) as caught:
        day(plan)

    assert codes is None or (isinstance(caught.value, DeviceRefused) and caught.value.codes == codes)


@pytest.mark.parametrize("baud", SEARCHED)
def test_an_instrument_is_found_at_any_rate_and_made_as_fast_as_can_be(baud: int):
    firmware = instrument("sts-nir", "serial", baud=baud)
    (scan,) = scans_of(firmware, "serial", SETTINGS)

    assert is_right(firmware, scan)
    assert firmware.baud == 115_200


def test_after_a_power_cut_it_is_found_at_its_own_rate_again():
    firmware = instrument("sts-nir", "serial", baud=19_200)
    for _ in range(2):
        (scan,) = scans_of(firmware, "serial", SETTINGS)
        assert is_right(firmware, scan)
        firmware.boot(0.0)


def test_one_that_cannot_talk_faster_is_left_at_its_rate():
    class Slow(ObpOnLine):
        def serve(self, message: bytes, arrived_s: float, *, fired: bool = False) -> list[tuple[float, bytes]]:
            answers = super().serve(message, arrived_s, fired=fired)
            self.next_baud = None  # it acknowledges, and stays where it is
            return answers

    firmware = Slow("sts-nir", instrument().bench.scene)
    (scan,) = scans_of(firmware, "serial", SETTINGS)

    assert is_right(firmware, scan)
    assert firmware.baud == 9_600


def test_silence_on_a_serial_line_names_the_rates_that_were_tried():
    firmware, clock = instrument("sts-nir", "serial", baud=230_400), ManualClock()

    with pytest.raises(NoAnswer, match="115200, 9600, 57600, 38400, 19200 baud"):
        session_on(firmware, clock).perform(OBP.open())

    assert clock.now_s() < 10


def test_an_adapter_that_echoes_is_seen_through():
    assert len(day(quirks=["echo"], baud=115_200)) == 2


@pytest.mark.parametrize("quirk", ["no-md5", "refuses-md5"])
def test_an_instrument_without_checksums_is_used_and_says_so(quirk: str):
    firmware = instrument("sts-nir", "serial", quirks=[quirk])
    unit = session_on(firmware).perform(OBP.open())

    assert any("checksum" in note for note in unit.notes)
    assert len(day(quirks=[quirk])) == 2


def test_with_checksums_there_is_nothing_to_note():
    assert session_on(instrument("sts-nir", "serial")).perform(OBP.open()).notes == ()


@pytest.mark.parametrize("medium", ["serial", "usb", "tcp"])
def test_another_version_of_the_protocol_is_refused_with_its_number(medium: Medium):
    with pytest.raises(WrongInstrument, match="0x1200") as caught:
        day(medium=medium, quirks=["version"])

    assert "OBP2" in caught.value.hint


def test_spectra_of_twice_the_length_are_refused_with_both_lengths():
    with pytest.raises(WrongInstrument, match="4096 bytes"):
        day(quirks=["double"])
    with pytest.raises(WireError):
        day(medium="usb", quirks=["double"])


def test_a_qe_pro_that_is_ten_times_slower_than_set_is_given_up_in_time():
    clock = ManualClock()
    session = session_on(instrument("qe-pro", "usb", quirks=["slow"]), clock)
    unit = session.perform(OBP.over("usb").open())
    settings = ExposureSettings(integration_ms=500.0)

    with pytest.raises(NoAnswer):
        session.perform(OBP.over("usb").configure(unit, settings))

    assert clock.now_s() < 10


@pytest.mark.parametrize("medium", ["serial", "usb"])
def test_a_restart_in_mid_spectrum_never_gives_a_scan_with_another_exposure(medium: Medium):
    firmware = instrument("sts-nir", medium, quirks=["restarts"])
    session = session_on(firmware)
    device = OBP.over(medium)
    unit = session.perform(device.open())
    session.perform(device.configure(unit, SETTINGS))
    errors = []
    for _ in range(3):
        try:
            assert is_right(firmware, session.perform(device.scan(unit, SETTINGS)))
        except DriverError as error:
            errors.append(error)
    session.close()

    assert errors
    assert is_right(firmware, scans_of(firmware, medium, SETTINGS)[0])


def test_a_blank_memory_gives_no_axis_and_says_so():
    for model, medium in (("sts-nir", "serial"), ("qe-pro", "usb")):
        with pytest.raises(WrongInstrument, match="wavelength") as caught:
            day(model=model, medium=medium, quirks=["blank"])  # type: ignore[arg-type]
        assert caught.value.hint


def test_an_answer_that_comes_after_its_time_is_not_taken_for_the_next():
    clock = ManualClock()
    firmware = instrument("sts-nir", "serial", baud=115_200)
    session = Session(SerialWire(firmware, clock), clock=clock)  # type: ignore[arg-type]
    unit = session.perform(OBP.open())
    session.perform(OBP.configure(unit, SETTINGS))

    firmware.operate("faults delay@1:9,delay@2:9")
    with pytest.raises(DriverError):
        session.perform(OBP.scan(unit, SETTINGS))
    firmware.operate("faults none")
    scan = session.perform(OBP.scan(unit, SETTINGS))

    np.testing.assert_array_equal(scan.raw, np.array(list(firmware.meant)[-2:]))


def test_a_session_that_died_in_mid_spectrum_leaves_nothing_that_the_next_one_takes_for_its_own():
    firmware = instrument("qe-pro", "usb")
    session = session_on(firmware)
    device = OBP.over("usb")
    unit = session.perform(device.open())
    session.perform(device.configure(unit, SETTINGS))
    half_way = device.scan(unit, SETTINGS)
    for step in (next(half_way),):  # the request is on its way, and nobody fetches the answer
        firmware.write(step.endpoint, step.data, 0.0)  # type: ignore[attr-defined,union-attr]
    half_way.close()

    again = Session(session.link, clock=session._clock)
    unit = again.perform(device.open())
    again.perform(device.configure(unit, SETTINGS))
    scan = again.perform(device.scan(unit, SETTINGS))

    np.testing.assert_array_equal(scan.raw, np.array(list(firmware.meant)[-2:]))
