"""The bytes of Ocean's legacy protocol, as plain functions; drawn in `ooi.py`."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from drivers.devices._ooi_models import Model
from drivers.errors import WireError
from drivers.framing import Exactly

OUT, REPLY_IN, SPECTRUM_IN, SPECTRUM_IN_2 = 0x01, 0x81, 0x82, 0x86
SYNC = 0x69
HIGH_SPEED, FULL_SPEED = 0x80, 0x00
BOARD_VALID, BOARD_C = 0x08, 0.003906  # [inferred] the status that says valid
TEMPERATURE_C = (-100.0, 100.0)  # outside, a sensor is not there
FPGA_VERSION = 0x04
WORD, READING = np.dtype("<u2"), np.dtype(np.int32)

DESCRIPTOR = struct.Struct("<8xHH6x")
STATUS = struct.Struct("<HIBBBBBB2xBx")
TENTHS = struct.Struct("<h")
BOARD = struct.Struct("<Bh")
REGISTER = struct.Struct("<BH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What FE says, as far as it is used. integration_ms: by the model's unit of the command 02."""

    integration_ms: float
    acquiring: bool
    high_speed: bool


def unpack(layout: struct.Struct, data: bytes | None, name: str) -> tuple[int, ...]:
    """Unpack an answer of exactly this length. Raises WireError naming both lengths."""
    data = data or b""
    if len(data) != layout.size:
        raise WireError(f"{name}: {len(data)} bytes, expected {layout.size}", received=data)
    return layout.unpack(data)


def status_of(data: bytes, model: Model) -> Status:
    """Understand the answer to FE. Raises WireError."""
    _, ticks, _, _, acquiring, _, _, _, speed = unpack(STATUS, data, "status")
    if speed not in (HIGH_SPEED, FULL_SPEED):
        raise WireError(f"status: USB speed {speed:#04x}, expected 0x80 or 0x00", received=data)
    return Status(
        integration_ms=ticks * model.tick_us / 1000, acquiring=bool(acquiring), high_speed=speed == HIGH_SPEED
    )


def check_frame(frame: bytes, model: Model) -> None:
    """Raise WireError for a spectrum of another length or without its sync byte."""
    if len(frame) != model.transfer_bytes:
        raise WireError(f"a spectrum of {len(frame)} bytes, expected {model.transfer_bytes}", received=frame)
    if model.has_sync and frame[-1] != SYNC:
        raise WireError(f"a spectrum that ends with {frame[-1]:#04x}, expected {SYNC:#04x}", received=frame)


def readings_of(frames: bytes, model: Model) -> NDArray[np.int32]:
    """Return the readings of frames that were checked and joined, without the mask: (frames, pixels as transferred)."""
    size, pixels = model.transfer_bytes, model.transfer_pixels
    if len(frames) == size:  # numpy takes three times as long where it is told how far apart they are
        words = np.ndarray((1, pixels), WORD, frames)
    else:
        words = np.ndarray((len(frames) // size, pixels), WORD, frames, strides=(size, WORD.itemsize))
    readings = words.astype(READING)
    if model.mask:
        readings ^= as_array(model.mask)
    return readings


@cache
def as_array(mask: int) -> NDArray[np.int32]:
    """Return a mask, of which there are two, in the form that numpy is quickest with."""
    return np.array(mask, READING)


def pipes_of(model: Model, *, high_speed: bool) -> tuple[tuple[int, Exactly], ...]:
    """Return the pipes that the parts of a spectrum come by, in order."""
    if not (model.split_bytes and high_speed):
        return ((SPECTRUM_IN, whole(model.transfer_bytes)),)
    return (
        (SPECTRUM_IN_2, whole(model.split_bytes)),
        (SPECTRUM_IN, whole(model.transfer_bytes - model.split_bytes)),
    )


def whole(size_bytes: int) -> Exactly:
    """Return the framer for a transfer. One that ends with a full packet has no end to wait for: ask for no more."""
    return Exactly(size_bytes=size_bytes, surplus_bytes=0) if size_bytes % 64 == 0 else Exactly(size_bytes=size_bytes)


def plausible_c(temperature_c: float) -> float | None:
    """Return the temperature, None for what no sensor can mean."""
    return temperature_c if TEMPERATURE_C[0] <= temperature_c <= TEMPERATURE_C[1] else None
