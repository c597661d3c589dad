"""Linear discriminant analysis on the scores of partial least squares.

The components are those of PLS-DA; what names the class is the distance to the class means within them, not the largest
answer. Classes in a row, of which the middle one never answers largest, are told apart so.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import Pipeline

from export.baselines.fitted import Fitted
from export.baselines.linear import Array, Linear, class_columns, scaler_or_none, unscaled
from export.baselines.plsda import Components, fitted_pls
from export.baselines.tuning import Targets, Values, tune_classes, within
from export.words import Words


class PlsLdaWords(Words):
    """components: how many may be used, fewest first; more than the spectra allow are cut down to what they allow.
    scaled: z-score of each point."""

    kind: Literal["pls-lda"] = "pls-lda"
    components: Annotated[tuple[Components, ...], Field(min_length=1)] = (4, 6, 8, 10, 12, 16, 20, 24, 32)
    scaled: bool = False

    def tune(self, spectra: Values, targets: Targets, groups: Targets, *, seed: int) -> Fitted:
        """Return the baseline tuned and fitted. Raises DataUnusable."""
        tuning = tune_classes(spectra, targets, groups, settings=len(self.components))
        grid = [{"pls__components": n} for n in within(self.components, tuning.most_components)]
        model = Pipeline([("scaler", scaler_or_none(self.scaled)), ("pls", PlsLda())])
        model, settings = tuning.best(model, grid)
        weights, bias = model["pls"].sums()
        weights, bias = unscaled(weights, bias, model["scaler"])
        return Fitted(head=Linear(*class_columns(weights, bias), centre=spectra.mean(axis=0)), settings=settings)


class PlsLda(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn classifier of both in a row."""

    def __init__(self, components: int = 8) -> None:
        self.components = components

    def fit(self, x: Values, y: Targets) -> PlsLda:
        """Fit the components on one-hot targets, then the discriminant on their scores; `y` counts classes from 0."""
        self.classes_ = np.unique(y)
        self.centre_ = x.mean(axis=0)
        self.pls_ = fitted_pls(x, np.eye(len(self.classes_))[y], self.components, scaled=False)
        self.lda_ = LinearDiscriminantAnalysis().fit(self.pls_.transform(x), y)
        return self

    def predict(self, x: Values) -> Targets:
        """Return the class of the nearest mean."""
        return np.asarray(self.lda_.predict(self.pls_.transform(x)))

    def sums(self) -> tuple[Array, Array]:
        """Return the weights [points, columns] and bias that both come to."""
        weights = self.pls_.x_rotations_ @ self.lda_.coef_.T
        return weights, self.lda_.intercept_ - self.centre_ @ weights
