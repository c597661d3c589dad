"""What changes slowly in a plant and is no fault of the electronics: lamp, axis, presentation of the sample, product.

Grammar, items separated by commas, blanks ignored, `none` = all as it was:

    lamp=SHARE           the filament is hotter by this share of its temperature: -0.01 is 1 % cooler, redder and duller
    axis=NM              the light at each place is of a wavelength that is longer by so much
    offset=AU            the sample sends back less light at all wavelengths, as one farther away does
    path=FACTOR          the light goes a longer way in the sample, as in a coarser powder (1)
    product=NAME:SHARE   so much of another product of the twin is in the sample
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from firmware_sim.contract import OperatorError

Array = NDArray[np.float64]

FILAMENT_K = 2_900.0
SENSOR_NM = 950.0  # the photodiode beside the lamp is of silicon
EXAMPLE = "lamp=-0.01,axis=0.3,offset=0.02,path=1.1,product=100LA:0.1"
_C2_NM_K = 1.4388e7  # second radiation constant
_LIMITS = {"lamp": (-0.5, 0.5), "axis": (-20.0, 20.0), "offset": (-1.0, 1.0), "path": (0.1, 10.0)}
_PRODUCT = re.compile(r"product=(?P<name>[^:=,]+):(?P<share>[\d.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How far each has gone. `other` is the product that `share` of the sample is of, None for none."""

    lamp: float = 0.0
    axis: float = 0.0
    offset: float = 0.0
    path: float = 1.0
    other: str | None = None
    share: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Drift:
        """Read the grammar above. Raises OperatorError with the first item that is wrong."""
        drift = cls()
        if text.strip() in {"", "none"}:
            return drift
        for item in text.split(","):
            drift = _with_item(drift, "".join(item.split()))
        return drift

    def light(self, wavelength_nm: Array) -> Array:
        """Return the factor on the lamp's light, by Planck's law."""
        if not self.lamp:
            return np.ones_like(wavelength_nm)
        cold, hot = (_C2_NM_K / (wavelength_nm * kelvin) for kelvin in (FILAMENT_K, FILAMENT_K * (1.0 + self.lamp)))
        return np.asarray(np.expm1(cold) / np.expm1(hot))

    @property
    def sensor(self) -> float:
        """The factor on what the photodiode beside the lamp reads."""
        return float(self.light(np.array([SENSOR_NM]))[0])

    def absorbance(self, wavelength_nm: Array, absorbance: Array, other: Array | None = None) -> Array:
        """Return what a sample of this absorbance shows now at its own wavelengths; other: the other product's."""
        if other is not None:
            absorbance = (1.0 - self.share) * absorbance + self.share * other
        moved = np.interp(wavelength_nm + self.axis, wavelength_nm, absorbance) if self.axis else absorbance
        return self.offset + self.path * moved


def _with_item(drift: Drift, item: str) -> Drift:
    if product := _PRODUCT.fullmatch(item):
        return replace(drift, other=product["name"], share=_number(item, product["share"], 0.0, 1.0))
    name, _, value = item.partition("=")
    if name not in _LIMITS:
        raise OperatorError(f"drift {item!r}: there are lamp, axis, offset, path and product; example: {EXAMPLE}")
    number = _number(item, value, *_LIMITS[name])
    match name:
        case "lamp":
            return replace(drift, lamp=number)
        case "axis":
            return replace(drift, axis=number)
        case "offset":
            return replace(drift, offset=number)
        case _:
            return replace(drift, path=number)


def _number(item: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not low <= value <= high:
        raise OperatorError(f"drift {item!r}: a number from {low:g} to {high:g} is wanted; example: {EXAMPLE}")
    return value
