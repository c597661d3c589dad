"""A detector array: light per second in, integers out. Photon and read noise, dark current, full scale.

Pure of any protocol: what a firmware adds (electric dark pixels, masks, filler words) it adds to what comes from here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

DOUBLING_C = 7.0  # dark current doubles; silicon and InGaAs lie between 6 and 9


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayFacts:
    """One model of detector. Counts are those of the converter.

    dark_per_s: dark current in counts a second at `dark_at_c`. photon_counts: variance per count of signal.
    pattern: standard deviation between pixels of the response, a fixed pattern of the unit.
    """

    pixels: int
    full_scale: int = 65_535
    offset_counts: float = 1_000.0
    read_counts: float = 4.0
    photon_counts: float = 0.3
    dark_per_s: float = 20.0
    dark_at_c: float = 20.0
    pattern: float = 0.01


class ArrayDetector:
    """One unit's detector: its fixed pattern follows from the seed, its noise from the seed and the frame's number."""

    def __init__(self, facts: ArrayFacts, *, seed: int, ideal: bool = False) -> None:
        self.facts = facts
        self._seed = seed
        self._ideal = ideal  # no noise and no pattern: a replayed spectrum has its own
        chance = np.random.default_rng([seed, 11])
        self._response = 1.0 + (0.0 if ideal else facts.pattern) * chance.standard_normal(facts.pixels)
        self._hot = np.exp(chance.standard_normal(facts.pixels) * (0.0 if ideal else 0.3))

    def expose(
        self, light_per_s: Array, *, integration_s: float, detector_c: float, frame: int, gain: float = 1.0
    ) -> NDArray[np.int32]:
        """Return the converter's readings of frame number `frame` for light (pixels,) in counts a second at gain 1."""
        facts = self.facts
        dark = facts.dark_per_s * self._hot * 2 ** ((detector_c - facts.dark_at_c) / DOUBLING_C)
        collected = (np.maximum(light_per_s, 0.0) * self._response + dark) * integration_s
        readings = facts.offset_counts + gain * collected
        if not self._ideal:
            noise = np.random.default_rng([self._seed, 12, frame]).standard_normal(facts.pixels)
            readings = readings + noise * gain * np.sqrt(facts.read_counts**2 + facts.photon_counts * collected)
        return np.clip(np.rint(readings), 0, facts.full_scale).astype(np.int32)
