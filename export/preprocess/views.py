"""Level and shape side by side, for samples whose class rides on both: tablets of other sizes, say."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMALLEST_SPREAD = 1e-6  # a point that never moves in training must not become a division by nothing
LEAST_ROOT = 0.02  # a spectrum under the training spectra has no root


class LevelAndShape(nn.Module):
    """Three views of each spectrum [n, points], point after point: [n, 3 * points].

    First the z-score of each wavelength over the training spectra, which the level rules. Then what the training
    spectra's first principal component, which is the level, leaves of the spectrum, over one root mean square: the
    shape, magnified. Then the same of the square root of the spectrum, from just under the lowest training value on,
    in which high absorbance counts less. Float64 in and out: what is left is a small difference of large numbers.
    """

    floor: Tensor
    spread: Tensor
    mean: Tensor
    level: Tensor
    scale: Tensor

    def __init__(self, points: int) -> None:
        super().__init__()
        self.register_buffer("floor", torch.zeros((), dtype=torch.float64))
        self.register_buffer("spread", torch.ones(points, dtype=torch.float64))
        self.register_buffer("mean", torch.zeros(2, points, dtype=torch.float64))
        self.register_buffer("level", torch.zeros(2, points, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(2, dtype=torch.float64))

    def fit(self, spectra: Tensor) -> None:
        """Take means, spreads, the component and the size of what it leaves, of the spectra and of their roots."""
        self.floor = spectra.min() - 0.05 * (spectra.max() - spectra.min())
        self.spread = spectra.std(dim=0, correction=0).clamp(min=SMALLEST_SPREAD)
        means, levels, scales = [], [], []
        for view in (spectra, self._root(spectra)):
            off = view - view.mean(dim=0)
            axis = torch.linalg.svd(off, full_matrices=False).Vh[0]
            left = off - (off @ axis)[:, None] * axis
            means.append(view.mean(dim=0))
            levels.append(axis)
            scales.append(left.square().mean().sqrt().clamp(min=SMALLEST_SPREAD))
        self.mean, self.level, self.scale = torch.stack(means), torch.stack(levels), torch.stack(scales)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the views."""
        scored = (spectra - self.mean[0]) / self.spread
        views = [scored, self._shape(spectra, 0), self._shape(self._root(spectra), 1)]
        return torch.stack(views, dim=2).flatten(1)

    def _root(self, spectra: Tensor) -> Tensor:
        return (spectra - self.floor).clamp(min=LEAST_ROOT**2).sqrt()

    def _shape(self, view: Tensor, which: int) -> Tensor:
        off, axis = view - self.mean[which], self.level[which]
        return (off - (off * axis).sum(dim=1, keepdim=True) * axis) / self.scale[which]
