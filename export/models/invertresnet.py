"""InvertResNet: inverted residual blocks on the pseudo-image of a spectrum.

Source: Huang, Yang, Li, Spectrosc. Spectr. Anal. 45(8) 2218 (2025): picture, fill and block are published; the table
of blocks and the training are not, and the sizes here are ours. Block: Sandler et al., MobileNetV2, 2018.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import Tensor, nn

from export.models.convolution import mean_over_places, normalised
from export.models.network import Network
from export.models.pseudo_image import PictureWords, PseudoImage, side_of

Width = Annotated[int, Field(ge=4, le=512)]
Stride = Annotated[int, Field(ge=1, le=2)]


class InvertResNetWords(PictureWords):
    """Blocks of these widths, each `expansion` times as wide inside; `head`: width before the logits."""

    kind: Literal["invertresnet"] = "invertresnet"
    stem: Width = 16
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=12)] = (24, 24, 40, 40, 64)
    strides: tuple[Stride, ...] = (1, 1, 2, 1, 2)
    expansion: Annotated[int, Field(ge=1, le=8)] = 4
    head: Width = 128

    @model_validator(mode="after")
    def _consistent(self) -> InvertResNetWords:
        if len(self.strides) != len(self.widths):
            raise ValueError(f"strides: {len(self.strides)} for {len(self.widths)} widths")
        return self

    def build(self, *, points: int, classes: int) -> InvertResNet:
        """Return an untrained network."""
        self.check(points=points)
        return InvertResNet(self, points=points, classes=classes)


class InvertResNet(Network):
    """Prepared spectra [n, points] in; logits [n, classes] out."""

    def __init__(self, words: InvertResNetWords, *, points: int, classes: int) -> None:
        super().__init__()
        self.picture = PseudoImage(points=points, side=side_of(points), fill=words.fill, serpentine=words.serpentine)
        self.stem = nn.Sequential(normalised(1, words.stem, (3, 3)), nn.ReLU6())
        inputs = (words.stem, *words.widths)
        self.blocks = nn.Sequential(
            *(
                InvertedResidual(before, width, stride=stride, expansion=words.expansion)
                for before, width, stride in zip(inputs, words.widths, words.strides, strict=False)
            )
        )
        self.head = nn.Sequential(normalised(inputs[-1], words.head, (1, 1)), nn.ReLU6())
        self.drop = nn.Dropout(words.dropout)
        self.out = nn.Linear(words.head, classes)

    def embed(self, prepared: Tensor) -> Tensor:
        """Return the mean of each map of the head."""
        maps = self.head(self.blocks(self.stem(self.picture(prepared))))
        return self.drop(mean_over_places(maps))


class InvertedResidual(nn.Module):
    """Expand, look at each map by itself, compress without a bend; what came in is added where sizes allow."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.path = nn.Sequential(
            normalised(inputs, wide, (1, 1)),
            nn.ReLU6(),
            normalised(wide, wide, (3, 3), stride=(stride, stride), groups=wide),
            nn.ReLU6(),
            normalised(wide, outputs, (1, 1)),
        )
        self.kept = stride == 1 and inputs == outputs

    def forward(self, maps: Tensor) -> Tensor:
        """Return the new maps."""
        new: Tensor = self.path(maps)
        return maps + new if self.kept else new
