"""The simulated OBP instruments against bytes that were worked out by hand from the data sheets."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest

from firmware_sim.array import ArrayFacts
from firmware_sim.contract import Deliver, OperatorError, Stall
from firmware_sim.devices._obp_models import MODELS
from firmware_sim.devices.obp import ObpOnLine, ObpOnUsb
from firmware_sim.scene import Raman, Ramp
from tests.drivers import obp_bytes

EXACT = replace(
    MODELS["sts-nir"], detector=ArrayFacts(pixels=1024, full_scale=16_383, offset_counts=1_500.0, dark_per_s=0.0)
)
ONE_COUNT_A_PIXEL = 100.0 * 65_535 / 16_383  # in 10 ms, of a scene that is made for 16 bits


def sts(**more: object) -> ObpOnUsb:
    scene = Ramp(step=ONE_COUNT_A_PIXEL)
    unit = ObpOnUsb(
        "sts-nir",
        scene,
        facts=EXACT,
        serial_number="STS-S12345",
        speed=0.0,
        ideal=True,
        **more,  # type: ignore[arg-type]
    )
    unit.plugged(0.0)
    return unit


def ask(unit: ObpOnUsb, message: bytes, *, outward: int = 0x01, inward: int = 0x81) -> bytes:
    unit.write(outward, message, 0.0)
    return unit.read(inward, 8192, 0.0) or b""


def sealed(message: bytes) -> bytes:
    """The message with an MD5 sum."""
    body = message[:22] + b"\1" + message[23:-20]
    return body + hashlib.md5(body).digest() + message[-4:]


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (obp_bytes.GET_SERIAL, obp_bytes.SERIAL),
        (sealed(obp_bytes.GET_SERIAL), obp_bytes.SERIAL_MD5),
        (obp_bytes.SET_10_MS, obp_bytes.ACK),
        (obp_bytes.GET_SERIAL[:8] + b"\x99\x09" + obp_bytes.GET_SERIAL[10:], obp_bytes.NACK),
        (obp_bytes.GET_COEFFICIENT, obp_bytes.COEFFICIENT),
        (obp_bytes.GET_RAW, obp_bytes.RAW),
    ],
    ids=["serial", "serial with sum", "integration", "refusal", "coefficient", "spectrum"],
)
def test_every_worked_exchange_is_answered_to_the_byte(asked: bytes, answer: bytes):
    assert ask(sts(), asked) == answer


def test_the_second_pair_of_pipes_of_an_sts_is_as_good_as_the_first():
    assert ask(sts(), obp_bytes.GET_SERIAL, outward=0x02, inward=0x82) == obp_bytes.SERIAL
    with pytest.raises(Stall):
        sts().write(0x03, obp_bytes.GET_SERIAL, 0.0)


def test_an_answer_may_be_read_in_parts_and_is_meant_as_it_was_sent():
    unit = sts()
    unit.write(0x01, obp_bytes.GET_RAW, 0.0)

    head, rest = unit.read(0x81, 64, 0.0), unit.read(0x81, 2048, 0.0)

    assert (head or b"") + (rest or b"") == obp_bytes.RAW
    assert unit.meant[-1].tolist() == list(range(1500, 2524))


@pytest.mark.parametrize(
    ("damaged", "number"),
    [
        (sealed(obp_bytes.GET_SERIAL)[:-5] + b"\0" + obp_bytes.GET_SERIAL[-4:], 3),
        (obp_bytes.GET_SERIAL[:22] + b"\2" + obp_bytes.GET_SERIAL[23:], 8),
        (obp_bytes.GET_SERIAL[:3] + b"\x22" + obp_bytes.GET_SERIAL[4:], 1),
        (obp_bytes.SET_10_MS[:23] + b"\x03" + obp_bytes.SET_10_MS[24:], 5),
        (obp_bytes.SET_10_MS[:24] + bytes(4) + obp_bytes.SET_10_MS[28:], 6),
        (obp_bytes.GET_COEFFICIENT[:24] + b"\x63" + obp_bytes.GET_COEFFICIENT[25:], 12),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_by_number(damaged: bytes, number: int):
    answer = ask(sts(), damaged)

    assert struct.unpack_from("<HH", answer, 4) == (9, number)


def test_regarding_is_echoed():
    asked = obp_bytes.GET_SERIAL[:12] + b"\x78\x56\x34\x12" + obp_bytes.GET_SERIAL[16:]

    assert ask(sts(), asked)[12:16] == b"\x78\x56\x34\x12"


def test_a_qe_pro_spectrum_begins_with_count_clock_integration_and_trigger():
    unit = ObpOnUsb("qe-pro", Ramp(), speed=0.0)
    unit.plugged(0.0)
    asked = obp_bytes.GET_RAW[:8] + struct.pack("<I", 0x100928) + obp_bytes.GET_RAW[12:]

    first, second = ask(unit, asked), ask(unit, asked)

    assert len(first) == 4272
    counts = [struct.unpack_from("<IQIHB", answer, 44) for answer in (first, second)]
    assert [count[0] for count in counts] == [1, 2]
    assert counts[0][1] < counts[1][1]
    assert counts[0][2:] == (10_000, 0, 0)
    np.testing.assert_array_equal(np.frombuffer(second, "<u4", 1044, 76), unit.meant[-1])


def test_the_first_spectrum_after_a_change_still_has_the_former_exposure():
    unit = sts()
    longer = obp_bytes.SET_10_MS[:24] + struct.pack("<I", 20_000) + obp_bytes.SET_10_MS[28:]

    ask(unit, longer)
    last_pixels = [struct.unpack_from("<H", ask(unit, obp_bytes.GET_RAW), 2090)[0] for _ in range(2)]

    assert last_pixels == [2523, 3546]


def test_bytes_take_their_time_at_9600_baud_and_less_after_a_change_that_is_acknowledged_at_the_old_rate():
    unit = ObpOnLine("sts-nir", Ramp(), speed=1.0)
    faster = (
        obp_bytes.SET_10_MS[:8] + b"\x10\x08\0\0" + obp_bytes.SET_10_MS[12:24] + struct.pack("<I", 115_200)
        + obp_bytes.SET_10_MS[28:]
    )  # fmt: skip

    def seconds(message: bytes, at_s: float) -> float:
        outputs = unit.receive(message, at_s)
        assert all(isinstance(output, Deliver) for output in outputs)
        return max(output.at_s for output in outputs) - at_s

    slow_s = seconds(obp_bytes.GET_RAW, 0.0)
    acknowledged_s = seconds(faster, 10.0)
    fast_s = seconds(obp_bytes.GET_RAW, 20.0)

    assert slow_s == pytest.approx((64 + 2112) * 10 / 9600 + 0.01, abs=0.01)
    assert acknowledged_s == pytest.approx(128 * 10 / 9600, abs=0.01)
    assert fast_s == pytest.approx((64 + 2112) * 10 / 115_200 + 0.01, abs=0.01)


def test_a_host_at_another_rate_is_not_understood():
    unit = ObpOnLine("sts-nir", Ramp(), speed=0.0)

    unit.line_speed(115_200)
    deaf = unit.receive(obp_bytes.GET_SERIAL, 0.0)
    unit.line_speed(9_600)

    assert (deaf, len(unit.receive(obp_bytes.GET_SERIAL, 1.0))) == ([], 1)


def test_a_laser_tells_each_change():
    unit = ObpOnUsb("ventana", Raman(), speed=0.0)
    unit.plugged(0.0)

    def tell(message_type: int, data: bytes) -> None:
        head = obp_bytes.SET_10_MS[:8] + struct.pack("<I", message_type) + obp_bytes.SET_10_MS[12:23]
        ask(unit, head + bytes([len(data)]) + data.ljust(16, b"\0") + obp_bytes.SET_10_MS[40:], inward=0x82)

    tell(0x810051, b"\0\0" + struct.pack("<f", 0.5))
    tell(0x810031, b"\0\0\1")
    tell(0x810031, b"\0\0\1")
    tell(0x810031, b"\0\0\0")

    assert [(on, mw) for _, on, mw in unit.laser_log] == [(True, 50.0), (False, 0.0)]
    lasers = [event for event in unit.take_events() if event["event"] == "laser"]
    assert [(event["on"], event["mw"]) for event in lasers] == [(True, 50.0), (False, 0.0)]


def test_a_spectrum_waits_for_its_trigger():
    unit = sts()
    external = obp_bytes.SET_10_MS[:8] + struct.pack("<I", 0x110110) + obp_bytes.SET_10_MS[12:23] + b"\1\1"
    pulse = obp_bytes.SET_10_MS[:8] + struct.pack("<I", 0x110120) + obp_bytes.SET_10_MS[12:23] + bytes(17)
    ask(unit, external + bytes(15) + obp_bytes.SET_10_MS[40:])

    assert ask(unit, obp_bytes.GET_RAW) == b""
    assert len(ask(unit, pulse + obp_bytes.SET_10_MS[40:])) == 64
    assert unit.read(0x81, 8192, 0.0) == obp_bytes.RAW


def test_an_unknown_quirk_is_refused_in_words():
    with pytest.raises(OperatorError, match="echo"):
        ObpOnLine("sts-nir", Ramp(), quirks=["ecko"])
