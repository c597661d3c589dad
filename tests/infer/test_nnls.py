"""Non-negative least squares beside scipy's, on problems that are random, degenerate or made to be hard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.linalg import hilbert
from scipy.optimize import nnls as judge

from edged.infer.nnls import RIDGE, nnls

Reals = NDArray[np.float64]


def ours(columns: Reals, target: Reals) -> Reals:
    return nnls(columns.T @ columns, (columns.T @ target)[None])[0]


def squares(columns: Reals, target: Reals, weights: Reals) -> float:
    return float(((target - columns @ weights) ** 2).sum())


def assert_as_good_as_scipy(columns: Reals, target: Reals) -> None:
    """No weight below zero, and a sum of squares that scipy does not beat by more than rounding."""
    weights = ours(columns, target)

    assert (weights >= 0.0).all()
    best = judge(columns, target, maxiter=1000)[1] ** 2
    assert squares(columns, target, weights) <= best + 1e-9 * max(float(target @ target), 1e-300)


def test_weights_are_those_of_scipy_where_there_is_one_answer() -> None:
    rng = np.random.default_rng(5)
    for _ in range(200):
        points, p = int(rng.integers(25, 80)), int(rng.integers(1, 21))
        columns = np.abs(rng.normal(size=(points, p))) if rng.random() < 0.5 else rng.normal(size=(points, p))
        target = rng.normal(size=points)

        np.testing.assert_allclose(ours(columns, target), judge(columns, target)[0], atol=1e-8)


def test_a_mixture_without_noise_is_taken_apart_to_its_shares() -> None:
    rng = np.random.default_rng(6)
    columns, shares = np.abs(rng.normal(size=(60, 12))), rng.dirichlet(np.ones(12)) * (np.arange(12) % 3 > 0)

    np.testing.assert_allclose(ours(columns, columns @ shares), shares, atol=1e-10)


@pytest.mark.parametrize("p", [1, 2, 5, 12])
def test_columns_that_are_equal_opposite_or_zero_are_no_trouble(p: int) -> None:
    rng = np.random.default_rng(p)
    base = rng.normal(size=(20, p))
    for columns in (np.hstack([base, base]), np.hstack([base, -base]), np.hstack([base, 0.0 * base]), 0.0 * base):
        for target in (rng.normal(size=20), base.sum(axis=1), np.zeros(20)):
            assert_as_good_as_scipy(columns, target)


def test_columns_that_are_almost_equal_give_weights_of_a_size_that_is_not_absurd() -> None:
    rng = np.random.default_rng(9)
    column = rng.normal(size=30)
    for step in 10.0 ** -np.arange(2.0, 16.0):
        columns = np.stack([column, column + step * rng.normal(size=30), rng.normal(size=30)], axis=1)
        target = 2.0 * column + 0.1 * rng.normal(size=30)

        assert_as_good_as_scipy(columns, target)
        assert ours(columns, target).sum() < 5.0


@pytest.mark.parametrize("seed", range(4))
def test_columns_that_say_almost_the_same_come_to_an_end_as_near_to_the_best_as_double_precision_lets_it(
    seed: int,
) -> None:
    """The judge solves the same problem with the ridge written out as rows."""
    rng = np.random.default_rng(seed)
    for _ in range(150):
        p, rank = int(rng.integers(2, 16)), int(rng.integers(1, 4))
        columns = rng.normal(size=(40, rank)) @ rng.normal(size=(rank, p))
        columns += 10.0 ** -rng.uniform(3, 13) * rng.normal(size=columns.shape)
        columns /= np.linalg.norm(columns, axis=0)
        target = rng.normal(size=40)
        ridged = np.vstack([columns, np.sqrt(RIDGE) * np.eye(p)])
        padded = np.concatenate([target, np.zeros(p)])

        found = squares(ridged, padded, ours(columns, target))

        assert found <= judge(ridged, padded, maxiter=5000)[1] ** 2 + 1e-7 * float(target @ target)


@pytest.mark.parametrize("p", [4, 8, 12])
def test_the_matrix_of_hilbert_is_solved_as_well_as_its_condition_allows(p: int) -> None:
    for target in (np.ones(p), hilbert(p).sum(axis=1), np.eye(p)[0]):
        assert_as_good_as_scipy(hilbert(p), target)


def test_units_of_the_columns_change_nothing_but_the_units_of_the_weights() -> None:
    rng = np.random.default_rng(2)
    columns, target = np.abs(rng.normal(size=(40, 6))), np.abs(rng.normal(size=40))
    scale = np.array([1e-12, 1e-6, 1.0, 1e3, 1e9, 1e15])

    np.testing.assert_allclose(ours(columns * scale, target) * scale, ours(columns, target), atol=1e-9)


@given(
    st.integers(1, 12).flatmap(
        lambda p: st.tuples(
            arrays(np.float64, (8, p), elements=st.integers(-2, 2)), arrays(np.float64, 8, elements=st.integers(-3, 3))
        )
    )
)
def test_small_whole_numbers_full_of_ties_are_solved(problem: tuple[Reals, Reals]) -> None:
    assert_as_good_as_scipy(*problem)


NUMBERS = st.floats(-1e6, 1e6).map(lambda value: value if abs(value) > 1e-100 else 0.0)  # its square is a number


@given(
    st.integers(1, 6).flatmap(
        lambda p: st.tuples(arrays(np.float64, (7, p), elements=NUMBERS), arrays(np.float64, 7, elements=NUMBERS))
    )
)
@settings(max_examples=60)
def test_any_finite_numbers_are_solved(problem: tuple[Reals, Reals]) -> None:
    assert_as_good_as_scipy(*problem)


def test_several_problems_at_once_are_solved_as_one_by_one_each_with_its_own_columns() -> None:
    rng = np.random.default_rng(3)
    columns, targets = rng.normal(size=(30, 8)), rng.normal(size=(5, 30))
    allowed = rng.random((5, 8)) < 0.6
    start = np.abs(rng.normal(size=(5, 8)))

    found = nnls(columns.T @ columns, targets @ columns, allowed=allowed, start=start)

    for weights, target, mine in zip(found, targets, allowed, strict=True):
        assert (weights[~mine] == 0.0).all()
        np.testing.assert_allclose(weights[mine], judge(columns[:, mine], target)[0], atol=1e-8)


def test_no_columns_give_no_weights() -> None:
    assert nnls(np.empty((0, 0)), np.empty((3, 0))).shape == (3, 0)
