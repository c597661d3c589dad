"""What is learned of a product, against scipy and against amplitudes that were put in."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.constants
import scipy.linalg
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar

from edged.monitor.template import Grid, Template, learn, learn_by_folds

Array = NDArray[np.float64]

AXIS = np.linspace(905.0, 1660.0, 216)
GRID = Grid(axis=AXIS, unit="nm", has_lamp=True)
OFFSET, PATH, LAMP, AXIS_SHIFT, RESIDUAL = range(5)


def bands(axis: Array) -> Array:
    """Three absorption bands on a slope."""
    places = ((1150.0, 40.0, 0.3), (1380.0, 25.0, 0.5), (1500.0, 60.0, 0.4))
    return 0.4 + 0.0002 * (axis - 900.0) + sum(h * np.exp(-(((axis - c) / w) ** 2)) for c, w, h in places)


def readings(count: int, seed: int, noise: float = 0.001) -> Array:
    """The product with a level and a path that vary, and a band that comes and goes."""
    chance = np.random.default_rng(seed)
    level, path, band = 0.02 * chance.standard_normal((3, count, 1))
    moving = np.exp(-(((AXIS - 1250.0) / 30.0) ** 2))
    varied = bands(AXIS) * (1.0 + path) + level + band * moving
    return np.asarray(varied + noise * chance.standard_normal((count, len(AXIS))))


@pytest.fixture(scope="module")
def template() -> Template:
    return learn(readings(200, 1), GRID)


def test_a_shift_is_found_to_a_fiftieth_of_a_point_where_correlation_finds_it(template: Template) -> None:
    """The judge moves a spline of the mean until its correlation with the reading is largest."""
    spline = CubicSpline(AXIS, bands(AXIS))
    inside = slice(5, -5)

    for shift in (-1.0, -0.3, 0.1, 0.5, 1.0):
        row = bands(AXIS - shift)
        best = minimize_scalar(
            lambda s, row=row: -np.corrcoef(spline(AXIS[inside] - s), row[inside])[0, 1],
            bounds=(-3.0, 3.0),
            method="bounded",
            options={"xatol": 1e-4},
        )
        found = template.measure(row)[0, AXIS_SHIFT]
        assert found == pytest.approx(best.x, abs=0.02 * (AXIS[1] - AXIS[0]) + 0.03 * abs(shift))


def test_a_cooler_lamp_is_found_by_its_colour_whatever_the_level(template: Template) -> None:
    """Planck's law with the constants of CODATA: a filament of 2,900 K, 1 % cooler, and a sample farther away."""
    c2 = scipy.constants.physical_constants["second radiation constant"][0]
    planck = [1.0 / np.expm1(c2 / (AXIS * 1e-9 * kelvin)) for kelvin in (2_900.0, 2_871.0)]
    row = bands(AXIS) - np.log10(planck[1] / planck[0]) + 0.05

    found = template.measure(row)[0] - template.measure(bands(AXIS))[0]

    assert found[LAMP] == pytest.approx(-1.0, abs=0.03)
    assert found[OFFSET] == pytest.approx(0.05, abs=0.001)
    assert found[AXIS_SHIFT] == pytest.approx(0.0, abs=0.02)


def test_a_longer_path_is_found_in_per_cent_of_the_mean(template: Template) -> None:
    mean = template.learnt.mean
    found = template.measure(mean + 0.1 * (mean - mean.mean()))[0]

    assert found[:4] == pytest.approx([0.0, 10.0, 0.0, 0.0], abs=1e-6)


def test_amplitudes_are_those_of_generalised_least_squares(template: Template) -> None:
    """scipy solves the same with the full covariance matrix."""
    learnt = template.learnt
    covariance = learnt.left * np.eye(len(AXIS))
    covariance += learnt.components.T @ np.diag(learnt.spread - learnt.left) @ learnt.components
    slope, level = np.gradient(learnt.mean, AXIS), learnt.mean - learnt.mean.mean()
    ratio = 1.4388e7 / (AXIS * 2_900.0)
    colour = 0.01 * np.log10(np.e) * ratio / (1.0 - np.exp(-ratio))
    patterns = np.column_stack([np.ones_like(AXIS), 0.01 * level, -colour, -slope]) / learnt.scale[:, None]
    row = readings(1, 9)[0]
    half = scipy.linalg.cholesky(covariance, lower=True)
    wanted = scipy.linalg.lstsq(
        scipy.linalg.solve_triangular(half, patterns, lower=True),
        scipy.linalg.solve_triangular(half, (row - learnt.mean) / learnt.scale, lower=True),
    )[0]

    np.testing.assert_allclose(template.measure(row)[0, :4], wanted, rtol=1e-5, atol=1e-7)


def test_change_is_chi_squared_by_the_covariance_and_a_pattern_explains_itself_whole(template: Template) -> None:
    learnt = template.learnt
    covariance = learnt.left * np.eye(len(AXIS))
    covariance += learnt.components.T @ np.diag(learnt.spread - learnt.left) @ learnt.components
    off = (bands(AXIS - 0.5) - learnt.mean) / learnt.scale
    row = learnt.mean - 0.5 * np.gradient(learnt.mean, AXIS)

    assert template.change(bands(AXIS - 0.5)) == pytest.approx(off @ np.linalg.solve(covariance, off), rel=1e-6)
    assert template.explained(row, [AXIS_SHIFT]) == pytest.approx(template.change(row), rel=1e-9)
    assert template.explained(row, [LAMP]) < 0.5 * template.change(row)


def test_the_residual_of_new_readings_is_noise_and_of_a_new_band_is_not(template: Template) -> None:
    stranger = readings(50, 3) + 0.01 * np.exp(-(((AXIS - 1050.0) / 8.0) ** 2))

    usual, unusual = (template.measure(rows)[:, RESIDUAL] for rows in (readings(50, 2), stranger))

    assert 10 ** usual.mean() == pytest.approx(1.0, abs=0.1)
    assert unusual.mean() > usual.mean() + 0.1


@pytest.mark.parametrize("count", [60, 400])
def test_natural_variation_is_by_singular_values_with_fewer_readings_than_points_and_with_more(count: int) -> None:
    rows = readings(count, 8)
    learnt = learn(rows, GRID).learnt

    _, values, axes = scipy.linalg.svd((rows - learnt.mean) / learnt.scale, full_matrices=False)

    kept = len(learnt.spread)
    np.testing.assert_allclose(learnt.spread, values[:kept] ** 2 / (count - 1), rtol=1e-9)
    np.testing.assert_allclose(np.abs(learnt.components @ axes[:kept].T), np.eye(kept), atol=1e-6)


def test_signals_by_folds_are_those_of_new_readings() -> None:
    """In their mean, not only in the fold's own: what a reading taught must not judge it."""
    rows = readings(200, 4)
    found, signals, by_chance = learn_by_folds(rows, GRID)

    fresh = found.measure(readings(2_000, 5))
    np.testing.assert_allclose(signals.std(axis=0), fresh.std(axis=0), rtol=0.25)
    assert signals[:, RESIDUAL].mean() == pytest.approx(fresh[:, RESIDUAL].mean(), abs=0.01)
    assert by_chance == pytest.approx(len(AXIS) / 10, rel=0.3)  # of ten independent readings: a tenth of each point


def test_a_laser_has_no_colour_to_lose() -> None:
    grid = Grid(axis=AXIS, unit="cm-1", has_lamp=False)

    assert not learn(readings(60, 6), grid).measure(readings(5, 7))[:, LAMP].any()


@pytest.mark.parametrize("points", [8, 16])
def test_the_smallest_axis_and_readings_that_never_change_are_learned(points: int) -> None:
    axis = np.linspace(1000.0, 1070.0, points)
    row = np.linspace(0.1, 0.4, points) ** 2
    found, signals, by_chance = learn_by_folds(np.tile(row, (40, 1)), Grid(axis=axis, unit="nm", has_lamp=True))

    assert np.isfinite(signals).all()
    assert np.isfinite(by_chance)
    assert np.isfinite(found.measure(row + 0.1)).all()
