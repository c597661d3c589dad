"""The memory of a Wasatch spectrometer: 8 pages of 64 bytes, read once at opening.

What a page holds grew with the format number (page 0, byte 63; 19 known): a field is read only from the format on that
has it. Source: Wasatch.PY, EEPROM.py and SpectrometerSettings.py (vendor document ENG-0034).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from drivers.contract import Calibration
from drivers.errors import WrongInstrument

PAGES, PAGE_BYTES = 8, 64
NEWEST_FORMAT = 19
# the format that brought a field
FORMAT_STARTUP, FORMAT_FLOAT_EXCITATION, FORMAT_WIDE_INTEGRATION, FORMAT_SUBFORMAT = 3, 4, 5, 7
FORMAT_C4, FORMAT_FEATURES, FORMAT_WARM_UP, FORMAT_WATCHDOG = 8, 10, 10, 15

INVERT, HARDWARE_EVEN_ODD, INTERLOCK_EXCLUDED = 0x0001, 0x0010, 0x0400
RAMAN_INTENSITY, MULTI_WAVELENGTH = 1, 5  # sub-formats whose page 6 begins with the intensity polynomial
MAX_INTENSITY_ORDER = 7  # the vendor writes 5; a page holds no more than 15

PIXELS = (128, 4096)  # InGaAs arrays begin at 256, CMOS sensors end near 2000; bounds a frame to 8 KiB
AXIS_NM = (200.0, 2_600.0)  # silicon and InGaAs see no further
EXCITATION_NM = (200.0, 2_000.0)  # of every laser that Raman spectra are taken with
INTEGRATION_MS = (1, 0xFF_FFFF)  # the command carries 24 bits
FULL_PERCENT = 100.5  # a fit may end a little above what there is
MAX_LASER_MW = 1_000.0  # strongest laser of the maker's catalogue is 450 mW; more is a damaged memory
COOLER_C = (-60, 60)  # no thermoelectric cooler leaves it
GAIN = (0.0, 255.99)  # 8 bits whole, 8 bits behind the point
TRIM_AT = {"gain": 48, "odd gain": 54}
MAX_LINE = 2_048  # of the largest sensor that is read so, 1097 lines, with room
MAX_ODD_RATIO = 10.0  # two halves of one chip differ by percents

Cooled = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaserFacts:
    """What the memory says of the laser. percent: coefficients c0...c3 of the power in percent from mW."""

    percent: tuple[float, float, float, float]
    min_mw: float
    max_mw: float
    warm_up_s: int

    def percent_at(self, power_mw: float) -> float:
        """Return the power in percent of all the laser can do."""
        return sum(coefficient * power_mw**order for order, coefficient in enumerate(self.percent))


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a unit stores of itself. axis: nm of the pixels as read, read-only.

    lines: first and last line of a CMOS sensor that are summed, None where none are stored. laser None: there is none,
    or it must not be used; `no_laser` says why. cooler: limits in C and the stored set
    point, None where there is no cooler or its polynomial is no use. to_dac: DAC from C; to_c: C from ADC.
    """

    model: str
    serial_number: str
    format: int
    detector: str
    axis: NDArray[np.float64]
    calibration: Calibration
    integration_ms: tuple[int, int]
    gain: float | None
    offset: int | None
    lines: tuple[int, int] | None
    has_cooler: bool
    cooler_c: tuple[int, int] | None
    set_point_c: int | None
    to_dac: Cooled | None
    to_c: Cooled | None
    laser: LaserFacts | None
    no_laser: str
    notes: tuple[str, ...]


class Pages:
    """The image, and how its fields are read: (page, offset)."""

    def __init__(self, pages: Sequence[bytes]) -> None:
        self._image = b"".join(pages)

    def number(self, page: int, offset: int, kind: Literal["B", "H", "h", "I"]) -> int:
        """Return an integer."""
        (value,) = struct.unpack_from(f"<{kind}", self._image, page * PAGE_BYTES + offset)
        return int(value)

    def real(self, page: int, offset: int) -> float:
        """Return a 32-bit float widened to double; may be NaN."""
        (value,) = struct.unpack_from("<f", self._image, page * PAGE_BYTES + offset)
        return float(value)

    def reals(self, page: int, offset: int, count: int) -> tuple[float, ...]:
        """Return `count` floats in a row."""
        return tuple(self.real(page, offset + 4 * index) for index in range(count))

    def text(self, page: int, offset: int, size: int) -> str:
        """Return printable ASCII up to the first NUL or unprogrammed byte."""
        at = page * PAGE_BYTES + offset
        field = self._image[at : at + size]
        for end in (b"\0", b"\xff"):
            field = field.split(end, 1)[0]
        return "".join(chr(byte) for byte in field if 0x20 <= byte < 0x7F).strip()


def is_blank(page: bytes) -> bool:
    """Say whether nobody ever wrote there."""
    return page.count(0xFF) == len(page)


def read_memory(pages: Sequence[bytes], *, ingaas: bool) -> Memory:
    """Understand the pages. Raises WrongInstrument for a memory without a serial number or a wavelength axis."""
    if is_blank(pages[0]) or is_blank(pages[1]):
        raise WrongInstrument(
            "the memory of the spectrometer is not programmed: it has no serial number and no wavelength axis",
            hint="its maker has to program it; until then neither spectra on an axis nor its laser can be used",
        )
    image = Pages(pages)
    edition = image.number(0, 63, "B")
    serial_number = image.text(0, 16, 16)
    if not serial_number:
        raise WrongInstrument(
            "the spectrometer has no serial number in its memory", hint="its memory is damaged: it needs its maker"
        )
    notes: list[str] = []
    if edition > NEWEST_FORMAT:
        notes.append(f"the memory has format {edition}; known are those up to {NEWEST_FORMAT}")
    features = image.number(0, 39, "H") if edition >= FORMAT_FEATURES else 0
    axis = axis_of(image, edition, invert=bool(features & INVERT))
    excitation_nm = excitation_of(image, edition)
    gain, offset = trim_of(image, edition, "gain", notes)
    odd_gain, odd_offset = trim_of(image, edition, "odd gain", notes) if ingaas else (None, None)
    to_dac, to_c = useful(image.reals(1, 16, 3)), useful(image.reals(1, 32, 3))
    has_cooler = image.number(0, 36, "B") == 1
    cooler_c = cooler_of(image, to_dac, notes) if has_cooler else None
    laser, no_laser = laser_of(image, edition, excitation_nm, notes)
    return Memory(
        model=image.text(0, 0, 16),
        serial_number=serial_number,
        format=edition,
        detector=image.text(2, 0, 16),
        axis=axis,
        calibration=calibration_of(
            image,
            edition,
            features,
            pixels=len(axis),
            excitation_nm=excitation_nm,
            odd=odd_pair(gain, odd_gain, offset, odd_offset),
            notes=notes,
        ),
        integration_ms=integration_of(image, edition, notes),
        gain=gain,
        offset=offset,
        lines=lines_of(image),
        has_cooler=has_cooler,
        cooler_c=cooler_c,
        set_point_c=set_point_of(image, edition, cooler_c, ingaas=ingaas),
        to_dac=to_dac,
        to_c=to_c,
        laser=laser,
        no_laser=no_laser,
        notes=tuple(notes),
    )


def useful(coefficients: tuple[float, ...]) -> Cooled | None:
    """Return three coefficients, None where one is no number or all are zero."""
    first, second, third = coefficients
    whole = all(math.isfinite(value) for value in coefficients) and any(coefficients)
    return (first, second, third) if whole else None


def axis_of(image: Pages, edition: int, *, invert: bool) -> NDArray[np.float64]:
    """Return nm, float64, of the pixels as read. Raises WrongInstrument where the memory gives no axis.

    The maker counts pixels after the axis is turned. Terms are summed from the lowest, as the maker's program does, so
    that the axis is his to the last bit.
    """
    pixels = image.number(2, 16, "H")
    if not PIXELS[0] <= pixels <= PIXELS[1]:
        raise WrongInstrument(
            f"the memory says that the detector has {pixels} pixels; possible are {PIXELS[0]} to {PIXELS[1]}",
            hint="its memory is damaged: have it calibrated by its maker",
        )
    coefficients = image.reals(1, 0, 4) + ((image.real(2, 21),) if edition >= FORMAT_C4 else ())
    indices = np.arange(pixels, dtype=np.float64)
    axis = np.zeros(pixels, dtype=np.float64)
    if all(math.isfinite(value) for value in coefficients):
        for power, coefficient in enumerate(coefficients):
            axis = axis + coefficient * indices**power
    steps = np.diff(axis)
    one_way = bool((steps > 0).all() or (steps < 0).all())
    if not one_way or axis.min() < AXIS_NM[0] or axis.max() > AXIS_NM[1]:
        shown = ", ".join(f"{value:g}" for value in coefficients)
        raise WrongInstrument(
            f"the wavelength coefficients in the memory ({shown}) give no axis",
            hint="its memory is damaged: have it calibrated by its maker",
        )
    axis = np.ascontiguousarray(axis[::-1] if invert else axis)
    axis.flags.writeable = False
    return axis


def excitation_of(image: Pages, edition: int) -> float | None:
    """Return the laser's wavelength in nm, None where the memory has none that a laser could have."""
    excitation_nm = image.real(3, 36) if edition >= FORMAT_FLOAT_EXCITATION else float(image.number(0, 39, "H"))
    return excitation_nm if EXCITATION_NM[0] <= excitation_nm <= EXCITATION_NM[1] else None


def integration_of(image: Pages, edition: int, notes: list[str]) -> tuple[int, int]:
    """Return limits in ms; all that the command can carry where the memory's make no sense."""
    if edition >= FORMAT_WIDE_INTEGRATION:
        low, high = image.number(3, 40, "I"), image.number(3, 44, "I")
    else:
        low, high = image.number(2, 21, "H"), image.number(2, 23, "H")
    if INTEGRATION_MS[0] <= low <= high <= INTEGRATION_MS[1]:
        return low, high
    notes.append(f"integration limits of {low} to {high} ms in the memory cannot be true; 1 to 60000 ms are used")
    return 1, 60_000


def trim_of(
    image: Pages, edition: int, name: Literal["gain", "odd gain"], notes: list[str]
) -> tuple[float | None, int | None]:
    """Return gain and offset as made; None: not stored, and the unit keeps its own."""
    if edition < FORMAT_STARTUP:
        return None, None
    at = TRIM_AT[name]
    gain = image.real(0, at)
    if not GAIN[0] < gain <= GAIN[1]:
        notes.append(f"the stored {name} {gain:g} cannot be true and is not used")
        return None, None
    return gain, image.number(0, at + 4, "h")


def lines_of(image: Pages) -> tuple[int, int] | None:
    """Return the first vertical region, None for one that is empty or beyond any sensor."""
    first, last = image.number(2, 31, "H"), image.number(2, 33, "H")
    return (first, last) if first < last <= MAX_LINE else None


def odd_pair(
    gain: float | None, odd_gain: float | None, offset: int | None, odd_offset: int | None
) -> tuple[float | None, float | None]:
    """Return what odd pixels are multiplied by and what is added then: the even pair off, the odd pair on."""
    if gain is None or odd_gain is None or offset is None or odd_offset is None:
        return None, None
    ratio = odd_gain / gain
    if not 1 / MAX_ODD_RATIO <= ratio <= MAX_ODD_RATIO:
        return None, None
    return ratio, odd_offset - ratio * offset


def cooler_of(image: Pages, to_dac: Cooled | None, notes: list[str]) -> tuple[int, int] | None:
    """Return the limits of the set point in C, None with a note where the cooler cannot be steered."""
    high, low = image.number(1, 28, "h"), image.number(1, 30, "h")
    if to_dac is None or not COOLER_C[0] <= low <= high <= COOLER_C[1]:
        notes.append("the memory does not say how the detector's cooler is steered: it is left alone")
        return None
    return low, high


def set_point_of(image: Pages, edition: int, cooler_c: tuple[int, int] | None, *, ingaas: bool) -> int | None:
    """Return the set point in C: as stored, else the maker's habit for the detector, None without a cooler."""
    if cooler_c is None:
        return None
    low, high = cooler_c
    stored = image.number(0, 45, "h") if edition >= FORMAT_STARTUP else high + 1
    if low <= stored <= high:
        return stored
    detector = image.text(2, 0, 16)
    deep = ingaas or any(name in detector for name in ("7031", "10141", "9214"))
    return min(high, max(low, -15 if deep else 10))


def laser_of(
    image: Pages, edition: int, excitation_nm: float | None, notes: list[str]
) -> tuple[LaserFacts | None, str]:
    """Return the laser, or None and why there is none to use."""
    if image.number(0, 38, "B") != 1:
        return None, "it has no laser"
    if excitation_nm is None:
        why = "the memory names no wavelength of its laser"
    else:
        first, second, third, fourth = image.reals(3, 12, 4)
        max_mw, min_mw = image.real(3, 28), image.real(3, 32)
        facts = LaserFacts(
            percent=(first, second, third, fourth),
            min_mw=min_mw,
            max_mw=max_mw,
            warm_up_s=image.number(2, 18, "B") if edition >= FORMAT_WARM_UP else 0,
        )
        if is_calibrated(facts):
            return facts, ""
        why = f"the memory's calibration of its power, {min_mw:g} to {max_mw:g} mW, cannot be true"
    notes.append(f"the laser is not used: {why}")
    return None, why


def is_calibrated(laser: LaserFacts) -> bool:
    """Say whether the power in percent is a rising function from 0 to 100 over the laser's range.

    All comparisons are false with NaN, so that a bad number never passes. Checked at both ends and between, for a
    polynomial that dips would give more light for less mW.
    """
    if not 0 <= laser.min_mw <= laser.max_mw <= MAX_LASER_MW:
        return False
    steps = [laser.min_mw + (laser.max_mw - laser.min_mw) * part / 64 for part in range(65)]
    percents = [laser.percent_at(power_mw) for power_mw in steps]
    rising = all(after >= before for before, after in pairwise(percents))
    return rising and percents[0] >= 0 and 0 < percents[-1] <= FULL_PERCENT and math.isfinite(sum(percents))


def calibration_of(
    image: Pages,
    edition: int,
    features: int,
    *,
    pixels: int,
    excitation_nm: float | None,
    odd: tuple[float | None, float | None],
    notes: list[str],
) -> Calibration:
    """Return what corrections need, in pixels as read."""
    invert = bool(features & INVERT)

    def as_read(pixel: int) -> int:
        return pixels - 1 - pixel if invert else pixel

    listed = {image.number(5, 2 * index, "h") for index in range(15)} - {-1}
    outside = sorted(pixel for pixel in listed if not 0 <= pixel < pixels)
    if outside:
        notes.append(f"bad pixels {outside} in the memory are outside the detector and not used")
    first, last = image.number(2, 27, "H"), image.number(2, 29, "H")
    active = tuple(sorted((as_read(first), as_read(last)))) if first < last < pixels else None
    odd_gain, odd_offset = (None, None) if features & HARDWARE_EVEN_ODD else odd
    return Calibration(
        bad_pixels=tuple(sorted(as_read(pixel) for pixel in listed if 0 <= pixel < pixels)),
        odd_gain=odd_gain,
        odd_offset=odd_offset,
        invert=invert,
        intensity=intensity_of(image, edition, notes),
        active=(active[0], active[1]) if active else None,
        excitation_nm=excitation_nm,
    )


def intensity_of(image: Pages, edition: int, notes: list[str]) -> tuple[float, ...]:
    """Return the coefficients of the relative intensity, () where none are stored."""
    if edition < FORMAT_SUBFORMAT or image.number(5, 63, "B") not in (RAMAN_INTENSITY, MULTI_WAVELENGTH):
        return ()
    order = image.number(6, 0, "B")
    coefficients = image.reals(6, 1, order + 1) if order <= MAX_INTENSITY_ORDER else (math.nan,)
    if not all(math.isfinite(value) for value in coefficients):
        notes.append("the stored intensity correction is damaged and not used")
        return ()
    return coefficients if any(coefficients) else ()
