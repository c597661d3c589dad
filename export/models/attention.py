"""What the transformers share: self-attention over a short row of tokens, in plain products that quantisers know."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Tokens [..., tokens, width] to tokens of the same shape; `heads` views, each `head_width` wide."""

    def __init__(self, width: int, *, heads: int, head_width: int, biased: bool, dropout: float) -> None:
        super().__init__()
        self.heads, self.head_width = heads, head_width
        self.views = nn.Linear(width, 3 * heads * head_width, bias=biased)
        self.joined = nn.Linear(heads * head_width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, bias: Tensor | None = None) -> Tensor:
        """Return new tokens. `bias` is added to the scores, [..., heads, tokens, tokens]."""
        asked, keys, values = (self._by_head(part) for part in self.views(tokens).chunk(3, dim=-1))
        scores = asked @ keys.transpose(-1, -2) * self.head_width**-0.5
        if bias is not None:
            scores = scores + bias
        seen = (torch.softmax(scores, dim=-1) @ values).transpose(-2, -3)
        return self.drop(self.joined(seen.flatten(-2)))

    def _by_head(self, part: Tensor) -> Tensor:
        return part.unflatten(-1, (self.heads, self.head_width)).transpose(-2, -3)


def feed_forward(width: int, inner: int, *, dropout: float) -> nn.Sequential:
    """Return the two dense layers that follow attention."""
    return nn.Sequential(
        nn.Linear(width, inner), nn.GELU(), nn.Dropout(dropout), nn.Linear(inner, width), nn.Dropout(dropout)
    )
