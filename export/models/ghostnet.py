"""GhostNetV2 on the pseudo-image: half of the maps are made cheaply from the other half, and gated by rows and columns.

Source: Tang et al., GhostNetV2, NeurIPS 2022 (arXiv 2211.12905); Han et al., GhostNet, 2020. InvertResNet is compared
with it by score only; blocks and attention are the paper's, without squeeze-and-excitation, and the sizes are ours.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from export.models.convolution import mean_over_places, normalised
from export.models.network import Network
from export.models.pseudo_image import PictureWords, PseudoImage, side_of

PLAIN_BLOCKS = 2  # the first blocks have no attention, as in the paper
REACH = 5  # cells along a row or a column that the attention looks at, as in the paper

Width = Annotated[int, Field(ge=4, le=512)]
Stride = Annotated[int, Field(ge=1, le=2)]


class GhostNetWords(PictureWords):
    """Blocks of these widths, each `expansion` times as wide inside; `head`: width before the logits."""

    kind: Literal["ghostnet"] = "ghostnet"
    stem: Width = 16
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=16)] = (16, 24, 24, 40, 40)
    strides: tuple[Stride, ...] = (1, 2, 1, 2, 1)
    expansion: Annotated[int, Field(ge=1, le=8)] = 4
    head: Width = 128

    @model_validator(mode="after")
    def _consistent(self) -> GhostNetWords:
        if len(self.strides) != len(self.widths):
            raise ValueError(f"strides: {len(self.strides)} for {len(self.widths)} widths")
        return self

    def check(self, *, points: int) -> None:
        """Raise ValueError where the picture would be too small, at the start or after its halvings."""
        super().check(points=points)
        side = side_of(points)
        for stride in self.strides[:-1]:
            side = -(-side // stride)
        if side < 2:
            raise ValueError(f"strides: {points} points leave no picture of 2 x 2 for the last block")

    def build(self, *, points: int, classes: int) -> GhostNet:
        """Return an untrained network."""
        self.check(points=points)
        return GhostNet(self, points=points, classes=classes)


class GhostNet(Network):
    """Prepared spectra [n, points] in; logits [n, classes] out."""

    def __init__(self, words: GhostNetWords, *, points: int, classes: int) -> None:
        super().__init__()
        self.picture = PseudoImage(points=points, side=side_of(points), fill=words.fill, serpentine=words.serpentine)
        self.stem = nn.Sequential(normalised(1, words.stem, (3, 3)), nn.ReLU())
        inputs = (words.stem, *words.widths)
        self.blocks = nn.Sequential(
            *(
                Bottleneck(
                    inputs[number],
                    width,
                    stride=words.strides[number],
                    inner=inputs[number] * words.expansion,
                    attends=number >= PLAIN_BLOCKS,
                )
                for number, width in enumerate(words.widths)
            )
        )
        self.head = nn.Sequential(normalised(inputs[-1], words.head, (1, 1)), nn.ReLU())
        self.drop = nn.Dropout(words.dropout)
        self.out = nn.Linear(words.head, classes)

    def embed(self, prepared: Tensor) -> Tensor:
        """Return the mean of each map of the head."""
        maps = self.head(self.blocks(self.stem(self.picture(prepared))))
        return self.drop(mean_over_places(maps))


class Ghost(nn.Module):
    """Maps of which the first half are combined from the input, and the second half filtered from the first."""

    def __init__(self, inputs: int, outputs: int, *, bent: bool) -> None:
        super().__init__()
        half = -(-outputs // 2)
        self.outputs = outputs
        self.first = normalised(inputs, half, (1, 1))
        self.cheap = normalised(half, half, (3, 3), groups=half)
        self.bend: nn.Module = nn.ReLU() if bent else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """Return the new maps."""
        first = self.bend(self.first(maps))
        return torch.cat([first, self.bend(self.cheap(first))], dim=1)[:, : self.outputs]


class Gate(nn.Module):
    """Decoupled fully connected attention: along rows, then along columns, at half the resolution; between 0 and 1."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.AvgPool2d(2),
            normalised(inputs, outputs, (1, 1)),
            normalised(outputs, outputs, (1, REACH), groups=outputs),
            normalised(outputs, outputs, (REACH, 1), groups=outputs),
            nn.Sigmoid(),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return how much of each cell of each map is let through."""
        return nn.functional.interpolate(self.path(maps), size=maps.shape[2:])


class Bottleneck(nn.Module):
    """Widen with ghosts, gate, shrink the picture, narrow with ghosts; beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, inner: int, attends: bool) -> None:
        super().__init__()
        self.wide = Ghost(inputs, inner, bent=True)
        self.gate = Gate(inputs, inner) if attends else None
        steps = (stride, stride)
        self.shrink = normalised(inner, inner, (3, 3), stride=steps, groups=inner) if stride > 1 else nn.Identity()
        self.narrow = Ghost(inner, outputs, bent=False)
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(
                normalised(inputs, inputs, (3, 3), stride=steps, groups=inputs), normalised(inputs, outputs, (1, 1))
            )
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return the new maps."""
        wide = self.wide(maps)
        if self.gate is not None:
            wide = wide * self.gate(maps)
        new: Tensor = self.narrow(self.shrink(wide)) + self.shortcut(maps)
        return new
