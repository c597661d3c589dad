"""Resolution, relative intensity, NIR wavelength, noise and dark level: against what is known to be in the spectrum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import peak_widths

from edged.spectra.spectrum import Spectrum, SpectrumError
from edged.spectra.standards.certificates import (
    GLASSES,
    RARE_EARTH_GLASS,
    SRM_2241,
    SRM_2245,
    OutsideCertificate,
    WavelengthStandard,
)
from edged.spectra.standards.intensity import IntensityLimits, Response, check_intensity, smoothed
from edged.spectra.standards.noise import DarkLimits, NoiseLimits, check_dark, check_noise
from edged.spectra.standards.resolution import ResolutionLimits, check_resolution
from edged.spectra.standards.wavelength import WavelengthLimits, check_wavelength
from tests.spectra.charisma import Charisma

AXIS = np.arange(150.0, 3400.0, 2.0)


def spectrum(axis, values, *, unit="cm-1", quantity="counts", saturated=None):
    return Spectrum(
        axis=np.array(axis, dtype=np.float64),
        values=np.asarray(values).astype(np.float32),
        axis_unit=unit,
        quantity=quantity,
        saturated=saturated,
    )


def codes(check):
    return [reason.code for reason in check.reasons]


def calcite(width, *, shape="gaussian", step=1.0, at=1086.3):
    axis = np.arange(950.0, 1250.0, step)
    offset = (axis - at) / width
    band = np.exp(-4 * np.log(2) * offset**2) if shape == "gaussian" else 1 / (1 + 4 * offset**2)
    return spectrum(axis, 1000 * band + 50 + 0.05 * axis + np.random.default_rng(1).normal(0, 1, len(axis)))


@pytest.mark.parametrize("shape", ["gaussian", "lorentzian"])
@pytest.mark.parametrize("width", [5.0, 8.0, 12.0])
def test_the_width_of_calcite_is_measured(width, shape):
    check = check_resolution(calcite(width, shape=shape))

    assert check.verdict == "pass"
    assert check.width == pytest.approx(width, rel=0.07)  # the feet of a Lorentzian are cut off at three widths
    assert check.position == pytest.approx(1086.3, abs=0.1)


def test_widths_of_real_bands_are_those_of_scipy(data_dir):
    charisma = Charisma(data_dir)

    for key in ("s054", "s062", "s069", "s038"):
        real = charisma.spectrum(key)
        check = check_resolution(real, near=1001.4)
        near = np.abs(real.axis - 1001) < 15
        x, y = real.axis[near], real.values[near].astype(np.float64)
        points = peak_widths(y, [int(np.argmax(y))], rel_height=0.5)[0][0]

        assert check.width == pytest.approx(points * float(np.median(np.diff(x))), rel=0.1), key
        assert check.verdict == "pass"


def test_a_blunt_instrument_fails_the_pharmacopoeia():
    check = check_resolution(calcite(17.0))

    assert check.verdict == "fail"
    assert codes(check) == ["resolution"]
    assert check.reasons[0].limit == 15.0


def test_a_width_of_few_points_is_not_trusted():
    assert "undersampled" in codes(check_resolution(calcite(6.0, step=4.0)))


def test_no_band_no_resolution():
    flat = spectrum(np.arange(950.0, 1250.0), np.random.default_rng(0).normal(100, 1, 300))

    assert codes(check_resolution(flat)) == ["peak_missing"]
    assert codes(check_resolution(calcite(8.0, at=1150.0))) == ["peak_missing"]


def test_a_clipped_band_has_no_width():
    sharp = calcite(8.0)
    clipped = replace(sharp, values=np.minimum(sharp.values, np.float32(700)), saturated=sharp.values >= 700)

    assert "saturated" in codes(check_resolution(clipped))


def test_limits_of_a_width_rise():
    with pytest.raises(ValueError, match="rise"):
        ResolutionLimits(warn_width=20.0, max_width=15.0)


def colour(axis):
    """What an instrument does to light: a hump of the grating with the fringes of a thinned detector."""
    return (0.3 + np.exp(-(((axis - 1300) / 1500) ** 2))) * (1 + 0.05 * np.sin(axis / 30))


def glass(certificate, *, axis=AXIS, counts=20_000, seed=0):
    inside = np.clip(axis, *(certificate.certified or (150.0, 3500.0)))
    light = replace(certificate, certified=(0.0, 5000.0)).intensity(inside)
    return spectrum(axis, np.random.default_rng(seed).poisson(counts * light * colour(axis)))


@pytest.mark.parametrize(
    "certificate", [one for one in GLASSES if one.certified is not None], ids=lambda certificate: certificate.name
)
def test_the_factors_undo_the_colour_of_an_instrument(certificate):
    check = check_intensity(glass(certificate), certificate)

    assert check.verdict == "pass"
    assert check.response is not None
    flat = check.response.factors * colour(check.response.axis)
    assert np.max(np.abs(flat / np.median(flat) - 1)) < 0.06
    assert np.std(flat / np.median(flat)) < 0.012
    assert check.response.axis[0] >= certificate.certified[0]
    assert check.response.axis[-1] <= certificate.certified[1]


def test_factors_are_not_given_where_nothing_is_certified():
    check = check_intensity(glass(SRM_2241), SRM_2241)

    assert check.response is not None
    with pytest.raises(SpectrumError, match="200"):
        check.response.at(np.array([180.0, 1000.0]))
    with pytest.raises(OutsideCertificate, match="not known"):
        check_intensity(glass(SRM_2245), SRM_2245)


def test_a_response_that_moved_is_noticed():
    stored = check_intensity(glass(SRM_2241, seed=1), SRM_2241).response
    assert stored is not None
    same = check_intensity(glass(SRM_2241, seed=2, counts=12_000), SRM_2241, stored=stored)
    measured = glass(SRM_2241, seed=3)
    dull = replace(
        measured, values=measured.values * (1 - 0.2 * np.clip((AXIS - 2000) / 1000, 0, 1)).astype(np.float32)
    )
    changed = check_intensity(dull, SRM_2241, stored=stored)

    assert same.verdict == "pass"
    assert same.change is not None
    assert same.change < 0.05
    assert changed.verdict == "fail"
    assert codes(changed) == ["response_changed"]


def test_a_glass_that_cannot_be_used_gives_no_factors():
    dim = spectrum(AXIS, np.random.default_rng(0).normal(0, 5, len(AXIS)))
    short = spectrum(np.arange(3480.0, 3600.0), np.full(120, 1000.0))
    bright = glass(SRM_2241)
    clipped = replace(bright, saturated=bright.values > 15_000)

    for bad, code in ((dim, "low_signal"), (short, "range_not_covered"), (clipped, "saturated")):
        check = check_intensity(bad, SRM_2241)
        assert codes(check) == [code]
        assert check.response is None


def test_a_detector_that_sees_half_of_the_range_warns():
    measured = glass(SRM_2241)
    half = replace(measured, values=np.where(AXIS < 1500, measured.values, np.float32(0)).astype(np.float32))
    check = check_intensity(half, SRM_2241)

    assert check.verdict == "warn"
    assert check.response is not None
    assert check.response.axis[-1] < 1530


def test_a_real_glass_gives_a_response(data_dir):
    """s086 is the luminescence of a NIST glass, filed under neon."""
    check = check_intensity(Charisma(data_dir).spectrum("s086"), SRM_2241)

    assert check.response is not None
    assert np.median(check.response.factors) == pytest.approx(1.0)
    assert check.response.factors[-1] > 3  # silicon grows blind towards 1,050 nm


def test_smoothing_follows_a_line_to_its_ends():
    line = np.linspace(5, 9, 200)

    np.testing.assert_allclose(smoothed(line, fwhm_points=20.0), line, rtol=1e-9)


def test_a_response_that_is_none_is_refused():
    axis = np.arange(100.0)
    with pytest.raises(SpectrumError, match="positive"):
        Response(axis=axis, factors=np.zeros(100), certificate="x")
    with pytest.raises(SpectrumError, match="ascending"):
        Response(axis=axis[::-1].copy(), factors=np.ones(100), certificate="x")
    with pytest.raises(ValueError, match="rise"):
        IntensityLimits(warn_share=0.2, fail_share=0.1)
    with pytest.raises(SpectrumError, match="shift"):
        check_intensity(spectrum(AXIS, AXIS, unit="nm"), SRM_2241)


def rare_earth(offset=0.0, *, axis=None, width=14.0, noise=0.001):
    axis = np.arange(900.0, 1701.0, 3.51) if axis is None else axis
    values = 0.1 + 0.0002 * (axis - 900)
    for band in RARE_EARTH_GLASS.bands_nm:
        values = values + 0.5 * np.exp(-4 * np.log(2) * ((axis - band - offset) / width) ** 2)
    values = values + np.random.default_rng(3).normal(0, noise, len(axis))
    return spectrum(axis, values, unit="nm", quantity="absorbance")


@given(offset=st.floats(-0.8, 0.8))
@settings(max_examples=20)
def test_a_small_error_of_wavelength_is_measured_and_passes(offset):
    check = check_wavelength(rare_earth(offset))

    assert len(check.bands) == 6  # the seventh is beyond the axis
    assert check.verdict == "pass"
    assert check.median_deviation == pytest.approx(offset, abs=0.15)


@pytest.mark.parametrize(("offset", "verdict"), [(1.6, "warn"), (-1.6, "warn"), (3.0, "fail")])
def test_a_larger_error_of_wavelength_warns_then_fails(offset, verdict):
    check = check_wavelength(rare_earth(offset))

    assert check.verdict == verdict
    assert codes(check) == ["deviation"]


def test_a_wavelength_standard_that_is_not_there_fails():
    axis = np.arange(900.0, 1701.0, 3.51)
    nothing = spectrum(axis, np.random.default_rng(0).normal(0.2, 0.001, len(axis)), unit="nm", quantity="absorbance")

    assert codes(check_wavelength(nothing)) == ["too_few_peaks"]
    with pytest.raises(SpectrumError, match="absorbance"):
        check_wavelength(replace(nothing, quantity="reflectance"))
    with pytest.raises(ValueError, match="rise"):
        WavelengthLimits(warn_nm=2.0, fail_nm=1.0)


def test_the_fraction_of_a_lopsided_band_is_part_of_its_position():
    axis = np.arange(900.0, 1100.0, 0.5)
    width = np.where(axis < 1000, 10.0, 25.0)
    band = spectrum(axis, np.exp(-4 * np.log(2) * ((axis - 1000) / width) ** 2), unit="nm", quantity="absorbance")

    def at(fraction):
        standard = WavelengthStandard(name="x", bands_nm=(1000.0,), fraction=fraction)
        return check_wavelength(band, standard, limits=WavelengthLimits(min_bands=1)).bands[0].difference_nm

    assert at(0.2) > at(0.5) > at(0.9) > 0


@given(sigma=st.floats(0.5, 50), drift=st.floats(0, 200))
@settings(max_examples=20)
def test_noise_and_drift_are_told_apart(sigma, drift):
    rng = np.random.default_rng(8)
    scans = [
        spectrum(AXIS, 5000 + 800 * np.sin(AXIS / 90) + drift * number / 9 + rng.normal(0, sigma, len(AXIS)))
        for number in range(10)
    ]
    check = check_noise(scans, limits=NoiseLimits(warn_noise=100, fail_noise=100))

    assert check.verdict == "pass"
    assert check.noise == pytest.approx(sigma, rel=0.05)
    assert check.drift == pytest.approx(drift, abs=0.3 * sigma)


def test_noise_and_drift_beyond_their_limits_fail():
    rng = np.random.default_rng(9)
    scans = [spectrum(AXIS, 5000 + 40 * number + rng.normal(0, 5, len(AXIS))) for number in range(4)]
    noisy = check_noise(scans, limits=NoiseLimits(warn_noise=2, fail_noise=4))
    drifting = check_noise(scans, limits=NoiseLimits(warn_noise=9, fail_noise=9, warn_drift=50, fail_drift=500))

    assert (noisy.verdict, codes(noisy)) == ("fail", ["noise"])
    assert (drifting.verdict, codes(drifting)) == ("warn", ["noise"])
    assert "moved" in drifting.reasons[0].message


def test_a_part_of_the_axis_is_looked_at():
    rng = np.random.default_rng(10)
    sigma = np.where(AXIS < 1000, 1.0, 100.0)
    scans = [spectrum(AXIS, 5000 + rng.normal(0, 1, len(AXIS)) * sigma) for _ in range(5)]
    check = check_noise(scans, limits=NoiseLimits(warn_noise=5, fail_noise=5), between=(200, 900))

    assert check.noise == pytest.approx(1.0, rel=0.1)


def test_scans_that_cannot_be_compared_are_an_error():
    one = spectrum(AXIS, AXIS)
    limits = NoiseLimits(warn_noise=1, fail_noise=1)
    with pytest.raises(SpectrumError, match="1 scans"):
        check_noise([one], limits=limits)
    with pytest.raises(SpectrumError, match="scan 2"):
        check_noise([one, spectrum(AXIS + 1, AXIS)], limits=limits)
    with pytest.raises(SpectrumError, match="no points"):
        check_noise([one, one], limits=limits, between=(9000, 9001))
    with pytest.raises(ValueError, match="rise"):
        NoiseLimits(warn_noise=2, fail_noise=1)


def test_a_dark_level_is_judged_with_its_hot_points():
    limits = DarkLimits(max_level=1000, max_noise=10, hot_counts=200, max_hot=1)
    values = np.random.default_rng(11).normal(800, 4, len(AXIS))
    good = check_dark(spectrum(AXIS, values), limits=limits)
    values[[100, 700]] += 500
    hot = check_dark(spectrum(AXIS, values), limits=limits)
    leak = check_dark(spectrum(AXIS, values * 3), limits=limits)

    assert (good.verdict, good.hot) == ("pass", ())
    assert good.level == pytest.approx(800, abs=1)
    assert (hot.verdict, hot.hot) == ("warn", (350.0, 1550.0))
    assert leak.verdict == "fail"
    with pytest.raises(SpectrumError, match="counts"):
        check_dark(spectrum(AXIS, AXIS, quantity="intensity"), limits=limits)
