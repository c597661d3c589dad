"""Acme N1 handheld NIR, firmware 1.x, USB serial at 9600. Invented: copy this file and replace all of it.

Every exchange is one line of text, ended by LF:

    "I"          -> "N1 SSSSSS"           S  serial number, 6 digits
    "G TTTT"     -> "OK"                  T  integration time, 1 to 9999 ms
    "M"          -> "NNNN TTTT P0 P1 ..." N  scan number; T  detector, 0.1 C, signed; P  pixels, 0 to 65535
    "L 0", "L 1" -> "OK"                  lamp off, on
    anything else, or too early: "ERR C"  C  1 unknown, 2 busy, 3 lamp

Source: name the document and section that each fact is from. What is only a guess is marked [inferred].
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from drivers.attempt import attempt
from drivers.contract import Conversation, Drain, Environment, Identity, RawScan, Receive, ScanSettings, Send
from drivers.errors import BadSettings, DeviceBusy, DeviceRefused, DriverError, WireError, WrongInstrument
from drivers.framing import Lines

# Facts: all that tells this model from another, on one screen, each limit with its reason.
KIND = "_template"
PIXELS = 128
FIRST_NM, LAST_NM = 900.0, 1700.0
SATURATION_COUNTS = 65_535
REPLY_WITHIN_S = 1.0
SCAN_WITHIN_S = 12.0  # the longest integration, its repetition by the firmware, and the transfer at 9600 baud
FAULTS = {1: "unknown", 2: "busy", 3: "lamp"}

# Layouts: plain functions over bytes. Length first, then integrity, then fields.
LINE = Lines(limit_bytes=1024)  # a scan is at most 128 x 6 + 12 characters


def numbers_in(line: bytes, count: int) -> list[int]:
    """Return exactly `count` integers. Raises WireError."""
    try:
        numbers = [int(word) for word in line.split()]
    except ValueError as error:
        raise WireError(f"not numbers: {error}", received=line) from error
    if len(numbers) != count:
        raise WireError(f"{len(numbers)} numbers, expected {count}", received=line)
    return numbers


# Conversations: generators of steps. They never open, sleep or log.


def ask(command: bytes, within_s: float = REPLY_WITHIN_S) -> Conversation[bytes]:
    """Send one line and return the answer. Raises DeviceBusy or DeviceRefused."""
    yield Send(data=command + b"\n")
    line = (yield Receive(framer=LINE, within_s=within_s)) or b""
    if not line.startswith(b"ERR"):
        return line
    (code,) = numbers_in(line[3:], 1)
    name = FAULTS.get(code, f"code {code}")
    if name == "busy":
        raise DeviceBusy("the instrument is busy")
    raise DeviceRefused(f"the instrument refused {command.decode('ascii')}: {name}", codes={name: code})


def identify() -> Conversation[Identity]:
    """Ask who it is. Raises WrongInstrument for another model."""
    line = yield from ask(b"I")
    model, _, serial_number = line.partition(b" ")
    if model != b"N1" or not serial_number.isdigit():
        raise WrongInstrument(f"answers as {line[:32]!r}, not as an Acme N1")
    return Identity(kind=KIND, model="N1", serial_number=serial_number.decode("ascii"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateDevice:
    """Holds no state: two instruments may share it."""

    kind: str = KIND
    title: str = "Acme N1"
    links: tuple[str, ...] = ("serial",)
    default_settings: ScanSettings = field(default_factory=lambda: ScanSettings(points=PIXELS, repeats=1))

    def open(self) -> Conversation[Identity]:
        """Light off first, then who it is."""
        yield Drain()
        yield from attempt(lambda: ask(b"L 0"))
        return (yield from attempt(identify))

    def configure(self, settings: ScanSettings) -> Conversation[None]:
        """Check before anything is sent."""
        if settings.points != PIXELS:
            raise BadSettings(f"{settings.points} points; this model has {PIXELS}")
        yield from attempt(lambda: ask(b"G 10"))

    def scan(self, settings: ScanSettings) -> Conversation[RawScan]:
        """Light on for one scan, and off also when it fails; an interrupted scan leaves that to `close`."""
        identity = yield from attempt(identify)
        yield from attempt(lambda: ask(b"L 1"))
        try:
            line = yield from attempt(lambda: ask(b"M", SCAN_WITHIN_S))
        except DriverError:
            yield Drain()
            yield from ask(b"L 0")
            raise
        yield from attempt(lambda: ask(b"L 0"))
        scan_index, tenths, *pixels = numbers_in(line, 2 + PIXELS)
        if not all(0 <= value <= SATURATION_COUNTS for value in pixels):
            raise WireError(f"a pixel outside 0 to {SATURATION_COUNTS}", received=line)
        counts = np.array(pixels, dtype=np.int32)
        return RawScan(
            identity=identity,
            settings=settings,
            scan_index=scan_index,
            axis=np.linspace(FIRST_NM, LAST_NM, PIXELS, dtype=np.float64),
            axis_unit="nm",
            counts=counts,
            raw=counts.copy(),
            dark_level=0.0,
            saturated=counts >= SATURATION_COUNTS,
            gain=1,
            environment=Environment(detector_c=tenths / 10),
            blob=line,
        )

    def environment(self) -> Conversation[Environment]:
        """This model tells its temperature with a scan only; asking who it is keeps it awake."""
        yield from attempt(identify)
        return Environment()

    def close(self) -> Conversation[None]:
        """Light off."""
        yield Drain()
        yield from attempt(lambda: ask(b"L 0"))


DEVICE = TemplateDevice()
