"""What every network is: prepared spectra in, one row of numbers that its last layer reads, logits out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from export.words import Words


class Network(nn.Module):
    """Prepared float32 spectra [n, points] to logits [n, classes]; no softmax inside.

    `embed` gives what the last layer `out` reads, [n, out.in_features]; gates may judge a spectrum by it.
    """

    out: nn.Linear

    def embed(self, prepared: Tensor) -> Tensor:
        """Return what the last layer reads, [n, out.in_features]."""
        raise NotImplementedError

    def forward(self, prepared: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.out(self.embed(prepared))
        return logits


class NetworkKind(Words):
    """Base of each network's words in a recipe: they say its sizes, and build it."""

    def check(self, *, points: int) -> None:
        """Raise ValueError where spectra of so many points do not fit; its message begins with the key at fault."""

    def build(self, *, points: int, classes: int) -> Network:
        """Return an untrained network; its weights are drawn from torch's own generator. Raises as `check`."""
        raise NotImplementedError

    def pretrain(self, network: Network, prepared: Tensor, *, generator: torch.Generator) -> tuple[float, ...]:
        """Teach what needs no targets, on prepared training spectra [n, points], before the training proper.

        Most networks have nothing of the kind. Returns the last loss of each phase.
        """
        return ()
