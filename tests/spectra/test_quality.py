from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edged.infer.verdict import Reason
from edged.spectra.files import read_spectra
from edged.spectra.quality import Limits, assess, is_unfit, reference_reasons, signal_to_noise
from edged.spectra.rows import Found
from edged.spectra.spectrum import Spectrum

POINTS = 228
AXIS_NM = np.linspace(900.0, 1700.0, POINTS)
HILL = 20_000 * np.exp(-(((AXIS_NM - 1300) / 300) ** 2))


def counts(values: Any, saturated: Any = None) -> Spectrum:
    return Spectrum(
        axis=AXIS_NM.copy(),
        values=np.array(values, dtype=np.float32),
        axis_unit="nm",
        quantity="counts",
        saturated=saturated,
    )


def noisy(sigma: float, level: Any = HILL) -> Spectrum:
    return counts(level + np.random.default_rng(1).normal(0, sigma, POINTS))


def test_a_good_measurement_is_fit_and_says_how_good() -> None:
    found = assess(noisy(50))

    assert found.fit
    assert found.reasons == ()
    assert found.snr is not None
    assert found.snr == pytest.approx(np.median(HILL) / 50, rel=0.15)
    assert found.peak_counts == pytest.approx(20_000, abs=200)
    assert found.saturated_points == 0


@pytest.mark.parametrize("sigma", [5.0, 20.0, 100.0, 500.0])
def test_the_estimate_finds_the_noise_that_was_added(sigma: float) -> None:
    flat = 10_000 + np.random.default_rng(7).normal(0, sigma, 20_000)

    assert signal_to_noise(flat.astype(np.float32)) == pytest.approx(10_000 / sigma, rel=0.03)


def test_where_rounding_hides_the_noise_it_is_that_of_rounding() -> None:
    steps = np.full(50, 3.0, dtype=np.float32)

    assert signal_to_noise(steps) == pytest.approx(3.0 * np.sqrt(12.0))


def test_a_dull_smooth_spectrum_of_whole_counts_does_not_pass_for_noiseless() -> None:
    dull = counts(np.round(np.linspace(4.0, 8.0, POINTS)))

    found = assess(dull, limits=Limits(min_peak_counts=1.0))

    assert [reason.code for reason in found.reasons] == ["low_snr"]


def test_a_detector_that_reads_the_same_everywhere_is_unfit() -> None:
    found = assess(counts(np.full(POINTS, 600.0)))

    assert not found.fit
    assert [reason.code for reason in found.reasons] == ["low_signal"]


def test_one_saturated_point_makes_it_unfit() -> None:
    found = assess(counts(HILL + np.random.default_rng(1).normal(0, 50, POINTS), saturated=np.arange(POINTS) == 9))

    (reason,) = found.reasons
    assert (found.fit, found.saturated_points) == (False, 1)
    assert (reason.code, reason.value, reason.limit) == ("saturated", 1.0, 0.0)
    assert reason.message == "1 of 228 points are beyond the detector's range"


def test_too_little_light_makes_it_unfit_with_both_numbers() -> None:
    (reason,) = assess(noisy(0.1, HILL / 50)).reasons

    assert (reason.code, reason.limit) == ("low_signal", 500.0)
    assert reason.value == pytest.approx(400, abs=2)


def test_light_in_a_part_of_the_range_only_is_too_little() -> None:
    half = np.where(AXIS_NM < 1500, HILL, 0.0)

    (reason,) = assess(counts(half)).reasons

    assert reason.code == "low_signal"
    assert "of 228 points saw no light" in reason.message


def test_too_much_noise_makes_it_unfit() -> None:
    found = assess(noisy(2000))

    assert "low_snr" in [reason.code for reason in found.reasons]
    assert not found.fit


def test_limits_are_the_callers() -> None:
    assert assess(noisy(2000), limits=Limits(min_snr=1.0, min_peak_counts=1.0, max_dark_share=1.0)).fit


def test_what_is_known_from_elsewhere_counts_and_comes_last() -> None:
    missing = reference_reasons(None)

    found = assess(noisy(50, HILL / 1000), known=missing)

    assert not found.fit
    assert found.reasons[-1].code == "reference_missing"
    assert len(found.reasons) > 1


def test_a_stale_reference_is_flagged_and_leaves_it_fit() -> None:
    (stale,) = reference_reasons("stale", age_s=15_000, max_age_s=14_400)

    found = assess(noisy(50), known=(stale,))

    assert (found.fit, found.reasons) == (True, (stale,))
    assert stale.message == "the white reference is 250 min old, allowed are 240 min"
    assert (stale.value, stale.limit) == (15_000, 14_400)


def test_a_reference_of_unknown_age_is_called_that_and_gets_no_number() -> None:
    (stale,) = reference_reasons("stale", age_s=None, max_age_s=14_400)

    assert stale.code == "reference_stale"
    assert "unknown" in stale.message
    assert (stale.value, stale.limit) == (None, 14_400)


def test_a_mismatched_or_missing_reference_makes_it_unfit_and_a_fresh_one_says_nothing() -> None:
    assert is_unfit(reference_reasons("mismatched"))
    assert is_unfit(reference_reasons(None))
    assert reference_reasons("fresh") == ()
    assert not is_unfit(())
    assert is_unfit((*reference_reasons("stale"), Reason(code="low_snr", message="x")))


def test_only_counts_are_assessed() -> None:
    absorbance = Spectrum(
        axis=AXIS_NM.copy(), values=np.ones(POINTS, np.float32), axis_unit="nm", quantity="absorbance"
    )

    with pytest.raises(ValueError, match="judged on counts"):
        assess(absorbance)


def test_every_real_scan_is_fit_by_the_defaults(data_dir: Path) -> None:
    seen = []
    for path in sorted((data_dir / "nir_api20_nirmr2" / "scans").glob("*.csv")):
        (row,) = read_spectra(path, quantity="counts")
        assert isinstance(row, Found)
        found = assess(row.spectrum)
        assert found.fit, (path.name, found.reasons)
        seen.append(found.snr)

    assert len(seen) == 100
    assert 70 < min(s for s in seen if s) < max(s for s in seen if s) < 470
