"""Steps point by point, and the cut along the axis: min-max, negative logarithm and its inverse, crop.

Float64 in and out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from export.preprocess.scatter import FLAT


class MinMax(nn.Module):
    """Each spectrum from 0, its smallest value, to 1, its largest. One without any shape is 0 everywhere."""

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the scaled spectra."""
        low, high = spectra.amin(dim=1, keepdim=True), spectra.amax(dim=1, keepdim=True)
        return (spectra - low) / (high - low).clamp(min=FLAT)


class NegativeLog(nn.Module):
    """-log10 of each value: of a reflectance or transmittance the absorbance, of counts one without its white.

    Values under `floor` count as the floor, so that dark, zero and negative ones stay finite.
    """

    def __init__(self, *, floor: float) -> None:
        super().__init__()
        self.floor = floor

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the logarithms."""
        return torch.log(spectra.clamp(min=self.floor)) * (-1.0 / math.log(10.0))


LOWEST, HIGHEST = -2.0, 12.0  # absorbance beyond counts as that, so that nothing overflows


class Reflectance(nn.Module):
    """R = 10^-A of each value."""

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the reflectances."""
        return torch.exp(spectra.clamp(min=LOWEST, max=HIGHEST) * -math.log(10.0))


class KubelkaMunk(nn.Module):
    """(1 - R)^2 / 2R of each value, R = 10^-A."""

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return K/S."""
        reflectance = torch.exp(spectra.clamp(min=LOWEST, max=HIGHEST) * -math.log(10.0))
        return (1.0 - reflectance) ** 2 / (2.0 * reflectance)


class Crop(nn.Module):
    """The points from `begin` up to, and without, `end`."""

    def __init__(self, *, begin: int, end: int) -> None:
        super().__init__()
        self.begin = begin
        self.end = end

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return [n, end - begin]."""
        return spectra[:, self.begin : self.end]
