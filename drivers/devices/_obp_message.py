"""Messages of the Ocean Binary Protocol: one frame for question, command and answer, on every link. Little-endian.

c1 c0 | VV VV | FF FF | EE EE | TT x4 | RR x4 | 00 x6 | C | I | immediate x16 | N x4 | payload | sum x16 | c5 c4 c3 c2
    V  header version 0x1100       F  flags, below            E  error number       T  message type
    R  "regarding": any number of the host's, echoed          C  checksum: 0 none, 1 MD5 of all before it
    I  how much of the immediate data counts, 0 to 16         N  bytes that follow: payload + 20

Data of up to 16 bytes are immediate, longer ones the payload. The shortest frame has 64 bytes. A question has no flag
set and is answered with flag 1; a command asks for an acknowledgement, flag 4, and gets flags 1 and 2.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field

from drivers.errors import DeviceBusy, DeviceRefused, DriverError, LinkDenied, Reopen, WireError, WrongInstrument
from drivers.framing import NEED_MORE, Found, Frame, Skip, skip_to

START, END = b"\xc1\xc0", b"\xc5\xc4\xc3\xc2"
HEAD = struct.Struct("<2s3H2I6x2B16sI")
SIZES, SIZES_AT = struct.Struct("<2B16xI"), 22  # of the head: checksum, immediate data, what remains
ANSWER = struct.Struct("<3H2I")  # of the head: version, flags, error, type, regarding
SUM_BYTES = 16
NO_SUM_BYTES = bytes(SUM_BYTES)
IMMEDIATE_BYTES = 16
TAIL_BYTES = SUM_BYTES + len(END)
SHORTEST_BYTES = HEAD.size + TAIL_BYTES

VERSION = 0x1100
VERSIONS = (0x1000, VERSION)  # [inferred] the sheet says that 0x1100 has predecessors, to be deprecated

RESPONSE, ACK, ACK_WANTED, NACK, HARDWARE_EXCEPTION = 0x01, 0x02, 0x04, 0x08, 0x10
NO_SUM, MD5 = 0, 1
DEFERRED = 255  # not the answer yet
BAD_VERSION, UNKNOWN_MESSAGE, UNKNOWN_CHECKSUM, NO_SUCH_VALUE = 1, 2, 8, 12
ABSENT = {UNKNOWN_MESSAGE, NO_SUCH_VALUE}  # this unit does not have it, however often it is asked

ERRORS: dict[int, tuple[str, type[DriverError]]] = {  # number -> name, cure
    0: ("unnamed", DeviceRefused),
    1: ("protocol_version", WrongInstrument),
    2: ("unknown_message", DeviceRefused),
    3: ("checksum", DeviceRefused),
    4: ("too_large", DeviceRefused),
    5: ("payload_length", DeviceRefused),
    6: ("payload", DeviceRefused),
    7: ("not_ready", DeviceBusy),
    8: ("unknown_checksum", DeviceRefused),
    9: ("unexpected_reset", Reopen),
    10: ("too_many_buses", LinkDenied),
    11: ("out_of_memory", DeviceRefused),
    12: ("no_such_value", DeviceRefused),
    13: ("internal", Reopen),
    100: ("decryption", DeviceRefused),
    101: ("firmware_layout", DeviceRefused),
    102: ("packet_size", DeviceRefused),
    103: ("hardware_revision", DeviceRefused),
    104: ("flash_map", DeviceRefused),
}
HINTS = {
    1: "it speaks another version of the protocol: is its firmware current?",
    9: "it restarted; it is opened and configured anew",
    10: "it is in use over another of its cables: unplug that one",
    13: "if it says so again, switch it off and on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One message from the instrument. `sealed`: it carried an MD5 sum, and that was right."""

    version: int
    flags: int
    error: int
    message_type: int
    regarding: int
    sealed: bool
    data: bytes


def encode(message_type: int, data: bytes = b"", *, flags: int = 0, regarding: int = 0, md5: bool = False) -> bytes:
    """Return the bytes of a question (no flags) or command (ACK_WANTED)."""
    immediate, payload = (data, b"") if len(data) <= IMMEDIATE_BYTES else (b"", data)
    body = HEAD.pack(
        START,
        VERSION,
        flags,
        0,
        message_type,
        regarding,
        MD5 if md5 else NO_SUM,
        len(immediate),
        immediate,
        len(payload) + TAIL_BYTES,
    )
    body += payload
    return body + (_md5(body) if md5 else NO_SUM_BYTES) + END


def decode(message: bytes) -> Reply:
    """Understand one frame as `ObpFramer` found it."""
    _, version, flags, error, message_type, regarding, sum_type, size, immediate, _ = HEAD.unpack_from(message)
    return Reply(
        version=version,
        flags=flags,
        error=error,
        message_type=message_type,
        regarding=regarding,
        sealed=sum_type == MD5,
        data=immediate[:size] if size else message[HEAD.size : -TAIL_BYTES],
    )


def is_plain_answer(message: bytes, message_type: int, regarding: int) -> bool:
    """Say whether this frame answers this request and has nothing else to say: what nearly every frame is."""
    return ANSWER.unpack_from(message, len(START)) == (VERSION, RESPONSE, 0, message_type, regarding)


def raise_unless_ok(reply: Reply) -> None:
    """Raise the error with its cure for a refusal: DeviceRefused with the number by name, DeviceBusy, Reopen, Park."""
    if not reply.flags & (NACK | HARDWARE_EXCEPTION) and not reply.error:
        return
    name, cure = ERRORS.get(reply.error, (f"error_{reply.error}", DeviceRefused))
    message = f"the instrument refused message {reply.message_type:#010x}: {name.replace('_', ' ')}"
    hint = HINTS.get(reply.error, "")
    if issubclass(cure, DeviceRefused):
        raise cure(message, hint=hint, codes={name: reply.error})
    raise cure(message, hint=hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObpFramer:
    """Finds messages; the payload is the whole frame.

    payload_bytes: the longest that the answer may have: what claims more is no frame, and no read asks for more.
    sums_needed: only frames with an MD5 sum. Without, one may come without a sum, but then with zeros in its place:
    no single wrong byte turns a checked frame into an unchecked one.
    """

    payload_bytes: int = 0
    sums_needed: bool = False
    limit_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit_bytes", SHORTEST_BYTES + self.payload_bytes)

    def find(self, buffer: bytes) -> Found:
        """Return the frame, or Skip for noise, an impossible length, a missing end, or a wrong sum."""
        if not buffer.startswith(START) and (noise := skip_to(START, buffer)):
            return noise
        if len(buffer) < HEAD.size:
            return NEED_MORE
        sum_type, immediate_size, remaining = SIZES.unpack_from(buffer, SIZES_AT)
        payload_size = remaining - TAIL_BYTES
        if not 0 <= payload_size <= self.payload_bytes:
            return _no_frame(f"a message of {remaining} more bytes, expected {TAIL_BYTES} to {self._most}")
        if immediate_size > IMMEDIATE_BYTES or (immediate_size and payload_size):
            return _no_frame(f"a message with {immediate_size} bytes of immediate data")
        end = HEAD.size + remaining
        if len(buffer) < end:
            return NEED_MORE
        frame = buffer[:end]
        if not frame.endswith(END):
            return _no_frame("a message without its end")
        if reason := self._wrong_sum(frame, sum_type):
            return _no_frame(reason)
        return Frame(frame, end)

    @property
    def _most(self) -> int:
        return TAIL_BYTES + self.payload_bytes

    def _wrong_sum(self, frame: bytes, sum_type: int) -> str:
        told = frame[-TAIL_BYTES : -len(END)]
        if sum_type == MD5:
            return "" if told == _md5(frame[:-TAIL_BYTES]) else "a message with a wrong checksum"
        if sum_type != NO_SUM:
            return f"a message with checksum type {sum_type}"
        if self.sums_needed:
            return "a message without a checksum"
        return "" if told == NO_SUM_BYTES else "a message with a checksum that it denies"


def exactly(layout: struct.Struct, data: bytes, name: str) -> tuple[float, ...]:
    """Unpack an answer of exactly this length. Raises WireError naming both lengths."""
    if len(data) != layout.size:
        raise WireError(f"{name}: {len(data)} bytes, expected {layout.size}", received=data)
    return layout.unpack(data)


def _no_frame(reason: str) -> Skip:
    return Skip(size_bytes=len(START), reason=reason)


def _md5(body: bytes) -> bytes:
    return hashlib.md5(body, usedforsecurity=False).digest()
