"""Whether the axis of an instrument tells the truth: a spectrum of a standard in, deviations and verdict out.

A common offset of Raman bands is laser drift or drift of the pixel axis, and Raman bands alone cannot tell which. A
lamp's lines do not move with the laser: with both checks, `attribute_drift` says whose it is. Any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from edged.spectra.spectrum import Spectrum, SpectrumError
from edged.spectra.standards.correction import MAX_SHIFT_CM1, MIN_PEAKS, AxisCorrection, fit_correction
from edged.spectra.standards.matching import Assignment, Match, assign
from edged.spectra.standards.materials import NEON, RAMAN_MATERIALS, Material
from edged.spectra.standards.outcome import CheckReason, CheckVerdict, graded, verdict_of
from edged.spectra.standards.peaks import SMOOTH_CM1, Peak, find_peaks
from edged.spectra.standards.shapes import SHAPES, at_maxima

LAMP_SMOOTH_CM1 = 1.0  # a lamp's lines are as narrow as the instrument
BROAD_CM1 = 15.0  # the resolution that Ph. Eur. 2.2.48 asks for; the top of a wider band depends on the instrument
LAMP_LIKENESS = 0.6  # eleven spectra of neon give 0.90 to 0.98, 76 of other things at most 0.35
_NOTHING_TO_SAY = frozenset({"other_material", "material_not_recognised", "too_few_peaks"})
CAUTION = (
    "a common offset of Raman bands is laser drift or drift of the pixel axis; only the lines of a lamp tell which"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisLimits:
    """What an axis must reach, 1/cm. Not a pharmacopoeia's numbers: set those of the monograph that applies.

    warn_cm1: the largest deviation without a remark; bench-top instruments are commonly held to 1.5.
    fail_cm1: handhelds are commonly held to 2.5, and 3 above 1,600 1/cm. Bands wider than BROAD_CM1 only warn.
    min_likeness: of table and spectrum, 0 to 1. Ten polystyrene spectra of five instruments and cyclohexane of a sixth
        give 0.88 to 0.94; the wrong table on polystyrene at most 0.76, polystyrene's on toluene 0.70, on others less.
    min_peaks, max_shift_cm1: the guard rails of the session correction.
    """

    warn_cm1: float = 1.5
    fail_cm1: float = 3.0
    min_likeness: float = 0.8
    min_peaks: int = MIN_PEAKS
    max_shift_cm1: float = MAX_SHIFT_CM1

    def __post_init__(self) -> None:
        if not 0 < self.warn_cm1 <= self.fail_cm1 <= self.max_shift_cm1 <= MAX_SHIFT_CM1:
            raise ValueError(f"limits of an axis rise: 0 < warn <= fail <= max_shift <= {MAX_SHIFT_CM1:g} 1/cm")
        if self.min_peaks < MIN_PEAKS or not 0 < self.min_likeness < 1:
            raise ValueError(f"an axis is checked on {MIN_PEAKS} peaks or more, with a likeness between 0 and 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisCheck:
    """The check of one axis. Deviations are found - table, 1/cm, of the peaks that count; None where too few do.

    matches: every line that was found, at the maximum of its band, those in doubt too. likeness: of table and
    spectrum. correction: what the peaks support, None where they must not be corrected by. caution: what a common
    offset does not tell, empty for a lamp.
    """

    material: str
    likeness: float
    matches: tuple[Match, ...]
    median_deviation: float | None
    max_deviation: float | None
    rms_deviation: float | None
    correction: AxisCorrection | None
    verdict: CheckVerdict
    reasons: tuple[CheckReason, ...]
    caution: str

    @property
    def counted(self) -> tuple[Match, ...]:
        """Return the matches without doubt."""
        return tuple(match for match in self.matches if match.doubt is None)

    @property
    def covered(self) -> tuple[float, float] | None:
        """Return the first and last published position that was checked; None where the check says nothing.

        Beyond them nothing is known: bands that noise hides, or that a bent axis carries more than 4 1/cm from a
        straight line, are not matched.
        """
        if self.median_deviation is None:
            return None
        return self.counted[0].table, self.counted[-1].table


def check_axis(
    spectrum: Spectrum,
    material: Material,
    *,
    limits: AxisLimits | None = None,
    others: Sequence[Material] = RAMAN_MATERIALS,
) -> AxisCheck:
    """Compare a Raman spectrum of a known material with its published bands.

    others: what the sample may be by mistake; the material itself among them does not matter.
    Raises SpectrumError for an axis in nm, ValueError for a lamp.
    """
    if material.lamp:
        raise ValueError(f"{material.name} is a lamp: use check_lamp")
    if spectrum.axis_unit != "cm-1":
        raise SpectrumError("a Raman standard is checked on an axis in 1/cm", hint="give the shift, not the wavelength")
    peaks = find_peaks(spectrum, smooth=SMOOTH_CM1)
    span = (float(spectrum.axis[0]), float(spectrum.axis[-1]))
    found = assign(_lines(material), peaks, span=span)
    mistaken = _mistaken(material, found, peaks, span, others)
    if material.name in SHAPES:
        found = replace(found, matches=at_maxima(found.matches, SHAPES[material.name]))
    return _checked(material, found, limits or AxisLimits(), known=mistaken, caution=CAUTION)


def check_lamp(
    spectrum: Spectrum, lamp: Material = NEON, *, laser_nm: float | None = None, limits: AxisLimits | None = None
) -> AxisCheck:
    """Compare the spectrum of a lamp with its lines; deviations are in 1/cm on either axis.

    laser_nm: the wavelength that the instrument makes its shift from; needed on an axis in 1/cm. If it is only nominal,
    the common offset is its error, and the spread of the deviations is what the pixel axis is judged by.
    Raises SpectrumError where it is missing, ValueError for a material that is no lamp.
    """
    if not lamp.lamp:
        raise ValueError(f"{lamp.name} is no lamp: use check_axis")
    if spectrum.axis_unit == "nm":
        laser_nm = float(spectrum.axis[0])
        if laser_nm <= 0:
            raise SpectrumError("an axis in nm begins above zero")
        spectrum = Spectrum(
            axis=1e7 / laser_nm - 1e7 / spectrum.axis,
            values=spectrum.values,
            axis_unit="cm-1",
            quantity=spectrum.quantity,
            saturated=spectrum.saturated,
            title=spectrum.title,
        )
    elif laser_nm is None or not 200.0 <= laser_nm <= 2000.0:
        raise SpectrumError(
            "a lamp on an axis of shifts needs the laser's wavelength in nm", hint="give laser_nm, such as 785.0"
        )
    peaks = find_peaks(spectrum, smooth=LAMP_SMOOTH_CM1)
    lines = [(1e7 / laser_nm - 1e7 / line.position, line.strength) for line in lamp.lines]
    found = assign(lines, peaks, span=(float(spectrum.axis[0]), float(spectrum.axis[-1])))
    return _checked(lamp, found, limits or AxisLimits(min_likeness=LAMP_LIKENESS), known=(), caution="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Whose drift it is. pixel_axis, laser: parts of the common offset of Raman bands, 1/cm of shift."""

    cause: Literal["none", "laser", "pixel axis", "both"]
    pixel_axis: float
    laser: float


def attribute_drift(raman: AxisCheck, lamp: AxisCheck, *, noticed_cm1: float = 1.0) -> Drift | None:
    """Split the offset of a Raman standard by a lamp measured in the same session; None where either has too few peaks.

    The lamp's offset is the pixel axis's; what is left of the standard's is the laser's.
    noticed_cm1: what is called a drift; about twice the standard error of a published position.
    """
    if raman.median_deviation is None or lamp.median_deviation is None:
        return None
    pixels = lamp.median_deviation
    laser = raman.median_deviation - pixels
    moved = (abs(pixels) > noticed_cm1, abs(laser) > noticed_cm1)
    causes: dict[tuple[bool, bool], Literal["none", "laser", "pixel axis", "both"]] = {
        (False, False): "none",
        (False, True): "laser",
        (True, False): "pixel axis",
        (True, True): "both",
    }
    return Drift(cause=causes[moved], pixel_axis=pixels, laser=laser)


def _lines(material: Material) -> list[tuple[float, int]]:
    return [(line.position, line.strength) for line in material.lines]


def _mistaken(
    material: Material,
    found: Assignment,
    peaks: Sequence[Peak],
    span: tuple[float, float],
    others: Sequence[Material],
) -> tuple[CheckReason, ...]:
    """Whether the table of another material explains the spectrum better."""
    best, likeness = material, found.likeness
    for other in others:
        if other.name != material.name and not other.lamp:
            alike = assign(_lines(other), peaks, span=span)
            if alike.likeness > likeness and len(alike.matches) >= MIN_PEAKS:
                best, likeness = other, alike.likeness
    if best is material:
        return ()
    return (
        CheckReason(
            code="other_material",
            severity="fail",
            message=f"the sample looks more like {best.title} than like {material.title}",
            value=found.likeness,
            limit=likeness,
        ),
    )


def _checked(
    material: Material, found: Assignment, limits: AxisLimits, *, known: tuple[CheckReason, ...], caution: str
) -> AxisCheck:
    counted = [match for match in found.matches if match.doubt is None]
    reasons = (*known, *_recognised(material, found, limits))
    if not reasons:  # of something else, what its peaks are off by means nothing
        reasons = _usable(found, counted, limits)
    correction = None
    if not any(reason.severity == "fail" for reason in reasons):
        correction = fit_correction(found.matches, material=material.name)
        reasons = (*reasons, *_deviating(counted, limits))
    differences = np.array([match.difference for match in counted])
    enough = not any(reason.code in _NOTHING_TO_SAY for reason in reasons)
    return AxisCheck(
        material=material.name,
        likeness=found.likeness,
        matches=found.matches,
        median_deviation=float(np.median(differences)) if enough else None,
        max_deviation=float(np.max(np.abs(differences))) if enough else None,
        rms_deviation=float(np.sqrt(np.mean(differences**2))) if enough else None,
        correction=correction,
        verdict=verdict_of(reasons),
        reasons=reasons,
        caution=caution,
    )


def _recognised(material: Material, found: Assignment, limits: AxisLimits) -> tuple[CheckReason, ...]:
    if found.likeness >= limits.min_likeness:
        return ()
    return (
        CheckReason(
            code="material_not_recognised",
            severity="fail",
            message=f"the spectrum does not look like {material.title}",
            value=found.likeness,
            limit=limits.min_likeness,
        ),
    )


def _usable(found: Assignment, counted: Sequence[Match], limits: AxisLimits) -> tuple[CheckReason, ...]:
    reasons: list[CheckReason] = []
    if len(counted) < limits.min_peaks:
        reasons.append(
            CheckReason(
                code="too_few_peaks",
                severity="fail",
                message=f"{len(counted)} peaks count, {limits.min_peaks} are needed",
                value=float(len(counted)),
                limit=float(limits.min_peaks),
            )
        )
    saturated = [match for match in found.matches if match.doubt == "saturated"]
    if saturated:
        places = ", ".join(f"{match.table:.0f}" for match in saturated)
        reasons.append(
            CheckReason(
                code="saturated",
                severity="warn",
                message=f"beyond the detector's range at {places} 1/cm: expose shorter",
                value=float(len(saturated)),
                limit=0.0,
            )
        )
    far = max(counted, key=lambda match: abs(match.difference), default=None)
    if far is not None and abs(far.difference) > limits.max_shift_cm1:
        reasons.append(
            CheckReason(
                code="shift_too_large",
                severity="fail",
                message=f"{far.table:.1f} is found at {far.found:.1f} 1/cm: a fault, no drift; have it serviced",
                value=abs(far.difference),
                limit=limits.max_shift_cm1,
            )
        )
    return tuple(reasons)


def _deviating(counted: Sequence[Match], limits: AxisLimits) -> tuple[CheckReason, ...]:
    """The worst deviation that warns, or the worst of a sharp band that fails."""
    sharp = [match for match in counted if match.fwhm <= BROAD_CM1]
    failing = [match for match in sharp if abs(match.difference) > limits.fail_cm1]
    worst = max(failing or counted, key=lambda match: abs(match.difference))
    return graded(
        "deviation",
        f"{worst.table:.1f} is found at {worst.found:.1f} 1/cm",
        value=abs(worst.difference),
        warn=limits.warn_cm1,
        fail=limits.fail_cm1 if failing else float("inf"),
    )
