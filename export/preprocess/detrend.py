"""Detrending: each spectrum minus the polynomial along the axis that fits it best. Float32 [n, points] in and out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from export.preprocess.level import centred


class Detrend(nn.Module):
    """Each spectrum minus its least-squares polynomial of `order`; the points count as equally spaced."""

    basis: Tensor

    def __init__(self, points: int, *, order: int) -> None:
        super().__init__()
        if points <= order + 1:
            raise ValueError(f"{points} points allow no polynomial of order {order}")
        terms = np.polynomial.legendre.legvander(np.linspace(-1.0, 1.0, points), order)
        self._basis = torch.from_numpy(np.linalg.qr(terms)[0])
        self.register_buffer("basis", self._basis[:, 1:].float())

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return what the polynomial leaves."""
        rest, _ = centred(spectra)
        return rest - (rest @ self.basis) @ self.basis.T

    def exactly(self, spectra: Tensor) -> Tensor:
        """Return the same of float64 spectra, in float64."""
        return spectra - (spectra @ self._basis) @ self._basis.T
