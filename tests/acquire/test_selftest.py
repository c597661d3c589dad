"""The self test on a simulated Raman instrument whose axis is off, and what its state means for measurements."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from drivers.contract import ExposureSettings, RawScan
from edged.acquire.counts import Counts, counts_of
from edged.acquire.errors import Unfit
from edged.acquire.reading import Moment
from edged.acquire.selftest import (
    Gate,
    SelfTestResult,
    SelfTestState,
    corrected_axis,
    gate_reasons,
    known_material,
    run_selftest,
    usable_correction,
)
from edged.service.pipeline import selftest_info
from edged.spectra.quality import is_unfit
from edged.spectra.standards.correction import AxisCorrection
from edged.spectra.standards.materials import POLYSTYRENE
from firmware_sim.scene import LINE_WIDTH_CM1, RAMAN_LINES, Raman
from tests.contract.obp_ends import instrument, scans_of

DONE = Moment(wall_s=1_000.0, monotonic_s=100.0, boot_id="a", synced=True)
LATER = replace(DONE, monotonic_s=4_000.0)
LIT = ExposureSettings(integration_ms=400.0, repeats=3, laser_mw=50.0, laser_unattended=True)


@pytest.fixture(scope="module")
def ventana() -> RawScan:
    """Polystyrene under a laser, by the simulated instrument and its driver."""
    (scan,) = scans_of(instrument("ventana", scene=Raman("polystyrene")), "usb", LIT)
    return scan


def measured(scan: RawScan, *, off_cm1: float = 0.0) -> Counts:
    counts = counts_of(scan)
    shifted = replace(counts.spectrum, axis=counts.spectrum.axis + off_cm1)
    return replace(counts, spectrum=shifted)


def checked(counts: Counts) -> SelfTestResult:
    return run_selftest(counts, POLYSTYRENE, laser_nm=785.0)


def state(verdict: Any = "pass", correction: AxisCorrection | None = None) -> SelfTestState:
    return SelfTestState(serial_number="1", material="polystyrene", verdict=verdict, moment=DONE, correction=correction)


def test_a_true_axis_passes(ventana: RawScan) -> None:
    result = checked(measured(ventana))

    assert result.verdict == "pass", result.reasons
    assert all(abs(match.difference) < 1.0 for match in result.before.counted)


@pytest.mark.parametrize("off_cm1", [-8.0, 4.5, 15.0])
def test_an_axis_that_is_off_is_corrected_to_the_published_bands(ventana: RawScan, off_cm1: float) -> None:
    counts = measured(ventana, off_cm1=off_cm1)
    result = checked(counts)

    assert result.correction is not None
    axis = corrected_axis(counts.spectrum, result.correction).axis
    for shift_cm1, strength in RAMAN_LINES["polystyrene"]:
        if strength >= 2 and shift_cm1 < 1_900.0:
            near = np.abs(axis - shift_cm1) < 6.0
            peak = axis[near][np.argmax(counts.spectrum.values[near])]
            assert abs(peak - shift_cm1) < 1.5, shift_cm1
    info = selftest_info(result, ventana)
    assert info.max_deviation_before is not None
    assert abs(info.max_deviation_before) > 4.0
    assert info.correction is not None
    assert AxisCorrection(**info.correction.model_dump()) == result.correction


@pytest.mark.parametrize("off_cm1", [-25.0, 32.0])
def test_more_than_twenty_is_no_drift_but_a_fault(ventana: RawScan, off_cm1: float) -> None:
    result = checked(measured(ventana, off_cm1=off_cm1))

    assert result.verdict == "fail"
    assert result.correction is None


def test_the_record_tells_width_noise_and_dark_level(ventana: RawScan) -> None:
    info = selftest_info(checked(measured(ventana)), ventana)

    assert info.width_cm1 == pytest.approx(LINE_WIDTH_CM1, rel=0.25)  # as the simulator draws its lines
    assert ventana.dark is not None
    assert info.dark_level == pytest.approx(np.median(ventana.dark.astype(float)))
    spread = np.std(ventana.raw.astype(float), axis=0, ddof=1)
    assert info.frame_noise == pytest.approx(np.median(spread), rel=0.5)


def test_another_material_fails_and_leaves_no_correction() -> None:
    (scan,) = scans_of(instrument("ventana", scene=Raman("cyclohexane")), "usb", LIT)

    result = checked(measured(scan))

    assert result.verdict == "fail"
    assert result.correction is None
    assert result.reasons


def test_fewer_than_four_bands_support_no_correction(ventana: RawScan) -> None:
    counts = measured(ventana)
    some = counts.spectrum.axis < 1_010.0

    assert counts.spectrum.saturated is not None
    cut = replace(
        counts.spectrum,
        axis=counts.spectrum.axis[some],
        values=counts.spectrum.values[some],
        saturated=counts.spectrum.saturated[some],
    )
    result = checked(replace(counts, spectrum=cut))

    assert result.verdict == "fail"
    assert result.correction is None


@pytest.mark.parametrize(
    ("gate", "found", "now", "code"),
    [
        ("off", None, LATER, None),
        ("warn", None, LATER, "selftest_advised"),
        ("required", None, LATER, "selftest_required"),
        ("required", state(), LATER, None),
        ("required", state("warn"), LATER, None),
        ("required", state("fail"), LATER, "selftest_required"),
        ("required", state(), replace(DONE, monotonic_s=1e6), "selftest_required"),
        ("required", state(), replace(DONE, boot_id="b", synced=False), "selftest_required"),
        ("required", state(), replace(DONE, boot_id="b", wall_s=2_000.0), None),
        ("warn", state(), replace(DONE, monotonic_s=1e6), "selftest_advised"),
    ],
)
def test_the_gate(gate: Gate, found: SelfTestState | None, now: Moment, code: str | None) -> None:
    reasons = gate_reasons(gate, found, now, max_age_s=86_400.0)

    assert [reason.code for reason in reasons] == ([code] if code else [])
    assert is_unfit(reasons) == (code == "selftest_required")


def test_a_correction_holds_as_long_as_its_self_test(ventana: RawScan) -> None:
    correction = checked(measured(ventana, off_cm1=5.0)).correction
    kept = state(correction=correction)

    assert usable_correction(kept, LATER, max_age_s=86_400.0) is correction
    assert usable_correction(kept, replace(DONE, monotonic_s=1e6), max_age_s=86_400.0) is None
    assert usable_correction(replace(kept, verdict="fail"), LATER, max_age_s=86_400.0) is None


def test_a_material_that_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(Unfit, match="polystyrene"):
        known_material("kryptonite")
    with pytest.raises(Unfit, match="no material"):
        known_material(None)
