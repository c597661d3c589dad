"""Messages of the NIRscan Nano family, and what carries them: frames on the UART, reports on USB HID.

Message    FF SS LL LL | data ...
    F  flags: bits 0-1 destination, 0 = the board; 2-3 zero; 4-5 response, 0 ok 1 error 2 busy; 6 reply wanted; 7 read
    S  sequence, echoed; 0 in a failure that belongs to no request
    L  length of data, little-endian, at most 514
Request data begins with the command, low byte first. What reply data begins with depends on the link.

UART frame 41 42 43 44 | CC CC CC CC | message | 44 43 42 41
    C  sum of the message's bytes, little-endian. Reply data begins with the command, and the length counts it.

HID reports of 64 bytes: the message from the first byte of the first one on, continued in the next ones without a head,
and padded to whole reports with whatever the buffer held. Reply data is what was asked for, without the command.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

from drivers.errors import DeviceBusy, DeviceRefused, WireError
from drivers.framing import NEED_MORE, Found, Frame, Framer, Skip, skip_to

HEAD = struct.Struct("<BBH")
COMMAND = struct.Struct("<H")
MAX_DATA_BYTES = 512  # of one message, without the command; the firmware drops what is longer

READ, WRITE = 0xC0, 0x40  # both with "reply wanted"
OK, ERROR, BUSY = 0, 1, 2
RESERVED = 0x0F  # destination and reserved bits; replies to us carry zeros

START, END = b"ABCD", b"DCBA"
CHECKSUM = struct.Struct("<I")
MESSAGE_AT = len(START) + CHECKSUM.size

REPORT_BYTES = 64
MOST_REPORTS = -(-(HEAD.size + MAX_DATA_BYTES) // REPORT_BYTES)
REPLY_MASK, REPLY_FLAGS = 0x4F, 0x40  # what every reply's flags have in common: it was wanted, and it is for us


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A question. `data` is without the command."""

    flags: int
    sequence: int
    command: int
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer whose head is in order; `data` may still begin with the command."""

    response: int
    sequence: int
    data: bytes


class Wire(Protocol):
    """How one kind of link carries messages."""

    @property
    def framer(self) -> Framer:
        """Finds one reply; its payload is the message."""

    def wrap(self, message: bytes) -> bytes:
        """Return what is written to the link for one message."""

    def answer(self, reply: Reply, request: Request) -> bytes | None:
        """Return the data of the reply to `request`, or None if it answers another one. Raises as `raise_unless_ok`."""


def encode_request(request: Request) -> bytes:
    """Return the message's bytes."""
    data = COMMAND.pack(request.command) + request.data
    if len(data) > MAX_DATA_BYTES:
        raise ValueError(f"command {request.command:#06x}: {len(data)} bytes, the firmware takes {MAX_DATA_BYTES}")
    return HEAD.pack(request.flags, request.sequence, len(data)) + data


def decode_reply(message: bytes) -> Reply:
    """Check the head of one whole message. Bytes past its length are padding. Raises WireError."""
    if len(message) < HEAD.size:
        raise WireError(f"a message of {len(message)} bytes, shorter than its head", received=message)
    flags, sequence, size = HEAD.unpack_from(message)
    if flags & RESERVED:
        raise WireError(f"reply flags {flags:#04x}: reserved bits are set", received=message)
    response = flags >> 4 & 3
    if response not in (OK, ERROR, BUSY):
        raise WireError(f"reply flags {flags:#04x}: unknown response", received=message)
    if size > len(message) - HEAD.size:
        raise WireError(f"a reply of {size} bytes in a message of {len(message)}", received=message)
    return Reply(response=response, sequence=sequence, data=message[HEAD.size : HEAD.size + size])


def raise_unless_ok(reply: Reply, request: Request) -> None:
    """Raise DeviceRefused or DeviceBusy for an error or busy reply."""
    if reply.response == ERROR:
        raise DeviceRefused(
            f"the instrument refused command {request.command:#06x}",
            hint="an error status may have to be cleared, or its firmware does not know the command",
            codes={"command": request.command},
        )
    if reply.response == BUSY:
        raise DeviceBusy("the instrument is busy", hint="a phone may be connected to it over Bluetooth")


@dataclass(frozen=True, slots=True, kw_only=True)
class UartFramer:
    """Finds UART frames; the payload is the message."""

    limit_bytes: int = MESSAGE_AT + HEAD.size + COMMAND.size + MAX_DATA_BYTES + len(END)

    def find(self, buffer: bytes) -> Found:
        """Return the message, or Skip for noise, an impossible length, a missing end, or a wrong checksum."""
        if noise := skip_to(START, buffer):
            return noise
        if len(buffer) < MESSAGE_AT + HEAD.size:
            return NEED_MORE
        (size,) = struct.unpack_from("<H", buffer, MESSAGE_AT + 2)
        if size > COMMAND.size + MAX_DATA_BYTES:
            return Skip(size_bytes=len(START), reason=f"a message of {size} bytes, limit {MAX_DATA_BYTES + 2}")
        end = MESSAGE_AT + HEAD.size + size
        if len(buffer) < end + len(END):
            return NEED_MORE
        if buffer[end : end + len(END)] != END:
            return Skip(size_bytes=len(START), reason="a frame without its end")
        message = buffer[MESSAGE_AT:end]
        if CHECKSUM.unpack_from(buffer, len(START)) != (sum(message),):
            return Skip(size_bytes=len(START), reason="a frame with a wrong checksum")
        return Frame(payload=message, size_bytes=end + len(END))


@dataclass(frozen=True, slots=True, kw_only=True)
class UartWire:
    """Messages in checksummed frames on a serial line."""

    framer: UartFramer = UartFramer()

    def wrap(self, message: bytes) -> bytes:
        """Return the frame."""
        return START + CHECKSUM.pack(sum(message)) + message + END

    def answer(self, reply: Reply, request: Request) -> bytes | None:
        """Return the data behind the echoed command.

        A failure may come without the command, and with sequence 0 if the request could not be read.
        """
        command = reply.data[: COMMAND.size]
        if reply.response != OK:
            if reply.sequence not in (0, request.sequence) or command not in (b"", COMMAND.pack(request.command)):
                return None
            raise_unless_ok(reply, request)
        if reply.sequence != request.sequence or command != COMMAND.pack(request.command):
            return None
        return reply.data[COMMAND.size :]


@dataclass(frozen=True, slots=True, kw_only=True)
class HidFramer:
    """Finds messages in whole reports; the payload is the message with its padding.

    A report that begins no reply is not skipped but found as an empty message, which `decode_reply` refuses: reports
    carry no checksum and no number, so what is left of another reply means that this one may not be what was asked for.
    """

    limit_bytes: int = MOST_REPORTS * REPORT_BYTES

    def find(self, buffer: bytes) -> Found:
        """Return the message, an empty one for a report that begins none, or NEED_MORE. Never skips."""
        if len(buffer) < REPORT_BYTES:
            return NEED_MORE
        flags, _, size = HEAD.unpack_from(buffer)
        if flags & REPLY_MASK != REPLY_FLAGS or size > MAX_DATA_BYTES:
            return Frame(payload=b"", size_bytes=REPORT_BYTES)
        end = HEAD.size + size
        end += -end % REPORT_BYTES
        return Frame(payload=buffer[:end], size_bytes=end) if len(buffer) >= end else NEED_MORE


@dataclass(frozen=True, slots=True, kw_only=True)
class HidWire:
    """Messages in HID reports; the link hands over whole reports."""

    framer: HidFramer = HidFramer()

    def wrap(self, message: bytes) -> bytes:
        """Return the reports, one behind the other."""
        return message + bytes(-len(message) % REPORT_BYTES)

    def answer(self, reply: Reply, request: Request) -> bytes | None:
        """Return the data. Nothing but the sequence says what it answers."""
        if reply.sequence != request.sequence:
            return None
        raise_unless_ok(reply, request)
        return reply.data
