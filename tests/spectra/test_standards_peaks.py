"""Peaks: against shapes whose place is known, and against scipy on real spectra."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import curve_fit
from scipy.signal import find_peaks as scipy_peaks
from scipy.signal import peak_prominences

from edged.spectra.spectrum import Spectrum
from edged.spectra.standards.peaks import _prominent, find_peaks, fit_gaussian, local_noise
from tests.spectra.charisma import Charisma

FWHM = 9.0  # 1/cm, a handheld's


def raman(axis, values, saturated=None):
    return Spectrum(
        axis=np.asarray(axis, dtype=np.float64),
        values=np.asarray(values, dtype=np.float32),
        axis_unit="cm-1",
        quantity="intensity",
        saturated=saturated,
    )


def gaussian(offset):
    return np.exp(-4 * np.log(2) * (offset / FWHM) ** 2)


def lorentzian(offset):
    return 1 / (1 + 4 * (offset / FWHM) ** 2)


def seen_by_pixels(shape, axis, center, step):
    """Each pixel sums the light over its own width."""
    return np.array([quad(shape, at - step / 2 - center, at + step / 2 - center)[0] / step for at in axis])


@pytest.mark.parametrize("shape", [gaussian, lorentzian])
@pytest.mark.parametrize(("points", "bias", "spread"), [(1.5, 0.08, 0.25), (2.0, 0.05, 0.15), (4.0, 0.05, 0.12)])
def test_a_peak_is_placed_to_a_fraction_of_a_pixel_wherever_it_falls_between_pixels(shape, points, bias, spread):
    rng = np.random.default_rng(4)
    step = FWHM / points
    off = []
    for phase in np.linspace(-0.5, 0.5, 12):
        axis = np.arange(700.0, 1300.0, step) + phase * step
        values = seen_by_pixels(shape, axis, 1000.0, step) + 0.02 * (axis - 1000) / FWHM + 3
        values += rng.normal(0, 0.01, len(axis))
        peak = max(find_peaks(raman(axis, values)), key=lambda peak: peak.height)
        off.append(peak.position - 1000.0)

    assert abs(np.mean(off)) < bias
    assert np.std(off) < spread


def test_the_error_of_a_position_is_as_large_as_its_spread():
    rng = np.random.default_rng(5)
    axis = np.arange(800.0, 1200.0, 1.5)
    found = []
    for _ in range(40):
        values = gaussian(axis - 1000.3) + rng.normal(0, 0.04, len(axis))
        found.append(max(find_peaks(raman(axis, values)), key=lambda peak: peak.height))
    spread = np.std([peak.position for peak in found])

    assert 0.6 * spread < np.median([peak.error for peak in found]) < 1.7 * spread


def test_a_slope_does_not_pull_a_peak():
    axis = np.arange(800.0, 1200.0, 2.0)
    flat = find_peaks(raman(axis, gaussian(axis - 1000.4)))[0]
    steep = max(find_peaks(raman(axis, gaussian(axis - 1000.4) + 0.02 * axis)), key=lambda peak: peak.snr)

    assert steep.position == pytest.approx(flat.position, abs=0.1)
    assert steep.fwhm == pytest.approx(FWHM, rel=0.1)


def test_noise_has_a_peak_in_one_spectrum_of_ten_at_most():
    axis = np.arange(200.0, 3200.0, 1.5)
    noise = [100 + np.random.default_rng(seed).normal(0, 3, len(axis)) for seed in range(60)]

    assert sum(len(find_peaks(raman(axis, values))) for values in noise) <= 6


@pytest.mark.parametrize("values", [np.zeros(500), np.ones(500), np.arange(500.0), np.arange(8.0)])
def test_a_flat_or_short_spectrum_has_no_peaks(values):
    assert find_peaks(raman(np.arange(100.0, 100.0 + len(values)), values)) == ()


def test_two_points_at_almost_one_place_are_no_trouble():
    """Spectra stitched from windows have them."""
    axis = np.sort(np.concatenate((np.arange(800.0, 1200.0, 2.0), np.arange(998.0, 1010.0, 2.0) + 0.003)))
    peak = max(find_peaks(raman(axis, gaussian(axis - 1000.4))), key=lambda peak: peak.height)

    assert peak.position == pytest.approx(1000.4, abs=0.05)


def test_a_peak_with_clipped_points_says_so():
    axis = np.arange(800.0, 1200.0, 2.0)
    values = np.minimum(gaussian(axis - 1000) + 0.5 * gaussian(axis - 1100), 0.9)
    found = find_peaks(raman(axis, values, saturated=values >= 0.9))

    assert [peak.saturated for peak in found] == [True, False]


def test_prominences_are_those_of_scipy():
    for seed in range(20):
        level = np.random.default_rng(seed).normal(size=300).cumsum()
        tops, prominences = _prominent(level)
        expected = scipy_peaks(level)[0]

        assert tops.tolist() == expected.tolist()
        np.testing.assert_allclose(prominences, peak_prominences(level, expected)[0])


def test_noise_is_estimated_beside_bands_and_where_it_grows():
    rng = np.random.default_rng(6)
    axis = np.arange(2000.0)
    sigma = np.where(axis < 1000, 1.0, 5.0)
    estimate = local_noise(rng.normal(0, 1, 2000) * sigma + 500 * gaussian(axis - 500))

    assert np.median(estimate[100:900]) == pytest.approx(1.0, rel=0.15)
    assert np.median(estimate[1100:1900]) == pytest.approx(5.0, rel=0.15)


def test_the_fit_is_that_of_scipy():
    rng = np.random.default_rng(7)
    axis = np.arange(990.0, 1010.0, 1.3)
    values = 40 * gaussian(axis - 1000.7) + rng.normal(0, 1, len(axis))

    def bell(x, height, position, fwhm):
        return height * np.exp(-4 * np.log(2) * ((x - position) / fwhm) ** 2)

    (height, position, fwhm), covariance = curve_fit(bell, axis, values, p0=(30, 999, 7))
    fitted = fit_gaussian(axis, values, position=999.0, fwhm=7.0, noise=0.0)

    assert fitted is not None
    assert fitted.position == pytest.approx(position, abs=1e-4)
    assert fitted.height == pytest.approx(height, rel=1e-4)
    assert fitted.fwhm == pytest.approx(abs(fwhm), rel=1e-4)
    assert fitted.error == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-2)


def test_real_bands_are_where_a_voigt_like_fit_of_scipy_puts_them(data_dir):
    """The sharp bands of ten polystyrene spectra, Lorentzian and Gaussian mixed, on a sloping line."""

    def mixed(x, height, position, fwhm, share, level, slope):
        offset = (x - position) / fwhm
        bell = np.exp(-4 * np.log(2) * offset**2)
        return height * (share * bell + (1 - share) / (1 + 4 * offset**2)) + level + slope * (x - position)

    charisma = Charisma(data_dir)
    off = []
    for key in charisma.keys("PST"):
        spectrum = charisma.spectrum(key)
        found = find_peaks(spectrum)
        for band in (620.9, 1001.4, 1602.3):
            peak = max((p for p in found if abs(p.position - band) < 8), key=lambda peak: peak.height)
            near = np.abs(spectrum.axis - peak.position) < 1.2 * peak.fwhm
            x, y = spectrum.axis[near], spectrum.values[near].astype(np.float64)
            start = (peak.height, peak.position, peak.fwhm, 0.5, y.min(), 0.0)
            low = (0, peak.position - 6, 2, 0, -np.inf, -np.inf)
            high = (np.inf, peak.position + 6, 40, 1, np.inf, np.inf)
            fitted = curve_fit(mixed, x, y, p0=start, bounds=(low, high), max_nfev=5000)[0]
            off.append(peak.position - fitted[1])

    assert len(off) == 30
    assert np.median(np.abs(off)) < 0.15
    assert np.max(np.abs(off)) < 0.9


def test_where_a_peak_stands_does_not_hang_on_the_last_bit_of_the_axis(data_dir):
    """Its half width is a whole number of cells: rounding must not put a foot into the next one."""
    charisma = Charisma(data_dir)
    for key in ("s010", "s062"):
        spectrum = charisma.spectrum(key)
        found = [
            [(peak.position, peak.fwhm, peak.error) for peak in find_peaks(moved)]
            for moved in (spectrum, _stretched(spectrum, 1.0 + 3e-13), _stretched(spectrum, 1.0 - 3e-13))
        ]

        np.testing.assert_allclose(found[1], found[0], rtol=1e-7)
        np.testing.assert_allclose(found[2], found[0], rtol=1e-7)


def _stretched(spectrum: Spectrum, by: float) -> Spectrum:
    return replace(spectrum, axis=spectrum.axis * by)
