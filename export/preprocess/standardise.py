"""Z-score per wavelength: each point minus its mean over the training spectra, over its standard deviation there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMALLEST_SPREAD = 1e-6  # a point that never moves in training must not become a division by nothing


class Standardise(nn.Module):
    """Per-wavelength standardisation with constants fitted on training data (population standard deviation)."""

    mean: Tensor
    spread: Tensor

    def __init__(self, points: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(points))
        self.register_buffer("spread", torch.ones(points))

    def fit(self, spectra: Tensor) -> None:
        """Take mean and standard deviation of each point."""
        double = spectra.double()
        self.mean = double.mean(dim=0).float()
        self.spread = double.std(dim=0, correction=0).clamp(min=SMALLEST_SPREAD).float()

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the standardised spectra."""
        return (spectra - self.mean) / self.spread
