"""Questions and commands of the Ocean Binary Protocol, to one instrument on its line.

Each request has its own "regarding" number, so that the answer to an earlier one is told apart. They start anywhere:
an answer that a process which died was waiting for is not taken for ours.
"""

from __future__ import annotations

import itertools
import math
import secrets
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from drivers.contract import Conversation, Receive, Send
from drivers.devices._obp_message import (
    ABSENT,
    ACK_WANTED,
    DEFERRED,
    ERRORS,
    RESPONSE,
    SHORTEST_BYTES,
    VERSIONS,
    ObpFramer,
    Reply,
    decode,
    encode,
    exactly,
    is_plain_answer,
    raise_unless_ok,
)
from drivers.errors import DeviceRefused, WireError, WrongInstrument

GET_SERIAL_NUMBER = 0x100
SERIAL_NUMBER_BYTES = 64  # four times the longest that fits an immediate answer

REPLY_WITHIN_S = 1.0
EXPOSURE_LEFT_S = 10.0  # of one that a former process began, where the instrument does not tell how long it is
BITS_A_BYTE = 10  # 8N1
ADAPTER_BYTES, ADAPTER_LATE_S = 64, 0.1  # a busy adapter or hub hands over so much at once, and so late
MAX_STALE_REPLIES = 8  # answers to earlier questions, and echoes of our own, that may still come before ours
REGARDING_MASK = 0xFFFF_FFFF


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

    def tell(self, message_type: int, data: bytes) -> Conversation[None]:
        """Tell, and wait for nothing: a refusal is passed over when the next answer is looked for."""
        request = encode(message_type, data, flags=0, regarding=next(self.regarding), md5=self.line.sums)
        yield Send(data=request, endpoint=self.line.outward)

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


def is_number(value: float, low: float, high: float) -> bool:
    """Say whether a number from outside is one, and within limits."""
    return math.isfinite(value) and low <= value <= high
