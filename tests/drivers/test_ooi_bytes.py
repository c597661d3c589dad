"""The Ocean driver's bytes, both ways, against bytes that were worked out by hand from the protocol's description."""

from __future__ import annotations

import re
import struct
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.contract import Control, Drain, ExposureSettings, Receive, ScanSettings, Send, Settings, Wait
from drivers.devices._ooi_memory import SLOTS
from drivers.devices._ooi_message import check_frame, pipes_of, readings_of, status_of
from drivers.devices._ooi_models import MODELS, Model
from drivers.devices.ooi import DEVICE, OoiUnit
from drivers.errors import BadSettings, WireError, WrongInstrument
from drivers.framing import Exactly, Inbox

NIRQUEST, USB2000PLUS, USB4000, QE65000 = MODELS[0x1026], MODELS[0x101E], MODELS[0x1022], MODELS[0x1018]
STATUS = bytes.fromhex("00 02 32 00 00 00 00 00 00 02 01 00 00 00 80 00")
FPGA = bytes.fromhex("04 53 10")
SPECTRUM = b"".join(struct.pack("<H", 0x8000 ^ 37 * pixel) for pixel in range(512)) + b"\x69"
SERIAL_NUMBER = bytes.fromhex("05 00 4e 51 35 31 41 30 31 32 33 00 00 00 00 00 00")
C0 = bytes.fromhex("05 01 38 2e 39 38 31 32 33 65 2b 30 32 00 00 00 00")
SLOT_17 = bytes.fromhex("05 11 01 01 9c ff 80 bb 00 00 00 00 00 00 00 00 00")
SLOT_TEXTS = {0: None, 1: None, 2: "1.65", 3: "0", 4: "0", 5: "0.01", 14: "1", 6: "1.0", 7: "1e-6", 15: "NIR1"}


def slot(number: int) -> bytes:
    """The answer to the question for one slot."""
    known = {0: SERIAL_NUMBER, 1: C0, 17: SLOT_17}
    return known.get(number) or bytes((5, number)) + (SLOT_TEXTS.get(number) or "").encode().ljust(15, b"\0")


def hold(conversation: Generator[Any, bytes | None, Any], answers: list[bytes]) -> tuple[Any, list[str]]:
    """Hold a conversation with these answers, one a Receive or Control, none left over; return what was sent too."""
    sent, waiting, answer = [], iter(answers), None
    try:
        while True:
            match conversation.send(answer):
                case Send(data=data, endpoint=endpoint):
                    assert endpoint == 0x01
                    sent.append(data.hex(" "))
                    answer = None
                case Receive() | Control():
                    answer = next(waiting)
                case Drain() | Wait():
                    answer = None
                case step:
                    raise AssertionError(step)
    except StopIteration as end:
        assert next(waiting, None) is None
        return end.value, sent


def descriptor(product_id: int) -> bytes:
    return struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x200, 0, 0, 0, 64, 0x2457, product_id, 2, 1, 2, 3, 1)


def introduced() -> tuple[OoiUnit, list[str]]:
    answers = [descriptor(0x1026), STATUS, STATUS, FPGA, *(slot(number) for number in SLOTS)]
    unit, sent = hold(DEVICE.open(), answers)
    assert isinstance(unit, OoiUnit)
    return unit, sent


UNIT = introduced()[0]


def test_opening_switches_the_lamp_off_before_anything_else_and_reads_the_memory_once():
    unit, sent = introduced()

    assert sent[:5] == ["03 00 00", "01", "fe", "fe", "6b 04"]
    assert sent[5:] == [f"05 {number:02x}" for number in SLOTS]
    assert (unit.identity.model, unit.identity.serial_number) == ("NIRQuest512", "NQ51A0123")
    assert unit.identity.versions == {"fpga": "1.05.3", "bench": "NIR1"}
    assert unit.memory.axis[[0, 100]].tolist() == [898.123, 898.123 + 165.0]
    assert (unit.memory.scale, unit.memory.saturation, unit.memory.set_point_c) == (1.3653125, 48_000, -10.0)
    assert unit.limits is not None
    assert (unit.limits.integration_ms, unit.limits.saturation_counts) == ((1.0, 1_600_000.0), 48_000)
    assert (unit.calibration.nonlinearity, unit.calibration.stray_light) == ((1.0, 1e-6), (0.01,))


def test_configuring_cools_and_sets_the_time_and_throws_one_spectrum_away():
    settings = ExposureSettings(integration_ms=50.0, detector_c=-20.0)
    _, sent = hold(DEVICE.configure(UNIT, settings), [bytes.fromhex("38 ff"), STATUS, SPECTRUM])

    assert sent == ["70 01 00", "71 01 00", "73 38 ff", "72", "fe", "0a 00 00", "02 32 00 00 00", "09"]


def test_a_scan_is_one_question_and_one_answer_a_frame():
    settings = ExposureSettings(integration_ms=50.0, repeats=2)
    scan, sent = hold(DEVICE.scan(introduced()[0], settings), [bytes.fromhex("9c ff"), SPECTRUM, SPECTRUM])

    assert sent == ["72", "09", "09"]
    assert scan.raw.tolist() == [[37 * pixel for pixel in range(512)]] * 2
    assert scan.counts.tolist() == [37 * pixel * 1.3653125 for pixel in range(512)]
    assert (scan.count_scale, scan.environment.detector_c, scan.settled) == (1.3653125, -10.0, True)
    assert (scan.exposure_ms, scan.frames_dropped, scan.scan_index) == (50.0, 1, None)
    assert scan.blob == SPECTRUM * 2
    assert scan.raw.dtype == np.int32
    assert scan.counts.dtype == np.float64


def test_a_warm_detector_makes_the_scan_an_unsettled_one():
    scan, _ = hold(
        DEVICE.scan(introduced()[0], ExposureSettings(integration_ms=50.0)), [bytes.fromhex("a3 ff"), SPECTRUM]
    )

    assert (scan.environment.detector_c, scan.settled) == (-9.3, False)


def test_readings_from_the_stored_saturation_on_are_flagged():
    words = np.arange(512) + 48_000 - 500
    spectrum = (words.astype("<u2") ^ np.uint16(0x8000)).tobytes() + b"\x69"
    scan, _ = hold(
        DEVICE.scan(introduced()[0], ExposureSettings(integration_ms=50.0)), [bytes.fromhex("9c ff"), spectrum]
    )

    assert np.flatnonzero(scan.saturated)[[0, -1]].tolist() == [500, 511]


def test_a_usb2000plus_is_told_microseconds_and_tells_its_boards_temperature():
    unit = replace(UNIT, model=USB2000PLUS, pipes=pipes_of(USB2000PLUS, high_speed=True))
    unit = replace(unit, memory=replace(unit.memory, set_point_c=None))
    spectrum = bytes(4096) + b"\x69"
    _, sent = hold(DEVICE.configure(unit, ExposureSettings(integration_ms=100.0)), [STATUS, spectrum])
    environment, asked = hold(DEVICE.environment(unit), [bytes.fromhex("08 00 19")])

    assert sent == ["fe", "0a 00 00", "02 a0 86 01 00", "09"]
    assert (asked, environment.ambient_c) == (["6c"], pytest.approx(25.0, abs=0.002))


def test_closing_takes_the_lamp_line_down():
    assert hold(DEVICE.close(), [])[1] == ["03 00 00"]


@pytest.mark.parametrize(("major", "model"), [("02 20", "USB2000+"), ("02 30", "Flame-S")])
def test_the_fpga_tells_a_flame_s_from_a_usb2000plus(major: str, model: str):
    fpga = bytes.fromhex("fe " + major)
    slots = [slot(number) for number in SLOTS[:-1]] + [SLOT_17[:2] + bytes(4) + bytes.fromhex("c0 da") + bytes(9)]
    unit, _ = hold(DEVICE.open(), [descriptor(0x101E), STATUS, STATUS, fpga, *slots])

    assert unit.identity.model == model
    assert unit.memory.saturation == 56_000


def test_spectra_that_an_earlier_session_asked_for_are_let_pass():
    busy = STATUS[:8] + b"\1" + STATUS[9:]
    left = [busy, busy, SPECTRUM, busy, SPECTRUM, STATUS]
    answers = [descriptor(0x1026), *left, FPGA, *(slot(number) for number in SLOTS)]
    unit, _ = hold(DEVICE.open(), answers)

    assert unit.identity.serial_number == "NQ51A0123"


def test_another_product_is_refused_by_name():
    with pytest.raises(WrongInstrument, match="2457:1002 is no spectrometer of the kind ooi"):
        hold(DEVICE.open(), [descriptor(0x1002)])


def test_a_status_is_understood_in_the_models_own_unit():
    status = status_of(STATUS, NIRQUEST)

    assert (status.integration_ms, status.acquiring, status.high_speed) == (50.0, False, True)
    assert status_of(STATUS, USB2000PLUS).integration_ms == 0.05
    with pytest.raises(WireError, match="15 bytes, expected 16"):
        status_of(STATUS[:-1], NIRQUEST)
    with pytest.raises(WireError, match="speed 0x40"):
        status_of(STATUS[:14] + b"\x40\0", NIRQUEST)


@pytest.mark.parametrize(
    ("product_id", "mask"), [(0x1026, 0x8000), (0x1028, 0x8000), (0x1018, 0x8000), (0x1012, 0x2000), (0x1016, 0x2000)]
)
def test_words_are_unmasked_for_the_models_that_mask_them(product_id: int, mask: int):
    model = MODELS[product_id]
    words = np.arange(model.transfer_pixels, dtype="<u2")
    frame = bytes(byte for word in words.tolist() for byte in divmod(word ^ mask, 256)[::-1]) + b"\x69"

    assert readings_of(frame, model).tolist() == [words.tolist()]
    assert readings_of(frame * 2, model).tolist() == [words.tolist()] * 2


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (SPECTRUM[:-1], "1024 bytes, expected 1025"),
        (SPECTRUM + b"\0", "1026 bytes, expected 1025"),
        (SPECTRUM[:-1] + b"\x96", "ends with 0x96, expected 0x69"),
        (b"", "0 bytes, expected 1025"),
    ],
)
def test_a_spectrum_of_another_length_or_without_its_sync_byte_is_a_wire_error(frame: bytes, fault: str):
    with pytest.raises(WireError, match=fault):
        check_frame(frame, NIRQUEST)


def test_a_flame_nir_has_no_sync_byte():
    frame = struct.pack("<128H", *range(128))

    check_frame(frame, MODELS[0x104B])
    assert readings_of(frame, MODELS[0x104B]).tolist() == [list(range(128))]


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
@pytest.mark.parametrize("high_speed", [True, False])
def test_every_part_of_a_spectrum_is_whole_or_not_yet_there(model: Model, high_speed: bool):
    parts = pipes_of(model, high_speed=high_speed)
    split = model.split_bytes > 0 and high_speed

    assert [endpoint for endpoint, _ in parts] == ([0x86, 0x82] if split else [0x82])
    assert sum(framer.size_bytes for _, framer in parts) == model.transfer_bytes
    for _, framer in parts:
        data = bytes(byte % 251 for byte in range(framer.size_bytes))
        assert received(framer, [data]) == data
        assert received(framer, [data[:-1]]) is None
        assert received(framer, [data[at : at + 1] for at in range(len(data))]) == data


def test_a_longer_spectrum_than_expected_is_no_spectrum():
    (_, framer), *_ = pipes_of(NIRQUEST, high_speed=True)

    assert received(framer, [SPECTRUM + b"\0"]) is None


def received(framer: Exactly, pieces: list[bytes]) -> bytes | None:
    """What a framer makes of bytes that come in pieces; None as long as it is not whole."""
    inbox, frame = Inbox(), None
    for piece in pieces:
        assert frame is None
        inbox.feed(piece)
        frame = inbox.next(framer)
    return frame.payload if frame else None


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (ScanSettings(), "exposes a detector array"),
        (ExposureSettings(laser_mw=100.0), "controls no laser"),
        (ExposureSettings(gain=2.0), "gain of a NIRQuest512 cannot be changed"),
        (ExposureSettings(repeats=0), "repeats 0; a NIRQuest512 does 1 to 1000"),
        (ExposureSettings(repeats=1001), "repeats 1001"),
        (ExposureSettings(integration_ms=0.5), "integration_ms 0.5; a NIRQuest512 does 1 to 1.6e"),
        (ExposureSettings(integration_ms=float("nan")), "integration_ms nan"),
        (ExposureSettings(integration_ms=2e6), "integration_ms 2e"),
        (ExposureSettings(detector_c=-60.0), "detector_c -60; a NIRQuest512 does -40 to 30"),
        (ExposureSettings(detector_c=float("nan")), "detector_c nan"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_sent(settings: Settings, fault: str):
    for conversation in (DEVICE.configure(UNIT, settings), DEVICE.scan(UNIT, settings)):
        with pytest.raises(BadSettings, match=fault):
            next(conversation)


def test_a_model_without_a_cooler_refuses_a_set_point():
    unit = replace(UNIT, model=USB2000PLUS)

    with pytest.raises(BadSettings, match=r"USB2000\+ has no cooler"):
        next(DEVICE.configure(unit, ExposureSettings(detector_c=-10.0)))


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_limits_are_whole_ticks_and_fit_the_wire(model: Model):
    low_us, high_us = model.integration_us

    assert high_us // model.tick_us < 2**32
    assert low_us % model.tick_us == high_us % model.tick_us == 0
    assert all(0 <= pixel < model.transfer_pixels for pixel in (*model.dark_pixels, *(model.active or ())))


def test_the_udev_rules_name_every_product(repository: Path):
    rules = re.findall(r'"2457", ATTR\{idProduct\}=="([^"]+)"', (repository / "systemd/70-edged.rules").read_text())

    assert {int(product_id, 16) for rule in rules for product_id in rule.split("|")} >= set(MODELS)
