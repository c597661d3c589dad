"""What the recurrent networks share: a spectrum is read patch by patch, a patch a step.

Wide patches make short sequences, which train and run fast while the cells still see order; patches of one point are
the sequence of the papers. Source of the family: J. Innov. Opt. Health Sci. 15(4) 2250022 (2022), which gives cell,
layers (1-3), dropout and one dense layer; hidden size, patches and read-out are ours.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from export.models.network import Network, NetworkKind

Read = Literal["last", "mean"]


class RecurrentWords(NetworkKind):
    """Sizes of a recurrent network. `patch`: points a step. `features`: width of the layer before the logits,
    0 for none.

    read: `last` takes the last state of each direction, `mean` the mean of all states.
    """

    patch: Annotated[int, Field(ge=1, le=512)]
    hidden: Annotated[int, Field(ge=4, le=512)]
    layers: Annotated[int, Field(ge=1, le=3)]
    features: Annotated[int, Field(ge=0, le=512)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    read: Read = "last"

    def check(self, *, points: int) -> None:
        """Raise ValueError unless the points are a whole number of patches."""
        if points % self.patch:
            raise ValueError(f"patch: {points} points are no whole number of patches of {self.patch}")


class Recurrent(Network):
    """Prepared spectra [n, points] in; logits [n, classes] out. Subclasses say which cells, and their name."""

    name: ClassVar[str]
    cells: ClassVar[type[nn.GRU] | type[nn.LSTM]]

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
        read: Read = "last",
    ) -> None:
        super().__init__()
        self.steps, self.patch, self.read = points // patch, patch, read
        between = dropout if layers > 1 else 0.0
        self.add_module(
            self.name,
            self.cells(patch, hidden, layers, batch_first=True, bidirectional=bidirectional, dropout=between),
        )
        self.drop = nn.Dropout(dropout)
        self.ends = 2 if bidirectional else 1
        self.dense = nn.Linear(self.ends * hidden, features) if features else None
        self.out = nn.Linear(features or self.ends * hidden, classes)

    def embed(self, prepared: Tensor) -> Tensor:
        """Return the dense layer's output, from the last states or the mean state; or these, where there is none."""
        states, last = self.run(prepared.reshape(-1, self.steps, self.patch))
        if self.read == "mean":
            read = states.mean(dim=1)
        else:
            read = torch.cat([last[-end] for end in range(self.ends, 0, -1)], dim=1)
        read = self.drop(read)
        return read if self.dense is None else torch.relu(self.dense(read))

    def run(self, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """Return all states of the last layer [n, steps, ends * hidden], and the last of each layer and direction."""
        raise NotImplementedError
