"""The distance to each class by that class's own scatter, in the discriminant space.

Classes spread differently: a pooled scatter makes a gate too wide for the tight ones. Each class's covariance is drawn
towards the mean of all (Friedman 1989, "Regularized Discriminant Analysis"), and its distances are divided by what its
own training spectra reach, so that one limit serves all classes.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.gates.discriminant import Discriminant

REACH = 0.9  # share of a class's training spectra that lie within its unit distance


class ClassScatter(nn.Module):
    """Preprocessed spectra [n, points] to distances [n, classes], each in units of the class's own reach."""

    whitening: Tensor
    offsets: Tensor

    def __init__(self, *, points: int, classes: int) -> None:
        super().__init__()
        self.classes, self.size = classes, classes - 1
        self.space = Discriminant(points=points, classes=classes)
        self.register_buffer("whitening", torch.zeros(self.size, classes * self.size))
        self.register_buffer("offsets", torch.zeros(classes * self.size))

    def fit(self, spectra: NDArray[np.float64], targets: NDArray[np.int64], *, shrinkage: float, pooled: float) -> None:
        """Fit on preprocessed spectra. shrinkage: of the space; pooled: share of the classes' mean covariance."""
        self.space.fit(spectra, targets, shrinkage=shrinkage)
        directions, centre = self.space.directions.double().numpy(), self.space.centre.double().numpy()
        scores = (spectra - centre) @ directions
        own = [scores[targets == c] for c in range(self.classes)]
        scatter = np.stack([np.atleast_2d(np.cov(rows.T)) for rows in own])
        mean = scatter.mean(axis=0)
        parts, offsets = [], []
        for rows, of in zip(own, scatter, strict=True):
            white = np.linalg.inv(np.linalg.cholesky((1.0 - pooled) * of + pooled * mean)).T
            off = (rows - rows.mean(axis=0)) @ white
            white = white / np.quantile(np.sqrt((off * off).sum(axis=1)), REACH)
            parts.append(white)
            offsets.append(rows.mean(axis=0) @ white)
        self.whitening = torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float32))
        self.offsets = torch.from_numpy(np.concatenate(offsets).astype(np.float32))

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the distance to each class."""
        off = (self.space(spectra) @ self.whitening - self.offsets).reshape(-1, self.classes, self.size)
        return (off * off).sum(dim=2).sqrt()

    def distance(self, columns: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distance of each row of columns to the nearest class."""
        return np.asarray(columns, dtype=np.float64).min(axis=1)
