"""The library that mixtures are taken apart with, against scikit-learn's principal components and sums by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from export.components.unmix import Unmixer
from export.components.words import Unmixing
from export.data.mixtures.library import Library
from export.preprocess.words import ReflectanceStep, SavgolStep, SnvStep, StandardiseStep, StepWords

GRID = np.linspace(1000.0, 1500.0, 251)
NAMES = ("one", "two")


def band(centre: float, width: float = 30.0) -> NDArray[np.float64]:
    return np.exp(-(((GRID - centre) / width) ** 2))


def library(scans: int = 12, *, seed: int = 0, noise: float = 1e-3, wobble: float = 0.05) -> Library:
    """Two compounds whose scans differ by height, by one slope each, and by noise."""
    rng = np.random.default_rng(seed)
    pure = [band(1150.0) + 0.3, band(1320.0) + 0.5 * band(1230.0) + 0.3]
    slopes = [np.sin(GRID / 40.0), np.cos(GRID / 25.0)]
    rows = [
        (1.0 + 0.1 * rng.normal()) * (pure[c] + wobble * rng.normal() * slopes[c]) + noise * rng.normal(size=len(GRID))
        for c in (0, 1)
        for _ in range(scans)
    ]
    return Library(
        axis=GRID.copy(),
        axis_unit="nm",
        quantity="absorbance",
        values=np.array(rows),
        compound=np.repeat([0, 1], scans),
        groups=np.arange(2 * scans),
        names=NAMES,
        holds=frozenset(NAMES),
    )


def test_the_ways_are_the_principal_components_of_scans_of_one_height() -> None:
    data = library()
    found = Unmixer(data, Unmixing(steps=(), directions=2), GRID)

    assert found.scatter_of == (0, 0, 1, 1)
    for column in (0, 1):
        rows = data.values[data.compound == column]
        mean = rows.mean(axis=0)
        np.testing.assert_allclose(found.references[column], mean, rtol=1e-6)
        level = rows * (mean @ mean / (rows @ mean))[:, None]
        judge = PCA(2).fit(np.concatenate([level, 2.0 * mean - level]))  # around the mean itself, not around its own
        mine = found.scatter[np.array(found.scatter_of) == column]
        covariance = (level - mean).T @ (level - mean) / (len(rows) - 1)
        for way, axis in zip(mine, judge.components_, strict=True):
            assert abs(way @ axis) / np.linalg.norm(way) == pytest.approx(1.0, abs=1e-4)
            assert np.linalg.norm(way) ** 2 == pytest.approx(axis @ covariance @ axis, rel=1e-3)


def test_what_the_ways_leave_is_the_noise_of_a_point() -> None:
    found = Unmixer(library(200, noise=2e-3), Unmixing(steps=(), directions=1), GRID)

    assert found.floor == pytest.approx(2e-3, rel=0.05)


def test_a_way_of_the_instrument_is_what_a_displaced_axis_adds() -> None:
    single = library(1, noise=0.0, wobble=0.0)
    found = Unmixer(single, Unmixing(steps=(), directions=0, shift=1.0, noise=1e-3), GRID)

    height = single.values[0].max() / (1.0 + 0.3)
    adds = height * (np.exp(-(((GRID + 1.0 - 1150.0) / 30.0) ** 2)) - band(1150.0))
    np.testing.assert_allclose(found.scatter[0], adds, atol=0.05 * np.abs(adds).max())
    assert found.floor == pytest.approx(1e-3, rel=0.05)


def test_a_way_of_the_resolution_is_what_a_wider_line_adds() -> None:
    """A Gaussian of variance v seen with an added width w has the variance v + (w / 2.3548)^2; of what that adds, the
    part along the band itself is more or less of the compound."""
    single = library(1, noise=0.0, wobble=0.0)
    found = Unmixer(single, Unmixing(steps=(), directions=0, broadening=6.0, noise=1e-3), GRID)

    height, variance = single.values[0].max() / (1.0 + 0.3), 30.0**2 / 2.0
    wider = variance + (6.0 / 2.354820045) ** 2
    seen = height * np.sqrt(variance / wider) * np.exp(-((GRID - 1150.0) ** 2) / (2.0 * wider))
    adds = seen - height * band(1150.0)
    pure = single.values[0]
    adds -= (adds @ pure) / (pure @ pure) * pure
    np.testing.assert_allclose(found.scatter[0], adds, atol=0.05 * np.abs(adds).max())


def test_references_are_where_mixtures_add_up() -> None:
    steps = (ReflectanceStep(kind="reflectance"), SavgolStep(kind="savgol", window=7, order=2, derivative=1))
    data = library(4, noise=0.0, wobble=0.0)
    found = Unmixer(data, Unmixing(steps=steps), GRID)

    side_by_side = -np.log10(0.3 * 10.0 ** -data.values[0] + 0.7 * 10.0 ** -data.values[-1])
    parts = found.prepare(np.stack([data.values[0], data.values[-1]]))
    np.testing.assert_allclose(found.prepare(side_by_side[None])[0], 0.3 * parts[0] + 0.7 * parts[1], atol=1e-6)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (StandardiseStep(kind="standardise"), "standardise learns from spectra"),
        (SnvStep(kind="snv"), "snv treats each spectrum in its own way"),
    ],
)
def test_a_step_behind_which_no_mixture_adds_up_is_refused(step: StepWords, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Unmixing(steps=(step,))
