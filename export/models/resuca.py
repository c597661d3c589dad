"""ResUCA: a small residual network for each compound, which says whether the compound is in a mixture.

Source: a thesis whose abstract alone is public: one binary residual network a compound, 368 of them, and better than
DeepCID. Its layers are not published; the sizes here are ours: the block of Ho et al., Nat. Commun. 10, 4927 (2019),
narrow enough for hundreds. 71,601 parameters a compound, 18,201 in the `lite` size.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from export.models.convolution import mean_over_places, peak_over_places
from export.models.members import FirstConvolution, MemberLinear, MemberNetwork, as_pictures, by_member
from export.models.resnet1d import Block, ResidualWords, Stride, Width


class ResucaWords(ResidualWords):
    """The sizes of one compound's network; `classes` are the compounds."""

    kind: Literal["resuca"] = "resuca"
    stem: Width = 16
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=12)] = (16, 32, 48, 64)
    strides: tuple[Stride, ...] = (1, 2, 2, 2)

    def build(self, *, points: int, classes: int) -> Resuca:
        """Return an untrained bank."""
        self.check(points=points)
        return Resuca(self, points=points, compounds=classes)


class Resuca(MemberNetwork):
    """Prepared spectra in; logits [n, compounds] out, each read from the mean and the peak of its member's maps."""

    def __init__(self, words: ResucaWords, *, points: int, compounds: int) -> None:
        super().__init__(words, points=points, members=compounds)
        self.stem = nn.Sequential(
            FirstConvolution(1, compounds * words.stem, (1, 7), (1, 2), (0, 3), bias=False),
            nn.BatchNorm2d(compounds * words.stem),
            nn.ReLU(),
            nn.MaxPool2d((1, 2)),
        )
        widths = [compounds * width for width in (words.stem, *words.widths)]
        self.blocks = nn.Sequential(
            *(
                Block(before, width, stride=stride, groups=compounds)
                for before, width, stride in zip(widths, widths[1:], words.strides, strict=False)
            )
        )
        self.drop = nn.Dropout(words.dropout)
        self.out = MemberLinear(2 * words.widths[-1], 1, members=compounds)

    def embed(self, prepared: Tensor) -> Tensor:
        """Return, member after member, the mean of each of its maps, then the peak of each."""
        maps = self.blocks(self.stem(as_pictures(prepared)))
        both = [by_member(pooled(maps), self.members) for pooled in (mean_over_places, peak_over_places)]
        return self.drop(torch.cat(both, dim=2).flatten(1))
