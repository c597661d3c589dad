"""What instruments do to made Raman mixtures: each effect alone, in the units that its word states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import scipy.stats

from export.data.mixtures.library import Library
from export.data.mixtures.raman import fluorescence
from export.data.mixtures.synthesise import Mixtures, synthesise
from export.data.mixtures.synthetic import glass
from export.data.mixtures.words import Composition, Raman
from tests.export.data.mixtures.made import SHIFTS, bands, composition, library, raman, synthesis

PURE = composition(components=(1, 1))


def made(n: int, holds: Composition = PURE, source: Library | None = None, **words: Any) -> Mixtures:
    recipe = synthesis(holds, raman=Raman(normalised="nothing", **words))
    return synthesise(source or raman(1), recipe, n, np.random.default_rng(5), grid=SHIFTS)


def one_band(width: float = 12.0) -> Library:
    return library(bands(SHIFTS, [1100.0], width), SHIFTS, quantity="intensity", axis_unit="cm-1")


def centre(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.astype(np.float64) @ SHIFTS / values.sum(axis=1, dtype=np.float64))


def test_shifts_are_in_wave_numbers() -> None:
    common = centre(made(2000, source=one_band(), shift_cm1=1.0).values)
    both = centre(made(2000, source=one_band(), shift_cm1=1.0, component_shift_cm1=2.0).values)

    assert common.std() == pytest.approx(1.0, rel=0.06)
    assert both.std() == pytest.approx(np.sqrt(1.0 + 4.0), rel=0.06)
    assert abs(common.mean() - 1100.0) < 0.1


def test_a_coarser_resolution_is_convolution_with_a_gaussian() -> None:
    """The broadest of many has 4 cm-1 at half maximum added to a band of 28; scipy broadens it on steps of 0.1 cm-1."""
    found = made(400, source=one_band(17.0), broadening_cm1=4.0).values
    fine = np.linspace(200.0, 2000.0, 18001)
    convolved = scipy.ndimage.gaussian_filter1d(bands(fine, [1100.0], 17.0)[0], 4.0 / 2.3548 / 0.1)
    wanted, pure = np.interp(SHIFTS, fine, convolved), one_band(17.0).values[0]

    broadest = found[found.max(axis=1).argmin()]

    assert np.abs(broadest - wanted).max() < 0.3 * np.abs(pure - wanted).max()


def test_noise_has_the_signal_to_noise_that_was_asked() -> None:
    """At the highest band, and with read noise only, everywhere."""
    pure = one_band().values[0]
    shot = made(4000, source=one_band(), noise=(0.02, 0.02)).values - pure
    read = made(4000, source=one_band(), noise=(0.02, 0.02), read_noise=1.0).values - pure
    peak, foot = int(pure.argmax()), 10

    assert shot[:, peak].std() == pytest.approx(0.02, rel=0.04)
    assert shot[:, foot].std() < 1e-6
    assert read[:, peak].std() == pytest.approx(0.02, rel=0.04)
    assert read[:, foot].std() == pytest.approx(0.02, rel=0.04)
    assert scipy.stats.kstest(read[:, foot] / 0.02, "norm").pvalue > 1e-3


def test_signal_to_noise_is_log_uniform_between_its_ends() -> None:
    found = made(3000, source=one_band(), noise=(0.005, 0.1), read_noise=1.0).values - one_band().values[0]

    spread = found.std(axis=1)

    logs = np.log(spread / 0.005) / np.log(20.0)
    assert scipy.stats.kstest(logs, "uniform").pvalue > 1e-3


def test_fluorescence_brings_its_own_shot_noise() -> None:
    """Off the band only the baseline is bright; the variance of second differences is six times that of a point."""
    found = made(3000, source=one_band(), noise=(0.02, 0.02), fluorescence=5.0).values.astype(np.float64)
    bright = found[found[:, :60].mean(axis=1) > 0.5, :60]

    variance = np.diff(bright, n=2, axis=1).var(axis=1) / 6.0

    assert len(bright) > 1000
    assert np.median(variance / (0.02**2 * bright.mean(axis=1))) == pytest.approx(1.0, abs=0.06)


def test_fluorescence_is_positive_smooth_and_as_high_as_allowed() -> None:
    curves = fluorescence(2000, np.linspace(-1, 1, 301).astype(np.float32), np.random.default_rng(1))
    baseline = made(2000, source=one_band(), fluorescence=5.0).values - one_band().values[0]

    assert curves.min() >= 0
    assert curves.max(axis=1) == pytest.approx(1.0, abs=2e-2)
    assert all(len(scipy.signal.argrelmax(row)[0]) <= 2 for row in curves)
    top = baseline.max(axis=1)
    assert 4.5 < top.max() < 5.001
    assert scipy.stats.kstest(top / 5.0, "uniform").pvalue > 1e-3


def test_the_response_varies_by_its_spread_and_slowly() -> None:
    level = library(np.ones((1, len(SHIFTS))), SHIFTS, quantity="intensity", axis_unit="cm-1")

    gain = np.log(made(3000, source=level, gain=0.1).values.astype(np.float64))

    orders = np.polynomial.legendre.legvander(np.linspace(-1, 1, len(SHIFTS)), 5)[:, 1:]
    weights = np.linalg.lstsq(orders, gain.T, rcond=None)[0]
    assert np.abs(gain.T - orders @ weights).max() < 1e-5
    assert weights.std(axis=1) == pytest.approx(0.1 / np.arange(1, 6), rel=0.06)


def test_interference_in_the_detector_is_a_sine_within_its_amplitude() -> None:
    level = library(np.ones((1, len(SHIFTS))), SHIFTS, quantity="intensity", axis_unit="cm-1")

    fringes = made(500, source=level, etalon=0.01).values - 1.0

    assert 0.009 < np.abs(fringes).max() <= 0.0101
    power = np.abs(np.fft.rfft(fringes * np.hanning(len(SHIFTS)), axis=1)) ** 2
    period = (SHIFTS[-1] - SHIFTS[0]) / np.maximum(power[:, 1:].argmax(axis=1) + 1, 1)
    assert 27 < period.min() < period.max() < 170


def test_cosmic_rays_are_narrow_and_as_rare_as_asked() -> None:
    struck = made(4000, source=one_band(), spikes=0.05).values - one_band().values[0]
    rows = np.abs(struck).max(axis=1) > 0.1

    assert rows.mean() == pytest.approx(0.05, abs=0.012)
    assert (struck > -1e-6).all()
    assert (struck[rows] > 1e-3).sum(axis=1).max() <= 6
    assert 0.2 - 1e-5 < struck[rows].max(axis=1).min() < struck.max() < 9.1


def test_a_saturated_spectrum_has_a_flat_top() -> None:
    pure = one_band().values[0]
    values = made(4000, source=one_band(), clip=0.1).values
    clipped = values.max(axis=1) < 0.99

    assert clipped.mean() == pytest.approx(0.1, abs=0.02)
    assert values[clipped].max(axis=1).min() >= 0.6 - 1e-6
    assert values[clipped].max(axis=1).max() <= 0.95 + 1e-6
    assert np.abs(values[~clipped] - pure).max() < 1e-6


def test_glass_is_added_up_to_its_share_of_the_highest_band() -> None:
    added = made(2000, source=one_band(), container=0.6).values - one_band().values[0]

    vial = glass(SHIFTS).values[0]
    parts = added @ vial / (vial @ vial) * vial.max()
    assert np.abs(added - parts[:, None] * vial / vial.max()).max() < 1e-5
    assert scipy.stats.kstest(parts / 0.6, "uniform").pvalue > 1e-3


def test_a_container_is_added_in_parts_of_the_highest_band_however_bright_either_is() -> None:
    vial = library(7.0 * bands(SHIFTS, [500.0], 30.0), SHIFTS, quantity="intensity", axis_unit="cm-1", prefix="vial")
    bright = library(3.0 * one_band().values, SHIFTS, quantity="intensity", axis_unit="cm-1")
    recipe = synthesis(PURE, raman=Raman(normalised="nothing", container=0.6))

    values = synthesise(bright, recipe, 2000, np.random.default_rng(6), grid=SHIFTS, containers=vial).values

    assert scipy.stats.kstest(values[:, SHIFTS == 500.0][:, 0] / 3.0 / 0.6, "uniform").pvalue > 1e-3


def test_without_a_sample_there_is_dark_or_what_is_not_of_the_sample() -> None:
    holds = composition(components=(1, 1), blanks=0.5)
    dark = made(600, holds, one_band())
    glowing = made(600, holds, one_band(), fluorescence=2.0, noise=(0.01, 0.01), read_noise=0.5)

    blank = ~dark.present.any(axis=1)
    assert 250 < blank.sum() < 350
    assert not dark.values[blank].any()
    glow = glowing.values[~glowing.present.any(axis=1)]
    assert 1.5 < glow.max() < 2.3
    assert 0.003 < np.diff(glow, axis=1).std() < 0.03


def test_scans_of_one_compound_are_blended_and_differ_by_their_refilling() -> None:
    low, high = bands(SHIFTS, [800.0, 1400.0], 15.0)
    source = library(np.stack([low, low + high]), SHIFTS, scans=2, quantity="intensity", axis_unit="cm-1")

    blended = made(3000, source=source, blend=1.0).values
    refilled = made(3000, source=source, refill=0.5).values

    share = blended @ high / (high @ high)
    assert -1e-5 <= share.min() <= share.max() <= 1 + 1e-5
    assert ((share > 0.05) & (share < 0.95)).mean() > 0.3
    # 0 or 1 by its own scan; half of the pairs are of two different scans
    assert np.var(refilled @ high / (high @ high)) == pytest.approx(0.25 + 0.5 * 0.5**2, rel=0.1)
    assert np.abs(refilled @ low / (low @ low) - 1.0).max() < 1e-4
