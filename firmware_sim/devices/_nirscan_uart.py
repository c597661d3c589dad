"""UART frames of the NIRscan Nano family, seen from the instrument.

Request  41 42 43 44 | SS SS SS SS | FF QQ LL LL CC CC data ... | 44 43 42 41
Reply    the same: the command bytes are sent back in front of the data; busy and error have neither
    S  sum of the bytes between it and the tail    F  flags: bits 0-1 destination (0), 2-3 zero, 4-5 response
    (0 ok, 1 error, 2 busy), 6 reply wanted, 7 read    Q  sequence, sent back    L  length of command and data, 2...512
Little-endian throughout.
"""

from __future__ import annotations

from drivers.framing import Found, Frame, Skip

HEAD, TAIL = b"ABCD", b"DCBA"
OVERHEAD_BYTES = 16  # head, sum, flags, sequence, length, tail
MIN_LENGTH, MAX_LENGTH = 2, 512
STANDARD_FAILURE = bytes.fromhex("41424344 10000000 10000000 44434241")
BITS_A_BYTE = 10  # 8N1

READ, REPLY_WANTED, BUSY, ERROR = 0x80, 0x40, 0x20, 0x10
RESPONSE_MASK, RESERVED_MASK, DESTINATION_MASK = 0x30, 0x0C, 0x03

WRONG_SUM = "wrong sum"


class RequestFramer:
    """Finds requests. A frame with a wrong sum is a Skip whose reason is WRONG_SUM; the firmware answers it."""

    limit_bytes = OVERHEAD_BYTES + MAX_LENGTH

    def find(self, buffer: bytes) -> Found:
        """Return the message (flags to data) as Frame, or what to skip, or None when bytes are still to come."""
        start = buffer.find(HEAD)
        if start < 0:
            keep = next((size for size in (3, 2, 1) if buffer.endswith(HEAD[:size])), 0)
            noise = len(buffer) - keep
            return Skip(size_bytes=noise, reason="no head") if noise else None
        if start:
            return Skip(size_bytes=start, reason="no head")
        if len(buffer) < 12:
            return None
        length = int.from_bytes(buffer[10:12], "little")
        if not MIN_LENGTH <= length <= MAX_LENGTH:
            return Skip(size_bytes=len(HEAD), reason="impossible length")
        size = OVERHEAD_BYTES + length
        if len(buffer) < size:
            return None
        if buffer[size - 4 : size] != TAIL:
            return Skip(size_bytes=len(HEAD), reason="no tail")
        message = buffer[8 : size - 4]
        if int.from_bytes(buffer[4:8], "little") != sum(message):
            return Skip(size_bytes=size, reason=WRONG_SUM)
        return Frame(payload=message, size_bytes=size)


def frame(message: bytes) -> bytes:
    """Return a message with head, sum and tail."""
    return HEAD + sum(message).to_bytes(4, "little") + message + TAIL


def reply(flags: int, sequence: int, body: bytes) -> bytes:
    """Return the frame of a reply; `body` begins with the command bytes, or is empty for busy and error."""
    return frame(bytes((flags, sequence)) + len(body).to_bytes(2, "little") + body)


def renumbered(reply_frame: bytes) -> bytes:
    """Return the reply as if it answered the next request."""
    message = bytearray(reply_frame[8:-4])
    message[1] = (message[1] + 1) & 0xFF
    return frame(bytes(message))
