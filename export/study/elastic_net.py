"""The elastic net as a peer of non-negative least squares, by scikit-learn. Used to judge methods, never shipped.

Source: Zou and Hastie, J. R. Stat. Soc. B 67, 301 (2005), with weights that may not be below zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.linear_model import ElasticNet

from export.preprocess.words import StepWords
from export.words import Words

Rows = NDArray[np.float64]
TOLERANCE, MOST_STEPS = 1e-6, 200_000  # raw absorbances are so alike that coordinate descent takes its time
ALPHAS, L1_RATIOS = (1e-6, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1), (0.1, 0.5, 0.9)
"""What is tried; the least is as good as no penalty."""
TINY = float(np.finfo(np.float64).tiny)


class Penalty(Words):
    """What weights cost beside the squares of what is left, all references and spectra having length one.

    alpha: the whole of it. l1_ratio: the part that goes by size, which makes weights zero; the rest goes by square,
    which divides a weight among references that are alike.
    """

    alpha: Annotated[float, Field(gt=0, lt=1)]
    l1_ratio: Annotated[float, Field(gt=0, le=1)]


class Penalised(Words):
    """Least squares of all references with a penalty, of which every pair is tried on made mixtures.

    steps: from a spectrum to where mixtures are taken apart, as for `Unmixing`. alphas: from the least on, which is as
    good as none.
    """

    steps: tuple[StepWords, ...]
    alphas: Annotated[tuple[float, ...], Field(min_length=1)]
    l1_ratios: Annotated[tuple[float, ...], Field(min_length=1)]

    def penalties(self) -> tuple[Penalty, ...]:
        """Return all pairs, the least penalty first."""
        return tuple(Penalty(alpha=alpha, l1_ratio=ratio) for alpha in self.alphas for ratio in self.l1_ratios)


def best_of(penalties: tuple[Penalty, ...], worth: Callable[[Penalty], float]) -> Penalty:
    """Return the penalty of most worth; of equals the first."""
    return max(penalties, key=worth)


def shares(references: Rows, spectra: Rows, penalty: Penalty) -> Rows:
    """Return each reference's share of the weights in each spectrum, [n, references]; zeros where there is none.

    references [references, m] and spectra [n, m]; a share is of references as they come, not of length one.
    """
    lengths = np.maximum(np.linalg.norm(references, axis=1, keepdims=True), TINY)
    heights = np.maximum(np.linalg.norm(spectra, axis=1, keepdims=True), TINY)
    root = np.sqrt(references.shape[1])  # scikit-learn divides the squares by the number of points
    columns = root * (references / lengths).T
    net = ElasticNet(
        alpha=penalty.alpha,
        l1_ratio=penalty.l1_ratio,
        positive=True,
        fit_intercept=False,
        precompute=columns.T @ columns,
        tol=TOLERANCE,
        max_iter=MOST_STEPS,
    )
    net.fit(columns, root * (spectra / heights).T)
    weights = net.coef_.reshape(len(spectra), len(references)) / lengths.T
    return np.asarray(weights / np.maximum(weights.sum(axis=1, keepdims=True), TINY))
