"""The memory of an Ocean spectrometer: slots of 15 bytes, most of them text, read once at opening.

     0  serial number                            14     order of the non-linearity polynomial
   1-4  wavelength coefficients c0 ... c3        15     bench: grating, filter, slit
     5  stray light, one or two numbers          17     binary, see `saturation_of` and `cooler_of`
  6-13  non-linearity coefficients c0 ... c7     unprogrammed: FF in every byte
Text ends at a NUL; what follows is rubbish of an earlier, longer text. Numbers may have a decimal comma [inferred].
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.contract import Calibration
from drivers.devices._ooi_models import Model
from drivers.errors import WrongInstrument

SLOT_BYTES = 15
SERIAL_NUMBER, WAVELENGTH, STRAY_LIGHT, NONLINEARITY, ORDER, BENCH, BINARY = 0, range(1, 5), 5, range(6, 14), 14, 15, 17
SLOTS = (SERIAL_NUMBER, *WAVELENGTH, STRAY_LIGHT, *NONLINEARITY, ORDER, BENCH, BINARY)

AXIS_NM = (100.0, 12_000.0)  # no grating with any of these detectors leaves it: 200 to 2600 nm, with room
SMALLEST_SATURATION = 1_024  # 64 times below full scale; a lower one would lift noise to the top of the range
SET_POINT_C = (-40.0, 30.0)  # [inferred] 40 C below a cool room, and no warmer than a warm one
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")

COOLER = struct.Struct("<BBh")
SATURATIONS = {"u16 at 4": struct.Struct("<4xH"), "u32 at 4": struct.Struct("<4xI"), "u16 at 0": struct.Struct("<H")}
BLANK = {"u16 at 4": 0xFFFF, "u32 at 4": 0xFFFF_FFFF, "u16 at 0": 0xFFFF}


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a unit stores of itself. axis: nm of the pixels as transferred, read-only.

    saturation: the reading at which it saturates; scale: what readings are multiplied by to be counts; brightest,
    factor: the same two in the form that numpy is quickest with. set_point_c, fan_on: of the cooler, None and False
    where it is off. notes: what is missing, for a human.
    """

    serial_number: str
    bench: str
    axis: NDArray[np.float64]
    saturation: int
    scale: float
    calibration: Calibration
    set_point_c: float | None
    fan_on: bool
    notes: tuple[str, ...]
    brightest: NDArray[np.int32]
    factor: NDArray[np.float64]


def read_memory(slots: Mapping[int, bytes], model: Model) -> Memory:
    """Understand the slots of a model. Raises WrongInstrument without a serial number or a usable wavelength axis."""
    serial_number = text_of(slots[SERIAL_NUMBER])
    if not serial_number:
        raise WrongInstrument(
            f"the {model.name} has no serial number in its memory", hint="its memory is blank: it needs its maker"
        )
    notes: list[str] = []
    axis = axis_of(slots, model)
    saturation, scale = saturation_of(slots[BINARY], model, notes)
    set_point_c, fan_on = cooler_of(slots[BINARY]) if model.has_cooler else (None, False)
    return Memory(
        serial_number=serial_number,
        bench=text_of(slots[BENCH]),
        axis=axis,
        saturation=saturation,
        scale=scale,
        calibration=Calibration(
            dark_pixels=model.dark_pixels,
            nonlinearity=nonlinearity_of(slots, notes),
            stray_light=numbers_of(slots[STRAY_LIGHT])[:2],
            active=model.active,
        ),
        set_point_c=set_point_c,
        fan_on=fan_on,
        notes=tuple(notes),
        brightest=np.array(saturation, np.int32),
        factor=np.array(scale, np.float64),
    )


def text_of(slot: bytes) -> str:
    """Return the printable ASCII up to the first NUL or unprogrammed byte."""
    text = re.split(b"[\0\xff]", slot, maxsplit=1)[0]
    return "".join(chr(byte) for byte in text if 0x20 <= byte < 0x7F).strip()


def number_of(slot: bytes) -> float | None:
    """Return the finite number that a slot's text is, None for anything else."""
    text = text_of(slot).replace(",", ".")
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else None


def numbers_of(slot: bytes) -> tuple[float, ...]:
    """Return the numbers at the front of a slot that holds several, with NULs between."""
    values: list[float] = []
    for piece in slot.split(b"\0"):
        value = number_of(piece)
        if value is None:
            break
        values.append(value)
    return tuple(values)


def axis_of(slots: Mapping[int, bytes], model: Model) -> NDArray[np.float64]:
    """Return nm, float64, one a pixel as transferred. Raises WrongInstrument where the memory gives no axis.

    The terms are summed from the lowest as the maker's programs do, so that the axis is theirs to the last bit.
    """
    indices = np.arange(model.first_index, model.first_index + model.transfer_pixels, dtype=np.float64)
    axis = np.zeros(model.transfer_pixels, dtype=np.float64)
    for power, slot in enumerate(WAVELENGTH):
        coefficient = number_of(slots[slot])
        if coefficient is None:
            shown = slots[slot].hex(" ")
            raise WrongInstrument(
                f"the {model.name} stores no wavelength coefficient c{power} (slot {slot}: {shown})",
                hint="its memory is not programmed: have it calibrated by its maker",
            )
        with np.errstate(over="ignore", invalid="ignore"):  # hostile coefficients; the check below is for their sum
            axis = axis + coefficient * indices**power
    first, last = model.active or (0, model.transfer_pixels - 1)
    seen = axis[first : last + 1]
    with np.errstate(invalid="ignore"):
        steps = np.diff(seen)
    if not ((steps > 0).all() or (steps < 0).all()) or seen.min() < AXIS_NM[0] or seen.max() > AXIS_NM[1]:
        raise WrongInstrument(
            f"the {model.name} stores wavelengths from {seen[0]:g} to {seen[-1]:g} nm that are no axis",
            hint="its memory is damaged: have it calibrated by its maker",
        )
    axis.flags.writeable = False
    return axis


def nonlinearity_of(slots: Mapping[int, bytes], notes: list[str]) -> tuple[float, ...]:
    """Return c0 ... of the stored order, () with a note where any of them is missing."""
    order = number_of(slots[ORDER])
    if order is None or not 0 <= order < len(NONLINEARITY):
        notes.append("no non-linearity correction is stored")
        return ()
    coefficients = [number_of(slots[slot]) for slot in NONLINEARITY[: int(order) + 1]]
    stored = tuple(value for value in coefficients if value is not None)
    if len(stored) < len(coefficients) or not any(stored):
        notes.append("the stored non-linearity correction is incomplete and not used")
        return ()
    return stored


def saturation_of(slot: bytes, model: Model, notes: list[str]) -> tuple[int, float]:
    """Return the reading at which the unit saturates, and the factor that lifts it to full scale."""
    if model.saturation is None:
        return model.full_scale, 1.0
    (stored,) = SATURATIONS[model.saturation].unpack_from(slot)
    if stored in (0, BLANK[model.saturation]):
        return model.full_scale, 1.0
    if not max(SMALLEST_SATURATION, model.saturation_above + 1) <= stored <= model.full_scale:
        notes.append(f"the stored saturation {stored} cannot be true and is not used")
        return model.full_scale, 1.0
    return stored, float(model.full_scale) / stored


def cooler_of(slot: bytes) -> tuple[float | None, bool]:
    """Return the set point in C, None where the cooler is to be off, and whether the fan runs."""
    cooler_on, fan_on, tenths = COOLER.unpack_from(slot)
    set_point_c = tenths / 10
    usable = cooler_on == 1 and SET_POINT_C[0] <= set_point_c <= SET_POINT_C[1]
    return (set_point_c if usable else None), usable and fan_on == 1
