"""Each correction against its vendor's own code, or an example worked by hand. Wasatch: results of wasatch 2.5.2."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from edged.spectra.corrections import (
    bad_pixels,
    dark,
    even_odd,
    frames,
    intensity,
    nonlinearity,
    smoothing,
    stray_light,
    wavelength,
)
from edged.spectra.spectrum import SpectrumError

RAMP = np.array([10.0, 20, 40, 70, 110, 160, 220, 290, 370, 460, 560, 670])
NQ_NONLINEARITY = (0.92, 3.1e-6, -6.0e-11, 1.1e-15, -1.3e-20, 8.0e-26, -2.5e-31, 3.0e-37)  # of the usual sizes


def array(*values: float) -> Any:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize(
    ("bad", "at", "expected"),
    [
        ([3], slice(3, 4), [75]),
        ([4, 5, 6], slice(4, 7), [125, 180, 235]),
        ([0, 1], slice(0, 3), [40, 40, 40]),
        ([11, 10], slice(9, 12), [460, 460, 460]),
        ([0, 4, 5, 11], slice(None), [20, 20, 40, 70, 120, 170, 220, 290, 370, 460, 560, 560]),
    ],
)
def test_bad_pixels_are_bridged_as_wasatch_does(bad: list[int], at: slice, expected: list[float]) -> None:
    found = bad_pixels.bridge(RAMP, bad_pixels.gaps(bad, len(RAMP)))

    np.testing.assert_allclose(found[at], expected, rtol=1e-12)
    untouched = np.setdiff1d(np.arange(12), bad)
    np.testing.assert_array_equal(found[untouched], RAMP[untouched])


def test_a_bad_pixel_that_the_detector_does_not_have_is_refused_with_a_hint() -> None:
    with pytest.raises(SpectrumError, match="bad pixel 12 is not one of 0 to 11") as refused:
        bad_pixels.gaps([3, 12], 12)

    assert "switch bad_pixels off" in refused.value.hint
    with pytest.raises(SpectrumError, match="all 3 pixels are listed as bad"):
        bad_pixels.gaps([0, 1, 2], 3)


def test_odd_pixels_are_matched_as_wasatch_does() -> None:
    """Even gain 1.9 and offset 20, odd gain 2.09 and offset -15: so 1.1 times, and -15 - 1.1 * 20."""
    found = even_odd.match_odd(array(100, 110, 120, 133, 140, 150), gain=2.09 / 1.9, offset=-15 - 2.09 / 1.9 * 20)

    np.testing.assert_allclose(found, [100, 84, 120, 109.3, 140, 128], rtol=1e-12)


@pytest.mark.parametrize(("gain", "offset"), [(0.0, 0.0), (float("nan"), 0.0), (1.0, float("inf")), (-1.0, 0.0)])
def test_a_gain_or_offset_that_is_none_is_refused(gain: float, offset: float) -> None:
    with pytest.raises(SpectrumError, match="odd pixels"):
        even_odd.match_odd(RAMP, gain=gain, offset=offset)


def test_electric_dark_is_the_mean_of_the_dark_pixels_of_each_frame() -> None:
    two = np.stack([RAMP, RAMP + 5.0])

    level = dark.electric_level(two, (0, 1, 2))

    np.testing.assert_allclose(level, [[70 / 3], [70 / 3 + 5]])
    np.testing.assert_allclose(dark.subtract(two, level)[:, 3], [70 - 70 / 3] * 2)


def test_a_dark_spectrum_of_another_length_is_refused() -> None:
    with pytest.raises(SpectrumError, match="the dark spectrum has 5 pixels, the measurement 12"):
        dark.subtract(RAMP, np.zeros(5))


@pytest.mark.parametrize("dark_off", [True, False])
def test_non_linearity_and_electric_dark_agree_with_seabreeze(dark_off: bool) -> None:
    spectrometers = pytest.importorskip("seabreeze.spectrometers")
    raw = np.round(1500 + 60_000 * np.exp(-(((np.arange(2048) - 900) / 300.0) ** 2)))
    dark_pixels = tuple(range(6, 21))
    raw[list(dark_pixels)] = np.arange(1490.0, 1505.0)
    theirs = object.__new__(spectrometers.Spectrometer)  # without a unit on the bus, with what it would have read
    theirs._dp, theirs._nc = list(dark_pixels), np.poly1d(NQ_NONLINEARITY[::-1])
    theirs._dev = SimpleNamespace(f=SimpleNamespace(spectrometer=SimpleNamespace(get_intensities=raw.copy)))
    expected = theirs.intensities(correct_dark_counts=dark_off, correct_nonlinearity=True)

    level = dark.electric_level(raw, dark_pixels)
    if dark_off:
        found = nonlinearity.linearise(dark.subtract(raw, level), NQ_NONLINEARITY)
    else:
        found = nonlinearity.linearise(raw, NQ_NONLINEARITY, level=level)

    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_non_linearity_divides_by_the_polynomial_above_the_level() -> None:
    """1100 counts on a level of 100: 1000 / (0.9 + 1000 * 1e-4) = 1000, and the level back; 600: 500 / 0.95."""
    found = nonlinearity.linearise(array(1100, 600, 100), (0.9, 1e-4), level=100.0)

    np.testing.assert_allclose(found, [1100, 100 + 500 / 0.95, 100], rtol=1e-12)


@pytest.mark.parametrize(
    "stored", [(0.0,) * 8, (), (1.0,) * 17, (float("nan"), 0.0), (1.0, 1.0), (1.0, -1e-3), (1e308, 1e308, 1e308)]
)
def test_coefficients_that_are_no_non_linearity_are_refused(stored: tuple[float, ...]) -> None:
    with pytest.raises(SpectrumError, match="non-linearity") as refused:
        nonlinearity.linearise(array(0, 1000, 60_000), stored)

    assert "switch" in refused.value.hint


def test_evenly_scattered_light_is_taken_off_and_the_sum_is_kept() -> None:
    true = array(0, 0, 1000, 0, 0, 0, 0, 0)
    seen = 0.98 * true + 0.02 * true.mean()

    found = stray_light.remove(seen, 0.02)

    np.testing.assert_allclose(found, true, atol=1e-9)
    assert found.sum() == pytest.approx(seen.sum())
    with pytest.raises(SpectrumError, match=r"share of 0\.5"):
        stray_light.remove(seen, 0.5)


def test_the_boxcar_is_that_of_wasatch() -> None:
    found = smoothing.boxcar(array(1, 2, 4, 8, 16, 32, 64), 2)

    np.testing.assert_allclose(found, [1, 7 / 3, 6.2, 12.4, 24.8, 112 / 3, 64], rtol=1e-12)


@pytest.mark.parametrize("half", [1, 3, 10])
def test_the_boxcar_is_that_of_scipy_away_from_the_ends(half: int) -> None:
    counts = np.random.default_rng(1).uniform(0, 65_535, (3, 500))

    found = smoothing.boxcar(counts, half)

    expected = ndimage.uniform_filter1d(counts, 2 * half + 1, axis=-1)
    np.testing.assert_allclose(found[:, half:-half], expected[:, half:-half], rtol=1e-9)
    np.testing.assert_array_equal(found[:, [0, -1]].round(6), counts[:, [0, -1]].round(6))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_a_boxcar_wider_than_the_array_takes_what_both_sides_have(length: int) -> None:
    counts = np.arange(length, dtype=np.float64) ** 2

    found = smoothing.boxcar(counts, 255)

    half = [min(i, length - 1 - i) for i in range(length)]
    expected = [counts[i - h : i + h + 1].mean() for i, h in enumerate(half)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    with pytest.raises(SpectrumError, match="half width"):
        smoothing.boxcar(counts, -1)


def test_shifts_are_those_of_the_worked_example() -> None:
    """A WP-785 whose memory holds float32 numbers; widened to double as its maker does."""
    axis = array(797.200012, 876.402279, 946.189545)
    laser_nm = float(np.float32(784.82))

    np.testing.assert_allclose(wavelength.raman_shift_cm1(axis, laser_nm), [197.8716, 1331.4898, 2173.0681], atol=1e-4)


@pytest.mark.parametrize("laser_nm", [0.0, float("nan"), float("inf"), 1e-3])
def test_an_excitation_of_an_unprogrammed_memory_gives_no_raman_axis(laser_nm: float) -> None:
    with pytest.raises(SpectrumError, match="excitation"):
        wavelength.raman_shift_cm1(array(800, 900), laser_nm)


def test_the_stored_intensity_curve_is_a_power_of_ten_of_a_polynomial() -> None:
    """The worked memory page: 1.0 + 1e-4 p; pixel 1000 gets 10^1.1."""
    factor = intensity.polynomial_factor(array(0, 1000), (1.0, 1e-4, 0, 0, 0, 0))

    np.testing.assert_allclose(factor, [10, 12.589254117941673], rtol=1e-12)
    np.testing.assert_allclose(intensity.correct(array(2, 100), factor), [20, 1258.9254117941673], rtol=1e-12)


def test_an_intensity_curve_that_leaves_all_bounds_is_refused() -> None:
    with pytest.raises(SpectrumError, match="intensity curve reaches") as refused:
        intensity.polynomial_factor(np.arange(1024.0), (0.0, 0.0, 1e-4))

    assert "switch intensity off" in refused.value.hint


def test_a_glass_measured_by_its_own_curve_gives_a_flat_factor() -> None:
    """SRM 2241 at 1000 1/cm: A0 ... A5 of its certificate give 0.3848; an instrument that sees half has factor 2."""
    x = array(1000.0)
    certified = sum(
        a * x**i for i, a in enumerate((9.71937e-2, 2.28325e-4, -5.86762e-8, 2.16023e-10, -9.77171e-14, 1.15596e-17))
    )

    np.testing.assert_allclose(certified, 0.3966, atol=0.02)
    np.testing.assert_allclose(intensity.srm_factor(certified, 0.5 * certified), [2.0])
    with pytest.raises(SpectrumError, match="no light from the glass at point 0"):
        intensity.srm_factor(certified, array(0.0))


def test_more_values_than_one_scan_can_have_are_refused() -> None:
    with pytest.raises(SpectrumError, match="more than 8000000 values") as refused:
        frames.average(np.zeros((123, 65_536)))

    assert refused.value.hint == "lower `repeats`"
