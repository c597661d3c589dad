"""What a network gives a gate to go by, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import mahalanobis
from scipy.special import logsumexp

from export.study.doubting import SHRINKAGE, Doubting, doubting

CLASSES, POINTS = 3, 224


@pytest.fixture(scope="module")
def learned() -> tuple[torch.Tensor, NDArray[np.int64], Doubting]:
    rng = np.random.default_rng(2)
    targets = np.repeat(np.arange(CLASSES), 40)
    spectra = rng.normal(size=(CLASSES, POINTS))[targets] + 0.5 * rng.normal(size=(len(targets), POINTS))
    prepared = torch.from_numpy(spectra.astype(np.float32))
    return prepared, targets, doubting(prepared, targets)


def test_energy_is_scipys_and_features_are_as_far_as_scipy_says(
    learned: tuple[torch.Tensor, NDArray[np.int64], Doubting],
) -> None:
    prepared, targets, network = learned
    with torch.no_grad():
        features = network.network.embed((prepared - network.mean) / network.spread)
        logits = network.network.out(features).double().numpy()
    rows = features.double().numpy()
    off = rows - np.stack([rows[targets == c].mean(axis=0) for c in range(CLASSES)])[targets]
    scatter = off.T @ off / (len(rows) - CLASSES)
    inverse = np.linalg.inv(scatter + SHRINKAGE * np.trace(scatter) / len(scatter) * np.eye(len(scatter)))
    centres = [rows[targets == c].mean(axis=0) for c in range(CLASSES)]

    assert network.energy(prepared) == pytest.approx(-logsumexp(logits, axis=1), rel=1e-5)
    expected = [min(mahalanobis(row, centre, inverse) for centre in centres) for row in rows]
    assert network.distance(prepared) == pytest.approx(expected, rel=1e-4)


def test_what_it_has_learned_it_names_and_what_is_nothing_like_it_lies_farther_out(
    learned: tuple[torch.Tensor, NDArray[np.int64], Doubting],
) -> None:
    prepared, targets, network = learned
    other = torch.from_numpy(np.random.default_rng(3).normal(size=(40, POINTS)).astype(np.float32))

    assert (network.named(prepared) == targets).all()
    assert network.energy(other).mean() > network.energy(prepared).max()
    assert network.distance(other).mean() > network.distance(prepared).max()


def test_the_same_spectra_are_learned_once(learned: tuple[torch.Tensor, NDArray[np.int64], Doubting]) -> None:
    prepared, targets, network = learned

    assert doubting(prepared.clone(), targets.copy()) is network
