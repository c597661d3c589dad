"""Nearest neighbours among the training spectra, which the graph carries along."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from export.baselines.distances import normalised, squared_distances
from export.baselines.fitted import Fitted
from export.baselines.linear import Array, scaler_or_none
from export.baselines.tuning import Targets, Values, tune_classes, within
from export.words import Words

Metric = Literal["euclidean", "cosine"]


class NeighboursWords(Words):
    """neighbours: how many vote, most first. metrics: which distances to choose from. scaled: z-score of each point."""

    kind: Literal["k-nn"] = "k-nn"
    neighbours: Annotated[tuple[Annotated[int, Field(ge=1, le=100)], ...], Field(min_length=1)] = (9, 7, 5, 3, 1)
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1)] = ("euclidean", "cosine")
    scaled: bool = False

    def tune(self, spectra: Values, targets: Targets, groups: Targets, *, seed: int) -> Fitted:
        """Return the baseline tuned and fitted. Raises DataUnusable."""
        tuning = tune_classes(spectra, targets, groups, settings=len(self.neighbours) * len(self.metrics))
        grid = [
            {"knn__n_neighbors": count, "knn__metric": metric}
            for count in within(self.neighbours, tuning.rows_to_fit)
            for metric in self.metrics
        ]
        model = Pipeline([("scaler", scaler_or_none(self.scaled)), ("knn", KNeighborsClassifier(algorithm="brute"))])
        model, settings = tuning.best(model, grid)
        head = Neighbours(
            model["scaler"].transform(spectra) if self.scaled else spectra,
            targets,
            count=settings["n_neighbors"],
            metric=settings["metric"],
            scaler=model["scaler"],
        )
        return Fitted(head=head, settings=settings)


class Neighbours(nn.Module):
    """Spectra [n, points] to the log of each class's share among the nearest, [n, classes].

    One more vote is spread over all classes, so that none is impossible.
    """

    centre: Tensor
    scale: Tensor
    references: Tensor
    belongs: Tensor

    def __init__(self, references: Array, targets: Targets, *, count: int, metric: Metric, scaler: Any) -> None:
        super().__init__()
        self.count, self.cosine = count, metric == "cosine"
        plain, points = scaler == "passthrough", references.shape[1]
        # Neighbours do not change when all move by one vector, and those near zero keep more digits.
        origin = np.zeros(points) if self.cosine or not plain else references.mean(axis=0)
        self.register_buffer("centre", torch.from_numpy(origin if plain else scaler.mean_.copy()))
        self.register_buffer("scale", torch.from_numpy(np.ones(points) if plain else scaler.scale_.copy()))
        kept = torch.from_numpy(references - origin)
        self.register_buffer("references", normalised(kept) if self.cosine else kept)
        self.register_buffer("belongs", torch.eye(int(targets.max()) + 1)[torch.from_numpy(targets.copy())])

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the logits."""
        z = (spectra.double() - self.centre.double()) / self.scale.double()
        references = self.references.double()
        near = normalised(z) @ references.T if self.cosine else -squared_distances(z, references)
        votes = self.belongs[near.topk(self.count, dim=1).indices].sum(dim=1)
        return ((votes + 1.0 / votes.shape[1]) / (self.count + 1.0)).log()
