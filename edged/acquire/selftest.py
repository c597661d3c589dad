"""Whether an instrument may be believed today: a known material is measured, its bands are compared with the tables.

What a self test found is kept as a record. Its state gates measurements, and the correction of the axis that it
supports is applied to them until the next one. Any thread.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from edged.acquire.counts import Counts
from edged.acquire.errors import Unfit
from edged.acquire.reading import Moment
from edged.infer.verdict import Reason
from edged.spectra.spectrum import Spectrum, SpectrumError
from edged.spectra.standards.axis_check import AxisCheck, AxisLimits, check_axis, check_lamp
from edged.spectra.standards.correction import AxisCorrection
from edged.spectra.standards.materials import Material, material_named
from edged.spectra.standards.outcome import CheckReason, CheckVerdict

Gate = Literal["required", "warn", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestResult:
    """What one self test found. before: the axis as the instrument gives it; after: with the correction, if any.

    The verdict is that of the axis that measurements will have.
    """

    material: str
    verdict: CheckVerdict
    before: AxisCheck
    after: AxisCheck | None
    correction: AxisCorrection | None

    @property
    def reasons(self) -> tuple[CheckReason, ...]:
        """Return why it is not a plain pass."""
        return (self.after or self.before).reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestState:
    """The latest self test of one instrument, as its record has it."""

    serial_number: str
    material: str
    verdict: CheckVerdict
    moment: Moment
    correction: AxisCorrection | None

    def age_s(self, now: Moment) -> float | None:
        """Seconds since it was done, or None when nobody knows."""
        if now.boot_id == self.moment.boot_id:
            return max(0.0, now.monotonic_s - self.moment.monotonic_s)
        if now.synced and self.moment.synced:
            return max(0.0, now.wall_s - self.moment.wall_s)
        return None


def run_selftest(
    counts: Counts, material: Material, *, laser_nm: float | None, limits: AxisLimits | None = None
) -> SelfTestResult:
    """Check the axis of a measured standard, correct it if its peaks support that, and check it again.

    laser_nm: excitation, which a lamp on a Raman axis needs. Raises Unfit when this instrument cannot be checked so.
    """
    spectrum = dataclasses.replace(counts.spectrum, quantity="intensity")
    try:
        before = _checked(spectrum, material, laser_nm, limits)
        correction = None if material.lamp else before.correction
        after = None
        if correction is not None:
            after = _checked(corrected_axis(spectrum, correction), material, laser_nm, limits)
    except SpectrumError as error:
        raise Unfit(error.message, hint=error.hint) from error
    verdict = (after or before).verdict
    return SelfTestResult(
        material=material.name,
        verdict=verdict,
        before=before,
        after=after,
        correction=correction if verdict != "fail" else None,
    )


def corrected_axis(spectrum: Spectrum, correction: AxisCorrection) -> Spectrum:
    """Return the spectrum on the session's axis. Raises SpectrumError when the correction is of another instrument."""
    return dataclasses.replace(spectrum, axis=correction.apply(spectrum.axis))


def known_material(name: str | None) -> Material:
    """Return a material by its name. Raises Unfit that lists what there is."""
    if name is None:
        raise Unfit("no material is named", hint="edged selftest STATION --material polystyrene, or selftest.material")
    try:
        return material_named(name)
    except LookupError as error:
        raise Unfit(str(error.args[0])) from error


def gate_reasons(gate: Gate, state: SelfTestState | None, now: Moment, *, max_age_s: float) -> tuple[Reason, ...]:
    """Return what the state of the self test means for a measurement: nothing, a flag, or a reason to reject it."""
    why = None if gate == "off" else objection(state, now, max_age_s)
    if why is None:
        return ()
    return (Reason(code="selftest_required" if gate == "required" else "selftest_advised", message=why),)


def usable_correction(state: SelfTestState | None, now: Moment, *, max_age_s: float) -> AxisCorrection | None:
    """Return the session's axis correction while the self test that it is from holds."""
    if state is None or objection(state, now, max_age_s) is not None:
        return None
    return state.correction


def objection(state: SelfTestState | None, now: Moment, max_age_s: float) -> str | None:
    """Return why the instrument is not to be believed now, in words, or None."""
    if state is None:
        return "this instrument has not passed a self test"
    if state.verdict == "fail":
        return f"this instrument failed its last self test with {state.material}"
    age_s = state.age_s(now)
    if age_s is None:
        return "the age of the last self test is unknown: the clock was not synced"
    if age_s > max_age_s:
        return f"the last self test is {age_s / 3600:.0f} h old, allowed are {max_age_s / 3600:.0f} h"
    return None


def _checked(spectrum: Spectrum, material: Material, laser_nm: float | None, limits: AxisLimits | None) -> AxisCheck:
    if material.lamp:
        return check_lamp(spectrum, material, laser_nm=laser_nm, limits=limits)
    return check_axis(spectrum, material, limits=limits)
