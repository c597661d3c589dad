"""Calibration errors and coverage, against numbers worked by hand and against what conformal sets promise."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from export.trust import covered, errors, trust_table


def test_ece_is_the_gap_between_confidence_and_hits_by_bin() -> None:
    """Ten of 0.95 of which nine are right, ten of 0.65 of which four are: (0.05 * 10 + 0.25 * 10) / 20."""
    sure, unsure = np.tile([0.95, 0.05], (10, 1)), np.tile([0.65, 0.35], (10, 1))
    truth = np.array([0] * 9 + [1] + [0] * 4 + [1] * 6)

    assert errors(np.vstack([sure, unsure]), truth)["ece"] == pytest.approx(0.15)


def test_brier_for_two_classes_is_twice_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    p, truth = rng.random(200), rng.integers(2, size=200)

    found = errors(np.column_stack([1 - p, p]), truth)["brier"]

    assert found == pytest.approx(2 * brier_score_loss(truth, p), abs=1e-5)


def test_sets_of_exchangeable_spectra_cover_what_was_asked_and_colder_is_worse_calibrated() -> None:
    rng = np.random.default_rng(1)

    def drawn(n: int) -> tuple[np.ndarray, np.ndarray]:
        logits = 2.0 * rng.normal(size=(n, 4))
        chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return 3.0 * logits, np.array([rng.choice(4, p=row) for row in chance])

    calibrating, tested = drawn(4000), drawn(4000)

    found = trust_table({"new": tested}, temperature=3.0, held_out=calibrating[0], targets=calibrating[1])["new"]

    assert found["after"]["ece"] < 0.03 < found["before"]["ece"]
    for row in found["sets"]:
        assert row["covered"] == pytest.approx(row["asked"], abs=0.02)


def test_a_set_of_one_likely_class_holds_that_class_only() -> None:
    assert covered(np.array([[0.9, 0.1]]), np.array([0]), 0.9, 0.5) == {"asked": 0.9, "covered": 1.0, "mean_size": 1.0}
