"""Light on its way: lamp, grating and micromirrors, and what temperature does to them.

Everything is relative to a warm lamp on the white tile at the wavelength of most light. Pure functions of wavelength,
temperature, time since the lamp came on, and number of scans so far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Chebyshev series of ln(light) over 900...1700 nm, degree 11. From the two "Reference Signal" columns of the 100 public
# NIR-M-R2 scans (unit 818R045, October 2021), whose references were drugs, not white: what they absorbed (nothing below
# 1330 nm, a factor of 2 at 1700 nm) is put back by a series of degree 4 fitted to 1/(scatter x reflectance) of the
# 1200 public powder scans, for a detector limited by read noise. Weak at both ends, as the unit is.
_LN_LIGHT = (
    -0.8978, -0.199, -0.9879, -0.1935, -0.4194, -0.0254, -0.2609, -0.0815, -0.0058, -0.0383, -0.0544, -0.019,
)  # fmt: skip
_MIDDLE_NM, _HALF_WIDTH_NM = 1300.0, 400.0
_EDGE = 1.02  # the series says nothing further out; the light stays as weak as here

CALIBRATED_AT_C = 25.0
SETTLING_SCANS = 25.0  # the same unit warms from 25.6 to 33.3 C over a morning of scans, fastest at first
WARMING_C = 8.0
LAMP_FLASH_S = 0.2  # time constant of the filament after switch-on
LAMP_FLASH_DEPTH = 0.35
LAMP_COLD_SCANS = 3.0
LAMP_COLD_DEPTH = 0.02
DRIFT_NM_PER_C = 0.008
DRIFT_LIGHT_PER_C = 0.0004
DRIFT_TILT_PER_C = 0.0003


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """What the unit's own sensors say. The relations are straight-line fits to the 100 public scans of unit 818R045."""

    system_c: float
    detector_c: float
    humidity_percent: float
    lamp_photodiode: int

    @classmethod
    def after(cls, scans: int) -> Climate:
        """Return the climate in the housing after so many scans."""
        system_c = CALIBRATED_AT_C + WARMING_C * (1 - math.exp(-scans / SETTLING_SCANS))
        return cls(
            system_c=system_c,
            detector_c=system_c - 1.75,
            humidity_percent=26.8 * math.exp(-0.083 * (system_c - 25.87)),
            lamp_photodiode=round(1461 + 14.2 * (system_c - 25.65)),
        )


def light(wavelength_nm: Array) -> Array:
    """Return the light of the warm lamp that the white tile sends to the detector, at most about 1."""
    place = np.clip((wavelength_nm - _MIDDLE_NM) / _HALF_WIDTH_NM, -_EDGE, _EDGE)
    return np.exp(np.polynomial.chebyshev.chebval(place, _LN_LIGHT))


def drifted_nm(wavelength_nm: Array, system_c: float) -> Array:
    """Return the wavelengths that really reach the detector; the unit goes on reporting the calibrated ones."""
    return wavelength_nm + DRIFT_NM_PER_C * (system_c - CALIBRATED_AT_C)


def throughput_drift(wavelength_nm: Array, system_c: float) -> Array:
    """Return the factor by which a warm housing passes light less well, more so at long wavelengths."""
    tilt = DRIFT_LIGHT_PER_C + DRIFT_TILT_PER_C * (wavelength_nm - _MIDDLE_NM) / _HALF_WIDTH_NM
    return 1.0 - tilt * (system_c - CALIBRATED_AT_C)


def lamp_warmth(scans: int) -> float:
    """Return the lamp's output after so many scans: the first ones find it cold."""
    return 1.0 - LAMP_COLD_DEPTH * math.exp(-scans / LAMP_COLD_SCANS)


def lamp_ramp(since_on_s: Array, *, period_s: float, repeats: int) -> Array:
    """Return the lamp's mean output at moments that repeat every `period_s`, for a lamp that came on at 0."""
    decay = math.exp(-period_s / LAMP_FLASH_S)
    mean = (1 - decay**repeats) / ((1 - decay) * repeats)
    return 1.0 - LAMP_FLASH_DEPTH * mean * np.exp(-since_on_s / LAMP_FLASH_S)
