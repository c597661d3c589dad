"""Filters along the axis: Savitzky-Golay with polynomial ends, and the moving average. Float32 [n, points] in and
out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.preprocess.level import centred


class SavitzkyGolay(nn.Module):
    """Least-squares polynomial of `order` in a window of `window` points, or its derivative, per point of the axis.

    At each end the polynomial of the last whole window is evaluated, as scipy does with mode `interp`. A derivative is
    taken of differences between neighbours, which float32 holds exactly whatever the level of the spectrum.
    """

    kernel: Tensor
    start: Tensor
    stop: Tensor

    def __init__(self, *, window: int, order: int, derivative: int = 0) -> None:
        super().__init__()
        if window % 2 == 0 or not 0 <= derivative <= order < window:
            raise ValueError("an odd window, wider than the polynomial's order, which is at least the derivative's")
        half = window // 2
        places = np.arange(-half, half + 1) / half  # powers of whole points would overflow the digits of float64
        fit = np.linalg.pinv(np.vander(places, order + 1, increasing=True)) / float(half) ** derivative
        start, middle, stop = (
            _of_differences(_values(fit, derivative, part)) if derivative else _float(_values(fit, 0, part))
            for part in (places[:half], places[half : half + 1], places[half + 1 :])
        )
        self.derivative = derivative
        self.register_buffer("kernel", middle.T[None].contiguous())
        self.register_buffer("start", start)
        self.register_buffer("stop", stop)

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the smoothed spectra or their derivative per point."""
        if self.derivative == 0:
            offset, level = centred(spectra)
            return self._filtered(offset) + level
        return self._filtered(spectra[:, 1:] - spectra[:, :-1])

    def _filtered(self, rows: Tensor) -> Tensor:
        taps = self.kernel.shape[2]
        middle = nn.functional.conv1d(rows.unsqueeze(1), self.kernel).squeeze(1)
        return torch.cat([rows[:, :taps] @ self.start, middle, rows[:, -taps:] @ self.stop], dim=1)


class MovingAverage(nn.Module):
    """Mean of a window of `window` points; beyond the ends the end value is repeated."""

    kernel: Tensor

    def __init__(self, *, window: int) -> None:
        super().__init__()
        if window % 2 == 0:
            raise ValueError("an odd window")
        self.register_buffer("kernel", torch.full((1, 1, window), 1.0 / window))

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the averaged spectra."""
        half = self.kernel.shape[2] // 2
        ends = [spectra[:, :1].expand(-1, half), spectra, spectra[:, -1:].expand(-1, half)]
        return nn.functional.conv1d(torch.cat(ends, dim=1).unsqueeze(1), self.kernel).squeeze(1)


def _values(fit: NDArray[Any], derivative: int, at: NDArray[Any]) -> NDArray[Any]:
    """Return the weights [window, len(at)] that give the derivative of the fitted polynomial at the positions."""
    powers = np.arange(fit.shape[0])
    terms = np.zeros((len(at), len(powers)))
    for power in powers[derivative:]:
        factor = math.factorial(power) / math.factorial(power - derivative)
        terms[:, power] = factor * np.asarray(at, dtype=np.float64) ** (power - derivative)
    return np.asarray((terms @ fit).T)


def _of_differences(weights: NDArray[Any]) -> Tensor:
    """Return the weights that give from differences what the given ones, which sum to zero, give from values."""
    return _float(-np.cumsum(weights, axis=0)[:-1])


def _float(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
