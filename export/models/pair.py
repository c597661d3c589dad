"""DeepRaman: one network that looks at a reference and an unknown spectrum, and says whether the one is in the other.

A compound enters by its spectrum alone; nothing is trained again. Source: Fan et al., github.com/XiaqiongFan/DeepRaman
(training.py, siamese.py, testing.py). A branch for each of the two spectra, whose maps stand side by side as a picture;
a convolution over it; the largest value in each cell of four grids (spatial pyramid pooling), which leaves 30 numbers a
map for an axis of any length; a dense layer; two outputs. 988,418 parameters.

Ours: the two outputs, published as two sigmoids, are read as their difference, which is one logit.
"""

from __future__ import annotations

import copy
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from export.models.convolution import same_padding
from export.models.network import Network, NetworkKind

KERNEL, POOL, STRIDE = 7, 3, 2
CHANNELS = 32
GRIDS = (1, 2, 3, 4)
DENSE = 1024
ABSENT, PRESENT = 0, 1
FEWEST_POINTS = 21  # a third of them, halved, fill the rows of the finest grid
TINY = 1e-12  # a spectrum of zeros stays one


class PairWords(NetworkKind):
    """As published; `classes` are the references, which are zero until they are given."""

    kind: Literal["pair"] = "pair"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def check(self, *, points: int) -> None:
        """Raise ValueError where a cell of the finest grid would be empty."""
        if points < FEWEST_POINTS:
            raise ValueError(f"kind: {points} points are too few; {FEWEST_POINTS} are the least")

    def build(self, *, points: int, classes: int) -> PairNetwork:
        """Return an untrained network without references."""
        self.check(points=points)
        return PairNetwork(self, points=points, references=classes)


class PairNetwork(Network):
    """Prepared spectra [n, points] in; logits [n, references] out.

    Each spectrum, reference or unknown, is divided by its largest absolute value first. references: [references,
    points], prepared as the unknown spectra are.
    """

    references: Tensor

    def __init__(self, words: PairWords, *, points: int, references: int) -> None:
        super().__init__()
        self.of_reference, self.of_unknown = _branch(), _branch()
        self.over_both = nn.Sequential(nn.Conv2d(1, CHANNELS, KERNEL, STRIDE), nn.BatchNorm2d(CHANNELS), nn.ReLU())
        self.dense = nn.Sequential(
            nn.Linear(CHANNELS * sum(cells**2 for cells in GRIDS), DENSE), nn.ReLU(), nn.Dropout(words.dropout)
        )
        self.out = nn.Linear(DENSE, 2)
        self.register_buffer("references", torch.zeros(references, points))
        self.apply(_first_weights)

    def with_references(self, references: Tensor) -> PairNetwork:
        """Return a copy that knows these compounds, prepared spectra [references, points], and no others.

        The axis may have another length than before. Raises ValueError where it is too short, or a reference is no
        spectrum.
        """
        if references.ndim != 2 or not len(references):
            raise ValueError(f"references: shape {tuple(references.shape)}; one row of points each is needed")
        if references.shape[1] < FEWEST_POINTS:
            raise ValueError(f"references: {references.shape[1]} points are too few; {FEWEST_POINTS} are the least")
        empty = ~references.isfinite().all(dim=1) | (references.abs().amax(dim=1) < TINY)
        if empty.any():
            raise ValueError(f"references: row {int(empty.nonzero()[0])} is zero or not finite everywhere")
        fresh = copy.deepcopy(self)
        fresh.references = references.detach().clone().to(self.references)
        return fresh

    def judge(self, reference: Tensor, unknown: Tensor) -> Tensor:
        """Return a logit for each pair of prepared spectra, both [n, points]: what is trained."""
        return self._logits(self.of_reference(_scaled(reference)), self.of_unknown(_scaled(unknown)))

    def embed(self, prepared: Tensor) -> Tensor:
        """Return what the last layer reads of each pair, [n * references, out.in_features], spectrum after spectrum."""
        return self._read(*self._pairs(prepared))

    def forward(self, prepared: Tensor) -> Tensor:
        """Return the logits."""
        return self._logits(*self._pairs(prepared)).unflatten(0, (-1, self.references.shape[0]))

    def _pairs(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """The maps of all pairs. Each spectrum passes its branch once."""
        known, seen = self.of_reference(_scaled(self.references)), self.of_unknown(_scaled(prepared))
        count, references = seen.shape[0], known.shape[0]
        return (
            known[None].expand(count, -1, -1, -1).flatten(0, 1),
            seen[:, None].expand(-1, references, -1, -1).flatten(0, 1),
        )

    def _logits(self, known: Tensor, seen: Tensor) -> Tensor:
        said = self.out(self._read(known, seen))
        return said[:, PRESENT] - said[:, ABSENT]

    def _read(self, known: Tensor, seen: Tensor) -> Tensor:
        picture = torch.cat([known, seen], dim=1).transpose(1, 2)[:, None]
        rows, columns = same_padding(picture.shape[2], KERNEL, STRIDE), same_padding(picture.shape[3], KERNEL, STRIDE)
        maps = self.over_both(nn.functional.pad(picture, (*columns, *rows)))
        read: Tensor = self.dense(pyramid(maps))
        return read


def pyramid(maps: Tensor) -> Tensor:
    """Return the largest value in each cell of each grid: [n, channels, rows, columns] to [n, cells * channels].

    Cells of one column of a grid follow each other, downwards; their edges are rounded to whole places.
    """
    rows, columns = maps.shape[2:]
    found = [
        maps[:, :, top:bottom, left:right].amax(dim=(2, 3))
        for cells in GRIDS
        for left, right in _edges(columns, cells)
        for top, bottom in _edges(rows, cells)
    ]
    return torch.cat(found, dim=1)


def _edges(length: int, cells: int) -> list[tuple[int, int]]:
    return [(round(i * length / cells), round((i + 1) * length / cells)) for i in range(cells)]


def _branch() -> nn.Sequential:
    """Spectra [n, points] to maps [n, channels, points / 3]."""
    return nn.Sequential(
        nn.Unflatten(1, (1, -1)),
        nn.Conv1d(1, CHANNELS, KERNEL, padding=KERNEL // 2),
        nn.BatchNorm1d(CHANNELS),
        nn.ReLU(),
        nn.MaxPool1d(POOL),
    )


def _scaled(spectra: Tensor) -> Tensor:
    return spectra / spectra.abs().amax(dim=1, keepdim=True).clamp_min(TINY)


def _first_weights(module: nn.Module) -> None:
    """As published: He's normal law for convolutions, Glorot's uniform law for dense layers, biases of zero."""
    if isinstance(module, nn.Conv1d | nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
    if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
