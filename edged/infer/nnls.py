"""Non-negative least squares of small problems, several at once. numpy only, any thread.

    minimise |x - A a|^2  over a >= 0

by the active set method of Lawson and Hanson (1974, "Solving Least Squares Problems", chapter 23) on the normal
equations, as Bro and de Jong do (1997, J. Chemometrics 11, 393): the problems share A' A, and each step of all that are
not done is one stacked solve.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Bools = NDArray[np.bool_]

RIDGE: Final = 1e-12
"""Added to A' A with columns of unit length. Its rounding is some 1e-14, so that equal and opposite columns give a
solution too, and only directions that the data do not determine feel it."""
_FLAT: Final = 1e-11  # of the largest A' x: a gradient under it is rounding


class NotSolved(ArithmeticError):
    """The active set did not come to rest: the numbers are not fit for double precision."""


def nnls(gram: Reals, product: Reals, *, allowed: Bools | None = None, start: Reals | None = None) -> Reals:
    """Return the weights a [n, p] of n problems.

    gram: A' A [p, p]; product: A' x [n, p], finite as their squares are. allowed: which weights may be above zero
    [n, p], unset all of them; a column of zeros never is. start: weights to begin from [n, p], none below zero; near
    the answer saves time.
    Raises NotSolved.
    """
    n, p = product.shape
    if not p:
        return np.zeros((n, 0))
    lengths = np.sqrt(np.diagonal(gram))
    usable = lengths > 0.0
    lengths = np.where(usable, lengths, 1.0)
    scaled = gram / np.outer(lengths, lengths)
    scaled[np.diag_indices(p)] = 1.0 + RIDGE
    wanted = product / lengths
    free = np.broadcast_to(usable, (n, p)) if allowed is None else allowed & usable
    weights = np.zeros((n, p)) if start is None else np.where(free, start * lengths, 0.0)
    found = _Search(scaled, np.where(free, wanted, 0.0), free, weights).run()
    return found / lengths


class _Search:
    """The active sets of n problems on their way. `passive`: weights above zero, or about to be."""

    def __init__(self, gram: Reals, wanted: Reals, free: Bools, weights: Reals) -> None:
        self._gram, self._wanted, self._free, self._weights = gram, wanted, free, weights
        self._passive = weights > 0.0
        self._loss = np.full(len(weights), np.inf)  # at the last optimum, less x' x
        self._flat = _FLAT * np.abs(wanted).max(axis=1, initial=0.0)
        self._identity = np.eye(len(gram))

    def run(self) -> Reals:
        """Step until every problem is at its optimum."""
        left = np.arange(len(self._weights))
        has_start = self._passive.any(axis=1)
        left = np.concatenate([left[has_start], self._enlarged(left[~has_start])])
        for _ in range(10 * len(self._gram) + 30):  # seldom more than p steps
            if not len(left):
                return self._weights
            target = self._solved(left)
            passive = self._passive[left]
            inside = (target > 0.0) | ~passive
            arrived = inside.all(axis=1)
            done = left[arrived]
            self._weights[done] = target[arrived]
            self._step_to_the_wall(left[~arrived], target[~arrived], inside[~arrived])
            left = np.concatenate([left[~arrived], self._enlarged(self._improved(done))])
        raise NotSolved(f"no end of a fit of {len(self._gram)} references")

    def _solved(self, rows: NDArray[np.intp]) -> Reals:
        """Least squares over the passive weights, zero elsewhere."""
        passive = self._passive[rows]
        both = passive[:, :, None] & passive[:, None, :]
        matrix = np.where(both, self._gram, self._identity)
        right = np.where(passive, self._wanted[rows], 0.0)
        return np.asarray(np.linalg.solve(matrix, right[:, :, None])[:, :, 0])

    def _step_to_the_wall(self, rows: NDArray[np.intp], target: Reals, inside: Bools) -> None:
        """Go towards the target until the first weight is zero; it leaves the passive set."""
        if not len(rows):
            return
        weights = self._weights[rows]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(inside, np.inf, weights / (weights - target))
        ratio = np.where(np.isnan(ratio), 0.0, ratio)
        step = ratio.min(axis=1, keepdims=True)
        leaves = ratio <= step
        moved = np.where(leaves, 0.0, np.maximum(weights + step * (target - weights), 0.0))
        leaves |= self._passive[rows] & (moved <= 0.0) & (weights > 0.0)
        self._weights[rows] = moved
        self._passive[rows] &= ~leaves

    def _improved(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the problems that are better off than at their last optimum; rounding moves others in circles."""
        weights = self._weights[rows]
        loss = ((weights @ self._gram - 2.0 * self._wanted[rows]) * weights).sum(axis=1)
        better = loss < self._loss[rows]
        self._loss[rows] = loss
        return np.asarray(rows[better])

    def _enlarged(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """Let the steepest weight in where there is one; return the problems that go on."""
        if not len(rows):
            return rows
        gradient = self._wanted[rows] - self._weights[rows] @ self._gram
        gradient[self._passive[rows] | ~self._free[rows]] = -np.inf
        best = gradient.argmax(axis=1)
        rising = gradient[np.arange(len(rows)), best] > self._flat[rows]
        self._passive[rows[rising], best[rising]] = True
        return np.asarray(rows[rising])
