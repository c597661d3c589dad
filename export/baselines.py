"""Classical models on the same spectra and splits, each tuned inside the development blocks only.

They see the same preprocessing as the network. Tuning leaves out one block at a time; what wins is fitted on all
development blocks. Nothing here enters a bundle: it is the bar that the network is held to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cross_decomposition import PLSRegression
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

Prepared = NDArray[np.float64]


class PlsDa(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Partial least squares on one-hot targets; the largest answer names the class."""

    def __init__(self, components: int = 12) -> None:
        self.components = components

    def fit(self, x: Prepared, y: NDArray[np.int64]) -> PlsDa:
        """Fit with the mean taken out and no scaling."""
        self.classes_ = np.unique(y)
        self.model_ = PLSRegression(self.components, scale=False).fit(x, np.eye(len(self.classes_))[y])
        return self

    def predict(self, x: Prepared) -> NDArray[np.int64]:
        """Return the class of the largest answer."""
        return np.asarray(self.classes_[self.model_.predict(x).argmax(axis=1)])


def _svm() -> tuple[Any, list[dict[str, list[Any]]]]:
    return make_pipeline(StandardScaler(), SVC()), [
        {"svc__kernel": ["linear"], "svc__C": [0.01, 0.1, 1.0]},
        {"svc__kernel": ["rbf"], "svc__C": [10.0, 100.0]},
    ]


def _lda() -> tuple[Any, list[dict[str, list[Any]]]]:
    return LinearDiscriminantAnalysis(solver="eigen"), [{"shrinkage": [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]}]


def _pls() -> tuple[Any, list[dict[str, list[Any]]]]:
    return PlsDa(), [{"components": [8, 12, 16, 24, 32]}]


BASELINES: Mapping[str, Callable[[], tuple[Any, list[dict[str, list[Any]]]]]] = {
    "SVM": _svm,
    "LDA": _lda,
    "PLS-DA": _pls,
}


def tuned(
    name: str, x: Prepared, y: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[Callable[[Prepared], NDArray[np.int64]], dict[str, Any]]:
    """Return a fitted baseline's `predict`, and the settings that won. `groups` are the blocks to leave out in turn."""
    model, grid = BASELINES[name]()
    folds = np.unique(groups, return_inverse=True)[1]
    search = GridSearchCV(model, grid, cv=PredefinedSplit(folds), n_jobs=1).fit(x, y)
    return search.best_estimator_.predict, {key.split("__")[-1]: value for key, value in search.best_params_.items()}
