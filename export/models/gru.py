"""Gated recurrent units (Cho et al. 2014), in one direction or both."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from export.models.recurrent import Recurrent, RecurrentWords


class GruWords(RecurrentWords):
    """One to three layers of GRU."""

    kind: Literal["gru"] = "gru"
    bidirectional: bool

    def build(self, *, points: int, classes: int) -> PatchGru:
        """Return an untrained network."""
        self.check(points=points)
        return PatchGru(points=points, classes=classes, **self.model_dump(exclude={"kind"}))


class PatchGru(Recurrent):
    """A GRU that is fed patches of the spectrum."""

    name, cells = "gru", nn.GRU
    gru: nn.GRU

    def run(self, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """Return all states of the last layer, and the last of each layer and direction."""
        states, last = self.gru(sequence)
        return states, last
