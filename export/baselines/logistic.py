"""Multinomial logistic regression with an L2 penalty."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from export.baselines.fitted import Fitted
from export.baselines.linear import Linear, class_columns, scaler_or_none, unscaled
from export.baselines.tuning import Targets, Values, tune_classes
from export.words import Words

ROUNDS = 5000  # of the solver, which stops far earlier on z-scores


class LogisticWords(Words):
    """costs: inverse penalties (scikit-learn's C), strongest penalty first. scaled: z-score of each point."""

    kind: Literal["logistic"] = "logistic"
    costs: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (0.01, 0.1, 1.0, 10.0)
    scaled: bool = True

    def tune(self, spectra: Values, targets: Targets, groups: Targets, *, seed: int) -> Fitted:
        """Return the baseline tuned and fitted. Raises DataUnusable."""
        tuning = tune_classes(spectra, targets, groups, settings=len(self.costs))
        model = Pipeline([("scaler", scaler_or_none(self.scaled)), ("logistic", LogisticRegression(max_iter=ROUNDS))])
        model, settings = tuning.best(model, [{"logistic__C": cost} for cost in self.costs])
        weights, bias = unscaled(model["logistic"].coef_.T, model["logistic"].intercept_, model["scaler"])
        return Fitted(head=Linear(*class_columns(weights, bias), centre=spectra.mean(axis=0)), settings=settings)
