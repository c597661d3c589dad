"""The bytes of protocols.md 4.7 to 4.9, put together with struct alone, so that no expectation rests on drivers."""

from __future__ import annotations

import struct

from drivers.contract import Identity, Unit

GOLDEN_BLOB_SHA256 = "569d70c9edffeb744c734987fbe3ba919427cc72cf6d8bf73895fd8e51950f6a"
UNIT = Unit(identity=Identity(kind="nirscan", model="NIR-M-R2", serial_number="6100023"))
SCAN_FORMAT = b"S(uc#cccccccjjvvu$(f#f#)c#vccccvc#c#vvcvvi#)\0"


def uart(message: bytes) -> bytes:
    """Frame one message as 4.9 draws it."""
    return b"ABCD" + struct.pack("<I", sum(message)) + message + b"DCBA"


def uart_reply(command: int, data: bytes = b"", *, sequence: int = 0, flags: int = 0xC0) -> bytes:
    """A framed reply: the length counts the command, which comes first."""
    return uart(struct.pack("<BBHH", flags, sequence, 2 + len(data), command) + data)


def uart_request(command: int, data: bytes = b"", *, sequence: int = 0, flags: int = 0xC0) -> bytes:
    """A framed request."""
    return uart(struct.pack("<BBHH", flags, sequence, 2 + len(data), command) + data)


def golden_readings(patterns: int = 228) -> list[int]:
    """Dark readings of 1000 at 24, 49, ...; pattern k is 1000 + 10 k."""
    readings: list[int] = []
    for k in range(patterns):
        if len(readings) % 25 == 24:
            readings.append(1000)
        readings.append(1000 + 10 * k)
    return readings


def scan_blob(
    *,
    name: bytes = b"edged test",
    index: int = 77,
    coefficients: tuple[float, float, float] = (1784.902664, -0.874372, -0.000278),
    readings: list[int] | None = None,
    used: int | None = None,
    dark: tuple[int, int] = (24, 25),
    gain: int = 16,
    kind: int = 0,
    span: tuple[int, int, int, int, int] = (900, 1700, 6, 228, 6),
    conditions: tuple[int, int, int, int] = (3125, 2950, 4210, 1234),
    configuration: bytes = b"Column 1",
) -> bytes:
    """The transfer of one scan; without arguments the recipe of 4.8."""
    readings = golden_readings() if readings is None else readings
    counts = struct.pack("<7I", 20, 3, 3, 8, 8, 40, 864)
    body = struct.pack("<I20s", 1, name)
    body += bytes([26, 11, 21, 6, 1, 40, 7])
    body += struct.pack("<hhHHI", *conditions, index)
    body += struct.pack("<3d", -2.74909, 0.0278162, -0.0000681733)
    body += struct.pack("<3d", *coefficients)
    body += struct.pack("<8sH", b"6100023", len(readings) if used is None else used)
    body += bytes([*dark, gain, kind])
    body += struct.pack("<H8s40s", 8, b"6100023", configuration)
    body += struct.pack("<HHBHH", *span)
    body += struct.pack("<864i", *readings, *[0] * (864 - len(readings)))
    image = b"tpl\0" + struct.pack("<I", 8 + len(SCAN_FORMAT) + len(counts) + len(body)) + SCAN_FORMAT + counts + body
    return image.ljust(3822, b"\0")
