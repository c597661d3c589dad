"""Whether an instrument may be believed today: the latest self test of each subject, and what it means. Any thread.

Self tests are kept as records, so this state outlives the daemon; each instrument, by its serial number, has its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from edged.acquire.reading import Moment
from edged.infer.verdict import Reason
from edged.spectra.spectrum import Spectrum
from edged.spectra.standards.correction import AxisCorrection
from edged.spectra.standards.outcome import CheckVerdict, Subject

Mode = Literal["required", "warn", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestState:
    """One self test, as its record has it. problem: the message of what it failed by."""

    subject: Subject
    material: str
    verdict: CheckVerdict
    moment: Moment
    correction: AxisCorrection | None = None
    problem: str = ""


SelfTests = Mapping[Subject, SelfTestState]
"""The latest of each subject, of one instrument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What a station asks for. subjects: each of them has to hold. max_age_s: how long a passed self test does."""

    mode: Mode = "off"
    subjects: tuple[Subject, ...] = ()
    max_age_s: float = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """Why one subject does not hold. brief: the same for a list of several."""

    subject: Subject
    failed: bool
    message: str
    brief: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an instrument stands before a gate: what fails, and what is missing or too old."""

    failed: tuple[Objection, ...] = ()
    due: tuple[Objection, ...] = ()


def standing(gate: Gate, tests: SelfTests, now: Moment) -> Standing:
    """Return all objections to an instrument, whatever the gate does about them.

    A subject that no gate asks for may fail, too: whoever tried it should know, while the self test is not too old.
    """
    asked = [objection(subject, tests.get(subject), now, gate.max_age_s) for subject in gate.subjects]
    tried = [
        objection(subject, state, now, gate.max_age_s)
        for subject, state in tests.items()
        if subject not in gate.subjects and state.verdict == "fail" and _is_recent(state, now, gate.max_age_s)
    ]
    found = [one for one in (*asked, *tried) if one is not None]
    return Standing(failed=tuple(one for one in found if one.failed), due=tuple(one for one in found if not one.failed))


def gate_reasons(gate: Gate, tests: SelfTests, now: Moment) -> tuple[Reason, ...]:
    """Return what the self tests mean for a measurement: nothing, flags, or reasons to reject it."""
    if gate.mode == "off":
        return ()
    code: Literal["selftest_required", "selftest_advised"] = (
        "selftest_required" if gate.mode == "required" else "selftest_advised"
    )
    found = (objection(subject, tests.get(subject), now, gate.max_age_s) for subject in gate.subjects)
    return tuple(Reason(code=code, message=one.message) for one in found if one is not None)


def usable_correction(tests: SelfTests, now: Moment, *, max_age_s: float) -> AxisCorrection | None:
    """Return the session's axis correction while the self test that it is from holds."""
    state = tests.get("axis")
    if state is None or objection("axis", state, now, max_age_s) is not None:
        return None
    return state.correction


def corrected_axis(spectrum: Spectrum, correction: AxisCorrection) -> Spectrum:
    """Return the spectrum on the session's axis. Raises SpectrumError when the correction is of another instrument."""
    return dataclasses.replace(spectrum, axis=correction.apply(spectrum.axis))


def objection(subject: Subject, state: SelfTestState | None, now: Moment, max_age_s: float) -> Objection | None:
    """Return why the instrument is not to be believed in this, or None."""
    if state is None:
        message = f"no self test of its {_WORDS[subject]}"
        return Objection(subject=subject, failed=False, message=message, brief=message)
    if state.verdict == "fail":
        why = f": {state.problem}" if state.problem else ""
        message = f"the self test of its {_WORDS[subject]} with {state.material} failed"
        return Objection(subject=subject, failed=True, message=f"{message}{why}", brief=message)
    age_s = state.moment.age_s(now)
    if age_s is None:
        message = f"the age of the self test with {state.material} is unknown: the clock was not synced"
    elif age_s > max_age_s:
        message = f"the self test with {state.material} is {_hours(age_s)} old, allowed are {_hours(max_age_s)}"
    else:
        return None
    return Objection(subject=subject, failed=False, message=message, brief=message)


def _is_recent(state: SelfTestState, now: Moment, max_age_s: float) -> bool:
    age_s = state.moment.age_s(now)
    return age_s is not None and age_s <= max_age_s


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.3g} h"


_WORDS: Mapping[Subject, str] = {
    "axis": "Raman axis",
    "lamp": "pixel axis",
    "resolution": "resolution",
    "intensity": "relative intensity",
    "wavelength": "wavelengths",
    "dark": "dark level",
}
