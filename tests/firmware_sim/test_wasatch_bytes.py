"""Worked bytes of protocol FID, as described: what the simulator answers, and what our driver sends and understands."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.contract import Control, Conversation
from drivers.devices import _wasatch_laser as laser
from drivers.devices._wasatch_memory import LaserFacts, read_memory
from drivers.devices._wasatch_message import (
    BOARDS,
    LONG_BYTES,
    Get,
    Get2,
    Set,
    ask,
    ask2,
    ask_firing,
    ask_flag,
    dac_at,
    gain_word,
    polynomial,
    tell,
    tell_integration,
)
from firmware_sim.contract import Setup, Stall
from firmware_sim.devices._wasatch_memory import MODELS, image_of
from firmware_sim.devices.wasatch import WasatchSpectrometer
from firmware_sim.scene import Ramp
from tests.drivers.wasatch_bytes import PAGES

ARM, FX2 = BOARDS[0x4000], BOARDS[0x1000]
ZEROS = "00 00 00 00 00 00 00 00"
SAID = {  # what the driver says: name -> (conversation, the eight bytes of setup, the stage outward)
    "integration 100 ms": (lambda: tell_integration(ARM, 100), "40 b2 64 00 00 00 08 00", ZEROS),
    "integration 100 s": (lambda: tell_integration(ARM, 100_000), "40 b2 a0 86 01 00 08 00", ZEROS),
    "gain 1.9": (lambda: tell(ARM, Set.GAIN, gain_word(1.9)), "40 b7 e6 01 00 00 08 00", ZEROS),
    "set point": (
        lambda: tell(ARM, Set.SET_POINT, dac_at((3566.62, -143.543, -0.324723), 10.0)),
        "40 d8 33 08 00 00 08 00",
        ZEROS,
    ),
    "cooler on": (lambda: tell(ARM, Set.COOLER, 1), "40 d6 01 00 00 00 08 00", ZEROS),
    "acquire, ARM": (lambda: tell(ARM, Set.ACQUIRE), "40 ad 00 00 00 00 08 00", ZEROS),
    "acquire, FX2": (lambda: tell(FX2, Set.ACQUIRE), "40 ad 00 00 00 00 00 00", ""),
    "period": (lambda: tell(ARM, Set.MODULATION_PERIOD, laser.PERIOD_US), "40 c7 e8 03 00 00 08 00", ZEROS),
    "width": (
        lambda: tell(ARM, Set.MODULATION_WIDTH, width_for(100.0)),
        "40 db de 00 00 00 08 00",
        ZEROS,
    ),
    "modulation on": (lambda: tell(ARM, Set.MODULATION, 1), "40 bd 01 00 00 00 08 00", ZEROS),
    "laser on": (lambda: tell(ARM, Set.LASER, 1), "40 be 01 00 00 00 08 00", ZEROS),
    "watchdog 10 s": (lambda: laser.set_watchdog(10), "40 ff 18 00 0a 00 08 00", ZEROS),
}
ASKED = {  # what the driver asks, and what a unit answers: name -> (conversation, setup, answer, what comes of it)
    "firmware": (lambda: ask(Get.FIRMWARE, LONG_BYTES, least=4), "c0 c0 00 00 00 00 40 00", "05 03 00 01", None),
    "FPGA": (lambda: ask(Get.FPGA, 7), "c0 b4 00 00 00 00 07 00", "30 32 37 2d 30 30 33", b"027-003"),
    "page 1": (lambda: ask2(Get2.PAGE, index=1, least=64), "c0 ff 01 00 01 00 40 00", PAGES[1], None),
    "detector": (lambda: ask(Get.DETECTOR, 2), "c0 d7 00 00 00 00 02 00", "0a 5c", b"\x0a\x5c"),
    "watchdog": (lambda: ask2(Get2.WATCHDOG, least=2), "c0 ff 17 00 00 00 40 00", "00 0a", b"\x00\x0a"),
    "firing": (ask_firing, "c0 ff 0d 00 00 00 40 00", "01", True),
    "interlock closed": (lambda: ask_flag(Get.MAY_FIRE, LONG_BYTES), "c0 ef 00 00 00 00 40 00", "08", True),
    "interlock open": (lambda: ask_flag(Get.MAY_FIRE, LONG_BYTES), "c0 ef 00 00 00 00 40 00", "00", False),
}


def width_for(power_mw: float) -> int:
    facts = LaserFacts(percent=(0.0, float(np.float32(0.2222)), 0.0, 0.0), min_mw=20.0, max_mw=450.0, warm_up_s=5)
    return laser.plan_of(facts, power_mw, warning_delay_s=3.0, frames_s=1.0).width_us or 0


def first(conversation: Conversation[Any]) -> Control:
    step = next(conversation)
    assert isinstance(step, Control)
    return step


def setup_of(step: Control) -> str:
    return struct.pack(
        "<BBHHH", step.request_type, step.request, step.value, step.index, step.length or len(step.data)
    ).hex(" ")


def say(firmware: WasatchSpectrometer, setup: str, data: str = "", now_s: float = 0.0) -> bytes:
    request_type, request, value, index, length = struct.unpack("<BBHHH", bytes.fromhex(setup))
    asked = Setup(request_type=request_type, request=request, value=value, index=index, length=length)
    return firmware.control(asked, bytes.fromhex(data), now_s)


def unit(model: str = "wp785xs") -> WasatchSpectrometer:
    return WasatchSpectrometer(Ramp(), model=model)


@pytest.mark.parametrize("name", SAID)
def test_the_driver_says_it_so(name: str):
    begin, setup, stage = SAID[name]
    step = first(begin())

    assert setup_of(step) == setup
    assert step.data == bytes.fromhex(stage)


@pytest.mark.parametrize("name", ASKED)
def test_the_driver_asks_it_so_and_understands_the_answer(name: str):
    begin: Callable[[], Conversation[Any]]
    begin, setup, answer, meaning = ASKED[name]
    conversation = begin()

    assert setup_of(first(conversation)) == setup
    with pytest.raises(StopIteration) as end:
        conversation.send(bytes.fromhex(answer))
    assert end.value.value == (bytes.fromhex(answer) if meaning is None else meaning)


@pytest.mark.parametrize("name", SAID)
def test_the_simulator_takes_it_so(name: str):
    _, setup, stage = SAID[name]

    assert say(unit("wp785" if "FX2" in name else "wp785xs"), setup, stage) == b""


@pytest.mark.parametrize("name", ["firmware", "FPGA", "page 1", "detector", "watchdog", "interlock closed"])
def test_the_simulator_answers_it_so(name: str):
    _, setup, answer, _ = ASKED[name]

    assert say(unit(), setup) == bytes.fromhex(answer)


def test_the_simulator_answers_of_its_laser_as_it_is():
    firmware = unit()
    say(firmware, *SAID["laser on"][1:])
    assert say(firmware, ASKED["firing"][1], now_s=2.9) == b"\0"
    assert say(firmware, ASKED["firing"][1], now_s=3.0) == bytes.fromhex(ASKED["firing"][2])

    firmware.operate("interlock open")
    assert say(firmware, ASKED["interlock open"][1], now_s=3.1) == bytes.fromhex(ASKED["interlock open"][2])
    assert say(firmware, ASKED["firing"][1], now_s=3.1) == b"\0"


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("model", ["wp785", "wp785xs"])
def test_the_simulated_memory_is_the_one_that_was_described(model: str, page: int):
    assert say(unit(model), f"c0 ff 01 00 0{page} 00 40 00") == bytes.fromhex(PAGES[page])


def test_a_page_behind_the_last_is_answered_too():
    assert len(say(unit("wp785"), "c0 ff 01 00 08 00 40 00")) == 64


def test_the_driver_makes_the_described_axis_of_the_described_memory():
    memory = read_memory([bytes.fromhex(PAGES[page]) for page in range(8)], ingaas=False)
    shift_cm1 = 1e7 / float(np.float32(784.82)) - 1e7 / memory.axis

    np.testing.assert_allclose(memory.axis[[0, 512, 1023]], [797.200012, 876.402279, 946.189545], atol=5e-7)
    np.testing.assert_allclose(shift_cm1[[0, 512, 1023]], [197.8716, 1331.4898, 2173.0681], atol=5e-5)


def test_the_driver_makes_the_described_temperature_of_the_described_reading():
    memory = read_memory([bytes.fromhex(PAGES[page]) for page in range(8)], ingaas=False)
    assert memory.to_c is not None

    assert polynomial(memory.to_c, 2652) == pytest.approx(34.5568, abs=5e-5)


@pytest.mark.parametrize("setup", ["40 fe 00 00 00 00 08 00", "40 a2 00 00 00 00 08 00", "40 ff 02 00 03 00 08 00"])
def test_requests_that_would_spoil_a_unit_are_told_as_forbidden(setup: str):
    firmware = unit()
    with pytest.raises(Stall):
        say(firmware, setup, ZEROS)

    assert [event["event"] for event in firmware.take_events()] == ["forbidden"]


def test_requests_that_would_spoil_a_unit_are_not_in_what_the_driver_can_send():
    assert not {0xFE, 0xA2} & {int(request) for request in Set}
    assert {int(request) for request in laser.Set2} == {0x18, 0x21, 0x23}


@pytest.mark.parametrize(
    ("model", "setup", "stage"),
    [("wp785xs", "40 ad 00 00 00 00 00 00", ""), ("wp785", "40 ad 00 00 00 00 08 00", ZEROS)],
)
def test_the_wrong_data_stage_for_the_board_is_stalled(model: str, setup: str, stage: str):
    firmware = unit(model)
    with pytest.raises(Stall):
        say(firmware, setup, stage)

    assert [event["event"] for event in firmware.take_events()] == ["data_stage"]


def test_every_model_of_the_simulator_has_an_image_of_eight_pages():
    assert {len(image_of(model, "X")) for model in MODELS.values()} == {512}
