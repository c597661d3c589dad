"""A GRU that reads a spectrum in patches: the sequence is short, so it trains and runs fast, and the gates still see
order."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PatchGru(nn.Module):
    """Preprocessed spectra [n, points] in; logits [n, classes] out. Each step of the GRU reads one patch of points."""

    def __init__(
        self,
        *,
        points: int,
        classes: int,
        patch: int,
        hidden: int,
        layers: int,
        bidirectional: bool,
        features: int,
        dropout: float,
    ) -> None:
        super().__init__()
        if points % patch:
            raise ValueError(f"{points} points are no whole number of patches of {patch}")
        self.steps, self.patch = points // patch, patch
        self.gru = nn.GRU(
            patch,
            hidden,
            layers,
            batch_first=True,
            bidirectional=bidirectional,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.drop = nn.Dropout(dropout)
        self.ends = 2 if bidirectional else 1
        self.dense = nn.Linear(self.ends * hidden, features)
        self.out = nn.Linear(features, classes)

    def forward(self, spectra: Tensor) -> Tensor:
        """Return logits from the last state of each direction."""
        _, last = self.gru(spectra.reshape(-1, self.steps, self.patch))
        read = torch.cat([last[-end] for end in range(self.ends, 0, -1)], dim=1)
        return self.out(torch.relu(self.dense(self.drop(read))))
