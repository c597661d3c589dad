"""Relative intensity: evens out how differently the instrument sees each wavelength.

Formulas: counts * 10^(c0 + c1 p + ...) with pixel numbers p (Wasatch EEPROM page 6, sub-format 1; Wasatch.PY,
SpectrometerSettings.update_raman_intensity_factors); and counts * certified / measured of a NIST SRM 224x glass (ASTM
E2911). Place in the chain: last, on counts without dark: a level that is not light would take the curve's shape. Ends:
a curve holds inside the active range (EEPROM) or the certified one (SRM) only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked, evaluated
from edged.spectra.spectrum import SpectrumError

VERSION = 1
MAX_DECADES = 4.0  # a pixel that sees a ten-thousandth of the best one sees nothing in 16 bits


def polynomial_factor(pixels: NDArray[np.float64], coefficients: tuple[float, ...]) -> NDArray[np.float64]:
    """Return 10^polynomial of pixel numbers, counted on the whole array in the direction of rising wavelength.

    Raises SpectrumError for a factor outside 1e-4 to 1e4.
    """
    decades = evaluated(coefficients, checked(pixels, "pixels"), "intensity curve")
    worst = float(np.abs(decades).max())
    if not worst <= MAX_DECADES:
        raise SpectrumError(
            f"the intensity curve reaches a factor of 10^{worst:g}, allowed is 10^{MAX_DECADES:g}",
            hint="the coefficients are not of this detector, or its active range is not stored; switch intensity off",
        )
    factor: NDArray[np.float64] = 10.0**decades
    return factor


def srm_factor(certified: NDArray[np.float64], measured: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return certified / measured: the certificate's curve at the pixels, and the glass's spectrum, dark removed and
    smoothed, at the same pixels inside the certified range.

    Raises SpectrumError when the two do not fit or the glass was not seen somewhere.
    """
    curve, seen = checked(certified, "certified curve"), checked(measured, "spectrum of the glass")
    if curve.shape != seen.shape:
        raise SpectrumError(
            f"the certified curve has {curve.shape} points and the spectrum of the glass {seen.shape}",
            hint="evaluate the certificate at the pixels that were measured",
        )
    if not (curve > 0.0).all() or not (seen > 0.0).all():
        dark = int(np.argmax((curve <= 0.0) | (seen <= 0.0)))
        raise SpectrumError(
            f"no light from the glass at point {dark}", hint="measure it longer, or keep to the certified range"
        )
    return curve / seen


def correct(counts: NDArray[np.float64], factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return counts (..., pixels), dark removed, times a factor (pixels,). Raises SpectrumError when lengths differ."""
    values, curve = checked(counts), checked(factor, "intensity factor")
    if curve.shape != values.shape[-1:]:
        raise SpectrumError(f"the intensity factor has {curve.shape} points, the spectrum {values.shape[-1]}")
    return values * curve
