"""Certified curves and bands as data: NIST SRM 224x luminescence glasses, and wavelength standards for NIR.

Values of SRM 224x as published in ramanchada2's certificate records; those of 2241 agree with a second, unrelated code
base. A certificate has an edition and a serial number: enter the values of yours as a `Certificate` where they differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edged.spectra.spectrum import SpectrumError

Row = NDArray[np.float64]


class OutsideCertificate(SpectrumError):
    """A value is asked for where the certificate states none. Cure: stay within its range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Relative luminescence of a glass over Raman shift.

    form: `polynomial` A0 + A1 x + ...; `log-gaussian` H exp(-ln2/ln(rho)^2 ln((x - x0)(rho^2 - 1)/(w rho) + 1)^2)
    + m x + b, parameters in the order H, w, rho, x0, m, b. certified: first and last shift, 1/cm; None where the source
    does not say, and then `dataclasses.replace` with the range of the certificate at hand.
    """

    name: str
    laser_nm: float
    form: Literal["polynomial", "log-gaussian"]
    parameters: tuple[float, ...]
    certified: tuple[float, float] | None
    note: str = ""

    def __post_init__(self) -> None:
        if not np.isfinite(self.parameters).all():
            raise ValueError(f"{self.name}: a parameter is not a number")
        if self.certified is not None and not 0.0 <= self.certified[0] < self.certified[1]:
            raise ValueError(f"{self.name}: the certified range ascends from zero or above")
        if self.form == "log-gaussian" and (len(self.parameters) != 6 or self.parameters[2] in (0.0, 1.0)):
            raise ValueError(f"{self.name}: a log-Gaussian has six parameters, and a rho that is neither 0 nor 1")

    def certified_range(self) -> tuple[float, float]:
        """Return first and last certified shift. Raises OutsideCertificate where the source gave none."""
        if self.certified is None:
            raise OutsideCertificate(
                f"the range of {self.name} is not known",
                hint="enter the one on the certificate that came with the glass",
            )
        return self.certified

    def intensity(self, shift_cm1: Row) -> Row:
        """Return the certified relative intensity at each shift. Raises OutsideCertificate beyond the range."""
        if not len(shift_cm1):
            return np.empty(0)
        first, last = self.certified_range()
        if shift_cm1.min() < first or shift_cm1.max() > last:
            raise OutsideCertificate(
                f"{self.name} is certified from {first:g} to {last:g} 1/cm, "
                f"asked from {shift_cm1.min():g} to {shift_cm1.max():g}"
            )
        if self.form == "polynomial":
            return np.asarray(np.polynomial.polynomial.polyval(shift_cm1, self.parameters), dtype=np.float64)
        height, width, rho, center, slope, level = self.parameters
        inside = (shift_cm1 - center) * (rho**2 - 1.0) / (width * rho) + 1.0
        if (inside <= 0).any():
            raise OutsideCertificate(f"{self.name}: the curve is not defined at {shift_cm1[np.argmin(inside)]:g} 1/cm")
        bell = height * np.exp(-np.log(2.0) / np.log(rho) ** 2 * np.log(inside) ** 2)
        return np.asarray(bell + slope * shift_cm1 + level, dtype=np.float64)


SRM_2241 = Certificate(
    name="NIST SRM 2241",
    laser_nm=785.0,
    form="polynomial",
    parameters=(9.71937e-2, 2.28325e-4, -5.86762e-8, 2.16023e-10, -9.77171e-14, 1.15596e-17),
    certified=(200.0, 3500.0),
    note="20 to 25 C",
)
SRM_2244 = Certificate(
    name="NIST SRM 2244",
    laser_nm=1064.0,
    form="polynomial",
    parameters=(0.405953, 5.20345e-4, 5.30390e-7, -6.84463e-10, 2.10286e-13, -2.05741e-17),
    certified=(100.0, 3500.0),
)
SRM_2242A = Certificate(
    name="NIST SRM 2242a",
    laser_nm=532.0,
    form="log-gaussian",
    parameters=(0.99747, 3100.6, 1.1573, 2972.1, -3.7168e-6, 1.2864e-2),
    certified=(150.0, 4000.0),
)
SRM_2245 = Certificate(
    name="NIST SRM 2245",
    laser_nm=633.0,
    form="log-gaussian",
    parameters=(0.95071, 1657.7, 0.95207, 1960.0, 1.8981e-5, 1.1698e-2),
    certified=None,
)
SRM_2246A = Certificate(
    name="NIST SRM 2246a",
    laser_nm=830.0,
    form="log-gaussian",
    parameters=(1.0178, 3082.3, 0.98252, 2353.1, -1.1825e-7, -0.017500),
    certified=(110.0, 3000.0),
)
GLASSES = (SRM_2241, SRM_2242A, SRM_2244, SRM_2245, SRM_2246A)


@dataclass(frozen=True, slots=True, kw_only=True)
class WavelengthStandard:
    """Absorption bands of a NIR standard, nm. fraction: of the band's height above which its centre of gravity counts.

    The algorithm is part of a position: maxima of Fourier and dispersive instruments differ by up to 2 nm.
    """

    name: str
    bands_nm: tuple[float, ...]
    fraction: float
    note: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.fraction < 1.0 or list(self.bands_nm) != sorted(set(self.bands_nm)):
            raise ValueError(f"{self.name}: bands ascend, and the fraction is from 0 to below 1")


RARE_EARTH_GLASS = WavelengthStandard(
    name="NIST SRM 2035 / 2036 / 2065",
    bands_nm=(975.8, 1075.7, 1151.7, 1222.5, 1366.8, 1469.4, 1945.7),
    fraction=0.7,
    note="information values of the maxima near 8 1/cm resolution; set the centres of gravity of your certificate",
)
