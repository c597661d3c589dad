"""From pixel numbers to nm, and from nm to Raman shift. Not part of the chain: an axis, not counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked, evaluated
from edged.spectra.spectrum import SpectrumError

MIN_NM, MAX_NM = 100.0, 30_000.0  # vacuum ultraviolet to the end of mid infrared
MIN_EXCITATION_NM, MAX_EXCITATION_NM = 200.0, 2_000.0  # every laser that Raman spectra are taken with


def polynomial_nm(pixels: NDArray[np.float64], coefficients: tuple[float, ...]) -> NDArray[np.float64]:
    """Return c0 + c1 p + c2 p^2 ... in nm of pixel numbers p, counted as the maker counts (QE65000: from -10).

    Source: Ocean EEPROM slots 1 to 4, Wasatch EEPROM page 1. Raises SpectrumError when the result is not an axis.
    """
    axis = evaluated(coefficients, checked(pixels, "pixels"), "wavelengths")
    steps = np.diff(axis)
    rises = bool((steps > 0).all() or (steps < 0).all())
    if not (rises and axis.min() >= MIN_NM and axis.max() <= MAX_NM):
        raise SpectrumError(
            f"the stored wavelength coefficients {coefficients} give {axis[0]:g} to {axis[-1]:g} nm: not an axis",
            hint="this part of the instrument's memory is not programmed; have the instrument calibrated",
        )
    return axis


def raman_shift_cm1(axis_nm: NDArray[np.float64], excitation_nm: float) -> NDArray[np.float64]:
    """Return 1e7 / excitation - 1e7 / wavelength in 1/cm; longer wavelengths (Stokes) are positive.

    Raises SpectrumError for an excitation that is no laser's, which an unprogrammed memory gives.
    """
    if not MIN_EXCITATION_NM <= excitation_nm <= MAX_EXCITATION_NM:
        raise SpectrumError(
            f"an excitation of {excitation_nm:g} nm is outside {MIN_EXCITATION_NM:g} to {MAX_EXCITATION_NM:g} nm",
            hint="this part of the instrument's memory is not programmed; there is no Raman axis",
        )
    axis = checked(axis_nm, "wavelengths")
    if axis.min() <= 0.0:
        raise SpectrumError(f"a wavelength of {axis.min():g} nm is not one")
    shift: NDArray[np.float64] = 1e7 / excitation_nm - 1e7 / axis
    return shift
