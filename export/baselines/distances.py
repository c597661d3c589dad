"""Distances between spectra and references in a graph.

They are computed in float64: differences of squares of nearly equal spectra leave nothing of float32.
"""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-12  # squared length below which a spectrum has no shape


def squared_distances(spectra: Tensor, references: Tensor) -> Tensor:
    """Return the squared Euclidean distance [n, m] of spectra [n, points] to references [m, points], both float64."""
    lengths = spectra.square().sum(dim=1, keepdim=True) + references.square().sum(dim=1)
    return (lengths - 2.0 * spectra @ references.T).clamp_min(0.0)


def normalised(spectra: Tensor) -> Tensor:
    """Return spectra [n, points] of length one; one without any shape stays near zero."""
    return spectra * torch.rsqrt(spectra.square().sum(dim=1, keepdim=True).clamp_min(TINY))
