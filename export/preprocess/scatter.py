"""Steps that take out what scatter and filling do to a whole spectrum: SNV, MSC, vector normalisation.

All take and give float32 [n, points]. Nothing is fitted but the reference of MSC. A spectrum without any shape stays
finite, and far from every class, so that the gate refuses it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FLAT = 1e-12  # far under the rounding of float32 absorbance: changes no spectrum that has a shape


class Snv(nn.Module):
    """Standard normal variate: each spectrum minus its mean, over its standard deviation (n - 1)."""

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the normalised spectra."""
        offset = spectra - spectra.mean(dim=1, keepdim=True)
        variance = (offset * offset).sum(dim=1, keepdim=True) / (spectra.shape[1] - 1)
        return offset / torch.sqrt(variance).clamp(min=FLAT)


class VectorNormalisation(nn.Module):
    """Each spectrum over its Euclidean length."""

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return spectra of length one."""
        return spectra / torch.sqrt((spectra * spectra).sum(dim=1, keepdim=True)).clamp(min=FLAT)


class Msc(nn.Module):
    """Multiplicative scatter correction: each spectrum = a + b * reference, by least squares; returns (x - a) / b.

    The reference is the mean of the spectra that it is fitted on.
    """

    reference: Tensor

    def __init__(self, points: int) -> None:
        super().__init__()
        self.register_buffer("reference", torch.linspace(0.0, 1.0, points))

    def fit(self, spectra: Tensor) -> None:
        """Take the mean spectrum as the reference."""
        self.reference = spectra.double().mean(dim=0).float()

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the corrected spectra."""
        mean = self.reference.mean()
        centred = self.reference - mean
        offset = spectra - spectra.mean(dim=1, keepdim=True)
        slope = (offset * centred).sum(dim=1, keepdim=True) / (centred * centred).sum()
        return offset / torch.where(slope.abs() < FLAT, torch.ones_like(slope), slope) + mean
