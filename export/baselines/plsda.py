"""PLS discriminant analysis as the field runs it: partial least squares on one-hot targets, the largest answer wins."""

from __future__ import annotations

import warnings
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cross_decomposition import PLSRegression

from export.baselines.fitted import Fitted
from export.baselines.linear import Linear
from export.baselines.tuning import Targets, Values, tune_classes, within
from export.words import Words

Components = Annotated[int, Field(ge=1, le=512)]


class PlsDaWords(Words):
    """components: how many may be used, fewest first; more than the spectra allow are cut down to what they allow.
    scaled: divide each point by its spread before fitting, not only centre it."""

    kind: Literal["pls-da"] = "pls-da"
    components: Annotated[tuple[Components, ...], Field(min_length=1)] = (4, 6, 8, 10, 12, 16, 20, 24, 32)
    scaled: bool = False

    def tune(self, spectra: Values, targets: Targets, groups: Targets, *, seed: int) -> Fitted:
        """Return the baseline tuned and fitted. Raises DataUnusable."""
        tuning = tune_classes(spectra, targets, groups, settings=len(self.components))
        grid = [{"components": n} for n in within(self.components, tuning.most_components)]
        model, settings = tuning.best(PlsDa(scaled=self.scaled), grid)
        return Fitted(head=pls_head(model.model_, spectra), settings=settings)


class PlsDa(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn classifier of partial least squares."""

    def __init__(self, components: int = 12, scaled: bool = False) -> None:
        self.components = components
        self.scaled = scaled

    def fit(self, x: Values, y: Targets) -> PlsDa:
        """Fit on one-hot targets; `y` counts classes from 0."""
        self.classes_ = np.unique(y)
        self.model_ = fitted_pls(x, np.eye(len(self.classes_))[y], self.components, scaled=self.scaled)
        return self

    def predict(self, x: Values) -> Targets:
        """Return the class of the largest answer."""
        return np.asarray(self.classes_[self.model_.predict(x).argmax(axis=1)])


def fitted_pls(x: Values, y: Values, components: int, *, scaled: bool) -> PLSRegression:
    """Fit, and say nothing of components that only fit noise: those are for the tuning to refuse."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return PLSRegression(components, scale=scaled).fit(x, y)


def pls_head(model: PLSRegression, spectra: Values) -> Linear:
    """Return the head of a fitted regression on unprojected spectra: one column a target."""
    centre = spectra.mean(axis=0)
    weights = model.coef_.T
    return Linear(weights, model.predict(centre[None]).reshape(-1) - centre @ weights, centre=centre)
