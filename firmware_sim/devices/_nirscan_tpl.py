"""TPL images of the NIRscan Nano family: scan configuration, calibration coefficients, scan data (column scans).

    74 70 6c | FF | LL LL LL LL | format ... 00 | NN NN NN NN a "#" of the format | packed data
    F  flags, bit 0 = big-endian (never set here)    L  length of all of it    N  elements of that array
Data are packed without alignment, little-endian. Offsets below are absolute, in bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

MAGIC = b"tpl"
CONFIGURATION_FORMAT, CONFIGURATION_LENGTHS = b"S(cvc#c#vvcvv)", (8, 40)
CALIBRATION_FORMAT, CALIBRATION_LENGTHS = b"S(f#f#)", (3, 3)
SCAN_FORMAT = b"S(uc#cccccccjjvvu$(f#f#)c#vccccvc#c#vvcvvi#)"
SCAN_LENGTHS = (20, 3, 3, 8, 8, 40, 864)
CONFIGURATION_BYTES, CALIBRATION_BYTES, SCAN_BYTES = 91, 144, 3822  # the last two: padded to the size of a C structure
ADC_SLOTS = 864
FIRST_BLACK, BLACK_PERIOD = 24, 25  # indices 24, 49, 74 ... are readings with all mirrors off
HEADER_VERSION = 1
COLUMN, HADAMARD, SLEW = 0, 1, 2

_CONFIGURATION = struct.Struct("<BH8s40sHHBHH")
_SCAN_HEAD = struct.Struct("<I20s7BhhHHI")
_SCAN_UNIT = struct.Struct("<3d3d8sHBBB")


class TplError(ValueError):
    """The bytes are not an image of this format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What to scan. Range in whole nm, width in pixels of the mirror array."""

    scan_type: int = COLUMN
    index: int = 0
    serial_number: str = ""
    name: str = "Column 1"
    start_nm: int = 900
    end_nm: int = 1700
    width_px: int = 6
    patterns: int = 228
    repeats: int = 6

    def packed(self) -> bytes:
        """Return the data part, as it stands in a configuration image and at the end of scan data."""
        return _CONFIGURATION.pack(
            self.scan_type,
            self.index,
            self.serial_number.encode("ascii"),
            self.name.encode("ascii"),
            self.start_nm,
            self.end_nm,
            self.width_px,
            self.patterns,
            self.repeats,
        )

    @property
    def readings(self) -> int:
        """Patterns, and the black readings between them."""
        return self.patterns + self.patterns // FIRST_BLACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """Calibration: Hadamard shift vector, and nm = c0 + c1*x + c2*x**2 of a mirror column x."""

    shift: tuple[float, float, float]
    pixel_to_nm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanData:
    """One scan as the instrument keeps it. `when`: year - 2000, month, day, weekday, h, m, s. adc: black ones too."""

    when: tuple[int, int, int, int, int, int, int]
    system_c: float
    detector_c: float
    humidity_percent: float
    lamp_photodiode: int
    scan_index: int
    coefficients: Coefficients
    serial_number: str
    gain: int
    configuration: Configuration
    adc: tuple[int, ...] = field(repr=False)
    name: str = ""


def configuration_image(configuration: Configuration) -> bytes:
    """Return 91 bytes."""
    return _image(CONFIGURATION_FORMAT, CONFIGURATION_LENGTHS, configuration.packed())


def configuration_from(image: bytes) -> Configuration:
    """Read a configuration image; bytes after it are ignored, hosts leave rubbish there. Raises TplError."""
    data = _data_of(image, CONFIGURATION_FORMAT, CONFIGURATION_LENGTHS)
    scan_type, index, serial, name, start, end, width, patterns, repeats = _CONFIGURATION.unpack(data)
    return Configuration(
        scan_type=scan_type,
        index=index,
        serial_number=_text(serial),
        name=_text(name),
        start_nm=start,
        end_nm=end,
        width_px=width,
        patterns=patterns,
        repeats=repeats,
    )


def calibration_image(coefficients: Coefficients) -> bytes:
    """Return 144 bytes, of which 72 are used."""
    data = struct.pack("<3d3d", *coefficients.shift, *coefficients.pixel_to_nm)
    return _image(CALIBRATION_FORMAT, CALIBRATION_LENGTHS, data).ljust(CALIBRATION_BYTES, b"\0")


def scan_image(scan: ScanData) -> bytes:
    """Return 3822 bytes, of which 3701 are used."""
    head = _SCAN_HEAD.pack(
        HEADER_VERSION,
        scan.name.encode("ascii"),
        *scan.when,
        round(scan.system_c * 100),
        round(scan.detector_c * 100),
        round(scan.humidity_percent * 100),
        scan.lamp_photodiode,
        scan.scan_index,
    )
    unit = _SCAN_UNIT.pack(
        *scan.coefficients.shift,
        *scan.coefficients.pixel_to_nm,
        scan.serial_number.encode("ascii"),
        len(scan.adc),
        FIRST_BLACK,
        BLACK_PERIOD,
        scan.gain,
    )
    adc = struct.pack(f"<{len(scan.adc)}i", *scan.adc).ljust(4 * ADC_SLOTS, b"\0")
    data = head + unit + scan.configuration.packed() + adc
    return _image(SCAN_FORMAT, SCAN_LENGTHS, data).ljust(SCAN_BYTES, b"\0")


def _image(form: bytes, lengths: tuple[int, ...], data: bytes) -> bytes:
    body = form + b"\0" + struct.pack(f"<{len(lengths)}I", *lengths) + data
    return MAGIC + b"\0" + struct.pack("<I", 8 + len(body)) + body


def _data_of(image: bytes, form: bytes, lengths: tuple[int, ...]) -> bytes:
    head = len(form) + 9 + 4 * len(lengths)
    if len(image) < head or image[:3] != MAGIC:
        raise TplError(f"{len(image)} bytes that do not begin with a TPL header")
    if image[3] & 1:
        raise TplError("big-endian image")
    total = int.from_bytes(image[4:8], "little")
    if not head < total <= len(image):
        raise TplError(f"image says {total} bytes of {len(image)}")
    if image[8 : 9 + len(form)] != form + b"\0":
        raise TplError("another format")
    if struct.unpack_from(f"<{len(lengths)}I", image, 9 + len(form)) != lengths:
        raise TplError("array lengths differ from those of the format")
    if total != head + _CONFIGURATION.size:
        raise TplError(f"{total - head} bytes of data where {_CONFIGURATION.size} are needed")
    return image[head:total]


def _text(field_bytes: bytes) -> str:
    return field_bytes.split(b"\0", 1)[0].decode("ascii", errors="replace").replace("�", "?")
