"""How far a spectrum is from every mixture of the library: what is nothing like one must not be taken apart.

A fit finds something in anything. Made mixtures lie near a plane of few dimensions, spanned by their first principal
components; the length of what a spectrum has beside that plane is its distance (Jackson and Mudholkar, Technometrics
21, 341 (1979), call its square Q). No real mixture has a say in where the plane lies.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.components.recipe import GateWords
from export.preprocess.pipeline import build

MIXTURES = 3000  # made ones that the plane is laid through


class MixtureGate(nn.Module):
    """Spectra [n, points] on the grid in, distances [n, 1] out."""

    mean: Tensor
    plane: Tensor

    def __init__(self, words: GateWords, grid: NDArray[np.float64], made: NDArray[np.float32]) -> None:
        """Lay the plane through made mixtures [n, points]."""
        super().__init__()
        self.steps = build(words.steps, grid)
        with torch.no_grad():
            seen = self.steps(torch.from_numpy(made)).double().numpy()
        mean = seen.mean(axis=0)
        _, sizes, rows = np.linalg.svd(seen - mean, full_matrices=False)
        held = np.cumsum(sizes**2) / np.sum(sizes**2)
        kept = int(np.searchsorted(held, words.explained)) + 1
        self.register_buffer("mean", torch.from_numpy(mean.astype(np.float32)))
        self.register_buffer("plane", torch.from_numpy(rows[:kept].astype(np.float32)))

    @property
    def dimensions(self) -> int:
        """Of the plane."""
        return len(self.plane)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the distances."""
        off: Tensor = self.steps(spectra) - self.mean
        beside = off - (off @ self.plane.T) @ self.plane
        return beside.square().sum(dim=1, keepdim=True).sqrt()

    @torch.no_grad()
    def distances(self, spectra: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the distances of spectra on the grid [n]."""
        return np.asarray(self(torch.from_numpy(spectra))[:, 0].double().numpy())
