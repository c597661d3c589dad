"""What is said to an Ocean spectrometer of the legacy protocol, one question each; the bytes are drawn in `ooi.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeVar

from drivers.attempt import attempt
from drivers.contract import Control, Conversation, Drain, Receive, Send
from drivers.devices._ooi_memory import SLOT_BYTES
from drivers.devices._ooi_message import (
    BOARD,
    BOARD_C,
    BOARD_VALID,
    DESCRIPTOR,
    FPGA_VERSION,
    OUT,
    REGISTER,
    REPLY_IN,
    STATUS,
    TENTHS,
    Status,
    plausible_c,
    status_of,
    unpack,
)
from drivers.devices._ooi_models import MODELS, VENDOR_ID, Model
from drivers.errors import Resynchronise, WireError, WrongInstrument
from drivers.framing import Exactly

KIND = "ooi"
REPLY_WITHIN_S = 1.0
FRAME_ALLOWANCE_S = 2.0  # on top of the exposure: the transfer at full speed, and a host that is busy
MAX_PENDING = 8  # spectra of an earlier session that are let pass; its retries may have left some
MAX_PENDING_S = 120.0  # longest exposure of an earlier session that is waited for; the status may say anything
ON_PIPE_S = 0.01  # what a unit has ready comes within a frame of the bus, 1 ms

T = TypeVar("T")


def tell(command: bytes) -> Conversation[None]:
    """Send a command that is not answered."""
    yield Send(data=command, endpoint=OUT)


def ask(command: bytes, size_bytes: int) -> Conversation[bytes]:
    """Send a command and return its answer of this length."""
    yield Send(data=command, endpoint=OUT)
    return (yield answer_of(size_bytes)) or b""


@cache
def answer_of(size_bytes: int) -> Receive:
    """Return the step for an answer; there are five lengths, and one is needed at each scan."""
    return Receive(framer=Exactly(size_bytes=size_bytes), within_s=REPLY_WITHIN_S, endpoint=REPLY_IN)


def ask_or_none(question: Callable[[], Conversation[T]]) -> Conversation[T | None]:
    """Ask what not every unit answers; None where there is silence or nonsense."""
    try:
        return (yield from question())
    except Resynchronise:
        yield Drain()
        return None


def ask_model() -> Conversation[Model]:
    """Tell the model by the product id. Raises WrongInstrument."""
    descriptor = yield Control(request_type=0x80, request=6, value=0x0100, length=18)
    vendor_id, product_id = unpack(DESCRIPTOR, descriptor, "device descriptor")
    model = MODELS.get(product_id) if vendor_id == VENDOR_ID else None
    if model is None:
        raise WrongInstrument(f"USB {vendor_id:04x}:{product_id:04x} is no spectrometer of the kind {KIND}")
    return model


def ask_slot(slot: int) -> Conversation[bytes]:
    """Read one slot of the memory. Raises WireError for the answer to another question."""
    answer = yield from ask(bytes((0x05, slot)), 2 + SLOT_BYTES)
    if answer[:2] != bytes((0x05, slot)):
        raise WireError(f"memory slot {slot}: the answer begins with {answer[:2].hex(' ')}", received=answer)
    return answer[2:]


def ask_status(model: Model) -> Conversation[Status]:
    """Ask how the unit is set and what it does."""
    return status_of((yield from ask(b"\xfe", STATUS.size)), model)


def ask_fpga() -> Conversation[int]:
    """Ask for the FPGA's version, four nibbles."""
    _, version = unpack(REGISTER, (yield from ask(bytes((0x6B, FPGA_VERSION)), REGISTER.size)), "FPGA version")
    return version


def ask_detector_c() -> Conversation[float | None]:
    """Ask for the detector's temperature; None for what no sensor can mean."""
    (tenths,) = unpack(TENTHS, (yield from ask(b"\x72", TENTHS.size)), "detector temperature")
    return plausible_c(tenths / 10)


def ask_board_c() -> Conversation[float | None]:
    """Ask for the board's temperature; None where the unit says that it is not valid."""
    status, raw = unpack(BOARD, (yield from ask(b"\x6c", BOARD.size)), "board temperature")
    return plausible_c(raw * BOARD_C) if status == BOARD_VALID else None


def lamp_off() -> Conversation[None]:
    """Take the lamp's enable line down. There is no answer and nothing to read back."""
    return (yield from attempt(lambda: tell(b"\x03\x00\x00")))


def let_pass(model: Model, pipes: tuple[tuple[int, Exactly], ...]) -> Conversation[None]:
    """Receive and forget the spectra that somebody asked for before, as long as the unit says that it makes one.

    One that was finished before the unit was asked is on its pipe already.
    """
    for _ in range(MAX_PENDING):
        status = yield from ask_status(model)
        within_s = min(2 * status.integration_ms / 1000 + FRAME_ALLOWANCE_S, MAX_PENDING_S)
        if not status.acquiring or not (yield from came(pipes, within_s)):
            break
    yield Drain(quiet_s=ON_PIPE_S)


def came(pipes: tuple[tuple[int, Exactly], ...], within_s: float) -> Conversation[bool]:
    """Receive one spectrum that is of no interest, and say whether there was one."""
    try:
        for endpoint, framer in pipes:
            yield Receive(framer=framer, within_s=within_s, endpoint=endpoint)
    except Resynchronise:
        yield Drain()
        return False
    return True
