"""How far a spectrum is from every mixture of the library: what is nothing like one must not be taken apart.

A fit finds something in anything. Made mixtures lie near a plane of few dimensions, spanned by their first principal
components; the length of what a spectrum has beside that plane is its distance (Jackson and Mudholkar, Technometrics
21, 341 (1979), call its square Q). No real mixture has a say in where the plane lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.components.recipe import GateWords
from export.preprocess.pipeline import build

MIXTURES = 3000  # made ones that the plane is laid through


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """mean [points]; rows [dimensions, points], of length one and at right angles. float32, behind the gate's steps."""

    mean: NDArray[np.float32]
    rows: NDArray[np.float32]


class MixtureGate(nn.Module):
    """Spectra [n, points] on the grid in, distances [n, 1] out."""

    mean: Tensor
    plane: Tensor

    def __init__(self, words: GateWords, grid: NDArray[np.float64], made: NDArray[np.float32] | Plane) -> None:
        """Lay the plane through made mixtures [n, points], or take one that has been laid."""
        super().__init__()
        self.steps = build(words.steps, grid)
        laid = made if isinstance(made, Plane) else _through(self._seen(made), words.explained)
        self.register_buffer("mean", torch.from_numpy(laid.mean.copy()))
        self.register_buffer("plane", torch.from_numpy(laid.rows.copy()))

    @property
    def laid(self) -> Plane:
        """The plane, as another gate of the same steps takes it."""
        return Plane(mean=self.mean.numpy(), rows=self.plane.numpy())

    @property
    def dimensions(self) -> int:
        """Of the plane."""
        return len(self.plane)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the distances."""
        off: Tensor = self.steps(spectra) - self.mean
        beside = off - (off @ self.plane.T) @ self.plane
        return beside.square().sum(dim=1, keepdim=True).sqrt()

    @torch.no_grad()
    def distances(self, spectra: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the distances of spectra on the grid [n]."""
        return np.asarray(self(torch.from_numpy(spectra))[:, 0].double().numpy())

    def widened(self, made: NDArray[np.float32], *, limit: float, wrongly_refused: float) -> Plane:
        """Return the plane with the fewest further dimensions that hold these mixtures too.

        That is: at most the share `wrongly_refused` of them is farther than `limit`. No spectrum is farther than
        before, so nothing that was in scope goes out of it.
        """
        off = self._seen(made) - self.mean.double().numpy()
        plane = self.plane.double().numpy()
        beside = off - (off @ plane.T) @ plane
        _, _, rows = np.linalg.svd(beside, full_matrices=False)
        left = (beside**2).sum(axis=1)
        for row in rows:
            if (left > limit**2).mean() <= wrongly_refused:
                break
            plane = np.concatenate([plane, row[None]])
            left = left - (beside @ row) ** 2
        return Plane(mean=self.laid.mean, rows=plane.astype(np.float32))

    @torch.no_grad()
    def _seen(self, spectra: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(self.steps(torch.from_numpy(spectra)).double().numpy())


def _through(seen: NDArray[np.float64], explained: float) -> Plane:
    mean = seen.mean(axis=0)
    _, sizes, rows = np.linalg.svd(seen - mean, full_matrices=False)
    held = np.cumsum(sizes**2) / np.sum(sizes**2)
    kept = int(np.searchsorted(held, explained)) + 1
    return Plane(mean=mean.astype(np.float32), rows=rows[:kept].astype(np.float32))
