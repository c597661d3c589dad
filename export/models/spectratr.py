"""SpectraTr: a transformer that reads a spectrum in patches, with a token of its own for the class.

Source: Fu et al., J. Innov. Opt. Health Sci. 15(3) 2250021 (2022) and github.com/FuSiry/Transformer-for-Nirs
(VitNet.py, TableVitRun.py). The defaults are the published run on the tablets: 31.6 million parameters, a reference
and no network for a board.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from export.models.attention import Attention, feed_forward
from export.models.network import Network, NetworkKind

MOST_TOKENS = 1024  # attention keeps a score for each pair: 1 M floats a head and spectrum


class SpectraTrWords(NetworkKind):
    """`patch`: points a token; points after the last whole patch are not read, as published (404 points: 400)."""

    kind: Literal["spectratr"] = "spectratr"
    patch: Annotated[int, Field(ge=1, le=512)] = 10
    width: Annotated[int, Field(ge=8, le=4096)] = 2048
    depth: Annotated[int, Field(ge=1, le=12)] = 3
    heads: Annotated[int, Field(ge=1, le=32)] = 12
    head_width: Annotated[int, Field(ge=4, le=256)] = 64
    inner: Annotated[int, Field(ge=8, le=8192)] = 1024
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1

    def check(self, *, points: int) -> None:
        """Raise ValueError where there is no whole patch, or too many of them."""
        if points < self.patch:
            raise ValueError(f"patch: {points} points are no whole patch of {self.patch}")
        if points // self.patch > MOST_TOKENS:
            raise ValueError(f"patch: {points} points in patches of {self.patch} are more than {MOST_TOKENS} tokens")

    def build(self, *, points: int, classes: int) -> SpectraTr:
        """Return an untrained network."""
        self.check(points=points)
        return SpectraTr(self, points=points, classes=classes)


class SpectraTr(Network):
    """Prepared spectra [n, points] in; logits [n, classes] out."""

    def __init__(self, words: SpectraTrWords, *, points: int, classes: int) -> None:
        super().__init__()
        self.steps, self.patch = points // words.patch, words.patch
        self.tokens = nn.Linear(words.patch, words.width)
        self.places = nn.Parameter(torch.randn(1, self.steps + 1, words.width))
        self.verdict = nn.Parameter(torch.randn(1, 1, words.width))
        self.drop = nn.Dropout(words.dropout)
        self.layers = nn.Sequential(*(Layer(words) for _ in range(words.depth)))
        self.norm = nn.LayerNorm(words.width)
        self.out = nn.Linear(words.width, classes)

    def embed(self, prepared: Tensor) -> Tensor:
        """Return the class token after all layers."""
        read = prepared[:, : self.steps * self.patch].reshape(-1, self.steps, self.patch)
        tokens = torch.cat([self.verdict.expand(read.shape[0], -1, -1), self.tokens(read)], dim=1)
        seen: Tensor = self.norm(self.layers(self.drop(tokens + self.places))[:, 0])
        return seen


class Layer(nn.Module):
    """Attention, then two dense layers, each after a normalisation and beside a shortcut."""

    def __init__(self, words: SpectraTrWords) -> None:
        super().__init__()
        self.before = nn.LayerNorm(words.width)
        self.attention = Attention(
            words.width, heads=words.heads, head_width=words.head_width, biased=False, dropout=words.dropout
        )
        self.between = nn.LayerNorm(words.width)
        self.dense = feed_forward(words.width, words.inner, dropout=words.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the new tokens."""
        tokens = tokens + self.attention(self.before(tokens))
        return tokens + self.dense(self.between(tokens))
