"""One self test: a standard was measured; its spectrum is compared with what is published or certified of it.

What is found becomes a record, which `edged.acquire.gate` reads back. Any thread.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from drivers.contract import RawScan, ScanSettings
from edged.acquire.check import Check, SelfTestLimits, judged, told
from edged.acquire.condition import UNIT, dark_rows, frames_of, noise_rows, width_rows, without_source
from edged.acquire.counts import Counts, counts_of
from edged.acquire.errors import Unfit
from edged.acquire.gate import corrected_axis
from edged.acquire.references import dark_counts, require_dark
from edged.spectra.spectrum import AxisUnit, Spectrum, SpectrumError
from edged.spectra.standards.axis_check import LAMP_LIKENESS, AxisCheck, AxisLimits, check_axis, check_lamp
from edged.spectra.standards.certificates import Certificate, WavelengthStandard
from edged.spectra.standards.correction import MAX_SHIFT_CM1, AxisCorrection
from edged.spectra.standards.intensity import IntensityLimits, Response, check_intensity
from edged.spectra.standards.known import Standard
from edged.spectra.standards.materials import Material
from edged.spectra.standards.outcome import CheckName, CheckReason, CheckVerdict, ReasonCode, Subject
from edged.spectra.standards.peaks import SMOOTH_CM1, find_peaks
from edged.spectra.standards.resolution import ResolutionLimits, check_resolution
from edged.spectra.standards.wavelength import WavelengthLimits, check_wavelength

SHARP_CM1 = 60.0  # the luminescence of a glass is hundreds of 1/cm wide, a Raman band seldom more than this
BAND_SHARE = 0.2  # of the highest point; fringes of a thinned detector stay below
LASER_WITHIN_NM = 5.0  # of the one that a glass is certified for
OWN: Mapping[Subject, CheckName] = {
    "axis": "axis",
    "lamp": "lamp",
    "resolution": "resolution",
    "intensity": "intensity",
    "wavelength": "wavelength",
    "dark": "dark_level",
}
"""The row that a self test is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was measured. scans: one; of a scanning instrument two, so that they can be compared.

    counts: of the first. absorbances: of each, where a white reference fits. stored: the response of an earlier self
    test that a glass is compared with, None for the first.
    """

    scans: tuple[RawScan, ...]
    counts: Counts
    absorbances: tuple[Spectrum, ...] = ()
    stored: Response | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A published position and where it was found, in the result's unit; corrected: with the session's correction."""

    table: float
    found: float
    corrected: float | None = None
    doubt: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestResult:
    """What one self test found. spectrum: what was judged.

    before, after: largest deviation as the axis came, and with the correction. response: of a glass, to compare later
    ones with. correction: for measurements until the next self test of the axis, None where there must be none.
    """

    material: str
    subject: Subject
    checks: tuple[Check, ...]
    spectrum: Spectrum
    places: tuple[Place, ...] = ()
    places_unit: AxisUnit | None = None
    covered: tuple[float, float] | None = None
    before: float | None = None
    after: float | None = None
    correction: AxisCorrection | None = None
    response: Response | None = None

    @property
    def verdict(self) -> CheckVerdict:
        """Return the worst of the checks; `warn` as well when what the self test is about had no limit."""
        verdicts = {check.verdict for check in self.checks}
        own = next(check for check in self.checks if check.name == OWN[self.subject])
        if "fail" in verdicts:
            return "fail"
        return "warn" if "warn" in verdicts or own.verdict is None else "pass"


def run_selftest(standard: Standard, evidence: Evidence, limits: SelfTestLimits | None = None) -> SelfTestResult:
    """Compare what was measured with the standard. Raises Unfit when this instrument cannot be tested so."""
    limits = limits or SelfTestLimits()
    try:
        match standard.values:
            case Material() as material if material.lamp:
                return _lamp(standard, material, evidence, limits)
            case Material() as material:
                return _axis(standard, material, evidence, limits)
            case Certificate() as certificate:
                return _intensity(standard, certificate, evidence, limits)
            case WavelengthStandard() as wavelengths:
                return _wavelength(standard, wavelengths, evidence, limits)
            case None if standard.subject == "dark":
                return _dark(standard, evidence, limits)
            case None:
                return _resolution(standard, evidence, limits)
    except SpectrumError as error:
        raise Unfit(error.message, hint=error.hint) from error


def _axis(standard: Standard, material: Material, evidence: Evidence, limits: SelfTestLimits) -> SelfTestResult:
    spectrum = _raman(evidence, standard)
    held = AxisLimits(warn_cm1=limits.axis_warn_cm1, fail_cm1=limits.axis_fail_cm1)
    before = check_axis(spectrum, material, limits=held)
    correction, after = before.correction, before
    if correction is not None:
        after = check_axis(corrected_axis(spectrum, correction), material, limits=held)
    if after.verdict == "fail":
        correction = None
    row = judged(
        "axis",
        after.reasons,
        value=after.max_deviation,
        unit="1/cm",
        limit=limits.axis_warn_cm1,
        message=_bands(after),
    )
    rows: tuple[Check, ...] = (row,)
    if correction is not None:
        shift = float(np.max(np.abs(correction.shift(np.array([match.found for match in before.counted])))))
        told_ = f"{correction.form}, by {correction.peaks} bands; {before.max_deviation:.2f} without it"
        rows += (judged("correction", (), value=shift, unit="1/cm", limit=MAX_SHIFT_CM1, message=told_),)
    return SelfTestResult(
        material=standard.name,
        subject=standard.subject,
        checks=(*rows, *width_rows(spectrum), *_conditions(evidence.scans[0], limits)),
        spectrum=evidence.counts.spectrum,
        places=tuple(
            Place(
                table=match.table,
                found=match.found,
                corrected=None
                if correction is None
                else match.found - float(correction.shift(np.array([match.found]))[0]),
                doubt=match.doubt,
            )
            for match in before.matches
        ),
        places_unit="cm-1",
        covered=after.covered,
        before=before.max_deviation,
        after=None if correction is None else after.max_deviation,
        correction=correction,
    )


def _bands(check: AxisCheck) -> str:
    if check.covered is None:
        return ""
    first, last = check.covered
    return f"{len(check.counted)} bands from {first:.0f} to {last:.0f} 1/cm"


def _lamp(standard: Standard, material: Material, evidence: Evidence, limits: SelfTestLimits) -> SelfTestResult:
    """A lamp's lines do not move with the laser, whose own light is in the way: frames without it are looked at."""
    unlit = without_source(evidence.scans[0])
    spectrum = dataclasses.replace(counts_of(unlit).spectrum, quantity="intensity")
    held = AxisLimits(warn_cm1=limits.axis_warn_cm1, fail_cm1=limits.axis_fail_cm1, min_likeness=LAMP_LIKENESS)
    check = check_lamp(spectrum, material, laser_nm=unlit.calibration.excitation_nm, limits=held)
    places = tuple(
        Place(table=_as_on(spectrum, match.table), found=_as_on(spectrum, match.found), doubt=match.doubt)
        for match in check.matches
    )
    counted = [place for place in places if place.doubt is None]
    unit = UNIT[spectrum.axis_unit]
    message = ""
    if check.max_deviation is not None:
        worst = max(counted, key=lambda place: abs(place.found - place.table))
        message = f"{len(counted)} lines, {worst.table:.2f} is found at {worst.found:.2f} {unit}"
    reasons = tuple(  # their own words are shifts that nobody has seen on this axis
        dataclasses.replace(reason, message=_LAMP_WORDS.get(reason.code, reason.message)) for reason in check.reasons
    )
    row = judged("lamp", reasons, value=check.max_deviation, unit="1/cm", limit=limits.axis_warn_cm1, message=message)
    return SelfTestResult(
        material=standard.name,
        subject=standard.subject,
        checks=(row, *width_rows(spectrum), *noise_rows(frames_of(unlit), limits)),
        spectrum=spectrum,
        places=places,
        places_unit=spectrum.axis_unit,
        covered=None if not message else (counted[0].table, counted[-1].table),
        before=check.max_deviation,
    )


_LAMP_WORDS: Mapping[ReasonCode, str] = {
    "deviation": "",
    "shift_too_large": "a fault, no drift",
    "saturated": "lines are beyond the detector's range: hold the lamp farther away",
}


def _as_on(spectrum: Spectrum, shift_cm1: float) -> float:
    """A lamp on an axis in nm is compared as shifts from the axis's first point; return it to nm."""
    return shift_cm1 if spectrum.axis_unit == "cm-1" else 1e7 / (1e7 / float(spectrum.axis[0]) - shift_cm1)


def _resolution(standard: Standard, evidence: Evidence, limits: SelfTestLimits) -> SelfTestResult:
    spectrum = _raman(evidence, standard)
    widest = limits.width_cm1
    check = check_resolution(spectrum, limits=ResolutionLimits(warn_width=widest, max_width=widest))
    where = "" if check.position is None else f"{check.points:.1f} points, at {check.position:.1f} 1/cm"
    row = judged("resolution", check.reasons, value=check.width, unit="1/cm", limit=widest, message=where)
    return SelfTestResult(
        material=standard.name,
        subject=standard.subject,
        checks=(row, *_conditions(evidence.scans[0], limits)),
        spectrum=evidence.counts.spectrum,
    )


def _intensity(
    standard: Standard, certificate: Certificate, evidence: Evidence, limits: SelfTestLimits
) -> SelfTestResult:
    _raman(evidence, standard)
    laser_nm = evidence.scans[0].calibration.excitation_nm
    if laser_nm is None or abs(laser_nm - certificate.laser_nm) > LASER_WITHIN_NM:
        raise Unfit(
            f"{standard.title} is certified for a laser of {certificate.laser_nm:g} nm, this one has {laser_nm or 0:g}",
            hint="take the glass for this laser",
        )
    if not evidence.counts.has_dark:
        raise Unfit(
            "a glass is compared without the dark level, and none is known", hint="edged measure STATION --dark"
        )
    held = IntensityLimits(warn_share=limits.response_warn, fail_share=limits.response_fail)
    check = check_intensity(evidence.counts.spectrum, certificate, stored=evidence.stored, limits=held)
    band = _sharp_band(evidence.counts.spectrum)
    if band is not None:  # whose response would be that of another substance
        reason = CheckReason(
            code="material_not_recognised",
            severity="fail",
            message=f"a sharp band at {band:.0f} 1/cm: this is no glass",
        )
        check = dataclasses.replace(check, response=None, change=None, verdict="fail", reasons=(reason,))
    covered = None
    message = ""
    if check.response is not None:
        covered = (float(check.response.axis[0]), float(check.response.axis[-1]))
        message = f"{covered[0]:.0f} to {covered[1]:.0f} 1/cm"
    if evidence.stored is None and check.verdict == "pass":
        row = told(
            "intensity",
            value=None,
            unit="",
            message=f"{message}; the first of this instrument: later ones are compared with it",
        )
    else:
        row = judged(
            "intensity",
            check.reasons,
            value=check.change,
            unit="",
            limit=limits.response_warn,
            message=message,
        )
    return SelfTestResult(
        material=standard.name,
        subject=standard.subject,
        checks=(row, *_conditions(evidence.scans[0], limits)),
        spectrum=evidence.counts.spectrum,
        covered=covered,
        response=check.response,
    )


def _sharp_band(glass: Spectrum) -> float | None:
    """Return where a band stands out that no luminescence of a glass has, None where all is smooth."""
    peaks = find_peaks(glass, smooth=SMOOTH_CM1)
    tallest = max(peaks, key=lambda peak: peak.height if peak.fwhm < SHARP_CM1 else 0.0, default=None)
    if tallest is None or tallest.fwhm >= SHARP_CM1:
        return None
    return tallest.position if tallest.height > BAND_SHARE * float(glass.values.max()) else None


def _wavelength(
    standard: Standard, values: WavelengthStandard, evidence: Evidence, limits: SelfTestLimits
) -> SelfTestResult:
    if not evidence.absorbances:
        raise Unfit(
            f"the bands of {standard.title} are looked for in absorbance, and no white reference fits",
            hint="edged measure STATION --reference, on an instrument for NIR",
        )
    spectrum = evidence.absorbances[0]
    held = WavelengthLimits(warn_nm=limits.wavelength_warn_nm, fail_nm=limits.wavelength_fail_nm)
    check = check_wavelength(spectrum, values, limits=held)
    covered = (check.bands[0].table_nm, check.bands[-1].table_nm) if check.bands else None
    message = "" if covered is None else f"{len(check.bands)} bands from {covered[0]:.0f} to {covered[1]:.0f} nm"
    row = judged(
        "wavelength",
        check.reasons,
        value=check.max_deviation,
        unit="nm",
        limit=limits.wavelength_warn_nm,
        message=message,
    )
    scan = evidence.scans[0]
    repeated = evidence.absorbances if len(evidence.absorbances) > 1 else frames_of(scan)
    dark = dark_rows(scan, limits) if isinstance(scan.settings, ScanSettings) else ()
    return SelfTestResult(
        material=standard.name,
        subject=standard.subject,
        checks=(row, *noise_rows(repeated, limits), *dark),
        spectrum=spectrum,
        places=tuple(Place(table=band.table_nm, found=band.found_nm) for band in check.bands),
        places_unit="nm",
        covered=covered,
        before=check.max_deviation,
    )


def _dark(standard: Standard, evidence: Evidence, limits: SelfTestLimits) -> SelfTestResult:
    unlit = without_source(evidence.scans[0])
    counts = dark_counts(unlit)
    repeated = frames_of(unlit)
    if isinstance(unlit.settings, ScanSettings):
        repeated = tuple(counts_of(scan).spectrum for scan in evidence.scans)
    else:
        require_dark(counts)
    first, *rest = dark_rows(unlit, limits)
    if first.verdict is None:
        first = dataclasses.replace(first, hint="to have it judged: selftest.limits.max_dark_counts")
    return SelfTestResult(
        material=standard.name,
        subject=standard.subject,
        checks=(first, *rest, *noise_rows(repeated, limits)),
        spectrum=counts,
    )


def _raman(evidence: Evidence, standard: Standard) -> Spectrum:
    spectrum = evidence.counts.spectrum
    if spectrum.axis_unit != "cm-1":
        raise SpectrumError(
            f"{standard.title} is looked at by its Raman spectrum, and no laser was on",
            hint="set settings.laser_mw, on an instrument with a laser",
        )
    return dataclasses.replace(spectrum, quantity="intensity")


def _conditions(scan: RawScan, limits: SelfTestLimits) -> tuple[Check, ...]:
    """Noise of the frames with the light, and the dark level of those without."""
    unlit = without_source(scan)
    if unlit is scan:
        return noise_rows(frames_of(scan), limits)
    level = float(unlit.counts.mean())
    return (*noise_rows(frames_of(scan), limits, dark_level=level), *dark_rows(unlit, limits))
