"""Steps that take out what scatter and filling do to a whole spectrum: SNV, MSC, EMSC, vector normalisation.

All take and give float64 [n, points]. Nothing is fitted but the reference of MSC and EMSC. A spectrum without any shape
stays finite, and far from every class, so that the gate refuses it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.preprocess.detrend import Detrend

FLAT = 1e-12  # far under what float32 absorbance resolves: changes no spectrum that has a shape


class Snv(nn.Module):
    """Standard normal variate: each spectrum minus its mean, over its standard deviation.

    The standard deviation divides by points - `correction`.
    """

    def __init__(self, *, correction: int = 1) -> None:
        super().__init__()
        self.correction = correction

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the normalised spectra."""
        offset = spectra - spectra.mean(dim=1, keepdim=True)
        variance = (offset * offset).sum(dim=1, keepdim=True) / (spectra.shape[1] - self.correction)
        return offset / torch.sqrt(variance).clamp(min=FLAT)


class VectorNormalisation(nn.Module):
    """Each spectrum over its Euclidean length."""

    def fit(self, spectra: Tensor) -> None:
        """Nothing to fit."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return spectra of length one."""
        return spectra / torch.sqrt((spectra * spectra).sum(dim=1, keepdim=True)).clamp(min=FLAT)


class Msc(nn.Module):
    """Multiplicative scatter correction: each spectrum = a + b * reference, by least squares; returns (x - a) / b.

    The reference is the mean of the spectra that it is fitted on.
    """

    slope: Tensor
    middle: Tensor

    def __init__(self, points: int) -> None:
        super().__init__()
        self.register_buffer("slope", torch.zeros(points, dtype=torch.float64))
        self.register_buffer("middle", torch.zeros(1, dtype=torch.float64))
        self._refer_to(torch.linspace(0.0, 1.0, points, dtype=torch.float64))

    def fit(self, spectra: Tensor) -> None:
        """Take the mean spectrum as the reference."""
        self._refer_to(spectra.mean(dim=0))

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the corrected spectra."""
        offset = spectra - spectra.mean(dim=1, keepdim=True)
        return offset / _no_zero(offset @ self.slope[:, None]) + self.middle

    def _refer_to(self, reference: Tensor) -> None:
        """Keep the weights that give a spectrum's slope on the reference, and the reference's mean."""
        shape = reference - reference.mean()
        self.slope = _weights(shape[None], reference)[:, 0]
        self.middle = reference.mean().reshape(1)


class Emsc(nn.Module):
    """Extended MSC: spectrum = polynomial of `order` + b * reference + c * constituents, by least squares.

    Returns (spectrum - polynomial) / b. The constituents [k, points] stay in the spectrum: they are fitted along so
    that chemistry is not taken for scatter. The reference is the mean of the spectra that it is fitted on.
    Martens and Stark, J. Pharm. Biomed. Anal. 9, 625 (1991).
    """

    shares: Tensor
    bends: Tensor
    smooth: Tensor

    def __init__(self, points: int, *, order: int, constituents: NDArray[Any] | None = None) -> None:
        super().__init__()
        self.detrend = Detrend(points, order=order)
        given = np.zeros((0, points)) if constituents is None else np.asarray(constituents, dtype=np.float64)
        self.constituents = torch.from_numpy(given)
        self.register_buffer("shares", torch.zeros(points, 1 + len(given), dtype=torch.float64))
        self.register_buffer("bends", torch.zeros(len(given), points, dtype=torch.float64))
        self.register_buffer("smooth", torch.zeros(points, dtype=torch.float64))
        self._refer_to(torch.linspace(0.0, 1.0, points, dtype=torch.float64) ** (order + 1))

    def fit(self, spectra: Tensor) -> None:
        """Take the mean spectrum as the reference."""
        self._refer_to(spectra.mean(dim=0))

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the corrected spectra."""
        shape = self.detrend(spectra)
        shares = shape @ self.shares
        if len(self.constituents):
            shape = shape + shares[:, 1:] @ self.bends
        return shape / _no_zero(shares[:, :1]) + self.smooth

    def _refer_to(self, reference: Tensor) -> None:
        """Split reference and constituents into polynomial and shape; keep the weights that give their shares."""
        models = torch.cat([reference[None], self.constituents])
        shapes = self.detrend(models)
        self.shares = _weights(shapes, models)
        self.smooth = (models - shapes)[0]
        self.bends = (models - shapes)[1:]


def _weights(shapes: Tensor, models: Tensor) -> Tensor:
    """Return [points, k] that give a spectrum's shares of the shapes [k, points]; a shape of mere rounding has none."""
    return torch.linalg.pinv(shapes, atol=float(FLAT * models.norm()), rtol=FLAT)


def _no_zero(slope: Tensor) -> Tensor:
    return torch.where(slope.abs() < FLAT, torch.ones_like(slope), slope)
