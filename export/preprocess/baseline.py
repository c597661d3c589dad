"""Baseline correction: each spectrum minus a stiff spline that runs under its bands. Float64 [n, points] in and out.

Asymmetrically reweighted penalised least squares (Baek et al., Analyst 140, 250, 2015) on a P-spline: few coefficients,
and a fixed number of rounds instead of a stopping rule, so that the whole is plain arithmetic that exports. The
equations of a round lose more digits than float32 has.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import BSpline
from torch import Tensor, nn

DEGREE = 3
LEAST_VARIANCE = 1e-36  # of what lies under the baseline of a flat spectrum; the exporter writes it as a float32


class Baseline(nn.Module):
    """arPLS on a cubic spline with `knots` equally spaced knots, ends included.

    stiffness: weight of the squared second differences of the coefficients. rounds: times that the spline is fitted.
    """

    spline: Tensor
    products: Tensor
    places: Tensor
    penalty: Tensor
    unit: Tensor

    def __init__(self, points: int, *, knots: int, stiffness: float, rounds: int) -> None:
        super().__init__()
        spline = _spline(points, knots)
        count = spline.shape[1]
        pairs = [(i, j) for i in range(count) for j in range(i, min(count, i + DEGREE + 1))]  # the rest never overlap
        products = np.stack([spline[:, i] * spline[:, j] for i, j in pairs], axis=1)
        places = np.full((count, count), len(pairs))  # behind the last: a zero
        for place, (i, j) in enumerate(pairs):
            places[i, j] = places[j, i] = place
        bend = np.diff(np.eye(count), n=2, axis=0)
        self.rounds = rounds
        self.register_buffer("spline", torch.from_numpy(spline))
        self.register_buffer("products", torch.from_numpy(np.pad(products, [(0, 0), (0, 1)])))
        self.register_buffer("places", torch.from_numpy(places.reshape(-1)))
        self.register_buffer("penalty", torch.from_numpy(stiffness * bend.T @ bend))
        self.register_buffer("unit", torch.eye(count, dtype=torch.float64))

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the spectra above their baselines."""
        above = spectra - self._fitted(spectra, torch.ones_like(spectra))
        for _ in range(self.rounds - 1):
            above = spectra - self._fitted(spectra, _weights(above))
        return above

    def _fitted(self, spectra: Tensor, weights: Tensor) -> Tensor:
        """Return the spline through weighted spectra."""
        count = self.unit.shape[0]
        matrix = (weights @ self.products).index_select(1, self.places).reshape(-1, count, count) + self.penalty
        right = ((weights * spectra) @ self.spline).unsqueeze(2)
        return self._solved(torch.cat([matrix, right], dim=2)) @ self.spline.T

    def _solved(self, system: Tensor) -> Tensor:
        """Return x [n, k] of the positive definite systems [n, k, k + 1] = [A | A x], by Gauss and Jordan."""
        count = self.unit.shape[0]
        for k in range(count):
            row = system[:, k : k + 1]
            column = system[:, :, k : k + 1] - self.unit[:, k : k + 1]
            system = system - column * (row / row[:, :, k : k + 1])
        return system[:, :, count]


def _weights(above: Tensor) -> Tensor:
    """Return near 1 for what lies under the baseline or in its noise, near 0 for bands."""
    under = torch.minimum(above, torch.zeros_like(above))
    many = (above < 0).to(above.dtype).sum(dim=1, keepdim=True).clamp(min=2.0)
    mean = under.sum(dim=1, keepdim=True) / many
    squares = (under * under).sum(dim=1, keepdim=True) - many * mean * mean
    spread = torch.sqrt((squares / (many - 1.0)).clamp(min=LEAST_VARIANCE))
    return torch.sigmoid(-2.0 * ((above + mean) / spread - 2.0))


def _spline(points: int, knots: int) -> np.ndarray:
    """Return the cubic B-splines [points, knots + 2] on equal steps, of which `knots` - 1 lie within the axis."""
    step = (points - 1) / (knots - 1)
    at = step * np.arange(-DEGREE, knots + DEGREE)
    at[DEGREE], at[-DEGREE - 1] = 0.0, points - 1
    dense: np.ndarray = BSpline.design_matrix(np.arange(points, dtype=np.float64), at, DEGREE).toarray()
    return dense
