"""A residual network along the axis of a spectrum.

Source of the block: Ho et al., Nat. Commun. 10, 4927 (2019), whose network is wider. The default widths are our
trunk for many compounds at once; the `lite` size is one compound's.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from export.models.convolution import mean_over_places, normalised, peak_over_places
from export.models.network import Network, NetworkKind

FEWEST_POINTS = 8  # after the stem and its pool two places are left

Width = Annotated[int, Field(ge=4, le=512)]
Stride = Annotated[int, Field(ge=1, le=2)]


class ResidualWords(NetworkKind):
    """One block a width; a block of stride 2 halves the axis, as the stem and its pool do before."""

    kind: str
    stem: Width = 64
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=12)] = (64, 96, 128, 192)
    strides: tuple[Stride, ...] = (1, 2, 2, 2)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2

    @model_validator(mode="after")
    def _consistent(self) -> ResidualWords:
        if len(self.strides) != len(self.widths):
            raise ValueError(f"strides: {len(self.strides)} for {len(self.widths)} widths")
        return self

    def check(self, *, points: int) -> None:
        """Raise ValueError where nothing would be left to convolve."""
        if points < FEWEST_POINTS:
            raise ValueError(f"kind: {points} points are too few; {FEWEST_POINTS} are the least")


class ResNet1dWords(ResidualWords):
    """One network for all classes."""

    kind: Literal["resnet1d"] = "resnet1d"

    def build(self, *, points: int, classes: int) -> ResNet1d:
        """Return an untrained network."""
        self.check(points=points)
        return ResNet1d(self, classes=classes)


class ResNet1d(Network):
    """Prepared spectra [n, points] in; logits [n, classes] out, read from the mean and the peak of each map."""

    def __init__(self, words: ResNet1dWords, *, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(normalised(1, words.stem, (1, 7), stride=(1, 2)), nn.ReLU(), nn.MaxPool2d((1, 2)))
        inputs = (words.stem, *words.widths)
        self.blocks = nn.Sequential(
            *(
                Block(before, width, stride=stride)
                for before, width, stride in zip(inputs, words.widths, words.strides, strict=False)
            )
        )
        self.drop = nn.Dropout(words.dropout)
        self.out = nn.Linear(2 * inputs[-1], classes)

    def embed(self, prepared: Tensor) -> Tensor:
        """Return the mean of each map, then the peak of each."""
        maps = self.blocks(self.stem(prepared[:, None, None, :]))
        return self.drop(torch.cat([mean_over_places(maps), peak_over_places(maps)], dim=1))


class Block(nn.Module):
    """Two convolutions of five points beside a shortcut; `groups` of the maps do not see each other."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, groups: int = 1) -> None:
        super().__init__()
        self.path = nn.Sequential(
            normalised(inputs, outputs, (1, 5), stride=(1, stride), groups=groups),
            nn.ReLU(),
            normalised(outputs, outputs, (1, 5), groups=groups),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if same else normalised(inputs, outputs, (1, 1), stride=(1, stride), groups=groups)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return the new maps."""
        return torch.relu(self.path(maps) + self.shortcut(maps))
