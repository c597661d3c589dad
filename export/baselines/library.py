"""Library search: the reference with the highest hit quality index names the class.

HQI is the squared correlation of two spectra, or of their first differences, which ignores slow baselines.
Source: Thermo GRAMS algorithm pages 13435 and 13437 (correlation, first derivative correlation).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from sklearn.base import BaseEstimator, ClassifierMixin
from torch import Tensor, nn

from export.baselines.distances import normalised
from export.baselines.fitted import Fitted
from export.baselines.tuning import Targets, Values, tune_classes
from export.words import Words

PERFECT = 1e-9  # added to 1 - HQI: better hits than any instrument repeats are equal
Form = Literal["correlation", "first-derivative"]
References = Literal["mean", "all"]


class LibraryWords(Words):
    """forms: which HQI to choose from. references: the mean of each class, or all its spectra, the best of which
    counts."""

    kind: Literal["library"] = "library"
    forms: Annotated[tuple[Form, ...], Field(min_length=1)] = ("correlation", "first-derivative")
    references: Annotated[tuple[References, ...], Field(min_length=1)] = ("mean", "all")

    def tune(self, spectra: Values, targets: Targets, groups: Targets, *, seed: int) -> Fitted:
        """Return the baseline tuned and fitted. Raises DataUnusable."""
        grid = [{"form": form, "references": kind} for kind in self.references for form in self.forms]
        tuning = tune_classes(spectra, targets, groups, settings=len(grid))
        model, settings = tuning.best(LibrarySearch(), grid)
        return Fitted(head=model.head_, settings=settings)


class LibrarySearch(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn classifier around the head."""

    def __init__(self, form: Form = "correlation", references: References = "all") -> None:
        self.form = form
        self.references = references

    def fit(self, x: Values, y: Targets) -> LibrarySearch:
        """Keep the references."""
        self.classes_ = np.unique(y)
        if self.references == "mean":
            x, y = np.stack([x[y == c].mean(axis=0) for c in self.classes_]), self.classes_
        self.head_ = Library(x, y, form=self.form)
        return self

    def predict(self, x: Values) -> Targets:
        """Return the class of the best hit."""
        return Fitted(head=self.head_, settings={}).classify(x)


class Library(nn.Module):
    """Spectra [n, points] to -log(1 - HQI) of each class's best reference, [n, classes].

    Good hits crowd below one; the logarithm spreads them so that a temperature can turn them into probabilities.
    """

    references: Tensor
    members: Tensor

    def __init__(self, references: Values, targets: Targets, *, form: Form) -> None:
        super().__init__()
        self.derivative = form == "first-derivative"
        self.register_buffer("references", self._shape(torch.from_numpy(references.astype(np.float64))))
        longest = int(np.bincount(targets).max())
        rows = [np.resize(np.flatnonzero(targets == c), longest) for c in range(int(targets.max()) + 1)]
        self.register_buffer("members", torch.from_numpy(np.stack(rows)))

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the logits."""
        return -torch.log(1.0 + PERFECT - self.hit_quality(spectra)).float()

    def hit_quality(self, spectra: Tensor) -> Tensor:
        """Return the HQI of each class's best reference, float64 [n, classes], 0 to 1."""
        each = (self._shape(spectra.double()) @ self.references.double().T).square().clamp_max(1.0)
        return each[:, self.members].amax(dim=2)

    def _shape(self, spectra: Tensor) -> Tensor:
        if self.derivative:
            spectra = spectra[:, 1:] - spectra[:, :-1]
        return normalised(spectra - spectra.mean(dim=1, keepdim=True))
