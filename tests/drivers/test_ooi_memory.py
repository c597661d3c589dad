"""What an Ocean unit's memory may hold, and what becomes of it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.devices._ooi_memory import SLOTS, Memory, number_of, numbers_of, read_memory, text_of
from drivers.devices._ooi_models import MODELS
from drivers.errors import WrongInstrument

NIRQUEST, USB2000PLUS, QE65000, MAYA = MODELS[0x1026], MODELS[0x101E], MODELS[0x1018], MODELS[0x102A]
BLANK = b"\xff" * 15


def padded(text: str) -> bytes:
    return text.encode().ljust(15, b"\0")


def slots(**changes: bytes) -> dict[int, bytes]:
    """A sound memory with some slots replaced: s1=... is slot 1."""
    texts = {0: "NQ51A0123", 1: "898.123", 2: "1.65", 3: "-2.1e-5", 4: "0.0", 5: "0.01", 14: "7", 15: "NIR1 25"}
    texts |= dict.fromkeys(range(6, 14), "1.0e-9")
    sound = {number: padded(texts.get(number, "")) for number in SLOTS}
    sound[17] = bytes(15)
    return sound | {int(name[1:]): data for name, data in changes.items()}


def memory(**changes: bytes) -> Memory:
    return read_memory(slots(**changes), NIRQUEST)


@pytest.mark.parametrize(
    ("slot", "value"),
    [
        (padded("8.98123e+02"), 898.123),
        (padded("8,98123e+02"), 898.123),
        (padded(" 1.65 "), 1.65),
        (padded("-.5"), -0.5),
        (padded("3."), 3.0),
        (padded("1E-4"), 1e-4),
        (b"1.5\0garbage\xff\xff\xff\xff", 1.5),
        (b"1.5" + b"\xff" * 12, 1.5),
        (b"1.2345678901234", 1.2345678901234),
        (BLANK, None),
        (bytes(15), None),
        (padded("nan"), None),
        (padded("inf"), None),
        (padded("1e999"), None),
        (padded("1_000"), None),
        (padded("0x10"), None),
        (padded("1.0.0"), None),
        (padded("1 2"), None),
    ],
)
def test_a_slots_text_is_a_finite_number_or_none(slot: bytes, value: float | None):
    assert number_of(slot) == value


@given(st.binary(max_size=15))
def test_any_slot_is_a_text_and_a_number_or_none(slot: bytes):
    assert text_of(slot).isprintable()
    value = number_of(slot)
    assert value is None or np.isfinite(value)


def test_the_stray_light_slot_may_hold_two_numbers():
    assert numbers_of(b"0.0012\0-3e-5\0\0\0") == (0.0012, -3e-5)
    assert numbers_of(b"0.0012\0rubbish") == (0.0012,)
    assert numbers_of(BLANK) == ()


def test_the_axis_is_the_polynomial_of_the_pixel_numbers():
    axis = memory().axis

    assert axis[[0, 1, 511]] == pytest.approx([898.123, 899.772979, 898.123 + 843.15 - 2.1e-5 * 511**2], abs=1e-9)
    assert not axis.flags.writeable


def test_a_qe65000_counts_its_pixels_from_minus_ten():
    axis = read_memory(slots(s1=padded("780"), s2=padded("0.3")), QE65000).axis

    assert axis[10] == 780.0


@pytest.mark.parametrize("slot", ["s1", "s2", "s3", "s4"])
def test_an_unprogrammed_wavelength_is_a_wrong_instrument_with_a_hint(slot: str):
    with pytest.raises(WrongInstrument, match="stores no wavelength coefficient") as caught:
        memory(**{slot: BLANK})
    assert "calibrated by its maker" in caught.value.hint


@pytest.mark.parametrize(
    "changes",
    [
        {"s2": padded("0"), "s3": padded("0")},
        {"s4": padded("9e307")},
        {"s1": padded("9e9")},
        {"s1": padded("-500")},
        {"s3": padded("-0.01")},
        {"s2": padded("1e99")},
    ],
)
def test_wavelengths_that_are_no_axis_are_a_wrong_instrument(changes: dict[str, bytes]):
    with pytest.raises(WrongInstrument, match="are no axis"):
        memory(**changes)


def test_an_axis_may_fall():
    axis = memory(s1=padded("1700"), s2=padded("-1.5")).axis

    assert axis[0] > axis[-1]


@pytest.mark.parametrize("slot", [BLANK, bytes(15), b"\x01\x02\x03" * 5])
def test_a_unit_without_a_serial_number_is_refused(slot: bytes):
    with pytest.raises(WrongInstrument, match="no serial number"):
        memory(s0=slot)


@pytest.mark.parametrize(
    ("stored", "saturation", "scale"),
    [
        (48_000, 48_000, 1.3653125),
        (65_535, 65_535, 1.0),
        (0, 65_535, 1.0),
        (0xFFFF_FFFF, 65_535, 1.0),
    ],
)
def test_a_nirquest_is_scaled_by_its_stored_saturation(stored: int, saturation: int, scale: float):
    found = memory(s17=struct.pack("<BBhI7x", 1, 1, -100, stored))

    assert (found.saturation, found.scale, found.notes) == (saturation, scale, ())


@pytest.mark.parametrize("stored", [1, 1000, 65_536, 0x7FFF_FFFF])
def test_a_saturation_that_cannot_be_true_is_not_used_and_noted(stored: int):
    found = memory(s17=struct.pack("<BBhI7x", 1, 1, -100, stored))

    assert (found.saturation, found.scale) == (65_535, 1.0)
    assert found.notes == (f"the stored saturation {stored} cannot be true and is not used",)


@pytest.mark.parametrize(
    ("stored", "scale"), [(63_000, 64_000 / 63_000), (32_768, 1.0), (64_001, 1.0), (0xFFFF, 1.0), (0, 1.0)]
)
def test_a_maya_keeps_its_saturation_elsewhere_and_trusts_the_upper_half_only(stored: int, scale: float):
    assert read_memory(slots(s17=struct.pack("<H13x", stored)), MAYA).scale == scale


def test_a_usb2000plus_has_no_cooler_whatever_its_memory_says():
    found = read_memory(slots(s17=struct.pack("<BBhH9x", 1, 1, -100, 56_000)), USB2000PLUS)

    assert (found.set_point_c, found.fan_on, found.scale) == (None, False, 65_535 / 56_000)


@pytest.mark.parametrize(
    ("head", "set_point_c", "fan_on"),
    [
        ((1, 1, -100), -10.0, True),
        ((1, 0, -205), -20.5, False),
        ((0, 1, -100), None, False),
        ((255, 255, -1), None, False),
        ((1, 1, -3000), None, False),
    ],
)
def test_the_cooler_is_as_stored_where_that_makes_sense(
    head: tuple[int, int, int], set_point_c: float | None, fan_on: bool
):
    found = memory(s17=struct.pack("<BBh11x", *head))

    assert (found.set_point_c, found.fan_on) == (set_point_c, fan_on)


def test_the_non_linearity_has_as_many_coefficients_as_its_order_says():
    assert len(memory().calibration.nonlinearity) == 8
    assert memory(s14=padded("2"), s6=padded("0.99")).calibration.nonlinearity == (0.99, 1e-9, 1e-9)


@pytest.mark.parametrize("changes", [{"s14": BLANK}, {"s14": padded("8")}, {"s14": padded("-1")}, {"s9": BLANK}])
def test_an_incomplete_non_linearity_is_not_used_and_noted(changes: dict[str, bytes]):
    found = memory(**changes)

    assert found.calibration.nonlinearity == ()
    assert "non-linearity" in found.notes[0]


@given(st.lists(st.binary(min_size=15, max_size=15), min_size=len(SLOTS), max_size=len(SLOTS)))
def test_any_memory_is_understood_or_refused(data: list[bytes]):
    for model in (NIRQUEST, USB2000PLUS):
        try:
            found = read_memory(slots() | dict(zip(SLOTS, data, strict=True)), model)
        except WrongInstrument:
            continue
        assert np.isfinite(found.axis).all()


@given(st.binary(min_size=15, max_size=15))
def test_any_slot_17_gives_a_factor_from_one_to_sixty_four(data: bytes):
    assert 1.0 <= memory(s17=data).scale <= 64.0
