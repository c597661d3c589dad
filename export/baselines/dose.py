"""Regressions of an amount on the spectrum: partial least squares, and support vectors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from torch import nn

from export.baselines.fitted import Fitted
from export.baselines.kernel import Gaussian, gamma_of
from export.baselines.linear import Linear, scaler_or_none, unscaled
from export.baselines.plsda import Components, fitted_pls, pls_head
from export.baselines.tuning import Targets, Values, tune_amounts, within
from export.words import Words

Positive = Annotated[float, Field(gt=0)]


class PlsDoseWords(Words):
    """components: how many may be used, fewest first; more than the spectra allow are cut down to what they allow.
    scaled: divide each point by its spread before fitting, not only centre it."""

    kind: Literal["pls"] = "pls"
    components: Annotated[tuple[Components, ...], Field(min_length=1)] = tuple(range(1, 21))
    scaled: bool = False

    def tune(self, spectra: Values, amounts: Values, groups: Targets, *, seed: int) -> Fitted:
        """Return the regression of amounts [n] tuned by its RMSE and fitted. Raises DataUnusable."""
        tuning = tune_amounts(spectra, amounts, groups, settings=len(self.components))
        grid = [{"components": n} for n in within(self.components, tuning.most_components)]
        model, settings = tuning.best(_Pls(scaled=self.scaled), grid)
        return Fitted(head=pls_head(model.model_, spectra), settings=settings)


class SvrDoseWords(Words):
    """linear_costs, rbf_costs: scikit-learn's C, smallest first; without any, the kernel is not tried.

    margins: half-width of the band without penalty, in standard deviations of the amounts, widest first. widths: gamma
    in units of scikit-learn's "scale". scaled: z-score of each point.
    """

    kind: Literal["svr"] = "svr"
    linear_costs: tuple[Positive, ...] = (0.01, 0.1)
    rbf_costs: tuple[Positive, ...] = (1.0, 10.0, 100.0)
    margins: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.1, 0.03)
    widths: Annotated[tuple[Positive, ...], Field(min_length=1)] = (0.3, 1.0)
    scaled: bool = True

    @model_validator(mode="after")
    def _has_a_kernel(self) -> SvrDoseWords:
        if not self.linear_costs and not self.rbf_costs:
            raise ValueError("linear_costs: none, and rbf_costs none; name at least one cost")
        return self

    def tune(self, spectra: Values, amounts: Values, groups: Targets, *, seed: int) -> Fitted:
        """Return the regression of amounts [n] tuned by its RMSE and fitted. Raises DataUnusable."""
        gammas = [gamma_of(width, spectra, scaled=self.scaled) for width in self.widths]
        points: list[dict[str, Any]] = [
            {"kernel": "linear", "C": cost, "epsilon": margin} for cost in self.linear_costs for margin in self.margins
        ]
        points += [
            {"kernel": "rbf", "C": cost, "gamma": gamma, "epsilon": margin}
            for cost in self.rbf_costs
            for gamma in gammas
            for margin in self.margins
        ]
        tuning = tune_amounts(spectra, amounts, groups, settings=len(points))
        steps = Pipeline([("scaler", scaler_or_none(self.scaled)), ("svr", SVR())])
        model, settings = tuning.best(
            TransformedTargetRegressor(regressor=steps, transformer=StandardScaler()),
            [{f"regressor__svr__{key}": value for key, value in point.items()} for point in points],
        )
        return Fitted(head=_head(model, spectra), settings=settings)


class _Pls(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Partial least squares that is silent about components which only fit noise."""

    def __init__(self, components: int = 8, scaled: bool = False) -> None:
        self.components = components
        self.scaled = scaled

    def fit(self, x: Values, y: Values) -> _Pls:
        self.model_ = fitted_pls(x, y, self.components, scaled=self.scaled)
        return self

    def predict(self, x: Values) -> Values:
        return np.asarray(self.model_.predict(x).reshape(-1))


def _head(model: Any, spectra: Values) -> nn.Module:
    svr, scaler = model.regressor_["svr"], model.regressor_["scaler"]
    spread, middle = model.transformer_.scale_, model.transformer_.mean_
    coefficients, bias = svr.dual_coef_.T * spread, svr.intercept_ * spread + middle
    if svr.kernel == "linear":
        weights, bias = unscaled(svr.support_vectors_.T @ coefficients, bias, scaler)
        return Linear(weights, bias, centre=spectra.mean(axis=0))
    return Gaussian(svr.support_vectors_, coefficients, bias, gamma=float(svr.gamma), scaler=scaler)
