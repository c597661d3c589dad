"""How wide a sharp band or line is: the resolution of the instrument, band included. Any thread.

The width is where straight lines between the measured points cross half of the height over the line between the feet.
It holds the width of the band itself: of a lamp's line none, of calcite's 1085 1/cm little, of polystyrene's 1001 1/cm
some. So it is an upper bound of the instrument's own, and no deconvolution is attempted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edged.spectra.spectrum import Spectrum
from edged.spectra.standards.materials import CALCITE_CM1
from edged.spectra.standards.outcome import CheckReason, CheckVerdict, graded, verdict_of
from edged.spectra.standards.peaks import Peak, find_peaks, flanks, over_feet

REACH_CM1 = 20.0  # as far as an axis may be off
_SMOOTH = 1.0  # in the unit of the axis: less than any width that is measured here


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionLimits:
    """max_width: Ph. Eur. 2.2.48 asks identity tests for 15 1/cm between 1000 and 1100 1/cm. warn_width: the same."""

    warn_width: float = 15.0
    max_width: float = 15.0
    min_points: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.warn_width <= self.max_width:
            raise ValueError("limits of a width rise: 0 < warn_width <= max_width")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolutionCheck:
    """The measured full width at half maximum and where, in the unit of the axis; None where the band is not found.

    points: measured points a width.
    """

    width: float | None
    position: float | None
    points: float | None
    verdict: CheckVerdict
    reasons: tuple[CheckReason, ...]


def check_resolution(
    spectrum: Spectrum,
    *,
    near: float = CALCITE_CM1,
    reach: float = REACH_CM1,
    limits: ResolutionLimits | None = None,
) -> ResolutionCheck:
    """Measure the width of the strongest peak within `reach` of `near`, both in the unit of the axis."""
    limits = limits or ResolutionLimits()
    peaks = [peak for peak in find_peaks(spectrum, smooth=_SMOOTH) if abs(peak.position - near) <= reach]
    peak = max(peaks, key=lambda peak: peak.height, default=None)
    width = full_width(spectrum, peak) if peak is not None else None
    if peak is None or width is None:
        missing = CheckReason(
            code="peak_missing", severity="fail", message=f"no band with both flanks within {reach:g} of {near:g}"
        )
        return ResolutionCheck(width=None, position=None, points=None, verdict="fail", reasons=(missing,))
    unit = "1/cm" if spectrum.axis_unit == "cm-1" else "nm"
    reasons: tuple[CheckReason, ...] = ()
    if peak.saturated:
        reasons = (
            CheckReason(
                code="saturated",
                severity="fail",
                message=f"the band at {peak.position:.1f} {unit} is beyond the detector's range: expose shorter",
            ),
        )
    near_steps = np.diff(spectrum.axis[np.abs(spectrum.axis - peak.position) <= 2.0 * width])
    points = width / float(np.median(near_steps))
    reasons += graded(
        "resolution",
        f"the band at {peak.position:.1f} {unit} is {width:.1f} {unit} wide",
        value=width,
        warn=limits.warn_width,
        fail=limits.max_width,
    )
    if points < limits.min_points:
        reasons += (
            CheckReason(
                code="undersampled",
                severity="warn",
                message=f"{points:.1f} points a width: it may be narrower than it reads",
                value=points,
                limit=limits.min_points,
            ),
        )
    return ResolutionCheck(
        width=width, position=peak.position, points=points, verdict=verdict_of(reasons), reasons=reasons
    )


def full_width(spectrum: Spectrum, peak: Peak) -> float | None:
    """Return the full width at half maximum over the line between the feet; None where a flank is not on the axis."""
    axis, values = spectrum.axis, spectrum.values.astype(np.float64)
    inside = np.flatnonzero(np.abs(axis - peak.position) <= 3.0 * peak.fwhm)
    if len(inside) < 5:
        return None
    x, y = axis[inside], values[inside]
    near = np.flatnonzero(np.abs(x - peak.position) <= 0.5 * peak.fwhm)
    if not len(near):
        return None
    top = int(near[np.argmax(y[near])])
    height = over_feet(x, y, top)
    if height is None:
        return None
    crossings = flanks(x, height - 0.5 * max(peak.height, float(height[top])), top)
    return crossings[1] - crossings[0] if crossings is not None else None
