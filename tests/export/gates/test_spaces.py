"""The gates' spaces, against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import mahalanobis
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from export.gates.discriminant import ClassCentres
from export.gates.scatter import REACH, ClassScatter
from export.gates.subspace import Subspaces

CLASSES, POINTS = 3, 12


@pytest.fixture
def known() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(11)
    targets = np.repeat(np.arange(CLASSES), 200)
    centres, widths = 6.0 * rng.normal(size=(CLASSES, POINTS)), np.array([1.0, 3.0, 0.5])
    return centres[targets] + widths[targets][:, None] * rng.normal(size=(600, POINTS)), targets


def test_a_class_is_measured_by_its_own_scatter(known: tuple[NDArray[np.float64], NDArray[np.int64]]) -> None:
    spectra, targets = known
    gate = ClassScatter(points=POINTS, classes=CLASSES)

    gate.fit(spectra, targets, shrinkage=1e-6, pooled=1e-9)
    got = gate(torch.from_numpy(spectra.astype(np.float32))).double().numpy()

    scores = (spectra - gate.space.centre.double().numpy()) @ gate.space.directions.double().numpy()
    for c in range(CLASSES):
        own = scores[targets == c]
        precision = np.linalg.inv(np.cov(own.T))
        expected = np.array([mahalanobis(row, own.mean(axis=0), precision) for row in scores])
        expected /= np.quantile(expected[targets == c], REACH)
        assert np.abs(got[:, c] / expected - 1.0).max() < 1e-3
    assert gate.distance(got) == pytest.approx(got.min(axis=1))


def test_distances_in_the_discriminant_are_those_of_linear_discriminant_analysis(
    known: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> None:
    """All directions count equally within classes: the squared distances differ as the judge's likelihoods do."""
    spectra, targets = known
    gate = ClassCentres(points=POINTS, classes=CLASSES)

    gate.fit(spectra, targets, shrinkage=1e-9)
    got = gate(torch.from_numpy(spectra.astype(np.float32))).double().numpy()

    judge = LinearDiscriminantAnalysis(solver="eigen").fit(spectra, targets)
    within = judge.covariance_ * len(spectra) / (len(spectra) - CLASSES)
    off = spectra[:, None, :] - judge.means_
    full = np.einsum("ncp,pq,ncq->nc", off, np.linalg.inv(within), off)
    assert got[:, 1:] ** 2 - got[:, :1] ** 2 == pytest.approx(full[:, 1:] - full[:, :1], rel=1e-3, abs=0.05)
    assert gate.distance(got) == pytest.approx(got.min(axis=1))


def test_every_class_has_the_same_share_of_its_spectra_within_one(
    known: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> None:
    spectra, targets = known
    gate = ClassScatter(points=POINTS, classes=CLASSES)

    gate.fit(spectra, targets, shrinkage=1e-3, pooled=0.3)
    got = gate(torch.from_numpy(spectra.astype(np.float32))).numpy()

    for c in range(CLASSES):
        assert (got[targets == c, c] <= 1.0).mean() == pytest.approx(REACH, abs=0.011)


def test_a_subspace_leaves_what_principal_components_leave(
    known: tuple[NDArray[np.float64], NDArray[np.int64]],
) -> None:
    spectra, targets = known
    gate = Subspaces(points=POINTS, models=CLASSES, components=4)

    gate.fit(spectra, targets)
    got = gate(torch.from_numpy(spectra.astype(np.float32))).double().numpy()

    for c in range(CLASSES):
        judge = PCA(4, svd_solver="full").fit(spectra[targets == c])
        scores = judge.transform(spectra)
        q = ((spectra - judge.inverse_transform(scores)) ** 2).sum(axis=1)
        t2 = (scores**2 / judge.explained_variance_).sum(axis=1)
        left = PCA(svd_solver="full").fit(spectra[targets == c]).explained_variance_[4:].sum()
        assert got[:, c] == pytest.approx(np.sqrt(q / left + t2 / 4), rel=1e-3)
