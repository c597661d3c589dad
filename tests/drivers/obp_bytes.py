"""Worked messages of the Ocean Binary Protocol, typed from the protocol notes."""

from __future__ import annotations

import struct

TAIL = "14 00 00 00" + " 00" * 16 + " c5 c4 c3 c2"
TEN, SIXTEEN = " 00" * 10, " 00" * 16


def frame(text: str) -> bytes:
    return bytes.fromhex(text)


GET_SERIAL = frame(f"c1 c0 00 11 00 00 00 00 00 01 00 00 {TEN} 00 00 {SIXTEEN} {TAIL}")
SERIAL = frame(
    f"c1 c0 00 11 01 00 00 00 00 01 00 00 {TEN} 00 0a 53 54 53 2d 53 31 32 33 34 35 00 00 00 00 00 00 {TAIL}"
)
SERIAL_MD5 = frame(
    f"c1 c0 00 11 01 00 00 00 00 01 00 00 {TEN} 01 0a 53 54 53 2d 53 31 32 33 34 35 00 00 00 00 00 00 14 00 00 00"
    "26 18 0a 4e da de 05 25 1f d1 41 39 f2 b9 86 de c5 c4 c3 c2"
)
SET_10_MS = frame(f"c1 c0 00 11 04 00 00 00 10 00 11 00 {TEN} 00 04 10 27 00 00 {' 00' * 12} {TAIL}")
ACK = frame(f"c1 c0 00 11 03 00 00 00 10 00 11 00 {TEN} 00 00 {SIXTEEN} {TAIL}")
NACK = frame(f"c1 c0 00 11 09 00 02 00 99 09 00 00 {TEN} 00 00 {SIXTEEN} {TAIL}")
GET_COEFFICIENT = frame(f"c1 c0 00 11 00 00 00 00 01 01 18 00 {TEN} 00 01 01 {' 00' * 15} {TAIL}")
COEFFICIENT = frame(f"c1 c0 00 11 01 00 00 00 01 01 18 00 {TEN} 00 04 f9 0f e9 3e {' 00' * 12} {TAIL}")
GET_RAW = frame(f"c1 c0 00 11 00 00 00 00 00 11 10 00 {TEN} 00 00 {SIXTEEN} {TAIL}")
RAW = (
    frame(f"c1 c0 00 11 01 00 00 00 00 11 10 00 {TEN} 00 00 {SIXTEEN} 14 08 00 00")
    + struct.pack("<1024H", *range(1500, 2524))
    + frame(f"{SIXTEEN} c5 c4 c3 c2")
)
