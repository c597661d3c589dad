"""The memory of a simulated Ocean unit: 15 bytes a slot, as the maker's programs leave it, or as users find it."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from firmware_sim.contract import OperatorError
from firmware_sim.devices._ooi_models import STORED_C, SimModel

SLOT_BYTES = 15
BLANK = b"\xff" * SLOT_BYTES
STATES = ("good", "blank", "commas", "rubbish", "no-saturation")
LAST_SLOT = 30
NONLINEARITY = (0.998, 2.1e-6, -3.4e-11, 2.0e-16, 0.0, 0.0, 0.0, 0.0)


def default_slots(model: SimModel, serial_number: str) -> dict[int, bytes]:
    """Return what the maker wrote; a slot that is absent is blank."""
    slots = {0: text(serial_number), 5: text("0.0012"), 14: text("7"), 15: text(model.bench), 16: text("")}
    slots |= {1 + power: number(value) for power, value in enumerate(model.wavelength)}
    slots |= {6 + power: number(value) for power, value in enumerate(NONLINEARITY)}
    slots[17] = binary(model)
    return slots


def in_state(slots: Mapping[int, bytes], state: str) -> dict[int, bytes]:
    """Return the memory as it was never written, with decimal commas, with old text behind the NUL, or without a
    saturation. Raises OperatorError for any other state.
    """
    numbers = range(1, 15)
    match state:
        case "good":
            return dict(slots)
        case "blank":
            return {0: slots[0]}
        case "commas":
            return {at: data.replace(b".", b",") if at in numbers else data for at, data in slots.items()}
        case "rubbish":
            return {at: behind_nul(data) if at in (0, *numbers) else data for at, data in slots.items()}
        case "no-saturation":
            return dict(slots) | {17: slots[17][:4] + bytes(SLOT_BYTES - 4)}
    raise OperatorError(f"memory {state!r}; there are {', '.join(STATES)}")


def text(value: str) -> bytes:
    """Return text padded with NULs."""
    return value.encode("ascii")[:SLOT_BYTES].ljust(SLOT_BYTES, b"\0")


def number(value: float) -> bytes:
    """Return a number as the maker writes it: 8.98123e+02."""
    return text(f"{value:.6g}" if value == round(value) else scientific(value))


def scientific(value: float) -> str:
    """Return as many digits as are needed, at most as many as a slot holds with a NUL behind them."""
    for digits in range(9):
        written = f"{value:.{digits}e}"
        if float(written) == value or len(written) == SLOT_BYTES - 1:
            break
    return written


def behind_nul(data: bytes) -> bytes:
    """Return the text with the end of an older one behind it."""
    head = data.rstrip(b"\0") + b"\0"
    return (head + b"e+02,9"[::-1] * 3)[:SLOT_BYTES]


def binary(model: SimModel) -> bytes:
    """Return slot 17: cooler and saturation."""
    data = bytearray(SLOT_BYTES)
    if model.has_cooler:
        struct.pack_into("<BBh", data, 0, 1, 1, round(STORED_C * 10))
    if model.saturation_at is not None:
        offset, size = model.saturation_at
        data[offset : offset + size] = model.saturation.to_bytes(size, "little")
    return bytes(data)
