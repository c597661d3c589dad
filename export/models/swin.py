"""Swin on the pseudo-image: attention inside small windows that shift from block to block.

Source: Liu et al., Swin Transformer, 2021 (arXiv 2103.14030). InvertResNet is compared with a "SwinTR" of which only
the score is published; the sizes here are ours, small enough for a board.
"""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from export.models.attention import Attention, feed_forward
from export.models.network import Network
from export.models.pseudo_image import PictureWords, PseudoImage, side_of

APART = -100.0  # added to the score of two tokens that only the shift has brought into one window
SPREAD = 0.02  # of the first position biases, as in the paper

Width = Annotated[int, Field(ge=4, le=512)]


class SwinWords(PictureWords):
    """One stage a width, each with `depth` blocks; between stages four tokens become one.

    patch: cells a token's side. window: tokens a window's side. inner: width of the dense layers, in widths.
    """

    kind: Literal["swin"] = "swin"
    patch: Annotated[int, Field(ge=1, le=8)] = 2
    window: Annotated[int, Field(ge=2, le=8)] = 3
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=4)] = (32, 64)
    heads: tuple[Annotated[int, Field(ge=1, le=32)], ...] = (2, 4)
    depth: Annotated[int, Field(ge=1, le=8)] = 2
    inner: Annotated[int, Field(ge=1, le=8)] = 2

    @model_validator(mode="after")
    def _consistent(self) -> SwinWords:
        if len(self.heads) != len(self.widths):
            raise ValueError(f"heads: {len(self.heads)} for {len(self.widths)} widths")
        for width, heads in zip(self.widths, self.heads, strict=True):
            if width % heads:
                raise ValueError(f"heads: a width of {width} is no whole number of {heads} heads")
        return self

    def side(self, points: int) -> int:
        """Return the side of the picture: whole windows in every stage."""
        return side_of(points, multiple_of=self.patch * self.window * 2 ** (len(self.widths) - 1))

    def build(self, *, points: int, classes: int) -> Swin:
        """Return an untrained network."""
        self.check(points=points)
        return Swin(self, points=points, classes=classes)


class Swin(Network):
    """Prepared spectra [n, points] in; logits [n, classes] out."""

    def __init__(self, words: SwinWords, *, points: int, classes: int) -> None:
        super().__init__()
        side = words.side(points)
        self.picture = PseudoImage(points=points, side=side, fill=words.fill, serpentine=words.serpentine)
        self.tokens = nn.Conv2d(1, words.widths[0], words.patch, words.patch)
        self.first = nn.LayerNorm(words.widths[0])
        side //= words.patch
        stages: list[nn.Module] = []
        for number, (width, heads) in enumerate(zip(words.widths, words.heads, strict=True)):
            if number:
                stages.append(Merge(words.widths[number - 1], width))
                side //= 2
            for block in range(words.depth):
                shift = words.window // 2 if block % 2 and side > words.window else 0
                stages.append(
                    WindowBlock(width, heads=heads, side=side, window=words.window, shift=shift, inner=words.inner)
                )
        self.stages = nn.Sequential(*stages)
        self.norm = nn.LayerNorm(words.widths[-1])
        self.drop = nn.Dropout(words.dropout)
        self.out = nn.Linear(words.widths[-1], classes)

    def embed(self, prepared: Tensor) -> Tensor:
        """Return the mean of all tokens of the last stage."""
        tokens = self.first(self.tokens(self.picture(prepared)).permute(0, 2, 3, 1))
        return self.drop(self.norm(self.stages(tokens)).mean(dim=(1, 2)))


class Merge(nn.Module):
    """Four neighbouring tokens become one: [n, side, side, inputs] to [n, side / 2, side / 2, outputs]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * inputs)
        self.dense = nn.Linear(4 * inputs, outputs, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the new tokens."""
        half, width = tokens.shape[1] // 2, tokens.shape[3]
        fours = tokens.reshape(-1, half, 2, half, 2, width).permute(0, 1, 3, 2, 4, 5)
        merged: Tensor = self.dense(self.norm(fours.reshape(-1, half, half, 4 * width)))
        return merged


class WindowBlock(nn.Module):
    """Attention inside each window of a picture of tokens [n, side, side, width], then two dense layers."""

    offsets: Tensor
    apart: Tensor

    def __init__(self, width: int, *, heads: int, side: int, window: int, shift: int, inner: int) -> None:
        super().__init__()
        self.side, self.window, self.shift, self.heads = side, window, shift, heads
        self.before = nn.LayerNorm(width)
        self.attention = Attention(width, heads=heads, head_width=width // heads, biased=True, dropout=0.0)
        self.between = nn.LayerNorm(width)
        self.dense = feed_forward(width, inner * width, dropout=0.0)
        self.by_offset = nn.Parameter(torch.randn((2 * window - 1) ** 2, heads) * SPREAD)
        self.register_buffer("offsets", _offsets(window), persistent=False)
        self.register_buffer("apart", _apart(side, window, shift), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the new tokens."""
        seen = self.before(tokens)
        if self.shift:
            seen = torch.roll(seen, (-self.shift, -self.shift), (1, 2))
        seen = self._whole(self.attention(self._windows(seen), self._bias()))
        if self.shift:
            seen = torch.roll(seen, (self.shift, self.shift), (1, 2))
        tokens = tokens + seen
        return tokens + self.dense(self.between(tokens))

    def _bias(self) -> Tensor:
        count = self.window**2
        near = self.by_offset.index_select(0, self.offsets).reshape(count, count, self.heads).permute(2, 0, 1)
        return near[None] + self.apart[:, None]

    def _windows(self, tokens: Tensor) -> Tensor:
        across, width = self.side // self.window, tokens.shape[3]
        cut = tokens.reshape(-1, across, self.window, across, self.window, width).permute(0, 1, 3, 2, 4, 5)
        return cut.reshape(-1, across**2, self.window**2, width)

    def _whole(self, windows: Tensor) -> Tensor:
        across, width = self.side // self.window, windows.shape[3]
        cut = windows.reshape(-1, across, across, self.window, self.window, width).permute(0, 1, 3, 2, 4, 5)
        return cut.reshape(-1, self.side, self.side, width)


def _offsets(window: int) -> Tensor:
    """Return, for each pair of a window's tokens, which of the (2 window - 1)^2 offsets lies between them."""
    places = list(itertools.product(range(window), repeat=2))
    across = 2 * window - 1
    return torch.tensor(
        [(ay - by + window - 1) * across + ax - bx + window - 1 for ay, ax in places for by, bx in places]
    )


def _apart(side: int, window: int, shift: int) -> Tensor:
    """Return [windows, tokens, tokens]: APART between tokens that were no neighbours before the shift, else 0."""
    line = torch.zeros(side, dtype=torch.int64)
    if shift:
        line[side - window : side - shift], line[side - shift :] = 1, 2
    regions = line[:, None] * 3 + line[None, :]
    across = side // window
    cut = regions.reshape(across, window, across, window).permute(0, 2, 1, 3).reshape(across**2, window**2)
    return (cut[:, :, None] != cut[:, None, :]).float() * APART
