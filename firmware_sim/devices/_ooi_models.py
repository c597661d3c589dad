"""The Ocean models that can be simulated: what one sends and stores, and what its bench and detector are like.

Wire facts: python-seabreeze (pyseabreeze/devices.py, features/spectrometer.py) and libseabreeze; USB4000 data sheet for
the pixels of its detector. Benches, dark current and temperatures are ours: typical, of no particular unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_sim.array import ArrayFacts

VENDOR_ID = 0x2457
AMBIENT_C, STORED_C = 25.0, -10.0  # of the room; set point in the memory
ENDPOINTS = (0x01, 0x81, 0x82, 0x86)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimModel:
    """One model. wavelength: c0 ... c3 in nm, of pixel index - `first_index`. saturation: where this unit's converter
    ends, stored in slot 17 at `saturation_at` (offset, bytes; None: not stored). lit: first and last pixel that see
    light; dark: pixels that are masked but read; all others are filler, sent as 0. fpga: version, and the byte that its
    answer begins with. default_ms: integration time at power on. laser_nm: of a laser beside it that is always on.
    """

    title: str
    product_id: int
    pixels: int
    wavelength: tuple[float, float, float, float]
    saturation: int
    full_scale: int = 65_535
    saturation_at: tuple[int, int] | None = None
    tick_us: int = 1
    mask: int = 0
    lit: tuple[int, int] | None = None
    dark: tuple[int, ...] = ()
    first_index: int = 0
    second_pipe_bytes: int = 0
    has_sync: bool = True
    has_cooler: bool = False
    has_board_sensor: bool = False
    fpga: tuple[int, int] = (0x04, 0x1053)
    dark_per_s: float = 20.0
    default_ms: int = 100
    laser_nm: float | None = None
    serial_number: str = "SIM0001"
    bench: str = "25 50"


MODELS: dict[str, SimModel] = {
    "nirquest512": SimModel(
        title="NIRQuest512", product_id=0x1026, pixels=512, wavelength=(898.123, 1.65, -2.1e-5, -1.3e-8),
        saturation=48_000, saturation_at=(4, 4), tick_us=1000, mask=0x8000, has_cooler=True, dark_per_s=900.0,
        serial_number="NQ51A0123", bench="NIR1 25",
    ),
    "nirquest256": SimModel(
        title="NIRQuest256", product_id=0x1028, pixels=256, wavelength=(893.5, 3.32, -1.1e-4, -2.0e-8),
        saturation=52_000, saturation_at=(4, 4), tick_us=1000, mask=0x8000, has_cooler=True, dark_per_s=1200.0,
        serial_number="NQ25A0042", bench="NIR2 25",
    ),
    "usb2000plus": SimModel(
        title="USB2000+", product_id=0x101E, pixels=2048, wavelength=(339.72, 0.3805, -1.61e-5, -1.9e-9),
        saturation=56_000, saturation_at=(4, 2), lit=(21, 2047), dark=tuple(range(6, 21)), has_board_sensor=True,
        fpga=(0x04, 0x2021), serial_number="USB2+H01234", bench="2 25",
    ),
    "flame-s": SimModel(
        title="Flame-S", product_id=0x101E, pixels=2048, wavelength=(339.11, 0.3811, -1.58e-5, -2.0e-9),
        saturation=62_000, saturation_at=(4, 2), lit=(21, 2047), dark=tuple(range(6, 21)), has_board_sensor=True,
        fpga=(0xFE, 0x3002), serial_number="FLMS00123", bench="2 25",
    ),
    "usb4000": SimModel(
        title="USB4000", product_id=0x1022, pixels=3840, wavelength=(345.02, 0.2189, -5.1e-6, -3.1e-10),
        saturation=60_000, saturation_at=(4, 2), lit=(21, 3668), dark=tuple(range(5, 16)), second_pipe_bytes=2048,
        has_board_sensor=True, fpga=(0x04, 0x2021), serial_number="USB4H00567", bench="3 10",
    ),
    "flame-t": SimModel(
        title="Flame-T", product_id=0x1022, pixels=3840, wavelength=(344.51, 0.2192, -5.0e-6, -3.2e-10),
        saturation=61_000, saturation_at=(4, 2), lit=(21, 3668), dark=tuple(range(5, 16)), second_pipe_bytes=2048,
        has_board_sensor=True, fpga=(0xFE, 0x3002), serial_number="FLMT00321", bench="3 10",
    ),
    "hr4000": SimModel(
        title="HR4000", product_id=0x1012, pixels=3840, wavelength=(700.3, 0.1107, -2.2e-6, -1.0e-10),
        saturation=16_383, full_scale=16_383, mask=0x2000, lit=(21, 3668), dark=tuple(range(2, 13)),
        second_pipe_bytes=2048, has_board_sensor=True, serial_number="HR4C0815", bench="H6 5",
    ),
    "hr2000plus": SimModel(
        title="HR2000+", product_id=0x1016, pixels=2048, wavelength=(782.4, 0.1512, -4.5e-6, -3.0e-10),
        saturation=16_383, full_scale=16_383, mask=0x2000, lit=(24, 2047), dark=tuple(range(2, 24)),
        has_board_sensor=True, serial_number="HR+C0471", bench="H6 10",
    ),
    "qe65000": SimModel(
        title="QE65000", product_id=0x1018, pixels=1280, wavelength=(780.9, 0.3395, -1.4e-5, -1.1e-9),
        saturation=65_535, tick_us=1000, mask=0x8000, lit=(10, 1033), dark=(*range(4), *range(1040, 1044)),
        first_index=-10, has_cooler=True, dark_per_s=5.0, serial_number="QEB0404", bench="HC1 50",
    ),
    "maya2000pro": SimModel(
        title="Maya2000 Pro", product_id=0x102A, pixels=2304, wavelength=(198.2, 0.4755, -1.9e-5, -9.0e-10),
        saturation=63_000, full_scale=64_000, saturation_at=(0, 2), lit=(4, 2063),
        dark=(*range(4), *range(2064, 2068)), serial_number="MAY11234", bench="HC1 25",
    ),
    "apex": SimModel(
        title="Apex", product_id=0x1044, pixels=2304, wavelength=(784.6, 0.1402, -4.0e-6, -2.0e-10),
        saturation=62_500, full_scale=64_000, saturation_at=(0, 2), lit=(4, 2063),
        dark=(*range(4), *range(2064, 2068)), serial_number="APEX0077", bench="HC-785",
        laser_nm=785.0,
    ),
    "flame-nir": SimModel(
        title="Flame-NIR", product_id=0x104B, pixels=128, wavelength=(938.5, 5.96, 1.2e-3, -1.0e-6),
        saturation=65_000, saturation_at=(4, 2), has_sync=False, fpga=(0xFE, 0x3012), dark_per_s=3000.0,
        serial_number="FLNIR0042", bench="FNIR 25",
    ),
}  # fmt: skip


def detector_of(model: SimModel, *, exact: bool) -> ArrayFacts:
    """Return the detector; an exact one has neither offset nor dark current."""
    scale = model.saturation / 65_535
    return ArrayFacts(
        pixels=model.pixels,
        full_scale=model.saturation,
        offset_counts=0.0 if exact else 1_500.0 * scale,
        dark_per_s=0.0 if exact else model.dark_per_s,
        dark_at_c=STORED_C if model.has_cooler else AMBIENT_C,
    )


def wavelengths_nm(model: SimModel) -> NDArray[np.float64]:
    """Return where each pixel looks."""
    index = np.arange(model.pixels, dtype=np.float64) + model.first_index
    return np.asarray(np.polynomial.polynomial.polyval(index, model.wavelength), dtype=np.float64)


def lit_mask(model: SimModel) -> NDArray[np.bool_]:
    """Return which pixels see light."""
    first, last = model.lit or (0, model.pixels - 1)
    index = np.arange(model.pixels)
    return (index >= first) & (index <= last)
