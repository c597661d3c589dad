"""What is said to a Wasatch spectrometer: requests of vendor type on the control pipe, and their layouts.

Outward 40, inward C0. ARM boards want eight bytes after every request outward, FX2 boards only after some. The table of
requests is all that this driver can send: FE (boot loader), A2 and FF/02 (write the memory) are not in it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from drivers.contract import Control, Conversation
from drivers.errors import AskAgain, Resynchronise, WireError, WrongInstrument
from drivers.framing import Exactly

T = TypeVar("T")

VENDOR_ID = 0x24AA
SPECTRUM_IN, SPECTRUM_IN_2 = 0x82, 0x86
SPLIT_PIXELS, SPLIT_BYTES = 2048, 2048  # FX2 boards give 1024 pixels by each pipe
FULL_SCALE = 65_535
OUTWARD, INWARD = 0x40, 0xC0
LONG_BYTES = 64  # asked for where the answer's length is not certain
MAX_DAC = 0xFFF
DATA_STAGE = bytes(8)
TEMPERATURE_C = (-100.0, 100.0)  # outside, a sensor is not there

DESCRIPTOR = struct.Struct("<8xHH6x")


class Set(IntEnum):
    """Requests outward."""

    OFFSET = 0xB6
    GAIN = 0xB7
    ACQUIRE = 0xAD
    INTEGRATION = 0xB2
    LASER = 0xBE
    MODULATION = 0xBD
    MODULATION_PERIOD = 0xC7
    MODULATION_WIDTH = 0xDB
    TRIGGER = 0xD2
    COOLER = 0xD6
    SET_POINT = 0xD8
    ADC = 0xED


class Get(IntEnum):
    """Requests inward."""

    FPGA = 0xB4
    INTEGRATION = 0xBF
    FIRMWARE = 0xC0
    MODULATION_PERIOD = 0xCB
    ADC = 0xD5
    DETECTOR = 0xD7
    MODULATION_WIDTH = 0xDC
    LASER = 0xE2
    MODULATION = 0xE3
    MAY_FIRE = 0xEF
    WARNING_DELAY = 0x8B


SECOND_TIER = 0xFF  # the value says which


class Set2(IntEnum):
    """Second tier, outward; the index is the argument."""

    WATCHDOG = 0x18
    FIRST_LINE = 0x21
    LAST_LINE = 0x23


class Get2(IntEnum):
    """Second tier, inward."""

    PAGE = 0x01
    FIRING = 0x0D
    WATCHDOG = 0x17
    AMBIENT = 0x2A


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One product id. has_watchdog: its laser switches itself off when the host has gone."""

    name: str
    is_arm: bool = False
    is_ingaas: bool = False

    @property
    def has_watchdog(self) -> bool:
        """Whether its laser goes off by itself: the request exists on ARM boards only."""
        return self.is_arm


BOARDS = {
    0x1000: Board(name="FX2, silicon"),
    0x2000: Board(name="FX2, InGaAs", is_ingaas=True),
    0x4000: Board(name="ARM", is_arm=True),
}
WITH_DATA_STAGE = {Set.MODULATION_PERIOD, Set.MODULATION_WIDTH, Set.TRIGGER}  # on FX2 boards


def tell(board: Board, request: Set, value: int = 0, index: int = 0) -> Conversation[None]:
    """Send one request outward."""
    data = DATA_STAGE if board.is_arm or request in WITH_DATA_STAGE else b""
    yield Control(request_type=OUTWARD, request=request, value=value, index=index, data=data)


def tell2(request: Set2, index: int) -> Conversation[None]:
    """Send one request of the second tier outward; ARM boards only."""
    yield Control(request_type=OUTWARD, request=SECOND_TIER, value=request, index=index, data=DATA_STAGE)


def ask(request: Get, length: int, *, least: int | None = None) -> Conversation[bytes]:
    """Return the first `least` bytes of an answer (default: `length`). Raises WireError for a shorter one."""
    return at_least(
        (yield Control(request_type=INWARD, request=request, length=length)), least or length, f"request {request:#04x}"
    )


def ask2(request: Get2, *, index: int = 0, least: int = 1) -> Conversation[bytes]:
    """The same for the second tier."""
    answer = yield Control(request_type=INWARD, request=SECOND_TIER, value=request, index=index, length=LONG_BYTES)
    return at_least(answer, least, f"request 0xff/{request:#04x}")


def at_least(answer: bytes | None, size: int, what: str) -> bytes:
    """Return that many bytes of an answer, which may be longer. Raises WireError naming both lengths."""
    if answer is None or len(answer) < size:
        raise WireError(f"{what}: {len(answer or b'')} bytes, expected {size}", received=answer or b"")
    return answer[:size]


def ask_or_none(question: Callable[[], Conversation[T]]) -> Conversation[T | None]:
    """Ask what not every firmware answers; None where it is refused or makes no sense."""
    try:
        return (yield from question())
    except (AskAgain, Resynchronise):
        return None


def ask_board() -> Conversation[Board]:
    """Tell the board by the product id. Raises WrongInstrument."""
    answer = yield Control(request_type=0x80, request=6, value=0x0100, length=DESCRIPTOR.size)
    vendor_id, product_id = DESCRIPTOR.unpack(at_least(answer, DESCRIPTOR.size, "device descriptor"))
    board = BOARDS.get(product_id) if vendor_id == VENDOR_ID else None
    if board is None:
        raise WrongInstrument(f"USB {vendor_id:04x}:{product_id:04x} is no spectrometer of the kind wasatch")
    return board


def ask_flag(request: Get, length: int) -> Conversation[bool]:
    """Ask a yes or no question: any bit of the first byte."""
    return bool((yield from ask(request, length, least=1))[0])


def ask_firing() -> Conversation[bool]:
    """Ask whether light comes out at this moment; ARM boards only."""
    return bool((yield from ask2(Get2.FIRING))[0])


def ask_integration_ms() -> Conversation[int]:
    """Ask for the integration time."""
    return int.from_bytes((yield from ask(Get.INTEGRATION, 3)), "little")


def tell_integration(board: Board, integration_ms: int) -> Conversation[None]:
    """Set the integration time: 24 bits, the low 16 as the value, the high 8 as the index."""
    return (yield from tell(board, Set.INTEGRATION, integration_ms & 0xFFFF, integration_ms >> 16))


def gain_word(gain: float) -> int:
    """Return a gain as the wire has it, rounded down: 1.9 is 01E6. The last bit is the maker's program's."""
    whole = int(round(gain, 5))
    return whole << 8 | int((gain - whole) * 256) & 0xFF


def pipes_of(board: Board, pixels: int) -> tuple[tuple[int, Exactly], ...]:
    """Return the pipes that the parts of a spectrum come by, in order."""
    if pixels == SPLIT_PIXELS and not board.is_arm:
        part = Exactly(size_bytes=SPLIT_BYTES, surplus_bytes=0)
        return (SPECTRUM_IN, part), (SPECTRUM_IN_2, part)
    size = 2 * pixels
    # a transfer that ends with a full packet has no end to wait for: ask for no more
    framer = Exactly(size_bytes=size, surplus_bytes=0) if size % 64 == 0 else Exactly(size_bytes=size)
    return ((SPECTRUM_IN, framer),)


def readings_of(frame: bytes) -> NDArray[np.uint16]:
    """Return the pixels of one spectrum. There is no mark and no checksum: the length is all there is to check."""
    return np.frombuffer(frame, dtype="<u2")


def is_flat(readings: NDArray[np.uint16]) -> bool:
    """Say whether a sensor that is still waking up gave this: one value all over. Full scale is light, not sleep."""
    return bool(readings[0] != FULL_SCALE and (readings == readings[0]).all())


def polynomial(coefficients: tuple[float, float, float], at: float) -> float:
    """Return the value of a parabola."""
    return coefficients[0] + coefficients[1] * at + coefficients[2] * at * at


def dac_at(to_dac: tuple[float, float, float], set_point_c: float) -> int:
    """Return the set point of the cooler in 12 bits; beyond them the nearest."""
    return min(max(round(polynomial(to_dac, set_point_c)), 0), MAX_DAC)


def plausible_c(temperature_c: float) -> float | None:
    """Return the temperature, None for what no sensor can mean."""
    return temperature_c if TEMPERATURE_C[0] <= temperature_c <= TEMPERATURE_C[1] else None
