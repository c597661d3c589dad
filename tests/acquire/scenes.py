"""What a simulated Ventana sees of the standards of a self test, and its scans of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from drivers.contract import ExposureSettings, RawScan
from edged.spectra.standards.materials import NEON
from firmware_sim.scene import PEAK_PER_S, RAMAN_LINES, Array, Raman
from tests.contract.obp_ends import instrument, scans_of

LIT = ExposureSettings(integration_ms=400.0, repeats=3, laser_mw=50.0, laser_unattended=True)


class Glass(Raman):
    """The luminescence that NIST certifies of SRM 2241, seen by an instrument that gets dim towards the red."""

    dimming = 0.0  # share that is lost more at 3,000 1/cm than in the base state

    def light(self, wavelength_nm: Array, *, laser_mw: float, laser_nm: float | None) -> Array:
        if laser_mw <= 0 or laser_nm is None:
            return np.zeros(len(wavelength_nm))
        x = 1e7 / laser_nm - 1e7 / wavelength_nm
        curve = np.polynomial.polynomial.polyval(
            x, [9.71937e-2, 2.28325e-4, -5.86762e-8, 2.16023e-10, -9.77171e-14, 1.15596e-17]
        )
        eye = np.exp(-(((x - 900.0) / 2_500.0) ** 2)) * (1.0 - self.dimming * x / 3_000.0)
        return np.asarray(PEAK_PER_S * laser_mw / 100.0 * curve / curve.max() * eye * (x > 100.0))


class NeonLamp(Raman):
    """Lines in air by NIST's database. A lamp shines whether the laser does or not."""

    def light(self, wavelength_nm: Array, *, laser_mw: float, laser_nm: float | None) -> Array:
        shape = sum(
            line.strength * np.exp(-4 * np.log(2) * ((wavelength_nm - line.position) / 0.4) ** 2) for line in NEON.lines
        )
        return np.asarray(PEAK_PER_S / 10.0 * shape / 5.0)


def calcite() -> Raman:
    return Raman("calcite", lines={**RAMAN_LINES, "calcite": ((281.0, 1), (711.0, 1), (1085.0, 5))})


def scan_of(scene: Raman, *, lit: bool = True) -> RawScan:
    settings = LIT if lit else replace(LIT, laser_mw=None)
    (scan,) = scans_of(instrument("ventana", scene=scene), "usb", settings)
    return scan
