"""The out-of-model gate's space: directions that tell the classes apart, scaled by how far one class spreads.

Linear discriminant analysis, fitted in float64 with numpy; one small matrix product in the graph. In these
coordinates the within-class scatter is the identity, so that the distance to a class centre is a Mahalanobis distance.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Discriminant(nn.Module):
    """Preprocessed spectra [n, points] to coordinates [n, classes - 1]; `centres` [classes, classes - 1]."""

    centre: Tensor
    directions: Tensor
    centres: Tensor

    def __init__(self, *, points: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(points))
        self.register_buffer("directions", torch.zeros(points, classes - 1))
        self.register_buffer("centres", torch.zeros(classes, classes - 1))

    def fit(self, spectra: NDArray[np.float64], targets: NDArray[np.int64], *, shrinkage: float) -> None:
        """Fit on preprocessed spectra. `shrinkage` adds that share of the mean variance to the within-class scatter."""
        classes = int(targets.max()) + 1
        means = np.stack([spectra[targets == c].mean(axis=0) for c in range(classes)])
        centre = means.mean(axis=0)
        off = spectra - means[targets]
        scatter = off.T @ off / (len(off) - classes)
        scatter[np.diag_indices_from(scatter)] += shrinkage * np.trace(scatter) / len(scatter)
        white = np.linalg.inv(np.linalg.cholesky(scatter)).T
        _, _, axes = np.linalg.svd((means - centre) @ white, full_matrices=False)
        directions = white @ axes[: classes - 1].T
        spread = off @ directions
        scale = np.linalg.inv(np.linalg.cholesky(spread.T @ spread / (len(off) - classes))).T
        directions = directions @ scale
        self.centre = torch.from_numpy(centre.astype(np.float32))
        self.directions = torch.from_numpy(np.ascontiguousarray(directions, dtype=np.float32))
        self.centres = torch.from_numpy(((means - centre) @ directions).astype(np.float32))

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the coordinates."""
        return (spectra - self.centre) @ self.directions

    def distance(self, coordinates: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distance of each row of coordinates to the nearest class centre."""
        off = np.asarray(coordinates, dtype=np.float64)[:, None, :] - self.centres.double().numpy()[None]
        return np.asarray(np.sqrt((off * off).sum(axis=2).min(axis=1)))


class ClassCentres(nn.Module):
    """Preprocessed spectra [n, points] to distances [n, classes], to the centre of each class in the discriminant."""

    def __init__(self, *, points: int, classes: int) -> None:
        super().__init__()
        self.space = Discriminant(points=points, classes=classes)

    def fit(self, spectra: NDArray[np.float64], targets: NDArray[np.int64], *, shrinkage: float) -> None:
        """Fit the discriminant, as it says."""
        self.space.fit(spectra, targets, shrinkage=shrinkage)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the distance to each class centre."""
        off = self.space(spectra)[:, None, :] - self.space.centres
        return (off * off).sum(dim=2).sqrt()

    def distance(self, columns: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distance of each row of columns to the nearest class."""
        return np.asarray(columns, dtype=np.float64).min(axis=1)
