"""Figures and their intervals, against scipy and scikit-learn, and against spectra whose law is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
)

from export.figures import class_figures, error_figures, set_figures, share_of, wilson

RIGHT, UNITS, SCANS = 0.9, 24, 10


def drawn(rng: np.random.Generator, *, alike: float) -> tuple[np.ndarray, np.ndarray]:
    """Hits of ten scans a filling; alike: correlation of two scans of one filling."""
    strength = 1 / alike - 1
    chance = rng.beta(RIGHT * strength, (1 - RIGHT) * strength, size=UNITS)
    return rng.random((UNITS, SCANS)) < chance[:, None], np.repeat(np.arange(UNITS), SCANS)


@pytest.mark.parametrize(("hits", "n"), [(0, 20), (18, 20), (20, 20), (235, 240)])
def test_wilson_is_that_of_scipy(hits: int, n: int) -> None:
    ours = wilson(hits / n, n, 1.959963984540054)

    theirs = binomtest(hits, n).proportion_ci(method="wilson")
    assert ours == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_intervals_of_shares_hold_the_true_one_where_scans_of_a_filling_are_alike_as_counting_scans_does_not() -> None:
    rng = np.random.default_rng(5)
    by_unit, by_scan = 0, 0
    for _ in range(1000):
        hits, units = drawn(rng, alike=0.3)
        found = share_of(hits.ravel(), units)
        assert found["low"] is not None
        assert found["high"] is not None
        by_unit += found["low"] <= RIGHT <= found["high"]
        low, high = wilson(float(hits.mean()), hits.size, 1.96)
        by_scan += low <= RIGHT <= high

    assert by_unit >= 930
    assert by_scan < 750


def test_where_all_are_right_each_unit_counts_as_one() -> None:
    found = share_of(np.ones(240, dtype=bool), np.repeat(np.arange(24), 10))

    assert (found["value"], found["high"]) == (1.0, 1.0)
    assert found["low"] == pytest.approx(1 / (1 + 2.0687**2 / 24), abs=1e-4)  # Student's t of 23 degrees


def test_one_unit_bears_no_interval() -> None:
    assert share_of(np.array([True, False]), np.zeros(2, dtype=np.int64))["low"] is None


@pytest.mark.parametrize("classes", [2, 5])
def test_figures_of_classes_are_those_of_scikit_learn(classes: int) -> None:
    rng = np.random.default_rng(classes)
    truth = rng.integers(classes, size=200)
    best = np.where(rng.random(200) < 0.7, truth, rng.integers(classes, size=200))

    found = class_figures(truth, best, np.arange(200) // 5, rng=np.random.default_rng(0))

    judges = {
        "accuracy": accuracy_score(truth, best),
        "macro_f1": f1_score(truth, best, average="macro"),
        "mcc": matthews_corrcoef(truth, best),
        "kappa": cohen_kappa_score(truth, best),
    }
    assert {name: one["value"] for name, one in found.items()} == pytest.approx(judges, abs=1e-6)
    for one in found.values():
        assert one["low"] is not None
        assert one["high"] is not None
        assert one["low"] < one["value"] < one["high"]


def test_intervals_by_redraws_are_those_of_scipy_where_every_spectrum_is_a_unit() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(3, size=150)
    best = np.where(rng.random(150) < 0.8, truth, rng.integers(3, size=150))
    found = class_figures(truth, best, np.arange(150), rng=np.random.default_rng(0))["kappa"]

    theirs = bootstrap(
        (truth, best),
        cohen_kappa_score,
        paired=True,
        vectorized=False,
        n_resamples=250,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval

    assert (found["low"], found["high"]) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_units_that_are_wrong_as_a_whole_make_the_interval_wider() -> None:
    truth = np.tile(np.arange(2), 100)
    best = np.where(np.arange(200) < 20, 1 - truth, truth)  # the first two units of ten

    together = class_figures(truth, best, np.arange(200) // 10, rng=np.random.default_rng(0))["mcc"]
    alone = class_figures(truth, best, np.arange(200), rng=np.random.default_rng(0))["mcc"]

    assert together["low"] is not None
    assert alone["low"] is not None
    assert together["low"] < alone["low"] - 0.04


def test_without_an_error_redraws_say_nothing() -> None:
    truth = np.arange(20)

    found = class_figures(truth, truth, truth, rng=np.random.default_rng(0))

    assert {name: (one["value"], one["low"]) for name, one in found.items() if name != "accuracy"} == {
        "macro_f1": (1.0, None),
        "mcc": (1.0, None),
        "kappa": (1.0, None),
    }
    assert found["accuracy"]["low"] == pytest.approx(1 / (1 + 2.093**2 / 20), abs=1e-4)


def test_a_class_that_a_redraw_leaves_out_does_not_count_against_macro_f1() -> None:
    """Twelve classes of two units each, one unit all wrong: every class is missing from an eighth of the redraws."""
    truth, units = np.repeat(np.arange(12), 20), np.repeat(np.arange(24), 10)
    best = np.where(units == 0, 1, truth)

    found = class_figures(truth, best, units, rng=np.random.default_rng(0))

    value = f1_score(truth, best, average="macro")
    assert found["macro_f1"]["value"] == pytest.approx(value, abs=1e-6)
    low, high = found["macro_f1"]["low"], found["macro_f1"]["high"]
    assert low is not None
    assert high is not None
    assert high == 1.0
    assert value - 0.12 < low < value - 0.03


def test_redraws_that_miss_a_class_are_no_redraws_of_a_coefficient() -> None:
    truth = np.repeat([0, 1], 30)
    units = np.repeat(np.arange(4), 15)
    one_class = class_figures(truth * 0, truth * 0, units, rng=np.random.default_rng(0))

    found = class_figures(truth, truth, units, rng=np.random.default_rng(0))

    assert [(found[name]["value"], found[name]["low"]) for name in ("mcc", "kappa")] == [(1.0, None)] * 2
    assert [(one_class[name]["value"], one_class[name]["low"]) for name in ("mcc", "kappa")] == [(0.0, None)] * 2


def test_errors_of_amounts_have_the_interval_of_their_runs() -> None:
    """Errors of a run are one number: the mean of 400 runs has the error of 400 draws, not of 4,000."""
    rng = np.random.default_rng(8)
    errors, units = np.repeat(10.0 * rng.normal(size=400), 10), np.repeat(np.arange(400), 10)

    found = error_figures(errors, units, rng=np.random.default_rng(0))

    assert found["rmse"]["value"] == pytest.approx(np.sqrt(np.mean(errors**2)), abs=1e-5)
    low, high = found["bias"]["low"], found["bias"]["high"]
    assert low is not None
    assert high is not None
    assert high - low == pytest.approx(2 * 1.96 * 10.0 / np.sqrt(400), rel=0.1)
    assert (found["rmse"]["spectra"], found["rmse"]["units"]) == (4000, 400)


def sets(seed: int, *, n: int = 300, wrong: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Sets of four compounds, the last of which is in none, and what is told of them."""
    rng = np.random.default_rng(seed)
    present = rng.random((n, 4)) < [0.5, 0.3, 0.1, 0.0]
    return present ^ (rng.random((n, 4)) < wrong), present


def test_figures_of_sets_are_those_of_scikit_learn() -> None:
    found, present = sets(1)

    whole, each = set_figures(found, present, np.arange(300) // 5, rng=np.random.default_rng(0))

    judges = {
        "exact": accuracy_score(present, found),
        "precision": precision_score(present, found, average="micro"),
        "recall": recall_score(present, found, average="micro"),
        "f1": f1_score(present, found, average="micro"),
        "macro_f1": f1_score(present[:, :3], found[:, :3], average="macro"),  # no spectrum holds the fourth
        "mcc": matthews_corrcoef(present.ravel(), found.ravel()),
        "kappa": cohen_kappa_score(present.ravel(), found.ravel()),
        "false_names": (found & ~present).sum() / 300,
    }
    assert {name: one["value"] for name, one in whole.items()} == pytest.approx(judges, abs=1e-6)
    for one in whole.values():
        assert one["low"] is not None
        assert one["high"] is not None
        assert one["low"] < one["value"] < one["high"]
    assert [one["mcc"]["value"] for one in each[:3]] == pytest.approx(
        [matthews_corrcoef(present[:, c], found[:, c]) for c in range(3)], abs=1e-6
    )
    assert [one["recall"]["value"] for one in each] == pytest.approx(
        [recall_score(present[:, c], found[:, c], zero_division=0) for c in range(4)], abs=1e-6
    )


@pytest.mark.parametrize("figure", ["f1", "false_names"])
def test_intervals_of_sets_are_those_of_scipy_where_every_spectrum_is_a_unit(figure: str) -> None:
    found, present = sets(2)
    whole, _ = set_figures(found, present, np.arange(300), rng=np.random.default_rng(0))

    def judge(rows: np.ndarray) -> float:
        told, there = found[rows.astype(int)], present[rows.astype(int)]
        return f1_score(there, told, average="micro") if figure == "f1" else (told & ~there).sum() / len(rows)

    theirs = bootstrap(
        (np.arange(300),),
        judge,
        vectorized=False,
        n_resamples=500,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (whole[figure]["low"], whole[figure]["high"]) == pytest.approx((theirs.low, theirs.high), abs=0.03)


def test_units_of_sets_that_are_wrong_as_a_whole_make_the_interval_wider() -> None:
    present = np.ones((200, 1), dtype=bool)
    found = present.copy()
    found[:20] = False  # the first two units of ten

    together, _ = set_figures(found, present, np.arange(200) // 10, rng=np.random.default_rng(0))
    alone, _ = set_figures(found, present, np.arange(200), rng=np.random.default_rng(0))

    assert together["recall"]["low"] is not None
    assert alone["recall"]["low"] is not None
    assert together["recall"]["low"] < alone["recall"]["low"] - 0.04


def test_sets_without_an_error_bear_no_interval_by_redraws() -> None:
    _, present = sets(3)

    whole, _ = set_figures(present, present, np.arange(300) // 10, rng=np.random.default_rng(0))

    assert (whole["f1"]["value"], whole["f1"]["low"], whole["false_names"]["high"]) == (1.0, None, None)
    assert whole["exact"]["low"] is not None
