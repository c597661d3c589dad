"""Frames of the Ocean Binary Protocol from the instrument's side, written from the data sheets. Little-endian.

 0 c1 c0 | 2 version | 4 flags | 6 error | 8 type x4 | 12 regarding x4 | 16 reserved x6 | 22 checksum | 23 immediate
24 immediate data x16 | 40 bytes that follow x4 | 44 payload | checksum x16 | c5 c4 c3 c2
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from drivers.framing import NEED_MORE, Found, Frame, Skip, skip_to

START, END = b"\xc1\xc0", b"\xc5\xc4\xc3\xc2"
FIELDS = struct.Struct("<HHHIII")  # version, flags, error, type, regarding, first reserved bytes
HEAD_BYTES, TAIL_BYTES = 44, 20
VERSION = 0x1100
IS_RESPONSE, IS_ACK, WANTS_ACK, IS_NACK = 1, 2, 4, 8
NONE, MD5 = 0, 1
LONGEST_REQUEST_BYTES = 64 + 512  # a user string or an irradiance block is written in pieces below that
REGARDING_AT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the host wants. `sum_type` is as told, `sum_right` whether it holds."""

    version: int
    flags: int
    message_type: int
    regarding: int
    sum_type: int
    sum_right: bool
    data: bytes


class RequestFramer:
    """Finds the host's messages; the payload is the whole message. A wrong checksum is for the firmware to answer."""

    limit_bytes = LONGEST_REQUEST_BYTES

    def find(self, buffer: bytes) -> Found:
        """Return the message, or Skip for noise and what cannot be one."""
        if noise := skip_to(START, buffer):
            return noise
        if len(buffer) < HEAD_BYTES:
            return NEED_MORE
        (follows,) = struct.unpack_from("<I", buffer, 40)
        if not TAIL_BYTES <= follows <= self.limit_bytes - HEAD_BYTES or buffer[23] > 16:
            return Skip(size_bytes=len(START), reason="an impossible length")
        size = HEAD_BYTES + follows
        if len(buffer) < size:
            return NEED_MORE
        if buffer[size - len(END) : size] != END:
            return Skip(size_bytes=len(START), reason="no end")
        return Frame(payload=buffer[:size], size_bytes=size)


def request_from(message: bytes) -> Request:
    """Take a whole message apart."""
    version, flags, _, message_type, regarding, _ = FIELDS.unpack_from(message, 2)
    sum_type, immediate = message[22], message[23]
    body, told = message[:-TAIL_BYTES], message[-TAIL_BYTES : -len(END)]
    return Request(
        version=version,
        flags=flags,
        message_type=message_type,
        regarding=regarding,
        sum_type=sum_type,
        sum_right=sum_type != MD5 or hashlib.md5(body, usedforsecurity=False).digest() == told,
        data=message[24 : 24 + immediate] if immediate else message[HEAD_BYTES:-TAIL_BYTES],
    )


def reply(
    request: Request, data: bytes = b"", *, flags: int = IS_RESPONSE, error: int = 0, sums: bool, version: int = VERSION
) -> bytes:
    """Return the answer: the same type and "regarding", data immediate if they fit."""
    immediate, payload = (data, b"") if len(data) <= 16 else (b"", data)
    head = START + FIELDS.pack(version, flags, error, request.message_type, request.regarding, 0) + bytes(2)
    head += bytes((MD5 if sums else NONE, len(immediate))) + immediate.ljust(16, b"\0")
    body = head + struct.pack("<I", len(payload) + TAIL_BYTES) + payload
    digest = hashlib.md5(body, usedforsecurity=False).digest() if sums else bytes(16)
    return body + digest + END


def renumbered(message: bytes) -> bytes:
    """Return an answer as if to another request, its checksum made right again."""
    number = struct.unpack_from("<I", message, REGARDING_AT)[0]
    body = message[:REGARDING_AT] + struct.pack("<I", number ^ 0x55) + message[REGARDING_AT + 4 : -TAIL_BYTES]
    digest = hashlib.md5(body, usedforsecurity=False).digest() if message[22] == MD5 else bytes(16)
    return body + digest + END
