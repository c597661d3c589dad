"""The scan of a NIRscan Nano, from the transferred bytes to counts at wavelengths. No wire here: only the TPL image.

Scan data (column or Hadamard), 3701 bytes of image in a transfer of 3822; offsets are those in the transfer
    81  header version u32 · 85 name, 20 · 105 clock: year - 2000, month, day, weekday, h, min, s
    112 system s16 0.01 C · 114 detector s16 0.01 C · 116 humidity u16 0.01 % · 118 lamp photodiode u16
    120 scan index u32: session << 16 | scan · 124 shift vector 3 x f64 · 148 pixel to nm c0 c1 c2, 3 x f64
    172 serial, 8 · 180 readings used u16 · 182 first dark u8 · 183 dark period u8 · 184 gain u8
    185 type u8: 0 column, 1 Hadamard, 2 slew · 186 configuration index u16, serial 8, name 40
    236 start nm u16 · 238 end nm u16 · 240 width px u8 · 241 patterns u16 · 243 repeats u16 · 245 readings 864 x s32
Configuration, 91 bytes: type u8, index u16, serial 8, name 40, start nm, end nm, width px, patterns, repeats as above
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.contract import Environment, ScanSettings
from drivers.errors import WireError
from drivers.tpl import HEAD, Image, read_image, write_image

MAX_READINGS = 864  # the array in the firmware; fixed by the format
MICROMIRROR_COLUMNS = 854  # a DLP2010; the pixel of a pattern lies in 0 ... 853
FULL_SCALE_COUNTS = 0x7F_FFFF  # [inferred] positive full scale of the 24-bit converter
GAINS = (1, 2, 4, 8, 16, 32, 64)
COLUMN, HADAMARD, SLEW = 0, 1, 2

SCAN_FORMAT = "S(uc#cccccccjjvvu$(f#f#)c#vccccvc#c#vvcvvi#)"
SCAN_COUNTS = (20, 3, 3, 8, 8, 40, MAX_READINGS)
SCAN = struct.Struct("<I20s7BhhHHI3d3d8sHBBBBH8s40sHHBHH")
SLEW_FORMAT = "S(uc#cccccccjjvvu$(f#f#)c#vccc)"
CONFIGURATION_FORMAT = "S(cvc#c#vvcvv)"
CONFIGURATION_COUNTS = (8, 40)
CONFIGURATION = struct.Struct("<BH8s40sHHBHH")

SCAN_INDEX_AT = 120  # in the transfer of every scan, slew scans excepted
PLAUSIBLE_C = (-60.0, 150.0)  # a reading outside comes from a broken sensor, not from a room
CONFIGURATION_INDEX = 8  # [inferred] any will do; this is what a real host sends with the configuration it applies
MAX_COEFFICIENTS = (10_000.0, 100.0, 1.0)  # nm, nm/px, nm/px^2: far beyond any instrument, bounds the arithmetic


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One scan, understood. `readings` are the detector's integers in the order of measuring, dark ones included.

    axis_nm, counts, saturated: one entry a pattern. `counts` have `dark_level` removed.
    """

    serial_number: str
    scan_index: int
    environment: Environment
    gain: int
    start_nm: int
    end_nm: int
    width_px: int
    patterns: int
    repeats: int
    dark_level: int
    axis_nm: NDArray[np.float64]
    counts: NDArray[np.int32]
    readings: NDArray[np.int32]
    saturated: NDArray[np.bool_]


def encode_configuration(settings: ScanSettings, serial_number: str) -> bytes:
    """Return the image of a column configuration for this unit. The settings have been checked."""
    values = CONFIGURATION.pack(
        COLUMN,
        CONFIGURATION_INDEX,
        serial_number.encode("ascii"),
        settings.name.encode("ascii"),
        round(settings.start_nm),
        round(settings.end_nm),
        settings.width_px,
        settings.points,
        settings.repeats,
    )
    return write_image(Image(format=CONFIGURATION_FORMAT, counts=CONFIGURATION_COUNTS, values=values))


def scan_index_of(beginning: bytes) -> int | None:
    """Return the scan index from the first bytes of a transfer, None if they hold no scan."""
    if len(beginning) < SCAN_INDEX_AT + 4 or not beginning.startswith(SCAN_FORMAT.encode("ascii") + b"\0", HEAD.size):
        return None
    (index,) = struct.unpack_from("<I", beginning, SCAN_INDEX_AT)
    return int(index)


def decode_scan(blob: bytes) -> Scan:
    """Understand one transfer. Raises WireError where it breaks the layout or a stated limit."""
    image = read_image(blob)
    if image.format == SLEW_FORMAT:
        raise WireError("a slew scan (several sections); only column scans are understood", received=blob)
    if image.format != SCAN_FORMAT or image.counts != SCAN_COUNTS:
        raise WireError(f"not a scan: TPL format {image.format!r} with lengths {image.counts}", received=blob)
    if len(image.values) != SCAN.size + 4 * MAX_READINGS:
        raise WireError(f"a scan of {len(image.values)} bytes, expected {SCAN.size + 4 * MAX_READINGS}", received=blob)
    fields = SCAN.unpack_from(image.values)
    system, detector, humidity, photodiode, scan_index = fields[9:14]
    coefficients = fields[17:20]
    serial_number, used, first_dark, dark_period, gain, kind = fields[20:26]
    start_nm, end_nm, width_px, patterns, repeats = fields[29:34]
    if kind != COLUMN:
        name = {HADAMARD: "Hadamard", SLEW: "slew"}.get(kind, f"type {kind}")
        raise WireError(f"a {name} scan; only column scans are understood", received=blob)
    if gain not in GAINS:
        raise WireError(f"gain {gain} is none of {GAINS}", received=blob)
    if not 2 <= used <= MAX_READINGS:
        raise WireError(f"{used} readings, expected 2 to {MAX_READINGS}", received=blob)
    readings = np.frombuffer(image.values, dtype="<i4", count=used, offset=SCAN.size).astype(np.int32)
    dark = _dark_mask(used, first_dark, dark_period)
    if np.count_nonzero(~dark) != patterns:
        raise WireError(f"{np.count_nonzero(~dark)} readings of {patterns} patterns", received=blob)
    dark_level = _integer_mean(readings[dark])
    counts = readings[~dark].astype(np.int64) - dark_level
    if np.abs(counts).max() > np.iinfo(np.int32).max:
        raise WireError("readings far outside the converter's range", received=blob)
    return Scan(
        serial_number=clean_text(serial_number),
        scan_index=scan_index,
        environment=Environment(
            ambient_c=temperature_c(system),
            detector_c=temperature_c(detector),
            humidity_percent=humidity_percent(humidity),
            lamp_photodiode=photodiode,
        ),
        gain=gain,
        start_nm=start_nm,
        end_nm=end_nm,
        width_px=width_px,
        patterns=patterns,
        repeats=repeats,
        dark_level=dark_level,
        axis_nm=pattern_axis_nm(coefficients, start_nm, end_nm, patterns, width_px),
        counts=counts.astype(np.int32),
        readings=readings,
        saturated=readings[~dark] >= FULL_SCALE_COUNTS,
    )


def pattern_axis_nm(
    coefficients: tuple[float, float, float], start_nm: int, end_nm: int, patterns: int, width_px: int
) -> NDArray[np.float64]:
    """Return the centre of each pattern: columns step linearly between the ends, in whole pixels, then to nm.

    An even width has its centre half a pixel lower. Raises WireError if the range is not on the mirrors.
    """
    c0, c1, c2 = coefficients
    if not 0 < start_nm < end_nm or width_px < 1 or patterns < 2:
        raise WireError(f"{patterns} patterns of {width_px} px from {start_nm} to {end_nm} nm make no scan")
    bounded = all(abs(c) <= limit for c, limit in zip(coefficients, MAX_COEFFICIENTS, strict=True))  # false for NaN
    if not bounded or c1 * (c1 + 2 * c2 * (MICROMIRROR_COLUMNS - 1)) <= 0:
        raise WireError(f"pixel to nm coefficients {c0:g}, {c1:g}, {c2:g} do not map pixels one to one")
    first, last = _pixel_of(coefficients, start_nm), _pixel_of(coefficients, end_nm)
    pixels = np.trunc(first + np.arange(patterns, dtype=np.float64) * ((last - first) / (patterns - 1)))
    centres = pixels - 0.5 if width_px % 2 == 0 else pixels
    return np.asarray(c0 + c1 * centres + c2 * centres**2, dtype=np.float64)


def clean_text(field: bytes) -> str:
    """Return the printable ASCII up to the first NUL."""
    return "".join(chr(byte) for byte in field.split(b"\0")[0] if 0x20 <= byte < 0x7F).strip()


def temperature_c(hundredths: int) -> float | None:
    """Return degrees, None for what no sensor can mean."""
    return hundredths / 100 if PLAUSIBLE_C[0] <= hundredths / 100 <= PLAUSIBLE_C[1] else None


def humidity_percent(hundredths: int) -> float | None:
    """Return percent, None for what no sensor can mean."""
    return hundredths / 100 if 0 <= hundredths <= 100_00 else None


def _dark_mask(used: int, first: int, period: int) -> NDArray[np.bool_]:
    if not 1 <= first < used or period < 2:
        raise WireError(f"no dark reading: first {first}, period {period}, {used} readings")
    mask = np.zeros(used, dtype=np.bool_)
    mask[first::period] = True
    return mask


def _integer_mean(values: NDArray[np.int32]) -> int:
    """Divide as C does, towards zero, which is how the maker's own library does it."""
    return int(int(values.sum(dtype=np.int64)) / len(values))


def _pixel_of(coefficients: tuple[float, float, float], wavelength_nm: int) -> float:
    """Return the root of c2 x^2 + c1 x + c0 = nm that lies on the mirrors."""
    c0, c1, c2 = coefficients
    if c2 == 0:
        roots = [(wavelength_nm - c0) / c1]
    else:
        discriminant = c1 * c1 - 4 * c2 * (c0 - wavelength_nm)
        root = math.sqrt(discriminant) if discriminant >= 0 else math.nan
        roots = [(-c1 + root) / (2 * c2), (-c1 - root) / (2 * c2)]
    for x in roots:
        if 0 <= x <= MICROMIRROR_COLUMNS - 1:
            return x
    raise WireError(f"{wavelength_nm} nm lies on none of the {MICROMIRROR_COLUMNS} mirror columns")
