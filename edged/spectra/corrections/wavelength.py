"""From nm to Raman shift. Not part of the chain: an axis, not counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked
from edged.spectra.spectrum import SpectrumError

MIN_EXCITATION_NM, MAX_EXCITATION_NM = 200.0, 2_000.0  # every laser that Raman spectra are taken with


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
