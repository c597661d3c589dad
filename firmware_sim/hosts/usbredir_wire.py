"""Packets of usbredir 0.7, the protocol by which a virtual machine uses a USB device over a socket. Bytes only.

TT TT TT TT | LL LL LL LL | II ... | body
    T  what it is: `Kind`          L  bytes of the body, little-endian as all numbers
    I  number of a request, said again in its answer: 8 bytes where both ends can do that, else 4, as in the hello
Bodies
    hello      64 characters of name, then a word of capabilities
    control    endpoint, request, request type, status, value, index, length, then what is outward or was inward
    bulk       endpoint, status, length, stream, the length's upper half if both ends can do that, then data
    interrupt  endpoint, status, length, then data
An endpoint of the tables of 32 is at its number, inward ones 16 further up.
Source: usb-redirection-protocol.md and usbredirproto.h of spice/usbredir.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from firmware_sim.contract import UsbDescriptors
from firmware_sim.hosts.chapter9 import BULK, HID_CLASS, INTERRUPT, VENDOR_CLASS

MAX_BODY_BYTES = 1 << 20  # a command to an instrument is short; libusb itself writes 16 KiB at a time
NAME = b"edged-sim".ljust(64, b"\0")
CONNECT_VERSION, PACKET_SIZES, LONG_IDS, LONG_BULK = 1 << 1, 1 << 4, 1 << 5, 1 << 6
CAPABILITIES = CONNECT_VERSION | PACKET_SIZES | LONG_IDS | LONG_BULK  # a controller of USB 3 wants them all
FULL_SPEED, HIGH_SPEED = 1, 2
HIGH_SPEED_PACKET_BYTES = 512
OK, CANCELLED, INVALID, STALLED = 0, 1, 2, 4
PLACES, NOTHING, CONTROL_PACKET_BYTES = 32, 255, 64
INWARD = 0x80

SHORT_HEAD, LONG_HEAD = struct.Struct("<III"), struct.Struct("<IIQ")
CONTROL = struct.Struct("<BBBBHHH")
BULK_HEAD, BULK_LENGTH_HIGH = struct.Struct("<BBHI"), struct.Struct("<H")
INTERRUPT_HEAD = struct.Struct("<BBH")


class Kind(IntEnum):
    """What a packet is. The machine sends others for what is not announced; they are nothing to us."""

    HELLO = 0
    CONNECT = 1
    DISCONNECT = 2
    RESET = 3
    INTERFACES = 4
    ENDPOINTS = 5
    SET_CONFIGURATION = 6
    GET_CONFIGURATION = 7
    CONFIGURATION = 8
    SET_ALTERNATE = 9
    GET_ALTERNATE = 10
    ALTERNATE = 11
    LISTEN = 15
    LISTEN_NO_MORE = 16
    LISTENING = 17
    CANCEL = 21
    CONTROL = 100
    BULK = 101
    INTERRUPT = 103


class Malformed(ValueError):
    """What the other end sends is not usbredir, or more than anybody needs."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet, head read."""

    kind: int
    number: int
    body: bytes

    def cut(self, layout: struct.Struct) -> tuple[tuple[int, ...], bytes]:
        """Return the fields at the front, and the rest. Raises Malformed."""
        if len(self.body) < layout.size:
            raise Malformed(f"a packet of kind {self.kind} with {len(self.body)} bytes")
        return layout.unpack_from(self.body), self.body[layout.size :]


class Dialect:
    """What both ends can do, and packets accordingly."""

    def __init__(self) -> None:
        self.long_ids = False
        self.long_bulk = False
        self._unread = bytearray()

    def agree(self, hello: Packet) -> None:
        """Take the other end's hello. Raises Malformed."""
        words = hello.body[64:68]
        if len(hello.body) < 64:
            raise Malformed(f"a hello of {len(hello.body)} bytes")
        theirs = int.from_bytes(words, "little")
        self.long_ids = bool(theirs & LONG_IDS)
        self.long_bulk = bool(theirs & LONG_BULK)

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived."""
        self._unread += data

    def next(self) -> Packet | None:
        """Return the next packet that is complete. Raises Malformed."""
        head = LONG_HEAD if self.long_ids else SHORT_HEAD
        if len(self._unread) < head.size:
            return None
        kind, length, number = head.unpack_from(self._unread)
        if length > MAX_BODY_BYTES:
            raise Malformed(f"a packet of {length} bytes; at most {MAX_BODY_BYTES} make sense")
        if len(self._unread) < head.size + length:
            return None
        body = bytes(self._unread[head.size : head.size + length])
        del self._unread[: head.size + length]
        return Packet(kind, number, body)

    def packet(self, kind: Kind, body: bytes = b"", number: int = 0) -> bytes:
        """Return the bytes of a packet."""
        head = LONG_HEAD if self.long_ids else SHORT_HEAD
        return head.pack(kind, len(body), number) + body

    def bulk(self, endpoint: int, status: int, length: int, number: int, data: bytes = b"") -> bytes:
        """Return the answer to a bulk transfer."""
        body = BULK_HEAD.pack(endpoint, status, length & 0xFFFF, 0)
        if self.long_bulk:
            body += BULK_LENGTH_HIGH.pack(length >> 16)
        return self.packet(Kind.BULK, body + data, number)

    def bulk_asked(self, packet: Packet) -> tuple[int, int, bytes]:
        """Return endpoint, bytes wanted or brought, and what was brought. Raises Malformed."""
        (endpoint, _, length, _), rest = packet.cut(BULK_HEAD)
        if self.long_bulk:
            if len(rest) < BULK_LENGTH_HIGH.size:
                raise Malformed("a bulk packet without the upper half of its length")
            length |= BULK_LENGTH_HIGH.unpack_from(rest)[0] << 16
            rest = rest[BULK_LENGTH_HIGH.size :]
        return endpoint, length, rest


def connect_body(told: UsbDescriptors) -> bytes:
    """Return what a plugging in tells: speed, class (each interface has its own), ids, release."""
    speed = HIGH_SPEED if told.packet_bytes >= HIGH_SPEED_PACKET_BYTES else FULL_SPEED
    return struct.pack("<BBBBHHH", speed, 0, 0, 0, told.vendor_id, told.product_id, told.release)


def interfaces_body(told: UsbDescriptors) -> bytes:
    """Return the table of the one interface."""
    kind = HID_CLASS if told.hid_report else VENDOR_CLASS
    return struct.pack("<I", 1) + bytes(PLACES) + _table({0: kind}) + bytes(2 * PLACES)


def endpoints_body(told: UsbDescriptors) -> bytes:
    """Return the tables of the endpoints: type, interval, interface, largest packet."""
    kind, interval = (INTERRUPT, 1) if told.hid_report else (BULK, 0)
    ours = [(address & INWARD) >> 3 | address & 0x0F for address in told.endpoints]
    types = _table({0: 0, 16: 0} | dict.fromkeys(ours, kind), NOTHING)
    sizes = {0: CONTROL_PACKET_BYTES, 16: CONTROL_PACKET_BYTES} | dict.fromkeys(ours, told.packet_bytes)
    largest = struct.pack(f"<{PLACES}H", *(sizes.get(place, 0) for place in range(PLACES)))
    return types + _table(dict.fromkeys(ours, interval)) + bytes(PLACES) + largest


def _table(values: dict[int, int], otherwise: int = 0) -> bytes:
    return bytes(values.get(place, otherwise) for place in range(PLACES))
