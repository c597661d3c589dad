"""Questions and commands of the Ocean Binary Protocol, and how a line to an instrument is found and learned.

Each request has its own "regarding" number, so that the answer to an earlier one is told apart. They start anywhere:
an answer that a process which died was waiting for is not taken for ours.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import secrets
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from drivers.attempt import attempt
from drivers.contract import Control, Conversation, Drain, Receive, Send, SetBaud
from drivers.devices._obp_message import (
    ABSENT,
    ACK_WANTED,
    DEFERRED,
    ERRORS,
    RESPONSE,
    SHORTEST_BYTES,
    UNKNOWN_CHECKSUM,
    VERSIONS,
    ObpFramer,
    Reply,
    decode,
    encode,
    exactly,
    is_plain_answer,
    raise_unless_ok,
)
from drivers.devices._obp_models import BY_PRODUCT_ID, OCEAN, Model
from drivers.errors import AskAgain, DeviceRefused, NoAnswer, Resynchronise, WireError, WrongInstrument

GET_SERIAL_NUMBER, SET_BAUD = 0x100, 0x810
SERIAL_NUMBER_BYTES = 64  # four times the longest that fits an immediate answer

REPLY_WITHIN_S = 1.0
EXPOSURE_LEFT_S = 10.0  # of one that a former process began, where the instrument does not tell how long it is
SEARCH_WITHIN_S = 0.25  # an answer to the serial number, the time on the wire apart
BITS_A_BYTE = 10  # 8N1
ADAPTER_BYTES, ADAPTER_LATE_S = 64, 0.1  # a busy adapter or hub hands over so much at once, and so late
BAUDS = (115_200, 9_600, 57_600, 38_400, 19_200)  # the one we raise to, the one they leave the factory with, others
SLOWEST_BAUD = 9_600  # what a serial server on the network may talk at to the instrument behind it
MAX_STALE_REPLIES = 8  # answers to earlier questions, and echoes of our own, that may still come before ours
REGARDING_MASK = 0xFFFF_FFFF
DEVICE_DESCRIPTOR = struct.Struct("<2BH4B3H4B")  # USB 2.0, table 9-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How messages travel. outward, inward: USB pipes, None on a stream. baud: for the time that bytes take.

    sums: requests carry an MD5 sum and ask for one. sums_needed: the instrument has shown that it sends them.
    """

    outward: int | None = None
    inward: int | None = None
    baud: int | None = None
    sums: bool = False
    sums_needed: bool = False

    def wire_s(self, size_bytes: int) -> float:
        """Return how long so many bytes may take, 0 where that does not matter."""
        if not self.baud:
            return 0.0
        return size_bytes * (BITS_A_BYTE / self.baud + ADAPTER_LATE_S / ADAPTER_BYTES)


@lru_cache
def framer_for(payload_bytes: int, sums_needed: bool) -> ObpFramer:
    """Return the framer; there are few of them, and each is needed for every frame."""
    return ObpFramer(payload_bytes=payload_bytes, sums_needed=sums_needed)


def numbers() -> Iterator[int]:
    """Return the running "regarding" numbers of one session."""
    start = secrets.randbits(32)
    return (number & REGARDING_MASK for number in itertools.count(start))


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One instrument on its line."""

    line: Line
    regarding: Iterator[int]

    def query(
        self,
        message_type: int,
        data: bytes = b"",
        *,
        payload_bytes: int = 0,
        within_s: float = REPLY_WITHIN_S,
    ) -> Conversation[bytes]:
        """Ask; the answer has at most 16 bytes, or up to `payload_bytes`. The time on the wire comes on top."""
        frame = yield from self.frame(message_type, data, payload_bytes=payload_bytes, within_s=within_s)
        return decode(frame).data

    def number(self, message_type: int, layout: struct.Struct, data: bytes = b"") -> Conversation[float]:
        """Ask for one number. Raises WireError for an answer of another length."""
        answer = yield from self.query(message_type, data)
        (value,) = exactly(layout, answer, f"message {message_type:#010x}")
        return value

    def command(self, message_type: int, data: bytes = b"", *, busy_s: float = 0.0) -> Conversation[None]:
        """Tell, and wait for the acknowledgement, also from an instrument that is busy for so long."""
        answer = self.answer(0, REPLY_WITHIN_S + busy_s, data_bytes=len(data))
        yield from self._ask(message_type, data, ACK_WANTED, answer, lambda _: False)

    def frame(
        self, message_type: int, data: bytes = b"", *, payload_bytes: int, within_s: float
    ) -> Conversation[bytes]:
        """As `query`, but return the whole frame."""
        frames: list[bytes] = []
        answer = self.answer(payload_bytes, within_s, data_bytes=len(data))
        yield from self._ask(message_type, data, 0, answer, frames.append)
        return frames[0]

    def frames(self, message_type: int, answer: Receive, keep: Callable[[bytes], bool]) -> Conversation[None]:
        """Ask the same again and again: `keep` is given each frame, and says whether another one is wanted."""
        return self._ask(message_type, b"", 0, answer, keep)

    def answer(self, payload_bytes: int, within_s: float, *, data_bytes: int = 0) -> Receive:
        """Return the step for an answer with at most 16 bytes of data, or up to `payload_bytes`."""
        line, framer = self.line, framer_for(payload_bytes, self.line.sums_needed)
        within_s += line.wire_s(SHORTEST_BYTES + data_bytes + framer.limit_bytes)
        return Receive(framer=framer, within_s=within_s, endpoint=line.inward)

    def _ask(
        self, message_type: int, data: bytes, flags: int, answer: Receive, keep: Callable[[bytes], bool | None]
    ) -> Conversation[None]:
        line = self.line
        wanted: bool | None = True
        while wanted:
            regarding = next(self.regarding)
            request = encode(message_type, data, flags=flags, regarding=regarding, md5=line.sums)
            yield Send(data=request, endpoint=line.outward)
            frame = (yield answer) or b""
            if not is_plain_answer(frame, message_type, regarding):
                frame = yield from self._find_answer(frame, message_type, regarding, answer)
            wanted = keep(frame)

    def _find_answer(self, frame: bytes, message_type: int, regarding: int, answer: Receive) -> Conversation[bytes]:
        """Pass over what is not the answer. Raises what a refusal says, and WireError when it does not come."""
        for _ in range(MAX_STALE_REPLIES):
            reply = decode(frame)
            ours = reply.flags & RESPONSE and (reply.message_type, reply.regarding) == (message_type, regarding)
            if ours and reply.error != DEFERRED:
                self._raise_unless_known(reply, frame)
                raise_unless_ok(reply)
                return frame
            frame = (yield answer) or b""  # that was an echo of our own words, or the answer to an earlier question
        raise WireError(f"message {message_type:#010x}: {MAX_STALE_REPLIES} other answers came instead")

    def _raise_unless_known(self, reply: Reply, frame: bytes) -> None:
        if reply.version in VERSIONS:
            return
        text = f"it speaks version {reply.version:#06x} of the protocol, known are {' and '.join(map(hex, VERSIONS))}"
        if self.line.sums and not reply.sealed:  # on a cable it may be a wrong byte
            raise WireError(text, received=frame)
        raise WrongInstrument(text, hint="a newer family speaks OBP2, which this driver does not")


def if_there(question: Conversation[bytes]) -> Conversation[bytes | None]:
    """Ask for what not every unit has: None where it is refused for good."""
    try:
        return (yield from question)
    except DeviceRefused as refused:
        if is_absent(refused):
            return None
        raise


def is_absent(refused: DeviceRefused) -> bool:
    """Say whether the unit has no such thing, rather than not now."""
    return any(refused.codes == {ERRORS[number][0]: number} for number in ABSENT)


# Finding the line


def find_usb() -> Conversation[Model]:
    """Ask the bus which model it is. Raises WrongInstrument for one that is not of this family."""
    descriptor = yield Control(request_type=0x80, request=6, value=0x0100, length=DEVICE_DESCRIPTOR.size)
    fields = exactly(DEVICE_DESCRIPTOR, descriptor or b"", "device descriptor")
    vendor_id, product_id = int(fields[7]), int(fields[8])
    model = BY_PRODUCT_ID.get(product_id)
    if vendor_id != OCEAN or model is None:
        raise WrongInstrument(f"USB device {vendor_id:04x}:{product_id:04x} is none of this family")
    return model


def find_serial(regarding: Iterator[int]) -> Conversation[Talk]:
    """Try one baud rate after the other until somebody tells a serial number; then go as fast as both ends can."""
    for baud in BAUDS:
        yield SetBaud(baud=baud)
        yield Drain()
        with contextlib.suppress(Resynchronise):
            talk = yield from attempt(partial(learn_sums, Line(baud=baud), regarding, SEARCH_WITHIN_S), (AskAgain,))
            return (yield from _hurried(talk)) if baud != BAUDS[0] else talk
    raise NoAnswer(
        f"no answer at {', '.join(map(str, BAUDS))} baud",
        hint="is it switched on, and are RX and TX the right way round?",
    )


def learn_sums(line: Line, regarding: Iterator[int], within_s: float = REPLY_WITHIN_S) -> Conversation[Talk]:
    """Find out whether the instrument can be asked for MD5 sums, and sends them."""
    asking = Talk(line=replace(line, sums=True), regarding=regarding)
    try:
        frame = yield from asking.frame(GET_SERIAL_NUMBER, payload_bytes=SERIAL_NUMBER_BYTES, within_s=within_s)
    except DeviceRefused as refused:
        if UNKNOWN_CHECKSUM not in refused.codes.values():
            raise
        return Talk(line=line, regarding=regarding)
    return Talk(line=replace(asking.line, sums_needed=decode(frame).sealed), regarding=regarding)


def _hurried(talk: Talk) -> Conversation[Talk]:
    """Raise the rate, until the next power-up: nothing is saved.

    The acknowledgement comes at the old rate [inferred]; if it does not, the new one is tried all the same.
    """
    fast = replace(talk, line=replace(talk.line, baud=BAUDS[0]))
    try:
        yield from talk.command(SET_BAUD, struct.pack("<I", BAUDS[0]))
    except AskAgain:
        return talk
    except Resynchronise:
        pass
    for tried in (fast, talk):
        yield SetBaud(baud=tried.line.baud or SLOWEST_BAUD)
        yield Drain()
        with contextlib.suppress(Resynchronise):
            yield from tried.query(GET_SERIAL_NUMBER, payload_bytes=SERIAL_NUMBER_BYTES, within_s=SEARCH_WITHIN_S)
            return tried
    raise NoAnswer(f"no answer after the change from {talk.line.baud} to {BAUDS[0]} baud")


def is_number(value: float, low: float, high: float) -> bool:
    """Say whether a number from outside is one, and within limits."""
    return math.isfinite(value) and low <= value <= high
