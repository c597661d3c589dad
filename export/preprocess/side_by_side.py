"""Spectra of several techniques in one row, each part prepared by steps of its own: early fusion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from export.preprocess.pipeline import Pipeline


class SideBySide(nn.Module):
    """Rows [n, sum of points] in; each part through its own steps, and the parts in one row again."""

    def __init__(self, parts: Sequence[Pipeline], points: Sequence[int]) -> None:
        super().__init__()
        self.parts, self.points = nn.ModuleList(parts), list(points)

    def fit(self, spectra: Tensor) -> None:
        """Fit each part's steps on its own columns."""
        for part, rows in zip(self.parts, spectra.split(self.points, dim=1), strict=True):
            assert isinstance(part, Pipeline)
            part.fit(rows)

    def forward(self, spectra: Tensor) -> Tensor:
        """Prepare each part."""
        rows = spectra.split(self.points, dim=1)
        return torch.cat([part(columns) for part, columns in zip(self.parts, rows, strict=True)], dim=1)


def side_by_side(parts: Sequence[Pipeline], points: Sequence[int]) -> Pipeline:
    """Return the pipeline of rows that hold several spectra: `points` columns for each of the parts, in their order."""
    return Pipeline([SideBySide(parts, points)])
