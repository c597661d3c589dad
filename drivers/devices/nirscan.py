"""TI DLP NIRscan Nano family (InnoSpectra NIR-S-G1, NIR-M-R2), USB HID or UART at 115200 8N1. Firmware 2.x.

The message FF SS LL LL | data ... and what carries it are drawn in `_nirscan_message`, the scan in `_nirscan_scan`.
Integers are little-endian. On USB every unit is number 12345678; the true one is asked for. Commands, sent -> and
answered <-:

    0x0233 <- serial, 8 text        0x023C <- model, 16 text       0x0216 <- 7 x u32: four 0x00MMmmpp, three numbers
    0x0403 <- u32 status: 1 well, 2 scan in progress               0x0404 <- u32 fault bits, 16 codes; 0x0405 clears
    0x021E -> configuration, 124    <- s32 patterns, negative is an error
    0x022E -> u16 repeats           0x040C -> u8 fixed, u8 gain    0x0237 <- s32 estimated ms, -1 is unknown
    0x0218 -> u8 0, starts a scan   0x0219 <- u8 1 when done
    0x002D -> u32 file type         <- u32 size, at its beginning  0x002E <- the next 512 bytes at most
    0x0300 <- 2 x s32 0.01 C: ambient, detector (one s32 if the reading failed)   0x0302 <- 2 x s32: 0.01 C, 0.01 %
    0x030A <- s32 0.01 V battery    0x0402 <- 3 x u32 photodiodes  0x030E -> u8 hibernate   0x0225 -> u8 lamp automatic

A failed scan shows in the fault bits only, and the transfer that follows is the one before: its index has not moved.
Source: TI user's guide DLPU030, appendix H.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from drivers.attempt import attempt
from drivers.contract import (
    Conversation,
    Drain,
    Environment,
    Identity,
    Medium,
    RawScan,
    Receive,
    ScanSettings,
    Send,
    Settings,
    Unit,
    UsbIds,
    Wait,
)
from drivers.devices._nirscan_message import (
    READ,
    WRITE,
    HidWire,
    Request,
    UartWire,
    Wire,
    decode_reply,
    encode_request,
)
from drivers.devices._nirscan_scan import (
    GAINS,
    Scan,
    clean_text,
    decode_scan,
    encode_configuration,
    humidity_percent,
    scan_index_of,
    temperature_c,
)
from drivers.devices._nirscan_settings import estimated_ms, raise_bad_settings, raise_unless_as_asked
from drivers.errors import (
    AskAgain,
    DeviceRefused,
    NoAnswer,
    Resynchronise,
    WireError,
    WrongInstrument,
)
from drivers.tpl import MAGIC

# Facts
KIND = "nirscan"
USB = UsbIds(ids=((0x0451, 0x4200),))
CONFIGURATION_BYTES = 124  # the buffer that the maker's host sends

REPLY_WITHIN_S = 1.0
CONFIGURE_WITHIN_S = 5.0  # the firmware computes and stores every pattern first
SETTLE_S = 0.05  # [inferred] "done" may still be that of the scan before if asked sooner
POLL_S = 0.1
LAMP_DIODE = 0  # [inferred] which of the three photodiodes looks at the lamp as a scan reports it
MAX_ESTIMATE_MS = 3_600_000  # a longer estimate is as good as none
MAX_STALE_REPLIES = 8  # answers to earlier questions that may still come before ours
MAX_FILE_BYTES = 8192  # the longest known transfer has 3822; bounds what a wrong size makes us read
SCAN_FILE = 0

# Layouts
VERSIONS = struct.Struct("<7I")
VERSION_NAMES = ("tiva", "dlpc", "dlpc_flash", "spectrum_library", "calibration", "reference", "configuration")
DOTTED_VERSIONS = 4  # the first ones are 0x00MMmmpp, the others plain numbers
U32, S32, TWO_S32, THREE_U32 = struct.Struct("<I"), struct.Struct("<i"), struct.Struct("<2i"), struct.Struct("<3I")
FAULTS = struct.Struct("<IB15x")  # [inferred] the codes are bytes in the order of the bits, the scan's first
STATUS_SCANNING = 2
FAULT_BITS = {
    0x001: "scan",
    0x002: "adc",
    0x004: "sd",
    0x008: "eeprom",
    0x010: "bluetooth",
    0x020: "library",
    0x040: "hardware",
    0x080: "temperature",
    0x100: "humidity",
    0x200: "battery",
    0x400: "memory",
    0x800: "uart",
}
SPOILING = 0x001 | 0x002 | 0x020 | 0x040 | 0x400  # the others do not touch the light
SCAN_CODES = {
    0x01: "dlpc_boot",
    0x02: "initialisation",
    0x04: "lamp",
    0x08: "crop",
    0x10: "converter",
    0x20: "configuration",
    0x40: "streaming",
    0x80: "read",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One conversation: the wire it is carried on, and the running sequence. 0 is left to failures without request."""

    wire: Wire
    sequence: Iterator[int] = field(default_factory=lambda: itertools.cycle(range(1, 256)))

    def read(self, command: int, data: bytes = b"", *, within_s: float = REPLY_WITHIN_S) -> Conversation[bytes]:
        """Ask for the answer's data."""
        return self._ask(READ, command, data, within_s)

    def write(self, command: int, data: bytes = b"", *, within_s: float = REPLY_WITHIN_S) -> Conversation[bytes]:
        """Tell, and wait for the acknowledgement."""
        return self._ask(WRITE, command, data, within_s)

    def _ask(self, flags: int, command: int, data: bytes, within_s: float) -> Conversation[bytes]:
        request = Request(flags=flags, sequence=next(self.sequence), command=command, data=data)
        yield Send(data=self.wire.wrap(encode_request(request)))
        for _ in range(MAX_STALE_REPLIES + 1):
            message = yield Receive(framer=self.wire.framer, within_s=within_s)
            answer = self.wire.answer(decode_reply(message or b""), request)
            if answer is not None:
                return answer
        raise WireError(f"command {command:#06x}: {MAX_STALE_REPLIES + 1} answers to other questions came instead")


# Conversations


def identify(talk: Talk) -> Conversation[Identity]:
    """Ask who it is. Raises WrongInstrument for one without a serial number."""
    serial_number = yield from ask_serial_number(talk)
    model = yield from talk.read(0x023C)
    versions = unpack(VERSIONS, (yield from talk.read(0x0216)), "versions")
    texts = [f"{v >> 16 & 0xFF}.{v >> 8 & 0xFF}.{v & 0xFF}" for v in versions[:DOTTED_VERSIONS]]
    texts += [str(v) for v in versions[DOTTED_VERSIONS:]]
    return Identity(
        kind=KIND,
        model=clean_text(model),
        serial_number=serial_number,
        versions=dict(zip(VERSION_NAMES, texts, strict=True)),
    )


def ask_serial_number(talk: Talk) -> Conversation[str]:
    """Ask for the text that tells units apart; USB cannot, it says the same for each."""
    serial_number = clean_text((yield from talk.read(0x0233)))
    if not serial_number:
        raise WrongInstrument("the instrument has no serial number", hint="its memory may be blank")
    return serial_number


def measure_conditions(talk: Talk) -> Conversation[Environment]:
    """Ask for temperatures, humidity, lamp and battery; each that is refused or of another length stays None."""
    temperatures = yield from ask_or_none(talk, 0x0300, TWO_S32)  # a single number says that the reading failed
    humidity = yield from ask_or_none(talk, 0x0302, TWO_S32)
    photodiodes = yield from ask_or_none(talk, 0x0402, THREE_U32)
    battery = yield from ask_or_none(talk, 0x030A, S32)
    return Environment(
        ambient_c=temperature_c(temperatures[0]) if temperatures else None,
        detector_c=temperature_c(temperatures[1]) if temperatures else None,
        humidity_percent=humidity_percent(humidity[1]) if humidity else None,
        lamp_photodiode=photodiodes[LAMP_DIODE] if photodiodes else None,
        battery_v=battery[0] / 100 if battery else None,
    )


def ask_or_none(talk: Talk, command: int, layout: struct.Struct) -> Conversation[tuple[int, ...] | None]:
    """Read what not every unit has; None where it is refused, or answered in a layout that we do not know.

    The frame's checksum held, so the length is what the unit means: asking again would give the same.
    """
    try:
        data = yield from talk.read(command)
    except DeviceRefused:
        return None
    return layout.unpack(data) if len(data) == layout.size else None


def apply_settings(talk: Talk, settings: ScanSettings) -> Conversation[None]:
    """Send configuration, repeats and gain. Raises DeviceRefused when the instrument cannot make the patterns."""
    serial_number = yield from ask_serial_number(talk)
    yield from talk.write(0x0405)
    image = encode_configuration(settings, serial_number).ljust(CONFIGURATION_BYTES, b"\0")
    (patterns,) = unpack(S32, (yield from talk.write(0x021E, image, within_s=CONFIGURE_WITHIN_S)), "number of patterns")
    if patterns <= 0:
        raise DeviceRefused(
            f"the instrument refused the scan configuration with {patterns}", codes={"configuration": patterns}
        )
    yield from talk.write(0x022E, struct.pack("<H", settings.repeats))
    gain = bytes([0, GAINS[0]]) if settings.gain is None else bytes([1, settings.gain])
    yield from talk.write(0x040C, gain)


def take_scan(talk: Talk, settings: ScanSettings) -> Conversation[tuple[Scan, bytes]]:
    """Start a scan, wait for it, check that it went well, fetch it, and check that it is a new one."""
    limit_s = yield from await_idle(talk, settings)
    before = yield from attempt(lambda: prepare(talk), (Resynchronise,))
    yield from attempt(lambda: talk.write(0x0218, b"\0"), (Resynchronise,))
    yield Wait(seconds=SETTLE_S)
    yield from poll(lambda: is_done(talk), limit_s)
    yield from attempt(lambda: raise_scan_faults(talk), (Resynchronise,))
    blob, scan = yield from attempt(lambda: fetch_scan(talk), (Resynchronise,))
    if scan.scan_index == before:  # "done" may have come early, and the data a moment later
        yield Wait(seconds=POLL_S)
        blob, scan = yield from attempt(lambda: fetch_scan(talk), (Resynchronise,))
    if before is not None and scan.scan_index == before:
        raise DeviceRefused(
            f"the instrument still offers scan {before >> 16}.{before & 0xFFFF}; the new one failed without saying why",
            hint="too little light and a failed lamp look like this",
            codes={"stale_scan": before},
        )
    return scan, blob


def await_idle(talk: Talk, settings: ScanSettings) -> Conversation[float]:
    """Let a scan that an earlier session began come to its end; return how long a scan may take, in seconds."""
    estimate_ms = yield from attempt(lambda: ask_estimate_ms(talk))
    if not 0 < estimate_ms <= MAX_ESTIMATE_MS:
        estimate_ms = estimated_ms(settings)
    limit_s = 2 * estimate_ms / 1000 + 5
    yield from poll(lambda: is_idle(talk), limit_s)
    return limit_s


def ask_estimate_ms(talk: Talk) -> Conversation[int]:
    """Ask how long a scan will take; the answer may be -1."""
    (estimate_ms,) = unpack(S32, (yield from talk.read(0x0237)), "estimated time")
    return estimate_ms


def prepare(talk: Talk) -> Conversation[int | None]:
    """Clear old faults; return the index of the scan that a transfer would give now, None if there is none."""
    yield from talk.write(0x0405)
    try:
        size = yield from begin_file(talk)
        return scan_index_of((yield from talk.read(0x002E))) if size else None
    except DeviceRefused:
        return None


def poll(question: Callable[[], Conversation[bool]], limit_s: float) -> Conversation[None]:
    """Ask until the answer is yes. Raises NoAnswer after `limit_s`."""
    for _ in range(math.ceil(limit_s / POLL_S)):
        if (yield from attempt(question)):
            return
        yield Wait(seconds=POLL_S)
    raise NoAnswer(f"the scan was not done within {limit_s:.1f} s", hint="switch the instrument off and on")


def is_done(talk: Talk) -> Conversation[bool]:
    """Ask whether the scan is done; the status has to agree, as "done" may come early."""
    done = yield from talk.read(0x0219)
    if len(done) != 1 or done[0] not in (0, 1):
        raise WireError(f"scan progress of {len(done)} bytes, expected one of 0 or 1", received=done)
    return done[0] == 1 and (yield from is_idle(talk))


def is_idle(talk: Talk) -> Conversation[bool]:
    """Ask whether no scan is in progress."""
    (status,) = unpack(U32, (yield from talk.read(0x0403)), "status")
    return not status & STATUS_SCANNING


def raise_scan_faults(talk: Talk) -> Conversation[None]:
    """Raise DeviceRefused with the codes by name if the scan failed."""
    bits, scan_code = unpack(FAULTS, (yield from talk.read(0x0404)), "fault status")
    if not bits & SPOILING:
        return
    codes = {name: bit for bit, name in FAULT_BITS.items() if bits & bit}
    if "scan" in codes:
        codes |= {f"scan_{name}": bit for bit, name in SCAN_CODES.items() if scan_code & bit}
    raise DeviceRefused(
        f"the scan failed: {', '.join(codes)}", hint="check the lamp and the sample window", codes=codes
    )


def begin_file(talk: Talk) -> Conversation[int]:
    """Go to the beginning of the scan file and return its size in bytes."""
    (size,) = unpack(U32, (yield from talk.read(0x002D, U32.pack(SCAN_FILE))), "file size")
    if size > MAX_FILE_BYTES:
        raise WireError(f"a scan file of {size} bytes, limit {MAX_FILE_BYTES}")
    return int(size)


def fetch_scan(talk: Talk) -> Conversation[tuple[bytes, Scan]]:
    """Fetch the scan file from its beginning and understand it.

    Raises WireError if it does not fit together, DeviceRefused if there is none.
    """
    size = yield from begin_file(talk)
    blob = b""
    while len(blob) < size:
        piece = yield from talk.read(0x002E)
        if not piece or len(blob) + len(piece) > size:
            raise WireError(f"a piece of {len(piece)} bytes after {len(blob)} of {size}", received=piece)
        blob += piece
    if not blob.startswith(MAGIC):
        raise DeviceRefused("the instrument offers no valid scan", hint="too little light?", codes={"invalid_scan": 1})
    return blob, decode_scan(blob)


def unpack(layout: struct.Struct, data: bytes, name: str) -> tuple[int, ...]:
    """Unpack an answer of exactly this length. Raises WireError naming both lengths."""
    if len(data) != layout.size:
        raise WireError(f"{name}: {len(data)} bytes, expected {layout.size}", received=data)
    return layout.unpack(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class NirscanDevice:
    """The family on one kind of link. Holds no state: each conversation asks again who is there."""

    kind: str = KIND
    title: str = "TI NIRscan Nano, InnoSpectra NIR-M-R2"
    links: tuple[Medium, ...] = ("serial", "hid")
    usb: UsbIds | None = USB
    default_settings: Settings = field(default_factory=ScanSettings)
    wire: Wire = field(default_factory=UartWire)

    def over(self, medium: Medium) -> NirscanDevice:
        """Return the family on this medium."""
        return replace(self, wire=HidWire() if medium == "hid" else UartWire())

    def open(self) -> Conversation[Unit]:
        """Lamp automatic, no hibernation, old faults cleared, then who it is."""
        yield Drain()
        return Unit(identity=(yield from attempt(self._open)))

    def configure(self, unit: Unit, settings: Settings) -> Conversation[None]:
        """Make the settings current. Raises BadSettings before anything is sent."""
        settings = raise_bad_settings(settings)
        talk = Talk(wire=self.wire)
        yield from await_idle(talk, settings)
        yield from attempt(lambda: apply_settings(talk, settings))

    def scan(self, unit: Unit, settings: Settings) -> Conversation[RawScan]:
        """One scan. Raises DeviceRefused for a failed one, when asking again has not helped."""
        settings = raise_bad_settings(settings)
        talk = Talk(wire=self.wire)
        identity = yield from attempt(lambda: identify(talk))
        scan, blob = yield from attempt(lambda: take_scan(talk, settings), (AskAgain,))
        raise_unless_as_asked(scan, settings)
        return RawScan(
            identity=identity,
            settings=settings,
            scan_index=scan.scan_index,
            axis=scan.axis_nm,
            axis_unit="nm",
            counts=scan.counts.astype(np.float64),
            raw=scan.readings,
            dark_level=float(scan.dark_level),
            saturated=scan.saturated,
            gain=scan.gain,
            environment=scan.environment,
            blob=blob,
        )

    def environment(self, unit: Unit) -> Conversation[Environment]:
        """Ask for conditions; also keeps the instrument from falling asleep."""
        return (yield from attempt(lambda: measure_conditions(Talk(wire=self.wire))))

    def close(self) -> Conversation[None]:
        """Lamp automatic, which is off between scans. Asked twice if need be."""
        yield Drain()
        yield from attempt(lambda: Talk(wire=self.wire).write(0x0225, b"\1"))

    def _open(self) -> Conversation[Identity]:
        talk = Talk(wire=self.wire)
        yield from talk.write(0x0225, b"\1")
        identity = yield from identify(talk)
        with contextlib.suppress(DeviceRefused):  # firmware without hibernation; `environment` keeps the others awake
            yield from talk.write(0x030E, b"\0")
        yield from talk.write(0x0405)
        return identity


DEVICE = NirscanDevice()
