"""What the state of the self tests means for a measurement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edged.acquire.gate import Gate, Mode, SelfTests, SelfTestState, gate_reasons, standing, usable_correction
from edged.acquire.reading import Moment
from edged.spectra.quality import is_unfit
from edged.spectra.standards.correction import AxisCorrection
from edged.spectra.standards.outcome import Subject

DONE = Moment(wall_s=1_000.0, monotonic_s=100.0, boot_id="a", synced=True)
LATER = replace(DONE, monotonic_s=4_000.0)
TOO_LATE = replace(DONE, monotonic_s=1e6)
ANOTHER_BOOT = replace(DONE, boot_id="b", wall_s=2_000.0)
UNSYNCED_BOOT = replace(ANOTHER_BOOT, synced=False)
OFFSET = AxisCorrection(
    coefficients=(5.0,),
    first=600.0,
    last=1_700.0,
    material="polystyrene",
    peaks=8,
    residual=0.1,
    cross_validated=0.1,
)


def state(verdict: Any = "pass", subject: Subject = "axis", correction: AxisCorrection | None = None) -> SelfTestState:
    return SelfTestState(
        subject=subject, material="polystyrene", verdict=verdict, moment=DONE, correction=correction, problem="it leaks"
    )


def latest(*states: SelfTestState) -> SelfTests:
    return {one.subject: one for one in states}


@pytest.mark.parametrize(
    ("mode", "found", "now", "code"),
    [
        ("off", latest(), LATER, None),
        ("off", latest(state("fail")), LATER, None),
        ("warn", latest(), LATER, "selftest_advised"),
        ("warn", latest(state("fail")), LATER, "selftest_advised"),
        ("warn", latest(state()), LATER, None),
        ("warn", latest(state()), TOO_LATE, "selftest_advised"),
        ("required", latest(), LATER, "selftest_required"),
        ("required", latest(state()), LATER, None),
        ("required", latest(state("warn")), LATER, None),
        ("required", latest(state("fail")), LATER, "selftest_required"),
        ("required", latest(state()), TOO_LATE, "selftest_required"),
        ("required", latest(state()), UNSYNCED_BOOT, "selftest_required"),
        ("required", latest(state()), ANOTHER_BOOT, None),
        ("required", latest(state(subject="dark")), LATER, "selftest_required"),
        ("required", latest(state(), state("fail", "resolution")), LATER, None),
    ],
)
def test_the_gate(mode: Mode, found: SelfTests, now: Moment, code: str | None) -> None:
    reasons = gate_reasons(Gate(mode=mode, subjects=("axis",)), found, now)

    assert [reason.code for reason in reasons] == ([code] if code else [])
    assert is_unfit(reasons) == (code == "selftest_required")


def test_every_subject_that_is_asked_for_has_to_hold() -> None:
    both = Gate(mode="required", subjects=("axis", "dark"))

    assert [r.message for r in gate_reasons(both, latest(state()), LATER)] == ["no self test of its dark level"]
    assert gate_reasons(both, latest(state(), state(subject="dark")), LATER) == ()


def test_a_reason_says_what_failed() -> None:
    (reason,) = gate_reasons(Gate(mode="required", subjects=("axis",)), latest(state("fail")), LATER)

    assert "polystyrene" in reason.message
    assert "it leaks" in reason.message


@pytest.mark.parametrize(
    ("found", "now", "failed", "due"),
    [
        (latest(), LATER, [], ["axis"]),
        (latest(state()), LATER, [], []),
        (latest(state()), TOO_LATE, [], ["axis"]),
        (latest(state("fail")), LATER, ["axis"], []),
        (latest(state("fail")), TOO_LATE, ["axis"], []),
        (latest(state(), state("fail", "resolution")), LATER, ["resolution"], []),
        (latest(state("fail", "resolution")), TOO_LATE, [], ["axis"]),  # tried once, long ago, and not asked for
    ],
)
def test_what_fails_is_told_apart_from_what_is_due(
    found: SelfTests, now: Moment, failed: list[str], due: list[str]
) -> None:
    stands = standing(Gate(mode="warn", subjects=("axis",)), found, now)

    assert ([one.subject for one in stands.failed], [one.subject for one in stands.due]) == (failed, due)


@pytest.mark.parametrize(
    ("found", "now", "used"),
    [
        (latest(state(correction=OFFSET)), LATER, OFFSET),
        (latest(state("warn", correction=OFFSET)), LATER, OFFSET),
        (latest(state(correction=OFFSET)), TOO_LATE, None),
        (latest(state("fail", correction=OFFSET)), LATER, None),
        (latest(state(correction=OFFSET)), UNSYNCED_BOOT, None),
        (latest(state(correction=OFFSET), state("fail", "dark")), LATER, OFFSET),
        (latest(state(subject="lamp")), LATER, None),
    ],
)
def test_a_correction_holds_as_long_as_its_self_test(
    found: SelfTests, now: Moment, used: AxisCorrection | None
) -> None:
    assert usable_correction(found, now, max_age_s=86_400.0) is used
