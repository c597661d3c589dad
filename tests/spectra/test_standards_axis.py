"""The axis check: known shifts are found, noise and other samples are refused, real spectra are put right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edged.spectra.spectrum import Spectrum, SpectrumError
from edged.spectra.standards.axis_check import AxisLimits, attribute_drift, check_axis, check_lamp
from edged.spectra.standards.certificates import SRM_2241
from edged.spectra.standards.correction import AxisCorrection, CorrectionRefused, fit_correction
from edged.spectra.standards.intensity import check_intensity
from edged.spectra.standards.materials import CYCLOHEXANE, NEON, PARACETAMOL, POLYSTYRENE, RAMAN_MATERIALS
from edged.spectra.standards.resolution import check_resolution
from edged.spectra.standards.wavelength import check_wavelength
from tests.spectra.charisma import Charisma
from tests.spectra.charisma_table import WAYS, _share, calcite, measure

AXIS = np.arange(180.0, 3350.0, 2.2)  # a handheld's: 1,440 pixels
FWHM = 9.0
SOLVENTS = (
    "Toluene (Methylbenzene)",
    "Diethylene glycol dimethyl ether",
    "n-Nonane",
    "Dichloromethane",
    "n-Heptanol",
    "Dichloroethane",
    "Acetonitrile",
    "1-Butanol",
    "n-Heptane (Dipropylmethane)",
    "iso-Propyl alcohol",
    "Ethanol",
    "Methanol",
)


@pytest.fixture(scope="module")
def charisma(data_dir):
    return Charisma(data_dir)


@pytest.fixture(scope="module")
def measured(charisma):
    return measure(charisma)


def shown(material, *, seed=0, offset=0.0, stretch=0.0, fwhm=FWHM, noise=0.002, axis=AXIS, laser_nm=None):
    """A spectrum of the material as an instrument shows it whose axis reads `offset` + `stretch` * shift too high."""
    values = 0.2 + 0.3 * np.exp(-axis / 900)
    for line in material.lines:
        place = 1e7 / laser_nm - 1e7 / line.position if laser_nm else line.position
        height = (line.strength / 5) ** 2
        values = values + height * np.exp(-4 * np.log(2) * ((axis - place * (1 + stretch) - offset) / fwhm) ** 2)
    values = values + np.random.default_rng(seed).normal(0, noise, len(axis))
    return Spectrum(axis=axis.copy(), values=values.astype(np.float32), axis_unit="cm-1", quantity="intensity")


def codes(check):
    return {reason.code for reason in check.reasons}


@given(offset=st.floats(-18, 18), stretch=st.floats(-0.0005, 0.0005), seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_an_offset_that_is_allowed_is_found_and_corrected(offset, stretch, seed):
    spectrum = shown(POLYSTYRENE, offset=offset, stretch=stretch, seed=seed)
    check = check_axis(spectrum, POLYSTYRENE)
    assert check.correction is not None
    corrected = check_axis(replace(spectrum, axis=check.correction.apply(spectrum.axis)), POLYSTYRENE)

    assert check.median_deviation == pytest.approx(offset + stretch * 1450, abs=1.0)
    assert len(check.counted) >= 8
    assert corrected.verdict == "pass"
    assert corrected.max_deviation < 1.0


@given(offset=st.floats(21.5, 28), sign=st.sampled_from([-1, 1]), seed=st.integers(0, 1000))
@settings(max_examples=15)
def test_a_shift_beyond_the_guard_rail_is_refused_and_not_corrected(offset, sign, seed):
    check = check_axis(shown(POLYSTYRENE, offset=sign * offset, seed=seed), POLYSTYRENE)

    assert check.verdict == "fail"
    assert codes(check) == {"shift_too_large"}
    assert check.correction is None


@given(seed=st.integers(0, 10_000), material=st.sampled_from(RAMAN_MATERIALS))
@settings(max_examples=40)
def test_noise_alone_never_passes(seed, material):
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.normal(0, 0.3, len(AXIS))) * rng.uniform(0, 1) + rng.normal(0, 1, len(AXIS))
    spectrum = Spectrum(axis=AXIS.copy(), values=values.astype(np.float32), axis_unit="cm-1", quantity="intensity")
    check = check_axis(spectrum, material)

    assert check.verdict == "fail"
    assert check.correction is None
    assert check.median_deviation is None


@given(
    values=arrays(np.float32, st.integers(8, 300), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    start=st.floats(0, 3000),
    step=st.floats(1e-6, 300),
    clipped=st.booleans(),
)
@settings(max_examples=150)
def test_any_spectrum_at_all_gets_a_verdict(values, start, step, clipped):
    axis = start + step * np.arange(len(values))
    spectrum = Spectrum(
        axis=axis, values=values, axis_unit="cm-1", quantity="intensity", saturated=np.full(len(axis), clipped)
    )

    assert check_axis(spectrum, POLYSTYRENE).verdict == "fail"
    assert check_lamp(spectrum, laser_nm=785.0).verdict == "fail"
    assert check_resolution(spectrum).verdict in ("pass", "warn", "fail")
    assert check_intensity(spectrum, SRM_2241).verdict in ("pass", "warn", "fail")
    assert check_wavelength(replace(spectrum, axis_unit="nm", quantity="absorbance")).verdict in (
        "pass",
        "warn",
        "fail",
    )


def test_a_very_long_axis_costs_no_more_than_a_long_one():
    """65,536 points over 100,000 1/cm: the search works on a bounded grid, the fit on the points."""
    axis = np.linspace(0, 100_000, 65_536)
    spectrum = shown(POLYSTYRENE, axis=axis, offset=1.0, fwhm=12.0)

    assert check_axis(spectrum, POLYSTYRENE).median_deviation == pytest.approx(1.0, abs=0.3)


@pytest.mark.parametrize("offset", [-12.0, 0.0, 12.0])
@pytest.mark.parametrize("sample", RAMAN_MATERIALS, ids=lambda material: material.name)
def test_another_material_of_the_guide_is_refused(sample, offset):
    spectrum = shown(sample, offset=offset)

    for claimed in RAMAN_MATERIALS:
        check = check_axis(spectrum, claimed)
        if claimed is sample:
            assert check.median_deviation == pytest.approx(offset, abs=0.3) or len(check.counted) < 4
        else:
            assert check.verdict == "fail"
            assert codes(check) & {"other_material", "material_not_recognised"}


def test_the_reason_names_what_the_sample_looks_like():
    check = check_axis(shown(CYCLOHEXANE), POLYSTYRENE)

    assert "cyclohexane" in check.reasons[0].message


def test_a_pair_that_the_instrument_cannot_resolve_does_not_count():
    """Cyclohexane's 2923.8 and 2938.3 are one band for 20 1/cm."""
    sharp = check_axis(shown(CYCLOHEXANE, fwhm=7.0), CYCLOHEXANE)
    blunt = check_axis(shown(CYCLOHEXANE, fwhm=20.0), CYCLOHEXANE)

    assert {2923.8, 2938.3} <= {match.table for match in sharp.counted}
    assert not {2923.8, 2938.3} & {match.table for match in blunt.counted}


def test_peaks_that_noise_hides_do_not_count():
    check = check_axis(shown(POLYSTYRENE, noise=0.03), POLYSTYRENE)

    assert all(match.error <= 0.5 for match in check.counted)
    assert len(check.counted) < 11


def test_clipped_peaks_do_not_count():
    spectrum = shown(POLYSTYRENE, offset=0.5)
    clipped = replace(spectrum, values=np.minimum(spectrum.values, np.float32(0.9)), saturated=spectrum.values >= 0.9)
    check = check_axis(clipped, POLYSTYRENE)

    assert {match.table for match in check.matches if match.doubt == "saturated"} == {1001.4}
    assert check.verdict == "warn"
    assert codes(check) == {"saturated"}


def test_a_deviation_warns_then_fails():
    limits = AxisLimits(warn_cm1=1.0, fail_cm1=3.0)
    verdicts = [check_axis(shown(POLYSTYRENE, offset=off), POLYSTYRENE, limits=limits).verdict for off in (0.2, 1.5, 4)]

    assert verdicts == ["pass", "warn", "fail"]


def test_what_is_asked_wrongly_is_an_error_and_no_verdict():
    nm = Spectrum(axis=AXIS + 500, values=np.ones(len(AXIS), np.float32), axis_unit="nm", quantity="counts")
    with pytest.raises(SpectrumError, match="1/cm"):
        check_axis(nm, POLYSTYRENE)
    with pytest.raises(ValueError, match="lamp"):
        check_axis(shown(POLYSTYRENE), NEON)
    with pytest.raises(ValueError, match="no lamp"):
        check_lamp(shown(POLYSTYRENE), POLYSTYRENE, laser_nm=785.0)
    with pytest.raises(SpectrumError, match="laser"):
        check_lamp(shown(POLYSTYRENE))
    with pytest.raises(ValueError, match="rise"):
        AxisLimits(warn_cm1=3.0, fail_cm1=2.0)
    with pytest.raises(ValueError, match="rise"):
        AxisLimits(fail_cm1=30.0, max_shift_cm1=30.0)
    with pytest.raises(ValueError, match="peaks"):
        AxisLimits(min_peaks=2)


def test_a_lamp_is_read_on_wavelengths_as_on_shifts():
    axis = np.arange(120.0, 2500.0, 1.2)
    shifts = shown(NEON, axis=axis, laser_nm=785.0, fwhm=4.0, offset=2.0)
    nm = replace(shifts, axis=1e7 / (1e7 / 785.0 - axis), axis_unit="nm")

    one, other = check_lamp(shifts, laser_nm=785.0), check_lamp(nm)

    assert one.median_deviation == pytest.approx(2.0, abs=0.1)
    assert other.median_deviation == pytest.approx(2.0, abs=0.1)
    assert one.caution == ""


@pytest.mark.parametrize(
    ("pixels", "laser", "cause"),
    [(0.0, 0.0, "none"), (0.0, 4.0, "laser"), (3.0, 0.0, "pixel axis"), (3.0, -4.0, "both"), (3.0, -3.0, "both")],
)
def test_a_lamp_tells_drift_of_the_laser_from_drift_of_the_pixel_axis(pixels, laser, cause):
    axis = np.arange(120.0, 3000.0, 1.2)
    raman = check_axis(shown(POLYSTYRENE, offset=pixels + laser), POLYSTYRENE)
    lamp = check_lamp(shown(NEON, axis=axis, laser_nm=785.0, fwhm=4.0, offset=pixels), laser_nm=785.0)
    drift = attribute_drift(raman, lamp)

    assert "only the lines of a lamp tell" in raman.caution
    assert drift is not None
    assert drift.cause == cause
    assert drift.laser == pytest.approx(laser, abs=0.3)
    assert drift.pixel_axis == pytest.approx(pixels, abs=0.3)


def test_drift_is_not_told_apart_without_peaks():
    nothing = check_axis(shown(PARACETAMOL), POLYSTYRENE)

    assert attribute_drift(nothing, nothing) is None


def test_four_peaks_give_an_offset_and_three_nothing():
    matches = check_axis(shown(POLYSTYRENE, offset=5.0), POLYSTYRENE).counted

    assert fit_correction(matches[:4], material="x").form == "offset"
    with pytest.raises(CorrectionRefused, match="3 peaks"):
        fit_correction(matches[:3], material="x")


def test_a_slope_and_a_curve_are_fitted_only_where_peaks_left_out_are_read_better():
    plain = check_axis(shown(PARACETAMOL, offset=4.0), PARACETAMOL).correction
    sloped = check_axis(shown(PARACETAMOL, offset=-3.0, stretch=0.004), PARACETAMOL).correction
    curved_axis = AXIS + 0.9e-6 * (AXIS - 1700) ** 2
    curved = check_axis(replace(shown(PARACETAMOL), axis=curved_axis), PARACETAMOL).correction

    assert plain is not None
    assert sloped is not None
    assert curved is not None
    assert (plain.form, sloped.form, curved.form) == ("offset", "linear", "quadratic")
    np.testing.assert_allclose(sloped.shift(np.array([1000.0, 2500.0])), [1.0, 7.0], atol=0.3)
    inner = AXIS[(AXIS > 500) & (AXIS < 2900)]
    np.testing.assert_allclose(curved.shift(inner), 0.9e-6 * (inner - 1700) ** 2, atol=0.5)


def test_the_check_says_how_far_its_peaks_reach():
    narrow = np.arange(300.0, 2000.0, 2.0)

    assert check_axis(shown(POLYSTYRENE), POLYSTYRENE).covered == (620.9, 3054.3)
    assert check_axis(shown(POLYSTYRENE, axis=narrow), POLYSTYRENE).covered == (620.9, 1602.3)
    assert check_axis(shown(CYCLOHEXANE), POLYSTYRENE).covered is None


def test_one_misread_peak_does_not_bend_the_correction():
    matches = list(check_axis(shown(PARACETAMOL, offset=2.0), PARACETAMOL).counted)
    matches[3] = replace(matches[3], found=matches[3].found + 8.0)
    correction = fit_correction(matches, material="paracetamol")

    np.testing.assert_allclose(correction.shift(AXIS), 2.0, atol=0.6)


def test_beyond_the_peaks_the_shift_of_the_nearest_end_holds():
    correction = AxisCorrection(
        coefficients=(1.0, 2.0), first=600.0, last=1600.0, material="x", peaks=6, residual=0.1, cross_validated=0.1
    )

    assert correction.shift(np.array([100.0, 600.0, 1600.0, 3000.0])).tolist() == [-1.0, -1.0, 3.0, 3.0]
    assert correction.apply(np.array([600.0, 1600.0])).tolist() == [601.0, 1597.0]


@pytest.mark.parametrize(
    "broken", [{"coefficients": (50.0,)}, {"coefficients": ()}, {"coefficients": (float("nan"),)}, {"first": 1600.0}]
)
def test_a_correction_that_is_none_is_refused(broken):
    good = {
        "coefficients": (1.0,),
        "first": 600.0,
        "last": 1600.0,
        "material": "x",
        "peaks": 6,
        "residual": 0.1,
        "cross_validated": 0.1,
    }
    with pytest.raises(CorrectionRefused):
        AxisCorrection(**{**good, **broken})


def test_an_axis_that_would_fold_over_is_refused():
    steep = AxisCorrection(
        coefficients=(0.0, 20.0), first=600.0, last=620.0, material="x", peaks=6, residual=0.1, cross_validated=0.1
    )
    with pytest.raises(CorrectionRefused, match="ascend"):
        steep.apply(AXIS)


def test_real_polystyrene_is_recognised_as_that_and_nothing_else(charisma):
    for key in charisma.keys("PST"):
        for material in RAMAN_MATERIALS:
            check = check_axis(charisma.spectrum(key), material)
            if material is POLYSTYRENE:
                assert check.correction is not None, key
            else:
                assert check.verdict == "fail", (key, material.name)
                assert check.correction is None


def test_other_real_samples_are_not_polystyrene(charisma):
    others = [key for key, entry in charisma.entries.items() if entry.sample not in ("PST", "Neon")]

    for key in others:
        assert check_axis(charisma.spectrum(key), POLYSTYRENE).median_deviation is None, key


def test_real_cyclohexane_passes_and_twelve_other_solvents_do_not(data_dir):
    """Another laboratory's spectra. Their axis is inferred: 240 + 2 i."""
    folder = data_dir / "raman_solvent_mixtures_deepraman"
    names = (folder / "Multi_component_pure_names.txt").read_text().splitlines()
    values = np.load(folder / "Multi_component_mixture_Dataset.npy")
    axis = 240.0 + 2.0 * np.arange(values.shape[1])
    verdicts = {}
    for name, row in zip(names, values, strict=False):
        spectrum = Spectrum(axis=axis.copy(), values=row.astype(np.float32), axis_unit="cm-1", quantity="intensity")
        verdicts[name.strip()] = check_axis(spectrum, CYCLOHEXANE)

    assert verdicts["Cyclohexane"].verdict == "pass"
    assert len(verdicts["Cyclohexane"].counted) == 11
    assert {verdicts[name].verdict for name in SOLVENTS} == {"fail"}


def test_real_neon_lines_lie_on_a_smooth_axis(charisma):
    """After a smooth correction the lines of a well exposed lamp are read within a tenth of a pixel."""
    residuals = {}
    for key in ("s000", "s037", "s046", "s076"):
        lamp = check_lamp(charisma.spectrum(key), laser_nm=charisma.entries[key].laser_nm)
        assert lamp.correction is not None
        assert len(lamp.counted) >= 13
        residuals[key] = lamp.correction.residual

    assert max(residuals.values()) < 0.3


def test_no_other_sample_is_taken_for_neon(charisma):
    for key, entry in charisma.entries.items():
        if entry.sample != "Neon":
            assert check_lamp(charisma.spectrum(key), laser_nm=entry.laser_nm).median_deviation is None, key


def test_all_bands_of_ten_real_spectra_are_put_within_the_limit(measured):
    """Acceptance of the self test; docs/selftest.md names the one that is not when the correction has not seen it."""
    counted = {way: [r for r in readings if r.counts] for way, readings in measured.items()}
    sharp = {way: [r for r in readings if r.sharp] for way, readings in counted.items()}
    over = [(r.key, r.table) for r in counted["left out"] if abs(r.off) > 1.5]

    assert max(abs(r.off) for r in sharp["before"]) > 5.5
    assert len({r.key for r in counted["in sample"]}) == 10
    assert len(counted["in sample"]) == 83
    assert max(abs(r.off) for r in counted["in sample"]) < 1.5
    assert max(abs(r.off) for r in sharp["left out"]) < 1.5
    assert over == [("s062", 1450.5)]
    assert max(abs(r.off) for r in counted["left out"]) < 1.6
    assert max(abs(r.off) for r in sharp["other spectrum"]) < 1.0


def test_calcite_agrees_among_instruments_that_polystyrene_corrected(charisma):
    """No correction was fitted to it: ten spectra, five instruments, two standards."""
    rows = calcite(charisma)

    assert np.ptp([row.came for row in rows]) > 7.0
    assert np.ptp([row.corrected for row in rows]) < 1.6
    assert np.std([row.corrected for row in rows]) < 0.5


def test_the_page_shows_what_is_measured(measured, repository):
    page = (repository / "docs" / "selftest.md").read_text()

    for sharp, title in ((True, "sharp bands within 1.5"), (False, "all that count within 1.5")):
        cells = " | ".join(_share(measured[way], sharp=sharp) for way in WAYS)
        assert f"| {title} | | {cells} |" in page
