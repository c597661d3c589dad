"""Support vector machines, linear and Gaussian, one against one.

The votes are those of scikit-learn's `decision_function_shape="ovr"` with `break_ties`: a vote from each pair of
classes, and less than half a vote from how sure the pairs are.
"""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from torch import Tensor, nn

from export.baselines.fitted import Fitted
from export.baselines.kernel import Gaussian, gamma_of
from export.baselines.linear import Array, Linear, scaler_or_none, unscaled
from export.baselines.tuning import Targets, Values, tune_classes
from export.words import Words

Positive = Annotated[float, Field(gt=0)]


class SvmWords(Words):
    """linear_costs, rbf_costs: scikit-learn's C, smallest first; without any, the kernel is not tried.

    widths: gamma in units of scikit-learn's "scale" (one over points x variance), unless `gamma` fixes it. scaled:
    z-score of each point.
    """

    kind: Literal["svm"] = "svm"
    linear_costs: tuple[Positive, ...] = (0.01, 0.1, 1.0, 10.0)
    rbf_costs: tuple[Positive, ...] = (1.0, 10.0, 100.0)
    widths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.3, 1.0, 3.0)
    gamma: Positive | None = None
    scaled: bool = True

    @model_validator(mode="after")
    def _has_a_kernel(self) -> SvmWords:
        if not self.linear_costs and not self.rbf_costs:
            raise ValueError("linear_costs: none, and rbf_costs none; name at least one cost")
        return self

    def tune(self, spectra: Values, targets: Targets, groups: Targets, *, seed: int) -> Fitted:
        """Return the baseline tuned and fitted. Raises DataUnusable."""
        widths = [gamma_of(width, spectra, scaled=self.scaled) for width in self.widths]
        gammas = widths if self.gamma is None else [self.gamma]
        grid: list[dict[str, Any]] = [{"svc__kernel": "linear", "svc__C": cost} for cost in self.linear_costs]
        grid += [{"svc__kernel": "rbf", "svc__gamma": g, "svc__C": cost} for cost in self.rbf_costs for g in gammas]
        tuning = tune_classes(spectra, targets, groups, settings=len(grid))
        model = Pipeline([("scaler", scaler_or_none(self.scaled)), ("svc", SVC(break_ties=True))])
        model, settings = tuning.best(model, grid)
        return Fitted(head=_head(model["svc"], model["scaler"], spectra), settings=settings)


class Votes(nn.Module):
    """Decisions [n, pairs], positive for the first class of a pair, to votes [n, classes].

    Two classes need no votes: their logits are the decision and its negative.
    """

    first: Tensor
    second: Tensor

    def __init__(self, decide: nn.Module, classes: int) -> None:
        super().__init__()
        self.decide = decide
        self.classes = classes
        pairs = torch.tensor(list(combinations(range(classes), 2)))
        one_hot = torch.eye(classes)
        self.register_buffer("first", one_hot[pairs[:, 0]])
        self.register_buffer("second", one_hot[pairs[:, 1]])

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the votes, broken by how sure the pairs are."""
        decisions = self.decide(spectra)
        sure = decisions @ (self.first - self.second)
        if self.classes == 2:
            return sure
        won = (decisions >= 0).to(decisions.dtype)
        return won @ self.first + (1.0 - won) @ self.second + sure / (3.0 * (sure.abs() + 1.0))


def _head(svc: SVC, scaler: Any, spectra: Values) -> Votes:
    coefficients, bias = _pairs(svc)
    decide: nn.Module
    if svc.kernel == "linear":
        weights, bias = unscaled(svc.support_vectors_.T @ coefficients, bias, scaler)
        decide = Linear(weights, bias, centre=spectra.mean(axis=0))
    else:
        decide = Gaussian(svc.support_vectors_, coefficients, bias, gamma=float(svc.gamma), scaler=scaler)
    return Votes(decide, len(svc.classes_))


def _pairs(svc: SVC) -> tuple[Array, Array]:
    """Return the weights [vectors, pairs] of the support vectors, and each pair's bias.

    libsvm keeps the vectors class by class; for the pair (i, j) those of class i have their weights in row j - 1, those
    of class j in row i. For two classes scikit-learn turns the signs round.
    """
    if len(svc.classes_) == 2:
        return -svc.dual_coef_.T, -svc.intercept_
    ends = np.concatenate([[0], np.cumsum(svc.n_support_)])
    columns = []
    for i, j in combinations(range(len(svc.classes_)), 2):
        column = np.zeros(len(svc.support_vectors_))
        column[ends[i] : ends[i + 1]] = svc.dual_coef_[j - 1, ends[i] : ends[i + 1]]
        column[ends[j] : ends[j + 1]] = svc.dual_coef_[i, ends[j] : ends[j + 1]]
        columns.append(column)
    return np.stack(columns, axis=1), svc.intercept_
