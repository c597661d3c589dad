"""The simulated Ocean units against bytes that were worked out by hand from the protocol's description."""

from __future__ import annotations

import numpy as np
import pytest

from firmware_sim.contract import OperatorError, Setup, Stall
from firmware_sim.devices._ooi_models import MODELS
from firmware_sim.devices.ooi import SPECTRUM_FAULTS, OoiSpectrometer
from firmware_sim.faults import FaultPlan
from firmware_sim.scene import Ramp


def nirquest(**options: object) -> OoiSpectrometer:
    """One that takes no time, sees 0, 37, 74 ... counts in 50 ms, and stores what the worked bytes store."""
    unit = OoiSpectrometer(Ramp(step=740.0), exact=True, speed=0.0, **options)  # type: ignore[arg-type]
    unit.plugged(0.0)
    return unit


def ask(unit: OoiSpectrometer, command: str, endpoint: int = 0x81) -> str:
    """Send one command and return what is there to read, in hex."""
    unit.write(0x01, bytes.fromhex(command), 0.0)
    return (unit.read(endpoint, 512, 0.0) or b"").hex(" ")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("01", ""),
        ("05 00", "05 00 4e 51 35 31 41 30 31 32 33 00 00 00 00 00 00"),
        ("05 01", "05 01 38 2e 39 38 31 32 33 65 2b 30 32 00 00 00 00"),
        ("05 11", "05 11 01 01 9c ff 80 bb 00 00 00 00 00 00 00 00 00"),
        ("02 32 00 00 00", ""),
        ("6b 04", "04 53 10"),
        ("71 01 00", ""),
        ("72", "9c ff"),
        ("73 38 ff", ""),
        ("0a 03 00", ""),
        ("05 1e", "05 1e ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff"),
    ],
)
def test_every_worked_exchange_is_answered_to_the_byte(command: str, answer: str):
    assert ask(nirquest(), command) == answer


def test_the_status_is_that_of_512_pixels_at_50_ms_and_high_speed():
    unit = nirquest()
    ask(unit, "02 32 00 00 00")

    assert ask(unit, "fe") == "00 02 32 00 00 00 00 00 00 02 01 00 00 00 80 00"


def test_a_new_set_point_is_reached_and_told():
    unit = nirquest()
    ask(unit, "73 38 ff")

    assert ask(unit, "72") == "38 ff"


def test_a_spectrum_is_masked_words_and_the_sync_byte_as_one_transfer():
    unit = nirquest()
    for command in ("02 32 00 00 00", "09", "09"):
        unit.write(0x01, bytes.fromhex(command), 0.0)
    stale = unit.read(0x82, 2048, 0.0)
    data = unit.read(0x82, 2048, 0.0)

    assert data is not None
    assert data[:6].hex(" ") == "00 80 25 80 4a 80"
    assert len(data) == 1025
    assert data[-1] == 0x69
    assert stale is not None
    assert stale[:6].hex(" ") == "00 80 4a 80 94 80"  # still exposed for the 100 ms of power on
    assert unit.meant[-1][:3].tolist() == [0, 37, 74]
    assert unit.scale == 1.3653125


def test_a_usb2000plus_counts_its_time_in_microseconds_and_tells_25_degrees():
    unit = OoiSpectrometer(Ramp(), model="usb2000plus", speed=0.0)
    unit.write(0x01, bytes.fromhex("02 a0 86 01 00"), 0.0)

    assert ask(unit, "fe")[6:17] == "a0 86 01 00"
    assert ask(unit, "6c") == "08 00 19"


@pytest.mark.parametrize("model", ["usb4000", "flame-t", "hr4000"])
def test_at_high_speed_the_first_2048_bytes_come_by_the_second_pipe(model: str):
    fast = OoiSpectrometer(Ramp(), model=model, speed=0.0)
    slow = OoiSpectrometer(Ramp(), model=model, speed=0.0, high_speed=False)
    sizes = []
    for unit in (fast, slow):
        unit.write(0x01, b"\x09", 0.0)
        sizes.append([len(unit.read(pipe, 8192, 0.0) or b"") for pipe in (0x86, 0x82)])

    assert sizes == [[2048, 5633], [0, 7681]]


@pytest.mark.parametrize(
    ("model", "size", "last"), [("flame-nir", 256, None), ("qe65000", 2561, 0x69), ("apex", 4609, 0x69)]
)
def test_each_model_sends_its_own_length(model: str, size: int, last: int | None):
    unit = OoiSpectrometer(Ramp(), model=model, speed=0.0)
    unit.write(0x01, b"\x09", 0.0)
    data = unit.read(0x82, 8192, 0.0) or b""

    assert len(data) == size
    assert last is None or data[-1] == last


def test_a_transfer_that_is_asked_for_in_pieces_goes_on_where_it_was():
    unit = nirquest()
    unit.write(0x01, b"\x09", 0.0)
    pieces = [unit.read(0x82, size, 0.0) for size in (64, 960, 64)]

    assert [len(piece or b"") for piece in pieces] == [64, 960, 1]
    assert unit.read(0x82, 64, 0.0) is None


def test_a_spectrum_is_there_when_its_exposure_is_over_and_not_before():
    unit = OoiSpectrometer(Ramp())
    unit.plugged(10.0)
    unit.write(0x01, b"\x09", 10.0)

    assert unit.read(0x82, 2048, 10.09) is None
    assert unit.wake_at() == pytest.approx(10.1)
    assert len(unit.read(0x82, 2048, 10.11) or b"") == 1025


def test_a_shorter_time_does_not_end_the_exposure_under_way():
    unit = OoiSpectrometer(Ramp())
    unit.plugged(0.0)
    for command in (bytes.fromhex("02 88 13 00 00"), b"\x09", b"\x09", bytes.fromhex("02 0a 00 00 00"), b"\x09"):
        unit.write(0x01, command, 0.0)

    ready = []
    while (at_s := unit.wake_at()) is not None:
        ready.append(round(at_s, 3))
        unit.read(0x82, 2048, at_s)
    assert ready == [0.1, 5.1, 10.1]  # the last one was begun with the old time of 5 s


def test_with_an_external_trigger_a_spectrum_comes_when_the_signal_does():
    unit = nirquest()
    unit.write(0x01, bytes.fromhex("0a 03 00"), 0.0)
    unit.write(0x01, b"\x09", 0.0)
    before = unit.read(0x82, 2048, 100.0)
    unit.operate("trigger")

    assert before is None
    assert len(unit.read(0x82, 2048, 100.0) or b"") == 1025


@pytest.mark.parametrize("command", ["", "05", "02 32 00", "99", "09 00"])
def test_what_is_no_command_is_ignored_and_told(command: str):
    unit = nirquest()

    assert ask(unit, command) == ""
    assert [event["event"] for event in unit.take_events()] == ["ignored"]
    assert ask(unit, "6b 04") == "04 53 10"


@pytest.mark.parametrize(
    ("plan", "size", "end"),
    [
        ("no_sync", 1024, None),
        ("bad_sync", 1025, 0x96),
        ("short_spectrum", 512, None),
        ("short_spectrum@1:77", 77, None),
    ],
)
def test_spectra_can_be_spoilt_by_a_plan(plan: str, size: int, end: int | None):
    unit = nirquest(faults=FaultPlan.parse(plan, own=SPECTRUM_FAULTS))
    unit.write(0x01, b"\x09", 0.0)
    data = unit.read(0x82, 2048, 0.0) or b""

    assert len(data) == size
    assert end is None or data[-1] == end


def test_a_stalled_pipe_works_again_after_its_halt_is_cleared():
    unit = nirquest(faults=FaultPlan.parse("stall_spectrum@1", own=SPECTRUM_FAULTS))
    unit.write(0x01, b"\x09", 0.0)
    with pytest.raises(Stall):
        unit.read(0x82, 2048, 0.0)

    unit.clear_halt(0x82)
    unit.write(0x01, b"\x09", 0.0)
    assert len(unit.read(0x82, 2048, 0.0) or b"") == 1025


def test_a_glint_saturates_every_lit_pixel():
    unit = OoiSpectrometer(Ramp(), model="usb2000plus", speed=0.0, faults=FaultPlan.parse("saturate"))
    unit.write(0x01, b"\x09", 0.0)

    assert (unit.meant[-1][21:] == 56_000).all()
    assert (unit.meant[-1][6:21] < 10_000).all()


@pytest.mark.parametrize(
    ("state", "c0"),
    [
        ("blank", "ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff"),
        ("commas", "38 2c 39 38 31 32 33 65 2b 30 32 00 00 00 00"),
        ("rubbish", "38 2e 39 38 31 32 33 65 2b 30 32 00 39 2c 32"),
    ],
)
def test_the_memory_can_be_as_users_find_it(state: str, c0: str):
    assert ask(nirquest(memory_state=state), "05 01") == f"05 01 {c0}"


def test_a_written_slot_is_read_back():
    unit = nirquest()
    unit.write(0x01, b"\x06\x1e" + b"edged".ljust(15, b"\0"), 0.0)

    assert ask(unit, "05 1e").startswith("05 1e 65 64 67 65 64 00")


def test_two_units_of_one_seed_send_the_same_bytes_and_another_seed_others():
    def spectrum(seed: int) -> bytes:
        unit = OoiSpectrometer(Ramp(), model="nirquest256", seed=seed, speed=0.0)
        unit.write(0x01, b"\x09", 0.0)
        return unit.read(0x82, 2048, 0.0) or b""

    assert spectrum(1) == spectrum(1)
    assert spectrum(1) != spectrum(2)


@pytest.mark.parametrize("model", MODELS)
def test_dark_pixels_see_no_light_and_filler_is_zero(model: str):
    unit = OoiSpectrometer(Ramp(first=1e6, step=0.0), model=model, exact=True, speed=0.0)
    unit.write(0x01, b"\x09", 0.0)
    readings, facts = unit.meant[-1], MODELS[model]
    first, last = facts.lit or (0, facts.pixels - 1)

    assert (readings[first : last + 1] == facts.saturation).all()
    assert not np.delete(readings, np.arange(first, last + 1)).any()


def test_only_bulk_transfers_are_served():
    setup = Setup(request_type=0xC0, request=1, value=0, index=0, length=8)

    with pytest.raises(Stall):
        nirquest().control(setup, b"", 0.0)
    with pytest.raises(OperatorError, match="no Ocean model 'torus'"):
        OoiSpectrometer(Ramp(), model="torus")
    with pytest.raises(OperatorError, match="1 to 14 ASCII"):
        OoiSpectrometer(Ramp(), serial_number="x" * 15)
    with pytest.raises(OperatorError, match="say sample NAME, next, trigger"):
        nirquest().operate("white")
