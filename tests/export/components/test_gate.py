"""The gate before the fit, against scikit-learn's principal components."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from export.components.gate import MixtureGate
from export.components.recipe import GateWords
from export.preprocess.words import SnvStep

GRID = np.linspace(1000.0, 1390.0, 40)
WORDS = GateWords(steps=(SnvStep(kind="snv"),), explained=0.99, wrongly_refused=0.01, slack={})


def spectra(count: int, seed: int) -> NDArray[np.float32]:
    """Mixtures of three bands, and noise."""
    rng = np.random.default_rng(seed)
    bands = np.exp(-0.5 * ((np.arange(40) - np.array([[8.0], [20.0], [31.0]])) / 3.0) ** 2)
    mixed = rng.dirichlet(np.ones(3), size=count) @ bands + 0.01 * rng.standard_normal((count, 40))
    return mixed.astype(np.float32)


def test_a_distance_is_what_the_principal_components_leave() -> None:
    made, new = spectra(300, 1), spectra(20, 2)
    gate = MixtureGate(WORDS, GRID, made)

    def snv(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        wide = rows.astype(np.float64)
        return (wide - wide.mean(axis=1, keepdims=True)) / wide.std(axis=1, ddof=1, keepdims=True)

    judge = PCA(n_components=0.99, svd_solver="full").fit(snv(made))
    left = snv(new) - judge.inverse_transform(judge.transform(snv(new)))
    assert gate.dimensions == judge.n_components_
    assert gate.distances(new) == pytest.approx(np.linalg.norm(left, axis=1), rel=1e-4)


def test_another_band_lies_farther_than_any_mixture() -> None:
    gate = MixtureGate(WORDS, GRID, spectra(300, 1))
    strange = spectra(20, 3) + np.exp(-0.5 * ((np.arange(40) - 14.0) / 2.0) ** 2).astype(np.float32)

    assert gate.distances(strange).min() > gate.distances(spectra(200, 4)).max()
