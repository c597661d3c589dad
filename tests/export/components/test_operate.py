"""Operating points, on evidence whose truth is known by construction; binomial and Poisson limits by scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import nnls
from scipy.stats import chi2, norm

from edged.bundle.components import Confirmation, OperatingPoint
from edged.bundle.vocabulary import Axis
from export.components.evidence import Mixture, rates
from export.components.operate import Bench, Fold, compounds_of, detection_limit, open_point
from export.errors import VerificationFailed

POINTS, NAMES = 40, ("a", "b", "c")
RNG = np.random.default_rng(3)
REFERENCES = np.abs(RNG.normal(size=(3, POINTS)))
NOISE = 0.05


def mixtures(n: int, seed: int) -> Mixture:
    """Each compound is in half of them, at 0.02 to 1; logits are normal around -2 and 2; points have white noise."""
    rng = np.random.default_rng(seed)
    present = rng.random((n, 3)) < 0.5
    shares = np.where(present, np.exp(rng.uniform(np.log(0.02), 0.0, size=(n, 3))), 0.0)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
    prepared = shares @ REFERENCES + NOISE * rng.normal(size=(n, POINTS))
    logits = np.where(present, 2.0, -2.0) + rng.normal(size=(n, 3))
    return Mixture(
        logits=logits.astype(np.float32),
        prepared=prepared.astype(np.float32),
        present=present,
        shares=shares,
    )


def bench(n: int = 2000, *, confirms: bool = True) -> Bench:
    confirmation = Confirmation(
        axis=Axis(unit="nm", start=0.0, stop=POINTS - 1.0, points=POINTS),
        references=(0, 1, 2),
        rest="noise",
        tolerance=1e-3,
    )
    library = {"references": REFERENCES.astype(np.float32), "whitener": np.full((1, POINTS), 1 / NOISE, np.float32)}
    fold = Fold(
        library=library,
        confirmation=confirmation if confirms else None,
        chosen_on=mixtures(n, 1),
        tried_on=mixtures(n, 2),
    )
    return Bench(compounds_of(NAMES), [fold])


def upper(named: int, negatives: int) -> float:
    """The upper 95 % limit of a Poisson mean, by its chi-squared form."""
    return float(chi2.ppf(0.95, 2 * (named + 1)) / 2.0 / negatives)


def test_screening_promises_what_the_other_half_bears() -> None:
    found = bench(4000, confirms=False).screening(0.3)

    truth = mixtures(200_000, 9)
    named = truth.logits >= np.array(found.thresholds)
    for column in range(3):
        absent = ~truth.present[:, column]
        assert named[absent, column].mean() < 0.1
        assert named[absent, column].mean() == pytest.approx(norm.sf(found.thresholds[column], loc=-2.0), rel=0.1)
        assert upper(found.named[column], found.negatives[column]) < 0.1 * 1.02
    assert named[truth.present].mean() > 0.98


def test_too_few_negatives_bear_no_promise() -> None:
    with pytest.raises(VerificationFailed, match=r"negatives cannot bear a rate of 0\.00333"):
        bench(300, confirms=False).screening(0.01)


@pytest.fixture(scope="module")
def confirming() -> tuple[Bench, OperatingPoint]:
    asked = bench(1200)
    return asked, asked.confirming(0.09, thresholds=(None,) * 3, wrongly_unknown=0.01)


def test_confirming_finds_what_least_squares_sees_and_keeps_false_names_under_their_target(
    confirming: tuple[Bench, OperatingPoint],
) -> None:
    asked, found = confirming

    asked.require(found)
    said = asked.said(found)
    shown = rates(said.found, asked.tried_on.present)
    assert shown["false_names"] <= 0.09
    seen = np.array([nnls(REFERENCES.T, row.astype(np.float64))[0] for row in asked.tried_on.prepared])
    errors = np.sqrt(np.diagonal(np.linalg.inv(REFERENCES @ REFERENCES.T))) * NOISE
    plain = seen > 5.0 * errors
    assert (said.found[plain & asked.tried_on.present]).mean() > 0.995
    assert found.max_rest is not None
    assert 0.9 < found.max_rest < 1.6  # root mean square in units of the noise


def test_a_promise_that_the_other_half_does_not_bear_is_refused(confirming: tuple[Bench, OperatingPoint]) -> None:
    asked, found = confirming

    with pytest.raises(VerificationFailed, match=r"a: 999 of .* held-out mixtures without it are said to hold it"):
        asked.require(found.model_copy(update={"named": (999, 0, 0)}))


def steps(limit: float, n: int = 4000) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    shares = np.random.default_rng(5).random(n)
    return shares, shares > limit, np.ones(n, dtype=bool)


@pytest.mark.parametrize("limit", [0.1, 0.37])
def test_a_detection_limit_is_where_finding_begins(limit: float) -> None:
    assert detection_limit(*steps(limit)) == pytest.approx(limit, abs=0.012)  # forty mixtures are 0.01 wide


def test_limits_are_told_in_fractions_where_the_daemon_tells_these() -> None:
    """c shows a tenth as much as the others, so that a share of c that just shows is the more by mass."""
    judged, responses = bench(), (1.0, 1.0, 0.1)
    point = judged.screening(0.3)
    said = judged.said(point)
    found = judged.tried_on.shares[:, 2] > 0.2  # of what is seen
    seen = replace(said, found=np.column_stack([said.found[:, :2], found]))

    visible = judged.with_limits_told(point, seen).detection_limits[2]
    told = judged.with_limits_told(point, seen, responses)

    shares = judged.tried_on.shares
    by_mass = 10.0 * shares[:, 2] / np.maximum(shares[:, 0] + shares[:, 1] + 10.0 * shares[:, 2], 1e-9)
    least = by_mass[found].min(), by_mass[judged.tried_on.present[:, 2] & ~found].max()
    assert visible == pytest.approx(0.2, abs=0.02)
    assert least[0] == pytest.approx(0.2 * 10 / (0.8 + 2.0), abs=0.01)  # 71 %, whatever else there is
    assert told.detection_limits[2] == pytest.approx(least[0], abs=0.02)
    assert set(told.detection_limits_in) <= set(NAMES)


def test_what_is_missed_when_there_is_much_of_it_has_no_detection_limit() -> None:
    shares, _, holds = steps(0.1)

    assert detection_limit(shares, shares < 0.9, holds) is None


def test_folds_may_know_their_compounds_in_different_ways() -> None:
    """Three ways of scatter in one library and none in the other: each is asked with its own."""
    one = bench(400).folds[0]
    assert one.confirmation is not None
    scatter = 1e-3 * np.eye(3, POINTS, dtype=np.float32)
    other = replace(
        one,
        library=one.library | {"scatter": scatter},
        confirmation=one.confirmation.model_copy(update={"scatter": (0, 1, 2)}),
    )

    said = Bench(compounds_of(NAMES), [one, other]).said(open_point(3, thresholds=(None,) * 3))

    np.testing.assert_allclose(said.visible[:400], said.visible[400:], atol=1e-3)  # so little scatter changes nothing
