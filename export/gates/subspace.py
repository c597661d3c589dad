"""Principal components as gates: one subspace a class (SIMCA), or one for all spectra (Q and Hotelling's T2).

Q is what the subspace leaves of a spectrum, T2 how far out it lies inside. Both are divided by their mean over the
training spectra before they are added (Pomerantsev 2008, "Acceptance areas for multivariate classification").
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Subspaces(nn.Module):
    """Preprocessed spectra [n, points] to distances [n, models]: sqrt(Q / mean Q + T2 / mean T2) of each subspace."""

    means: Tensor
    loadings: Tensor
    spread: Tensor
    noise: Tensor

    def __init__(self, *, points: int, models: int, components: int) -> None:
        super().__init__()
        self.components = components
        self.register_buffer("means", torch.zeros(models, points))
        self.register_buffer("loadings", torch.zeros(models, points, components))
        self.register_buffer("spread", torch.ones(models, components))
        self.register_buffer("noise", torch.ones(models))

    def fit(self, spectra: NDArray[np.float64], targets: NDArray[np.int64]) -> None:
        """Fit a subspace for each target, counted from 0; targets that are all zero give one for all spectra."""
        for model in range(len(self.means)):
            rows = spectra[targets == model]
            off = rows - rows.mean(axis=0)
            values, vectors = np.linalg.eigh(off.T @ off / (len(rows) - 1))
            kept = vectors[:, ::-1][:, : self.components]
            left = values[::-1][self.components :]
            self.means[model] = torch.from_numpy(rows.mean(axis=0))
            self.loadings[model] = torch.from_numpy(np.ascontiguousarray(kept))
            self.spread[model] = torch.from_numpy(values[::-1][: self.components].copy())
            self.noise[model] = float(max(left.sum(), np.finfo(np.float32).tiny))

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the distance to each subspace."""
        off = spectra[:, None, :] - self.means
        scores = torch.einsum("nmp,mpk->nmk", off, self.loadings)
        left = off - torch.einsum("nmk,mpk->nmp", scores, self.loadings)
        q = (left * left).sum(dim=2) / self.noise
        t2 = (scores * scores / self.spread).sum(dim=2) / self.components
        return (q + t2).sqrt()

    def distance(self, columns: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distance of each row of columns to the nearest subspace."""
        return np.asarray(columns, dtype=np.float64).min(axis=1)
