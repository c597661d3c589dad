"""What another day, filling or unit does to a spectrum."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

from export.data.augment import (
    STILL,
    Augmentation,
    Session,
    augment,
    broadened,
    lamp_curve,
    refill,
    resample,
    session,
    with_stray_light,
)
from tests.export.data.made import AXIS, made_up

GRID = np.linspace(910.0, 1690.0, 120)


def band(at_nm: float) -> np.ndarray:
    return 1.0 + 0.5 * np.exp(-((AXIS - at_nm) ** 2) / (2 * 20.0**2))[None]


def test_stray_light_flattens_what_is_dark() -> None:
    """1 % of light past the sample: absorbance 3 reads as -log10((0.001 + 0.01) / 1.01)."""
    seen = with_stray_light(np.array([[0.0, 1.0, 3.0]]), np.array([[0.01]]))

    np.testing.assert_allclose(seen, [[0.0, 0.9629, 1.9629]], atol=2e-4)


def test_a_broader_line_is_what_convolution_with_a_gaussian_makes() -> None:
    spectra, grid = band(1300.0), AXIS
    sigma = 8.0 / 2.3548
    kernel = np.exp(-0.5 * (np.arange(-40, 41) * 4.0 / sigma) ** 2)
    wanted = scipy.ndimage.convolve1d(spectra, kernel / kernel.sum(), axis=1, mode="nearest")

    np.testing.assert_allclose(broadened(spectra, grid, np.array([[8.0]])), wanted, atol=2e-3)


def test_a_lamp_of_another_colour_changes_absorbance_in_proportion_to_the_wave_number() -> None:
    along_nm, along_cm1 = lamp_curve(1e7 / GRID[::-1], "cm-1"), lamp_curve(GRID, "nm")

    np.testing.assert_allclose(along_nm[::-1], along_cm1, atol=1e-12)
    assert along_cm1[0] - along_cm1[-1] == pytest.approx(1.0)


def test_augmentation_of_no_strength_only_resamples() -> None:
    spectra = made_up()
    strong = STILL.model_copy(update={"shift": 1.0, "offset_au": 1.0, "noise_au": 0.01})

    still = augment(spectra.values, AXIS, GRID, strong, np.random.default_rng(0), strength=0.0)

    expected = np.array([np.interp(GRID, AXIS, row) for row in spectra.values])
    assert np.abs(still - expected).max() < 1e-12


def test_augmentation_is_seeded() -> None:
    change = Augmentation(
        shift=1,
        stretch=1,
        gain_au=0.01,
        offset_au=0.1,
        slope_au=0.1,
        path=0.1,
        water_au=0.01,
        noise_au=1e-3,
        noise_ends=2,
        blend=0.5,
        refill=0.5,
    )
    spectra = made_up()

    def drawn(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        return augment(refill(spectra.values, spectra.targets, change, rng), AXIS, GRID, change, rng)

    assert np.array_equal(drawn(3), drawn(3))
    assert not np.array_equal(drawn(3), drawn(4))


def test_an_axis_shift_moves_a_band_by_as_many_nanometres() -> None:
    change = STILL.model_copy(update={"shift": 3.0})
    rng, again = np.random.default_rng(8), np.random.default_rng(8)

    out = augment(np.repeat(band(1300.0), 200, axis=0), AXIS, GRID, change, rng)

    shifts = 3.0 * again.normal(size=200)
    expected = np.array([np.interp(GRID + shift, AXIS, band(1300.0)[0]) for shift in shifts])
    assert np.abs(out - expected).max() < 1e-12
    assert 2.0 < shifts.std() < 4.0


def test_offset_slope_and_path_leave_the_form_of_a_band() -> None:
    change = STILL.model_copy(update={"offset_au": 0.2, "slope_au": 0.1, "path": 0.1})

    out = augment(np.repeat(band(1300.0), 5, axis=0), AXIS, GRID, change, np.random.default_rng(2))

    base = np.stack([np.interp(GRID, AXIS, band(1300.0)[0]), np.ones_like(GRID), np.linspace(-1, 1, len(GRID))])
    for row in out:
        weights = np.linalg.lstsq(base.T, row, rcond=None)[0]
        assert np.abs(base.T @ weights - row).max() < 1e-9
        assert 0.5 < weights[0] < 2.0


def test_noise_grows_where_little_light_comes_back() -> None:
    change = STILL.model_copy(update={"noise_au": 1e-3})
    level = np.where(AXIS < 1300.0, 0.5, 2.0)[None].repeat(400, axis=0)

    noise = augment(level, AXIS, GRID, change, np.random.default_rng(4)) - resample(level, AXIS, GRID)

    assert noise[:, GRID > 1320].std() > 5 * noise[:, GRID < 1280].std()


def test_noise_rises_at_both_ends_of_the_axis() -> None:
    change = STILL.model_copy(update={"noise_au": 1e-3, "noise_ends": 4.0})
    level = np.full((400, len(AXIS)), 1.2)

    noise = augment(level, AXIS, GRID, change, np.random.default_rng(4)) - resample(level, AXIS, GRID)

    spread = noise.std(axis=0) / noise[:, 40:80].std()
    assert spread[0] == pytest.approx(5.0, rel=0.2)
    assert spread[-1] == pytest.approx(5.0, rel=0.2)
    assert spread[20:100] == pytest.approx(np.ones(80), abs=0.35)


def test_moisture_is_one_broad_band_about_1445_nm_that_comes_or_goes() -> None:
    change = STILL.model_copy(update={"water_au": 0.01})
    level = np.full((500, len(AXIS)), 1.2)

    added = augment(level, AXIS, GRID, change, np.random.default_rng(5)) - resample(level, AXIS, GRID)

    height = added[np.arange(500), np.abs(added).argmax(axis=1)]
    assert height.std() == pytest.approx(0.01, rel=0.15)
    assert abs(height.mean()) < 0.002
    at = GRID[np.abs(added).argmax(axis=1)]
    assert 1425 < at.min() < at.max() < 1465
    width = (added / height[:, None] > 0.5).sum(axis=1) * (GRID[1] - GRID[0])
    assert 50 < width.min() < width.max() < 120
    assert np.abs(added[:, GRID < 1250]).max() < 1e-4 > np.abs(added[:, GRID > 1640]).max()


def test_refilling_stays_within_what_the_fillings_of_a_class_differ_by() -> None:
    spectra = made_up()
    change = STILL.model_copy(update={"refill": 0.5})

    moved = refill(spectra.values, spectra.targets, change, np.random.default_rng(6)) - spectra.values

    assert np.abs(moved).max() > 0
    centres = np.stack([spectra.values[spectra.targets == c].mean(axis=0) for c in range(3)])
    within = spectra.values - centres[spectra.targets]
    basis = np.linalg.svd(within, full_matrices=False)[2][: 25 * 3 - 3]
    assert np.abs(moved - moved @ basis.T @ basis).max() < 1e-9


def test_a_simulated_session_is_one_change_for_all_spectra() -> None:
    change = Session(shift=1.75, gain=0.015, offset_au=0.06, slope_au=0.06, noise_au=0.0)
    level = np.full((6, len(AXIS)), 1.3) + np.arange(6)[:, None] * 0.1

    out = session(level, AXIS, GRID, change, np.random.default_rng(7))

    added = out - resample(level, AXIS, GRID)
    assert np.ptp(added, axis=0).max() < 1e-12
    assert np.ptp(added[0]) > 1e-3
