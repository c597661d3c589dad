"""What the fibre or probe of an array spectrometer sees: light in counts a second at each pixel's wavelength.

NIR scenes are a lamp seen through or from a sample; Raman scenes are lines at shifts from the laser, over fluorescence;
they are dark without the laser. Every scene scales to a brightest point of `PEAK_PER_S`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from firmware_sim.contract import OperatorError
from firmware_sim.sample import Source, Tray

Array = NDArray[np.float64]

PEAK_PER_S = 200_000.0  # brightest pixel at full light: 100 ms fill a third of 16 bits
REFERENCE_MW = 100.0  # laser power at which a Raman scene has that peak
CM1_PER_NM = 1e7

# ASTM E1840-96 shifts (1/cm) with relative strengths 1 to 4, * written as 5; 1/cm are of the compound, widths ours.
RAMAN_LINES: Mapping[str, tuple[tuple[float, float], ...]] = {
    "polystyrene": (
        (620.9, 2), (795.8, 1), (1001.4, 5), (1031.8, 3), (1155.3, 1), (1450.5, 1), (1583.1, 1), (1602.3, 3),
        (2852.4, 1), (2904.5, 2), (3054.3, 3),
    ),
    "cyclohexane": (
        (384.1, 1), (426.3, 1), (801.3, 5), (1028.3, 2), (1157.6, 1), (1266.4, 2), (1444.4, 2), (2664.4, 1),
        (2852.9, 4), (2923.8, 3), (2938.3, 3),
    ),
    "paracetamol": (
        (213.3, 1), (329.2, 1), (390.9, 2), (465.1, 1), (504.0, 1), (651.6, 2), (710.8, 1), (797.2, 2), (834.5, 1),
        (857.9, 3), (968.7, 1), (1105.5, 1), (1168.5, 3), (1236.8, 3), (1278.5, 2), (1323.9, 4), (1371.5, 2),
        (1515.1, 1), (1561.6, 2), (1648.4, 3), (2931.1, 2), (3064.6, 2), (3102.4, 2), (3326.6, 1),
    ),
}  # fmt: skip
EDGE_CM1 = 100.0  # the edge filter keeps the laser's own light out
LINE_WIDTH_CM1 = 8.0  # full width at half maximum, a 25 um slit and the line itself


class Scene(Protocol):
    """What is there now."""

    @property
    def label(self) -> str:
        """What the operator calls it."""

    def light(self, wavelength_nm: Array, *, laser_mw: float, laser_nm: float | None) -> Array:
        """Return the light in counts a second; `laser_mw` is 0 while the laser is off."""

    def used(self) -> None:
        """A frame was taken."""

    def place(self, name: str) -> None:
        """Put another sample there. Raises OperatorError when there is nothing of that name."""


@dataclass
class Lamp:
    """A halogen lamp seen by reflection from a tray of samples; the laser has no part in it."""

    tray: Tray
    temperature_k: float = 2_900.0

    @property
    def label(self) -> str:
        """The sample's name."""
        return self.tray.view().label

    def light(self, wavelength_nm: Array, *, laser_mw: float, laser_nm: float | None) -> Array:
        """Return the lamp's light that the sample sends back."""
        planck = wavelength_nm**-5.0 / np.expm1(1.4388e7 / (wavelength_nm * self.temperature_k))
        lit = planck / planck.max() * self.tray.drift.light(wavelength_nm)
        return PEAK_PER_S * lit * 10.0 ** -self.tray.view().at(wavelength_nm)

    def used(self) -> None:
        """Go on to the next sample."""
        self.tray.used()

    def place(self, name: str) -> None:
        """Put this sample there."""
        self.tray.place(name)


@dataclass
class Ramp:
    """Exact numbers: pixel p gets `first + step * p` counts a second, whatever the wavelength. For protocol tests."""

    first: float = 0.0
    step: float = 370.0

    @property
    def label(self) -> str:
        """It is no sample."""
        return "ramp"

    def light(self, wavelength_nm: Array, *, laser_mw: float, laser_nm: float | None) -> Array:
        """Return the ramp."""
        return self.first + self.step * np.arange(len(wavelength_nm), dtype=np.float64)

    def used(self) -> None:
        """Nothing changes."""

    def place(self, name: str) -> None:
        """Refuse: a ramp is no sample."""
        raise OperatorError(f"sample {name}: this simulator shows a ramp of numbers")


@dataclass
class Raman:
    """A compound under the laser, by the lines of ASTM E1840."""

    name: str = "polystyrene"
    fluorescence: float = 0.08
    lines: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=lambda: RAMAN_LINES)

    @property
    def label(self) -> str:
        """The compound."""
        return self.name

    def light(self, wavelength_nm: Array, *, laser_mw: float, laser_nm: float | None) -> Array:
        """Return lines and fluorescence, in proportion to the laser's power."""
        if laser_mw <= 0 or laser_nm is None:
            return np.zeros(len(wavelength_nm))
        shift_cm1 = CM1_PER_NM / laser_nm - CM1_PER_NM / wavelength_nm
        half = LINE_WIDTH_CM1 / 2
        spectrum = sum(strength * half**2 / ((shift_cm1 - at) ** 2 + half**2) for at, strength in self.lines[self.name])
        background = self.fluorescence * np.exp(-(((shift_cm1 - 1500.0) / 1500.0) ** 2))
        light: Array = np.where(
            shift_cm1 > 100.0, spectrum / 5.0 + background, 0.0
        )  # an edge filter keeps the laser out
        return PEAK_PER_S * laser_mw / REFERENCE_MW * light

    def used(self) -> None:
        """The sample stays."""

    def place(self, name: str) -> None:
        """Put this compound there."""
        if name not in self.lines:
            raise OperatorError(f"no sample {name!r}; there are {', '.join(self.lines)}")
        self.name = name


def lamp_with(source: Source, *, white: int, seed: int) -> Lamp:
    """Return a lamp before samples; the first `white` frames see the tile."""
    return Lamp(tray=Tray(source, white=white, seed=seed))
