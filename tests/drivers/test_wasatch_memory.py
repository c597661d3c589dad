"""The memory of a Wasatch unit: what each format holds, what is refused, and that any bytes are one or the other."""

from __future__ import annotations

import contextlib
import math
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.devices._wasatch_laser import MAX_WATCHDOG_S, PERIOD_US, plan_of
from drivers.devices._wasatch_memory import AXIS_NM, LaserFacts, Memory, read_memory
from drivers.devices._wasatch_message import gain_word, is_flat
from drivers.errors import BadSettings, WrongInstrument
from tests.drivers.wasatch_bytes import PAGES

WRITTEN = b"".join(bytes.fromhex(PAGES[page]) for page in range(8))
LASER = LaserFacts(percent=(0.0, 0.2222, 0.0, 0.0), min_mw=20.0, max_mw=450.0, warm_up_s=5)


def memory(*edits: tuple[int, int, str, object], ingaas: bool = False) -> Memory:
    """The described memory with fields written over: page, offset, layout, value."""
    image = bytearray(WRITTEN)
    for page, offset, layout, value in edits:
        struct.pack_into(f"<{layout}", image, 64 * page + offset, value)
    return read_memory([bytes(image[at : at + 64]) for at in range(0, 512, 64)], ingaas=ingaas)


def test_every_field_of_the_described_memory_is_read():
    told = memory()

    assert (told.model, told.serial_number, told.format, told.detector) == ("WP-785-C", "WP-01234", 18, "S16011-1006")
    assert told.gain == float(np.float32(1.9))
    assert told.offset == 0
    assert told.integration_ms == (1, 60_000)
    assert told.has_cooler
    assert told.cooler_c == (-20, 20)
    assert told.set_point_c == 10
    assert told.to_dac == pytest.approx((3566.62, -143.543, -0.324723), rel=1e-6)
    assert told.to_c == pytest.approx((66.0, -0.01, -7e-7), rel=1e-6)
    assert told.laser is not None
    assert (told.laser.min_mw, told.laser.max_mw, told.laser.warm_up_s) == (20.0, 450.0, 5)
    assert told.laser.percent == pytest.approx((0.0, 0.2222, 0.0, 0.0), rel=1e-6)
    assert told.calibration.bad_pixels == (77,)
    assert told.calibration.intensity == pytest.approx((1.0, 1e-4, 0.0, 0.0, 0.0, 0.0))
    assert told.calibration.excitation_nm == float(np.float32(784.82))
    assert told.calibration.active == (0, 1023)
    assert told.notes == ()


@pytest.mark.parametrize(
    ("edition", "edits", "expected"),
    [
        (2, [(0, 39, "H", 785), (2, 21, "H", 3), (2, 23, "H", 900)], {"gain": None, "integration_ms": (3, 900)}),
        (3, [(0, 39, "H", 785), (2, 21, "H", 3), (2, 23, "H", 900)], {"integration_ms": (3, 900)}),
        (4, [(2, 21, "H", 3), (2, 23, "H", 900)], {"integration_ms": (3, 900)}),
        (5, [(3, 40, "I", 2), (3, 44, "I", 70_000)], {"integration_ms": (2, 70_000)}),
        (9, [(0, 39, "H", 0x0001)], {}),
        (19, [], {}),
    ],
)
def test_each_format_is_read_for_what_it_has(edition: int, edits: list, expected: dict[str, object]):
    told = memory((0, 63, "B", edition), *edits)

    assert {name: getattr(told, name) for name in expected} == expected
    assert told.calibration.excitation_nm == pytest.approx(785.0 if edition < 4 else 784.82)
    assert not told.calibration.invert
    assert bool(told.calibration.intensity) == (edition >= 7)
    assert told.laser is not None
    assert told.laser.warm_up_s == (5 if edition >= 10 else 0)


def test_the_fifth_coefficient_counts_from_format_8_on():
    c4 = (2, 21, "f", 1e-12)
    before, after = memory((0, 63, "B", 7), c4), memory((0, 63, "B", 8), c4)

    assert before.axis[-1] == memory().axis[-1]
    assert after.axis[-1] - before.axis[-1] == pytest.approx(1e-12 * 1023**4, rel=1e-4)


def test_a_newer_format_is_read_with_a_note():
    assert "format 23" in memory((0, 63, "B", 23)).notes[0]


def test_a_turned_array_has_everything_in_pixels_as_read():
    told = memory((0, 39, "H", 0x0001), (2, 27, "H", 10), (2, 29, "H", 1000))

    assert (told.axis == memory().axis[::-1]).all()
    assert told.calibration.bad_pixels == (1023 - 77,)
    assert told.calibration.active == (23, 1013)


def test_the_odd_pixels_of_an_ingaas_array_are_matched_unless_the_hardware_does_it():
    edits = ((0, 48, "f", 1.5), (0, 52, "h", 100), (0, 54, "f", 3.0), (0, 58, "h", -20))
    told = memory(*edits, ingaas=True)

    assert told.calibration.odd_gain == 2.0
    assert told.calibration.odd_offset == -20 - 2.0 * 100
    assert memory(*edits).calibration.odd_gain is None
    assert memory(*edits, (0, 39, "H", 0x0010), ingaas=True).calibration.odd_gain is None


@pytest.mark.parametrize(
    "edits",
    [
        [(0, 0, "64s", b"\xff" * 64)],
        [(1, 0, "64s", b"\xff" * 64)],
        [(0, 16, "16s", bytes(16))],
        [(1, 0, "f", math.nan)],
        [(1, 4, "f", math.inf)],
        [(1, 4, "f", 0.0), (1, 8, "f", 0.0), (1, 12, "f", 0.0)],
        [(1, 4, "f", 20.0)],
        [(1, 0, "f", -5000.0)],
        [(1, 8, "f", -0.01)],
        [(2, 16, "H", 0)],
        [(2, 16, "H", 65_535)],
    ],
)
def test_a_memory_without_name_or_axis_is_refused_with_a_hint(edits: list):
    with pytest.raises(WrongInstrument) as caught:
        memory(*edits)

    assert "maker" in caught.value.hint


@pytest.mark.parametrize(
    "edits",
    [
        [(0, 38, "B", 0)],
        [(0, 38, "B", 0xFF)],
        [(3, 36, "f", math.nan)],
        [(3, 36, "f", 0.0)],
        [(3, 28, "f", math.nan)],
        [(3, 28, "f", 10.0)],
        [(3, 28, "f", 1e9)],
        [(3, 28, "f", -5.0), (3, 32, "f", -10.0)],
        [(3, 16, "f", math.inf)],
        [(3, 16, "f", -0.2222)],
        [(3, 16, "f", 2.222)],
        [(3, 16, "f", 0.0)],
        [(3, 16, "f", 0.3), (3, 20, "f", -2e-3), (3, 24, "f", 3.4e-6)],
    ],
)
def test_a_laser_whose_memory_cannot_be_true_is_not_used(edits: list):
    told = memory(*edits)

    assert told.laser is None
    assert told.no_laser
    assert len(told.axis) == 1024


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ((0, 48, "f", math.nan), "gain"),
        ((0, 48, "f", 400.0), "gain"),
        ((1, 20, "f", math.nan), "cooler"),
        ((1, 28, "h", -25), "cooler"),
        ((3, 40, "I", 0), "integration limits"),
        ((3, 44, "I", 0xFFFF_FFFF), "integration limits"),
        ((5, 2, "h", 4000), "bad pixels"),
        ((6, 0, "B", 200), "intensity"),
        ((6, 5, "f", math.nan), "intensity"),
    ],
)
def test_other_damage_is_left_out_with_a_note(edit: tuple[int, int, str, object], words: str):
    assert any(words in note for note in memory(edit).notes)


def test_the_lines_of_a_sensor_are_those_of_the_first_region_unless_they_make_no_sense():
    def lines(first: int, last: int) -> tuple[int, int] | None:
        return memory((2, 31, "H", first), (2, 33, "H", last)).lines

    assert lines(250, 750) == (250, 750)
    assert [lines(0, 0), lines(750, 250), lines(0, 0xFFFF), lines(0xFFFF, 0xFFFF)] == [None] * 4


@pytest.mark.parametrize(
    ("detector", "ingaas", "expected"), [("S16011", False, 10), ("S7031", False, -15), ("G9214", True, -15)]
)
def test_without_a_stored_set_point_the_maker_s_habit_is_followed(detector: str, ingaas: bool, expected: int):
    told = memory((0, 45, "h", 99), (2, 0, "16s", detector.encode()), ingaas=ingaas)

    assert told.set_point_c == expected


@given(st.data())
def test_any_bytes_are_a_memory_or_the_wrong_instrument(data: st.DataObject):
    image = bytearray(WRITTEN)
    for _ in range(data.draw(st.integers(0, 12))):
        at = data.draw(st.integers(0, 511))
        patch = data.draw(st.one_of(st.just(b"\xff" * 4), st.just(bytes(4)), st.binary(min_size=1, max_size=4)))
        image[at : at + len(patch)] = patch
    try:
        told = read_memory([bytes(image[at : at + 64]) for at in range(0, 512, 64)], ingaas=data.draw(st.booleans()))
    except WrongInstrument:
        return

    assert told.axis.min() >= AXIS_NM[0]
    assert told.axis.max() <= AXIS_NM[1]
    assert all(0 <= pixel < len(told.axis) for pixel in told.calibration.bad_pixels)
    assert all(math.isfinite(value) for value in told.calibration.intensity)
    if told.laser is not None:
        assert 0 <= told.laser.min_mw <= told.laser.max_mw <= 1_000


@given(st.lists(st.binary(min_size=64, max_size=64), min_size=8, max_size=8), st.booleans())
def test_entirely_random_bytes_are_no_crash(pages: list[bytes], ingaas: bool):
    with contextlib.suppress(WrongInstrument):
        read_memory(pages, ingaas=ingaas)


@given(st.floats(20.0, 450.0), st.floats(0.0, 60.0))
@example(450.0, 0.0)
@example(20.0, 0.0)
def test_a_planned_power_is_never_more_than_was_asked_for(power_mw: float, frames_s: float):
    plan = plan_of(LASER, power_mw, warning_delay_s=3.0, frames_s=frames_s)
    assert plan.width_us is not None

    assert 0 < plan.width_us / PERIOD_US <= 0.2222 * power_mw / 100 * (1 + 1e-12)
    assert plan.power_mw == power_mw
    assert 3.0 + 5.0 + frames_s < plan.watchdog_s <= MAX_WATCHDOG_S


def test_full_power_is_without_modulation():
    whole = replace(LASER, percent=(0.0, 100 / 450, 0.0, 0.0))

    assert plan_of(whole, 450.0, warning_delay_s=3.0, frames_s=1.0).width_us is None


def test_a_laser_that_would_be_on_for_too_long_is_refused():
    with pytest.raises(BadSettings, match="at most 180 s"):
        plan_of(LASER, 100.0, warning_delay_s=3.0, frames_s=170.0)


@pytest.mark.parametrize(
    ("gain", "word"), [(1.9, 0x01E6), (float(np.float32(1.9)), 0x01E6), (0.0, 0), (1.0, 0x0100), (31.5, 0x1F80)]
)
def test_a_gain_is_a_whole_byte_and_256ths(gain: float, word: int):
    assert gain_word(gain) == word


def test_only_one_value_all_over_is_flat_and_full_scale_is_light():
    assert is_flat(np.full(1024, 1_000, dtype=np.uint16))
    assert not is_flat(np.full(1024, 65_535, dtype=np.uint16))
    assert not is_flat(np.arange(1024, dtype=np.uint16))
