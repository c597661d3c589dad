"""The elastic net, judged by another solver of the same problem."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import nnls

from export.study.elastic_net import Penalised, Penalty, best_of, shares


def by_another_solver(references: np.ndarray, spectrum: np.ndarray, penalty: Penalty) -> np.ndarray:
    """The same minimum as non-negative least squares of G w = h, where G holds the squares and h the sizes."""
    lengths = np.linalg.norm(references, axis=1)
    unit, height = references / lengths[:, None], np.linalg.norm(spectrum)
    square, size = penalty.alpha * (1 - penalty.l1_ratio), penalty.alpha * penalty.l1_ratio
    root = np.linalg.cholesky(unit @ unit.T + square * np.eye(len(unit)))
    found = nnls(root.T, np.linalg.solve(root, unit @ spectrum / height - size))[0] / lengths
    return found / found.sum()


@pytest.mark.parametrize("alpha", [1e-6, 1e-3, 1e-1])
@pytest.mark.parametrize("l1_ratio", [0.1, 0.9])
def test_shares_are_those_of_the_minimum(alpha: float, l1_ratio: float) -> None:
    rng = np.random.default_rng(3)
    references = rng.gamma(1.0, size=(4, 60)) * np.array([1.0, 3.0, 0.2, 10.0])[:, None]
    spectra = rng.dirichlet(np.ones(4), 5) @ references + 0.05 * rng.standard_normal((5, 60))
    penalty = Penalty(alpha=alpha, l1_ratio=l1_ratio)

    found = shares(references, spectra, penalty)

    expected = [by_another_solver(references, row, penalty) for row in spectra]
    assert found == pytest.approx(np.array(expected), abs=2e-3)


def test_a_spectrum_of_nothing_and_a_penalty_over_all_give_no_shares() -> None:
    references = np.eye(3, 10)

    assert not shares(references, np.zeros((1, 10)), Penalty(alpha=0.01, l1_ratio=0.5)).any()
    assert not shares(references, references[:1], Penalty(alpha=0.999, l1_ratio=1.0))[:, 1:].any()


def test_of_equal_penalties_the_least_is_taken() -> None:
    words = Penalised(steps=(), alphas=(1e-3, 1e-2, 1e-1), l1_ratios=(0.5, 1.0))

    assert best_of(words.penalties(), lambda penalty: min(penalty.alpha, 1e-2)) == Penalty(alpha=1e-2, l1_ratio=0.5)
