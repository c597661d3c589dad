"""A plain convolutional network: convolution, normalisation, ReLU, pool, three times; then one dense layer.

Source: OpenSA (github.com/FuSiry/OpenSA, Classification/CNN.py), which SpectraTr is compared with. Left out here: the
softmax before a loss that takes logits, and the biases that batch normalisation cancels.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn

from export.models.network import Network, NetworkKind

Kernel = Annotated[int, Field(ge=3, le=63)]
POOL = 3


class CnnWords(NetworkKind):
    """As published by default. `edges`: `cut` looks only where the kernel fits; `zeros` pads, for shorter spectra."""

    kind: Literal["cnn"] = "cnn"
    width: Annotated[int, Field(ge=4, le=512)] = 64
    kernels: Annotated[tuple[Kernel, ...], Field(min_length=1, max_length=6)] = (21, 19, 17)
    edges: Literal["cut", "zeros"] = "cut"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def check(self, *, points: int) -> None:
        """Raise ValueError where a kernel finds too few points."""
        least = 1
        for kernel in reversed(self.kernels):
            least = least * POOL + self._lost(kernel)
        if points < least:
            raise ValueError(f"kernels: {points} points are too few for {self.kernels}; {least} are the least")

    def places(self, points: int) -> int:
        """Return how many places along the axis are left for the dense layer."""
        for kernel in self.kernels:
            points = (points - self._lost(kernel)) // POOL
        return points

    def _lost(self, kernel: int) -> int:
        return kernel - 1 - 2 * self.padding(kernel)

    def padding(self, kernel: int) -> int:
        """Return how many zeros stand at each end."""
        return kernel // 2 if self.edges == "zeros" else 0

    def build(self, *, points: int, classes: int) -> Cnn:
        """Return an untrained network."""
        self.check(points=points)
        return Cnn(self, points=points, classes=classes)


class Cnn(Network):
    """Prepared spectra [n, points] in; logits [n, classes] out."""

    def __init__(self, words: CnnWords, *, points: int, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 1
        for kernel in words.kernels:
            layers += [
                nn.Conv2d(inputs, words.width, (1, kernel), padding=(0, words.padding(kernel)), bias=False),
                nn.BatchNorm2d(words.width),
                nn.ReLU(),
                nn.MaxPool2d((1, POOL)),
            ]
            inputs = words.width
        self.layers = nn.Sequential(*layers)
        self.drop = nn.Dropout(words.dropout)
        self.out = nn.Linear(words.width * words.places(points), classes)

    def embed(self, prepared: Tensor) -> Tensor:
        """Return all places of all maps in a row."""
        return self.drop(self.layers(prepared[:, None, None, :]).flatten(1))
