"""Whether a NIR axis tells the truth: an absorbance spectrum of a wavelength standard in, a verdict out. Any thread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edged.spectra.spectrum import Spectrum, SpectrumError
from edged.spectra.standards.certificates import RARE_EARTH_GLASS, WavelengthStandard
from edged.spectra.standards.outcome import CheckReason, CheckVerdict, graded, verdict_of
from edged.spectra.standards.peaks import flanks, local_noise, over_feet

REACH_NM = 25.0  # to both sides of a band: its feet, and an axis that is off by a few nm
MIN_SNR = 10.0  # height of a band in units of the noise


@dataclass(frozen=True, slots=True, kw_only=True)
class WavelengthLimits:
    """warn_nm: commonly 1 nm below 2000 nm, and 1.5 above. Set those of the monograph that applies."""

    warn_nm: float = 1.0
    fail_nm: float = 2.0
    min_bands: int = 2

    def __post_init__(self) -> None:
        if not 0 < self.warn_nm <= self.fail_nm or self.min_bands < 1:
            raise ValueError("limits of a wavelength rise, and at least one band is needed")


@dataclass(frozen=True, slots=True, kw_only=True)
class BandCenter:
    """A band of the standard and where its centre of gravity was found, nm."""

    table_nm: float
    found_nm: float

    @property
    def difference_nm(self) -> float:
        """Return found minus table."""
        return self.found_nm - self.table_nm


@dataclass(frozen=True, slots=True, kw_only=True)
class WavelengthCheck:
    """The check of a NIR axis. Deviations in nm over the bands that were found, None where too few were."""

    standard: str
    bands: tuple[BandCenter, ...]
    median_deviation: float | None
    max_deviation: float | None
    verdict: CheckVerdict
    reasons: tuple[CheckReason, ...]


def check_wavelength(
    spectrum: Spectrum, standard: WavelengthStandard = RARE_EARTH_GLASS, *, limits: WavelengthLimits | None = None
) -> WavelengthCheck:
    """Compare the centres of gravity of a standard's bands with the table. Bands outside of the axis are not missed.

    Raises SpectrumError for anything but absorbance over nm.
    """
    if spectrum.axis_unit != "nm" or spectrum.quantity != "absorbance":
        raise SpectrumError(
            f"wavelength is checked on absorbance over nm, not {spectrum.quantity} over {spectrum.axis_unit}",
            hint="measure the standard against the white reference",
        )
    limits = limits or WavelengthLimits()
    within = [band for band in standard.bands_nm if spectrum.axis[0] + REACH_NM <= band <= spectrum.axis[-1] - REACH_NM]
    found = []
    for band in within:
        center = center_of_gravity(spectrum, band, fraction=standard.fraction)
        if center is not None:
            found.append(BandCenter(table_nm=band, found_nm=center))
    differences = np.array([band.difference_nm for band in found])
    if len(found) < limits.min_bands:
        missing = CheckReason(
            code="too_few_peaks",
            severity="fail",
            message=f"{len(found)} of the {len(within)} bands on this axis are found, {limits.min_bands} are needed",
            value=float(len(found)),
            limit=float(limits.min_bands),
        )
        return WavelengthCheck(
            standard=standard.name,
            bands=tuple(found),
            median_deviation=None,
            max_deviation=None,
            verdict="fail",
            reasons=(missing,),
        )
    worst = max(found, key=lambda band: abs(band.difference_nm))
    reasons = graded(
        "deviation",
        f"the band of {worst.table_nm:.1f} is found at {worst.found_nm:.1f} nm",
        value=abs(worst.difference_nm),
        warn=limits.warn_nm,
        fail=limits.fail_nm,
    )
    return WavelengthCheck(
        standard=standard.name,
        bands=tuple(found),
        median_deviation=float(np.median(differences)),
        max_deviation=float(np.max(np.abs(differences))),
        verdict=verdict_of(reasons),
        reasons=reasons,
    )


def center_of_gravity(spectrum: Spectrum, near: float, *, fraction: float, reach: float = REACH_NM) -> float | None:
    """Return the centre of gravity of the band's part above `fraction` of its height over the line between its feet.

    The part is bounded where the straight lines between points cross that height, so that points dropping in and out
    do not move it. None where there is no band, or its maximum is at the end of the reach.
    """
    axis, values = spectrum.axis, spectrum.values.astype(np.float64)
    inside = np.flatnonzero(np.abs(axis - near) <= reach)
    if len(inside) < 5:
        return None
    x, y = axis[inside], values[inside]
    top = int(np.argmax(y - np.interp(x, [x[0], x[-1]], [y[0], y[-1]])))
    height = over_feet(x, y, top)
    if height is None or height[top] <= MIN_SNR * float(np.median(local_noise(values))):
        return None
    over = height - fraction * height[top]
    crossings = flanks(x, over, top)
    if crossings is None:
        return None
    fine = np.linspace(*crossings, 401)
    weight = np.maximum(np.interp(fine, x, over), 0.0)
    return float(np.sum(fine * weight) / np.sum(weight))
