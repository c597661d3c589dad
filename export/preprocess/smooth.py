"""Filters along the axis: Savitzky-Golay with polynomial ends, and the moving average. Float64 [n, points] in and
out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

STRETCH = 8  # points that one row of the product gives: more waste arithmetic and bytes on zeros, fewer waste the call


class SavitzkyGolay(nn.Module):
    """Least-squares polynomial of `order` in a window of `window` points, or its derivative, per point of the axis.

    At each end the polynomial of the last whole window is evaluated, as scipy does with mode `interp`.
    """

    start: Tensor
    stop: Tensor

    def __init__(self, points: int, *, window: int, order: int, derivative: int = 0) -> None:
        super().__init__()
        if window % 2 == 0 or not 0 <= derivative <= order < window:
            raise ValueError("an odd window, wider than the polynomial's order, which is at least the derivative's")
        _fits(window, points)
        half = window // 2
        places = np.arange(-half, half + 1) / half  # powers of whole points would overflow the digits of float64
        fit = np.linalg.pinv(np.vander(places, order + 1, increasing=True)) / float(half) ** derivative
        self.window = window
        self.middle = Sliding(_values(fit, derivative, places[half : half + 1])[:, 0], points)
        self.register_buffer("start", torch.from_numpy(_values(fit, derivative, places[:half])))
        self.register_buffer("stop", torch.from_numpy(_values(fit, derivative, places[half + 1 :])))

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the smoothed spectra or their derivative per point."""
        first, last = spectra[:, : self.window], spectra[:, -self.window :]
        return torch.cat([first @ self.start, self.middle(spectra), last @ self.stop], dim=1)


class MovingAverage(nn.Module):
    """Mean of a window of `window` points; beyond the ends the end value is repeated."""

    def __init__(self, points: int, *, window: int) -> None:
        super().__init__()
        if window % 2 == 0:
            raise ValueError("an odd window")
        _fits(window, points)
        self.overhang = window // 2
        self.mean = Sliding(np.full(window, 1.0 / window), points + 2 * self.overhang)

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the averaged spectra."""
        ends = [spectra[:, :1].expand(-1, self.overhang), spectra, spectra[:, -1:].expand(-1, self.overhang)]
        return self.mean(torch.cat(ends, dim=1))


class Sliding(nn.Module):
    """The weighted sum of each whole window of a row: [n, points] to [n, points - len(weights) + 1].

    As a matrix product over overlapping stretches of the row: onnxruntime has no convolution in float64.
    """

    places: Tensor
    weights: Tensor

    def __init__(self, weights: NDArray[np.float64], points: int) -> None:
        super().__init__()
        taps = len(weights)
        self.count = points - taps + 1
        stretches = -(-self.count // STRETCH)
        starts = STRETCH * np.arange(stretches)[:, None]
        places = np.minimum(starts + np.arange(STRETCH + taps - 1), points - 1)  # what lies behind the end is cut off
        band = np.zeros((STRETCH + taps - 1, STRETCH))
        for column in range(STRETCH):
            band[column : column + taps, column] = weights
        self.stretches = places.shape
        self.register_buffer("places", torch.from_numpy(places.reshape(-1).astype(np.int32)))
        self.register_buffer("weights", torch.from_numpy(band))

    def forward(self, rows: Tensor) -> Tensor:
        """Return the sums."""
        sums = rows.index_select(1, self.places).reshape(-1, *self.stretches) @ self.weights
        return sums.flatten(1)[:, : self.count]


def _values(fit: NDArray[Any], derivative: int, at: NDArray[Any]) -> NDArray[Any]:
    """Return the weights [window, len(at)] that give the derivative of the fitted polynomial at the positions."""
    powers = np.arange(fit.shape[0])
    terms = np.zeros((len(at), len(powers)))
    for power in powers[derivative:]:
        factor = math.factorial(power) / math.factorial(power - derivative)
        terms[:, power] = factor * np.asarray(at, dtype=np.float64) ** (power - derivative)
    return np.ascontiguousarray((terms @ fit).T)


def _fits(window: int, points: int) -> None:
    if window > points:
        raise ValueError(f"a window of {window} is wider than the {points} points")
