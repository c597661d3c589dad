"""The detector of a simulated Wasatch unit, its cooler, and the two amplifiers of an InGaAs array."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from firmware_sim.array import ArrayDetector, ArrayFacts
from firmware_sim.devices._wasatch_memory import SimModel, field, image_of

INSIDE_C = 34.5568  # in the housing; the detector has it until it is cooled
COOLING_S = 4.0  # time constant of the cooler
FULL_SCALE = 65_535
INGAAS = 0x2000


class SimSensor:
    """nm: wavelengths of the pixels as they are read, of the optics and not of what the memory says of them.

    laser_nm: wavelength of the laser, as stored. Temperatures follow the time that each method is told.
    """

    def __init__(
        self, model: SimModel, memory: bytes, *, seed: int, exact: bool, speed: float, takes: Callable[[float], float]
    ) -> None:
        facts = ArrayFacts(
            pixels=model.pixels,
            offset_counts=0.0 if exact else 1_000.0,
            dark_per_s=0.0 if exact else model.dark_per_s,
        )
        self.nm = _wavelengths(model)
        self.laser_nm = float(field(memory, 3, 36, "f")[0])
        self._model = model
        self._memory = memory
        self._detector = ArrayDetector(facts, seed=seed, ideal=exact)
        self._speed = speed
        self._takes = takes
        self._from_c = self._target_c = INSIDE_C
        self._since_s = 0.0

    def factor(self, gain_word: int) -> float:
        """Return a gain against that of the maker."""
        told = (gain_word >> 8 & 0xFF) + (gain_word & 0xFF) / 256
        made = field(self._memory, 0, 48, "f")[0]
        if not math.isfinite(made) or made <= 0:
            return 1.0
        return float(10 ** ((told - made) / 20)) if self._model.detector.startswith("IMX") else told / made

    def expose(
        self, light: NDArray[np.float64], *, integration_s: float, gain: float, frame: int, now_s: float
    ) -> NDArray[np.int32]:
        """Return the readings of one exposure that ends now."""
        readings = self._detector.expose(
            light, integration_s=integration_s, detector_c=self.temperature_c(now_s), frame=frame, gain=gain
        )
        if self._model.product_id == INGAAS:  # a client makes the odd pixels match
            ratio, offset = self._odd()
            readings[1::2] = np.clip(np.rint((readings[1::2] - offset) / ratio), 0, FULL_SCALE)
        return readings

    def cool(self, set_point: int | None, now_s: float) -> None:
        """Aim at what a DAC value means; None switches the cooler off."""
        target_c = None if set_point is None else _root(field(self._memory, 1, 16, "3f"), set_point)
        self._from_c, self._since_s = self.temperature_c(now_s), now_s
        self._target_c = INSIDE_C if target_c is None else target_c

    def temperature_c(self, now_s: float) -> float:
        """Return the detector's temperature."""
        if not self._speed:
            return self._target_c
        gone = math.exp(-(now_s - self._since_s) / self._takes(COOLING_S))
        return self._target_c + (self._from_c - self._target_c) * gone

    def adc(self, now_s: float) -> int:
        """Return the reading of its thermistor."""
        adc = _root(field(self._memory, 1, 32, "3f"), self.temperature_c(now_s))
        return 0 if adc is None else min(max(round(adc), 0), 0xFFFF)

    def _odd(self) -> tuple[float, float]:
        """What the odd pixels have to be multiplied with, and what is added then, to be as the even ones."""
        even, odd = field(self._memory, 0, 48, "f")[0], field(self._memory, 0, 54, "f")[0]
        even_offset, odd_offset = field(self._memory, 0, 52, "h")[0], field(self._memory, 0, 58, "h")[0]
        ratio = odd / even if even > 0 and odd > 0 else 1.0
        return ratio, odd_offset - ratio * even_offset


def _wavelengths(model: SimModel) -> NDArray[np.float64]:
    image = image_of(model, "")
    index = np.arange(model.pixels, dtype=np.float64)
    nm = np.polynomial.polynomial.polyval(index, field(image, 1, 0, "4f"))
    turned = int(field(image, 0, 39, "H")[0]) & 0x0001
    return np.asarray(nm[::-1] if turned else nm, dtype=np.float64)


def _root(coefficients: tuple[float, ...], value: float) -> float | None:
    """Return where a parabola has this value, of two places the one nearer to zero; None where it has none."""
    constant, slope, curve = coefficients
    if not all(math.isfinite(part) for part in coefficients) or slope == 0:
        return None
    if curve == 0:
        return (value - constant) / slope
    inner = slope * slope - 4 * curve * (constant - value)
    return None if inner < 0 else 2 * (value - constant) / (slope + math.copysign(math.sqrt(inner), slope))
