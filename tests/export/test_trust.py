"""Calibration errors and coverage, against numbers worked by hand and against what conformal sets promise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import brier_score_loss

from export.conformal import Scored
from export.figures import wilson
from export.trust import Calibrated, Covered, Trust, covered, errors, over_blocks, trust_table


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

    (said, truth), (tested, true) = drawn(4000), drawn(4000)
    scores = 1.0 - softmax(said / 3.0, axis=1)[np.arange(4000), truth]
    nought, each = np.zeros(4000, dtype=np.int64), np.arange(4000)
    scored = Scored(measured=scores, changed=scores[:0], targets=nought, units=each, instruments=nought)

    found = trust_table({"new": (tested, true, each)}, temperature=3.0, scored=scored)["new"]

    assert found["after"]["ece"] < 0.03 < found["before"]["ece"]
    for row in found["sets"]:
        assert row["covered"] == pytest.approx(row["asked"], abs=0.02)
        assert row["promised"] == row["asked"]
        assert row["error"] == pytest.approx(np.sqrt(row["covered"] * (1 - row["covered"]) / 4000), rel=0.02)


def test_a_quantile_that_is_given_is_taken_and_the_other_coverages_are_calibrated() -> None:
    """Four spectra of two classes, p of the true one 0.9, 0.7, 0.6 and 0.4: within 0.35 lie the first two."""
    p = np.array([0.9, 0.7, 0.6, 0.4])
    logits = np.log(np.column_stack([p, 1 - p]))
    nought, each = np.zeros(4, dtype=np.int64), np.arange(4)
    scored = Scored(measured=1 - p, changed=p[:0], targets=nought, units=each, instruments=nought)

    (sets,) = (
        row["sets"]
        for row in trust_table(
            {"new": (logits, nought, each)},
            temperature=1.0,
            scored=scored,
            coverages=(0.5, 0.6),
            shipped={0.5: (0.35, 0.35)},
        ).values()
    )

    assert [(one["asked"], one["covered"]) for one in sets] == [(0.5, 0.5), (0.6, 0.75)]  # ceil(5 * 0.6) = 3 of 4


def test_sets_hold_the_classes_that_are_likely_enough_each_by_its_own_quantile() -> None:
    probability = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    truth, units = np.array([0, 1, 0]), np.array([0, 0, 1])

    found = covered(probability, truth, units, (0.5, 0.65), asked=0.9, promised=0.8)

    low, high = wilson(2 / 3, 2, 12.7062)  # each unit is worth one; Student's t of one degree
    assert found == {  # {0}, {0, 1}, {1}: of two units, one covered whole and one not at all
        "asked": 0.9,
        "promised": 0.8,
        "covered": 0.66667,
        "error": 0.5,
        "low": pytest.approx(low, abs=1e-5),
        "high": pytest.approx(high, abs=1e-5),
        "by_class": {0: 0.5, 1: 1.0},
        "mean_size": 1.333,
        "one": 0.66667,
    }


def test_over_blocks_the_error_is_that_of_the_mean_and_a_class_is_averaged_where_it_was() -> None:
    def block(share: float, by_class: dict[int, float]) -> dict[str, Trust]:
        one = Covered(
            asked=0.9,
            promised=0.9,
            covered=share,
            error=0.01,
            low=0.7,
            high=1.0,
            by_class=by_class,
            mean_size=1.0 + share,
            one=share,
        )
        errors = Calibrated(ece=0.0, brier=0.0)
        return {"held-out": Trust(spectra=10, before=errors, after=errors, sets=[one, one])}

    found = over_blocks([block(0.8, {0: 0.7, 1: 0.9}), block(1.0, {1: 1.0})])["held-out"][0]

    assert found["covered"] == 0.9
    assert found["error"] == pytest.approx(0.1)  # deviation 0.1414 over the root of two
    assert found["by_class"] == {0: 0.7, 1: 0.95}
    assert found["mean_size"] == 1.9
    assert found["low"] is None
