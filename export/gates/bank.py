"""The gates of one recipe as one module: spectra on the grid in, the columns of `features` out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edged.bundle.manifest import MahalanobisGate, NormGate
from edged.infer.verdict import Preset
from export.gates.discriminant import ClassCentres, Discriminant
from export.gates.scatter import ClassScatter
from export.gates.words import Gate, Space
from export.preprocess.pipeline import axis_after, build
from export.preprocess.words import StepWords

Draw = Callable[[float | None], NDArray[np.float64]]
"""Copies changed with a strength, or with the training's own, on the grid."""

KINDS: dict[str, type[nn.Module]] = {"class-scatter": ClassScatter, "discriminant": ClassCentres}


class Bank(nn.Module):
    """Every space behind its own steps, of which those count that need no training data."""

    def __init__(self, words: Gate, steps: Sequence[StepWords], *, grid: NDArray[np.float64], classes: int) -> None:
        super().__init__()
        self.words = words
        shown = [space.steps for space in words.spaces] or [tuple(steps)]
        before = [tuple(takewhile(lambda step: not step.fitted, of)) for of in shown]
        own: list[type[nn.Module]] = [KINDS[space.kind] for space in words.spaces]
        kinds = own or [Discriminant]
        self.steps = nn.ModuleList(build(of, grid) for of in before)
        self.spaces = nn.ModuleList(
            kind(points=len(axis_after(of, grid)), classes=classes) for kind, of in zip(kinds, before, strict=True)
        )
        width = classes if words.spaces else classes - 1
        self.columns = {name: (i * width, (i + 1) * width) for i, name in enumerate(self.names)}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the gates, in the order of their columns."""
        return tuple(space.name for space in self.words.spaces) or (self.words.name,)

    @torch.no_grad()
    def fit(self, draw: Draw, targets: NDArray[np.int64]) -> None:
        """Fit each space on copies drawn for it; `targets` of the copies."""
        words: Sequence[Space | None] = self.words.spaces or (None,)
        for of, steps, space in zip(words, self.steps, self.spaces, strict=True):
            rows = torch.from_numpy(draw(of.strength if of else None).astype(np.float32))
            prepared = steps(rows).double().numpy()
            shrinkage = of.shrinkage if of else self.words.shrinkage
            if isinstance(space, ClassScatter):
                assert of is not None
                assert of.pooled is not None
                space.fit(prepared, targets, shrinkage=shrinkage, pooled=of.pooled)
            else:
                assert isinstance(space, Discriminant | ClassCentres)
                space.fit(prepared, targets, shrinkage=shrinkage)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the columns of all gates, side by side."""
        parts = [space(steps(spectra)) for steps, space in zip(self.steps, self.spaces, strict=True)]
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def distances(self, columns: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the distance that each gate reads from columns: [n, gates]."""
        found = []
        for name, space in zip(self.names, self.spaces, strict=True):
            assert isinstance(space, Discriminant | ClassCentres | ClassScatter)
            found.append(space.distance(columns[:, slice(*self.columns[name])]))
        return np.stack(found, axis=1)

    def tables(self, limits: Sequence[Mapping[Preset, float]]) -> tuple[MahalanobisGate | NormGate, ...]:
        """Return the manifest's gates, with the limits of each."""
        return tuple(
            _table(name, self.columns[name], space, dict(of))
            for name, space, of in zip(self.names, self.spaces, limits, strict=True)
        )


def _table(
    name: str, columns: tuple[int, int], space: nn.Module, limits: dict[Preset, float]
) -> MahalanobisGate | NormGate:
    if not isinstance(space, Discriminant):
        return NormGate(name=name, metric="norm", columns=columns, limits=limits)
    centres = space.centres.double().numpy()
    size = centres.shape[1]
    return MahalanobisGate(
        name=name,
        metric="mahalanobis",
        columns=columns,
        means=tuple(tuple(round(float(v), 6) for v in row) for row in centres),
        precision=tuple(tuple(float(i == j) for j in range(size)) for i in range(size)),
        limits=limits,
    )
