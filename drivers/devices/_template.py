"""Acme N1 handheld NIR, firmware 1.x, USB serial at 115200 8N1. Invented: copy this file and replace all of it.

Every exchange is one line of text, ended by LF. What the instrument says ends with a blank and CCCC, the CRC-16/XMODEM
of all before that blank, in hex:

    "I"          -> "N1 SSSSSS CCCC"           S  serial number, 6 digits; ffffff while its memory is blank
    "G TTTT"     -> "OK G TTTT CCCC"           T  integration time, 1 to 9999 ms
    "L 0", "L 1" -> "OK L 0 CCCC"              lamp off, on
    "M"          -> "N T P0 P1 ... P127 CCCC"  N  scan number; T  detector, 0.1 C, signed; P  pixels, 0 to 65535
    anything else, or too early: "ERR E CCCC"  E  1 unknown, 2 busy, 3 lamp

Source: name the document and section that each fact is from. What is only a guess is marked [inferred].
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field

import numpy as np

from drivers.attempt import attempt
from drivers.contract import (
    Conversation,
    Drain,
    Environment,
    ExposureSettings,
    Identity,
    Limits,
    Medium,
    RawScan,
    Receive,
    Send,
    Settings,
    Unit,
    UsbIds,
)
from drivers.errors import BadSettings, DeviceBusy, DeviceRefused, DriverError, Interrupted, WireError, WrongInstrument
from drivers.framing import Lines

# Facts: all that tells this model from another, on one screen, each limit with its reason.
KIND = "_template"
PIXELS = 128
FIRST_NM, LAST_NM = 900.0, 1700.0
SATURATION_COUNTS = 65_535
REPLY_WITHIN_S = 1.0
SCAN_WITHIN_S = 12.0  # the longest integration, the transfer, and a second
FAULTS = {1: "unknown", 2: "busy", 3: "lamp"}

LIMITS = Limits(integration_ms=(1.0, 9999.0), saturation_counts=SATURATION_COUNTS)

# Layouts: plain functions over bytes. Length first, then integrity, then fields.
LINE = Lines(limit_bytes=1024)  # a scan is at most 128 x 6 + 12 characters


def checked(line: bytes) -> bytes:
    """Return the line without its checksum. Raises WireError."""
    body, _, digits = line.rpartition(b" ")
    if digits != b"%04X" % binascii.crc_hqx(body, 0):
        raise WireError("a line with a wrong checksum", received=line)
    return body


def numbers_in(line: bytes, count: int) -> list[int]:
    """Return exactly `count` integers. Raises WireError."""
    try:
        numbers = [int(word) for word in line.split()]
    except ValueError as error:
        raise WireError(f"not numbers: {error}", received=line) from error
    if len(numbers) != count:
        raise WireError(f"{len(numbers)} numbers, expected {count}", received=line)
    return numbers


def integration_of(settings: Settings) -> float:
    """Return the integration time of settings that this model can do, in ms. Raises BadSettings."""
    if not isinstance(settings, ExposureSettings) or settings.laser_mw is not None or settings.repeats != 1:
        raise BadSettings("this model takes one frame of its own lamp", hint="leave repeats and laser_mw unset")
    low, high = LIMITS.integration_ms
    if not low <= settings.integration_ms <= high:
        raise BadSettings(f"integration_ms {settings.integration_ms:g}; this model does {low:g} to {high:g}")
    return settings.integration_ms


# Conversations: generators of steps. They never open, sleep or log.


def ask(command: bytes, within_s: float = REPLY_WITHIN_S) -> Conversation[bytes]:
    """Send one line and return the answer. Raises DeviceBusy or DeviceRefused."""
    yield Send(data=command + b"\n")
    line = checked((yield Receive(framer=LINE, within_s=within_s)) or b"")
    if not line.startswith(b"ERR"):
        return line
    (code,) = numbers_in(line[3:], 1)
    name = FAULTS.get(code, f"code {code}")
    if name == "busy":
        raise DeviceBusy("the instrument is busy")
    raise DeviceRefused(f"the instrument refused {command.decode('ascii')}: {name}", codes={name: code})


def tell(command: bytes) -> Conversation[None]:
    """Send one line and check that it is what the instrument understood. Raises WireError if not."""
    if (line := (yield from ask(command))) != b"OK " + command:
        raise WireError(f"{command.decode('ascii')} was answered with something else", received=line)


def identify() -> Conversation[Identity]:
    """Ask who it is. Raises WrongInstrument for another model."""
    line = yield from ask(b"I")
    model, _, serial_number = line.partition(b" ")
    if model != b"N1" or not serial_number.isdigit():
        raise WrongInstrument(f"answers as {line[:32]!r}, not as an Acme N1", hint="is its memory blank?")
    return Identity(kind=KIND, model="N1", serial_number=serial_number.decode("ascii"))


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeN1Device:
    """Holds no state: two instruments may share it."""

    kind: str = KIND
    title: str = "Acme N1"
    links: tuple[Medium, ...] = ("serial",)
    usb: UsbIds | None = None
    default_settings: Settings = field(default_factory=lambda: ExposureSettings(integration_ms=10.0))

    def over(self, medium: Medium) -> AcmeN1Device:
        """Return the family on this medium; there is one only."""
        return self

    def open(self) -> Conversation[Unit]:
        """Light off first, then who it is."""
        yield Drain()
        yield from attempt(lambda: tell(b"L 0"))
        return Unit(identity=(yield from attempt(identify)), limits=LIMITS)

    def configure(self, unit: Unit, settings: Settings) -> Conversation[None]:
        """Check before anything is sent."""
        command = f"G {integration_of(settings):.0f}".encode()
        yield from attempt(lambda: tell(command))

    def scan(self, unit: Unit, settings: Settings) -> Conversation[RawScan]:
        """Light on for one scan, and off also when it fails or is interrupted."""
        yield from attempt(lambda: tell(b"L 1"))
        try:
            line = yield from attempt(lambda: ask(b"M", SCAN_WITHIN_S))
        except (DriverError, Interrupted):
            yield Drain()
            yield from tell(b"L 0")
            raise
        yield from attempt(lambda: tell(b"L 0"))
        scan_index, tenths, *pixels = numbers_in(line, 2 + PIXELS)
        if not all(0 <= value <= SATURATION_COUNTS for value in pixels):
            raise WireError(f"a pixel outside 0 to {SATURATION_COUNTS}", received=line)
        counts = np.array(pixels, dtype=np.int32)
        return RawScan(
            identity=unit.identity,
            settings=settings,
            scan_index=scan_index,
            axis=np.linspace(FIRST_NM, LAST_NM, PIXELS, dtype=np.float64),
            axis_unit="nm",
            counts=counts.astype(np.float64),
            raw=counts.reshape(1, PIXELS),
            dark_level=0.0,
            saturated=counts >= SATURATION_COUNTS,
            gain=1.0,
            environment=Environment(detector_c=tenths / 10),
            blob=line,
            exposure_ms=integration_of(settings),
        )

    def environment(self, unit: Unit) -> Conversation[Environment]:
        """This model tells its temperature with a scan only; asking who it is keeps it awake."""
        yield from attempt(identify)
        return Environment()

    def close(self) -> Conversation[None]:
        """Light off."""
        yield Drain()
        yield from attempt(lambda: tell(b"L 0"))


DEVICE = AcmeN1Device()
