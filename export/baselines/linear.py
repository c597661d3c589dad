"""The head of every baseline that is a weighted sum of the spectrum in the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

Array = NDArray[np.float64]


class Linear(nn.Module):
    """Spectra [n, points] to sums [n, columns].

    Neighbouring points are nearly equal and their weights large and opposite: the spectra are centred first, so that
    float32 holds the small differences that matter. What rounding the centre changes is in the bias.
    """

    centre: Tensor
    weights: Tensor
    bias: Tensor

    def __init__(self, weights: Array, bias: Array, *, centre: Array) -> None:
        super().__init__()
        rounded = centre.astype(np.float32)
        self.register_buffer("centre", torch.from_numpy(rounded))
        self.register_buffer("weights", torch.from_numpy(weights.astype(np.float32)))
        self.register_buffer("bias", torch.from_numpy((rounded @ weights + bias).astype(np.float32)))

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the sums."""
        return (spectra - self.centre) @ self.weights + self.bias


def scaler_or_none(scaled: bool) -> Any:
    """Return the first step of a scikit-learn pipeline: a z-score of each point, or nothing."""
    return StandardScaler() if scaled else "passthrough"


def unscaled(weights: Array, bias: Array, scaler: Any) -> tuple[Array, Array]:
    """Fold the z-score that came before weights [points, columns] into them and their bias."""
    if scaler == "passthrough":
        return weights, bias
    raw = weights / scaler.scale_[:, None]
    return raw, bias - scaler.mean_ @ raw


def class_columns(weights: Array, bias: Array) -> tuple[Array, Array]:
    """Give two classes a column each where scikit-learn keeps one, which is positive for the second."""
    if weights.shape[1] > 1:
        return weights, bias
    return np.hstack([np.zeros_like(weights), weights]), np.append(0.0, bias)
