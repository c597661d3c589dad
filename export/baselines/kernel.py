"""The head of support vector machines with a Gaussian kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.baselines.distances import squared_distances

Array = NDArray[np.float64]


class Gaussian(nn.Module):
    """Spectra [n, points] to sums [n, columns] of exp(-gamma |z - vector|^2); z is the z-score where there is one."""

    centre: Tensor
    scale: Tensor
    vectors: Tensor
    coefficients: Tensor
    bias: Tensor

    def __init__(self, vectors: Array, coefficients: Array, bias: Array, *, gamma: float, scaler: Any) -> None:
        super().__init__()
        plain = scaler == "passthrough"
        points = vectors.shape[1]
        arrays = {
            "centre": np.zeros(points) if plain else scaler.mean_,
            "scale": np.sqrt(gamma) / (np.ones(points) if plain else scaler.scale_),
            "vectors": np.sqrt(gamma) * vectors,
            "coefficients": coefficients,
            "bias": bias,
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.array(array, dtype=np.float64)))

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the sums."""
        z = (spectra.double() - self.centre.double()) * self.scale.double()
        alike = torch.exp(-squared_distances(z, self.vectors.double()))
        return (alike @ self.coefficients.double() + self.bias.double()).float()


def gamma_of(width: float, spectra: Array, *, scaled: bool) -> float:
    """Return the gamma that is `width` times scikit-learn's "scale": one over points x variance."""
    variance = 1.0 if scaled else float(spectra.var())
    return width / (spectra.shape[1] * variance) if variance > 0 else width
