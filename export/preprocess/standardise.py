"""Steps that compare with the training spectra: z-score and mean centring. Float64 [n, points] in and out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMALLEST_SPREAD = 1e-6  # a point that never moves in training must not become a division by nothing


class Standardise(nn.Module):
    """Minus a mean, over a standard deviation (population), both from training spectra.

    Each wavelength has its own; with `together`, the whole set has one mean and one standard deviation, which changes
    the unit of the spectra and nothing else.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, points: int, *, together: bool = False) -> None:
        super().__init__()
        self.together = together
        self.register_buffer("mean", torch.zeros(points, dtype=torch.float64))
        self.register_buffer("spread", torch.ones(points, dtype=torch.float64))

    def fit(self, spectra: Tensor) -> None:
        """Take mean and standard deviation."""
        if self.together:
            spectra = spectra.reshape(-1, 1).expand(-1, spectra.shape[1])
        self.mean = spectra.mean(dim=0)
        self.spread = spectra.std(dim=0, correction=0).clamp(min=SMALLEST_SPREAD)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the standardised spectra."""
        return (spectra - self.mean) / self.spread


class MeanCentre(nn.Module):
    """Each wavelength minus its mean over the training spectra."""

    mean: Tensor

    def __init__(self, points: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(points, dtype=torch.float64))

    def fit(self, spectra: Tensor) -> None:
        """Take the mean of each point."""
        self.mean = spectra.mean(dim=0)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the centred spectra."""
        return spectra - self.mean
