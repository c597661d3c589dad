"""Detrending: each spectrum minus the polynomial along the axis that fits it best. Float64 [n, points] in and out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class Detrend(nn.Module):
    """Each spectrum minus its least-squares polynomial of `order`; the points count as equally spaced."""

    basis: Tensor

    def __init__(self, points: int, *, order: int) -> None:
        super().__init__()
        if points <= order + 1:
            raise ValueError(f"{points} points allow no polynomial of order {order}")
        terms = np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, points), order)
        self.register_buffer("basis", torch.from_numpy(np.linalg.qr(terms)[0]))

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return what the polynomial leaves."""
        return spectra - (spectra @ self.basis) @ self.basis.T
