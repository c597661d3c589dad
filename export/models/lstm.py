"""Long short-term memory (Hochreiter and Schmidhuber 1997, with forget gates), in one direction or both."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from export.models.recurrent import Recurrent, RecurrentWords


class LstmWords(RecurrentWords):
    """One to three layers of LSTM; `bilstm` reads the spectrum from both ends."""

    kind: Literal["lstm", "bilstm"]

    def build(self, *, points: int, classes: int) -> PatchLstm:
        """Return an untrained network."""
        self.check(points=points)
        sizes = self.model_dump(exclude={"kind"})
        return PatchLstm(points=points, classes=classes, bidirectional=self.kind == "bilstm", **sizes)


class PatchLstm(Recurrent):
    """An LSTM that is fed patches of the spectrum."""

    name, cells = "lstm", nn.LSTM
    lstm: nn.LSTM

    def run(self, sequence: Tensor) -> tuple[Tensor, Tensor]:
        """Return all states of the last layer, and the last of each layer and direction."""
        states, (last, _) = self.lstm(sequence)
        return states, last
