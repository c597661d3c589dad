"""Calibration and the gate's space, against numbers computed another way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import mahalanobis
from scipy.special import log_softmax

from export.calibrate import conformal_quantile, fitted_temperature, probabilities
from export.gates.discriminant import Discriminant


def test_the_temperature_is_that_of_the_smallest_log_likelihood() -> None:
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 5, 4000)
    logits = rng.normal(size=(4000, 5))
    logits[np.arange(4000), targets] += 2.0

    found = fitted_temperature(3.0 * logits, targets)

    best = minimize_scalar(
        lambda t: -log_softmax(3.0 * logits / t, axis=1)[np.arange(4000), targets].mean(),
        bounds=(0.1, 10),
        method="bounded",
    )
    assert found == pytest.approx(best.x, rel=0.02)


def test_probabilities_of_a_huge_logit_do_not_overflow() -> None:
    assert probabilities(np.array([[1e4, 0.0]]), 0.5).tolist() == [[1.0, 0.0]]


def test_a_conformal_quantile_covers_new_scores_as_promised() -> None:
    rng = np.random.default_rng(4)

    covered = [(rng.random(500) <= conformal_quantile(rng.random(99), 0.9)).mean() for _ in range(400)]

    assert 0.89 < np.mean(covered) < 0.92


def test_too_few_scores_for_a_coverage_keep_every_class() -> None:
    assert conformal_quantile(np.linspace(0, 0.5, 50), 0.99) == 1.0


def test_the_distance_in_the_gate_space_is_the_mahalanobis_distance_within_classes() -> None:
    rng = np.random.default_rng(5)
    mixing = rng.normal(size=(6, 6))
    targets = np.repeat(np.arange(7), 400)
    centres = 4.0 * rng.normal(size=(7, 6))
    spectra = centres[targets] + rng.normal(size=(2800, 6)) @ mixing
    space = Discriminant(points=6, classes=7)

    space.fit(spectra, targets, shrinkage=1e-9)
    coordinates = (spectra - space.centre.double().numpy()) @ space.directions.double().numpy()
    got = space.distance(coordinates)

    means = np.stack([spectra[targets == c].mean(axis=0) for c in range(7)])
    off = spectra - means[targets]
    precision = np.linalg.inv(off.T @ off / (2800 - 7))
    expected = np.array([min(mahalanobis(row, mean, precision) for mean in means) for row in spectra[::100]])
    assert np.abs(got[::100] - expected).max() < 1e-3


def test_a_conformal_quantile_leaves_none_of_its_scores_outside_by_rounding() -> None:
    scores = np.array([1.23e-7, 0.1234564, 0.4999994])

    assert conformal_quantile(scores[:1], 0.5) >= scores[0]
    assert conformal_quantile(scores, 0.5) >= scores[1]


def test_a_model_that_is_sure_of_everything_it_has_seen_still_names_what_is_nearly_as_sure() -> None:
    assert conformal_quantile(np.zeros(79), 0.95) == pytest.approx(1 / 80, abs=1e-6)


def test_no_error_is_no_reason_for_more_confidence_than_the_logits_have() -> None:
    logits = 4.0 * np.eye(3)[np.arange(60) % 3]

    assert fitted_temperature(logits, np.arange(60) % 3) == 1.0
    assert fitted_temperature(np.vstack([logits, logits[:1]]), np.append(np.arange(60) % 3, 1)) > 0.5
