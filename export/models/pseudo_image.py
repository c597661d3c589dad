"""A spectrum as a small square picture, so that networks of the picture world can read it.

Source: InvertResNet (Spectrosc. Spectr. Anal. 45(8) 2218, 2025) folds a spectrum to a picture and fills the missing
cells by bilinear interpolation; size and details are not published, so two readings are offered.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from export.models.network import NetworkKind

Fill = Literal["linear", "bilinear"]
FEWEST_POINTS = 17  # a picture of 5 x 5: below it, two halvings leave nothing to look at


class PictureWords(NetworkKind):
    """How the spectrum becomes a picture, for every network that reads one.

    fill: `linear` stretches the spectrum to as many points as there are cells and folds it row by row; `bilinear`
    folds it to rows of the picture's width, as many as it fills, and stretches those to the picture's height.
    serpentine: every other row runs backwards, so that neighbours on the axis are neighbours in the picture.
    """

    fill: Fill = "linear"
    serpentine: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2

    def check(self, *, points: int) -> None:
        """Raise ValueError where the picture would be too small."""
        if points < FEWEST_POINTS:
            raise ValueError(f"kind: {points} points make too small a picture; {FEWEST_POINTS} are the least")


def side_of(points: int, *, multiple_of: int = 1) -> int:
    """Return the side of the smallest square that has a cell for each point and whose side is such a multiple."""
    side = math.isqrt(points - 1) + 1
    return -(-side // multiple_of) * multiple_of


class PseudoImage(nn.Module):
    """Spectra [n, points] to pictures [n, 1, side, side]. Each cell is a weighted sum of two or four points."""

    index: Tensor
    weight: Tensor

    def __init__(self, *, points: int, side: int, fill: Fill, serpentine: bool) -> None:
        super().__init__()
        self.side = side
        rows = side if fill == "linear" else -(-points // side)
        index, weight = _stretch(points, rows * side)
        row = np.arange(rows * side).reshape(rows, side)
        if serpentine:
            row[1::2] = row[1::2, ::-1]
        index, weight = index[:, row], weight[:, row]
        if fill == "bilinear":
            above, share = _stretch(rows, side)
            index = np.concatenate([index[:, above[end]] for end in range(2)])
            weight = np.concatenate([weight[:, above[end]] * share[end][:, None] for end in range(2)])
        self.terms = len(index)
        self.register_buffer("index", torch.from_numpy(index.reshape(-1)), persistent=False)
        self.register_buffer("weight", torch.from_numpy(weight.reshape(self.terms, -1)).float(), persistent=False)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the pictures."""
        parts = spectra.index_select(1, self.index).reshape(-1, self.terms, self.side * self.side)
        return (parts * self.weight).sum(dim=1).reshape(-1, 1, self.side, self.side)


def _stretch(old: int, new: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return which two of `old` points make each of `new` evenly spread ones, and their shares; both [2, new]."""
    place = np.linspace(0.0, old - 1.0, new)
    low = np.minimum(place.astype(np.int64), max(old - 2, 0))
    share = place - low
    return np.stack([low, np.minimum(low + 1, old - 1)]), np.stack([1.0 - share, share])
