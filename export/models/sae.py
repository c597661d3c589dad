"""A stacked autoencoder: each layer first learns to describe what it is given, then all learn to name it.

Source: OpenSA (github.com/FuSiry/OpenSA, Classification/SAE.py): 512 and 128 units, ReLU, 200 epochs a layer with Adam.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from export.models.network import Network, NetworkKind

LEARNING_RATE = 1e-3
BATCH = 128


class SaeWords(NetworkKind):
    """Dense layers of these widths; `layer_epochs`: how long each learns by itself before training."""

    kind: Literal["sae"] = "sae"
    widths: Annotated[tuple[Annotated[int, Field(ge=4, le=4096)], ...], Field(min_length=1, max_length=6)] = (512, 128)
    layer_epochs: Annotated[int, Field(ge=0, le=2000)] = 200
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def build(self, *, points: int, classes: int) -> Sae:
        """Return an untrained network."""
        self.check(points=points)
        return Sae(self, points=points, classes=classes)

    def pretrain(self, network: Network, prepared: Tensor, *, generator: torch.Generator) -> tuple[float, ...]:
        """Teach each layer to reproduce its own input. Returns each layer's last mean squared error."""
        assert isinstance(network, Sae)
        return pretrain(network, prepared, epochs=self.layer_epochs, generator=generator)


class Sae(Network):
    """Prepared spectra [n, points] in; logits [n, classes] out."""

    def __init__(self, words: SaeWords, *, points: int, classes: int) -> None:
        super().__init__()
        inputs = (points, *words.widths)
        self.layers = nn.ModuleList(
            nn.Linear(before, width) for before, width in zip(inputs, words.widths, strict=False)
        )
        self.drop = nn.Dropout(words.dropout)
        self.out = nn.Linear(inputs[-1], classes)

    def embed(self, prepared: Tensor) -> Tensor:
        """Return the innermost description."""
        for layer in self.layers:
            prepared = torch.relu(layer(prepared))
        return self.drop(prepared)


def pretrain(network: Sae, prepared: Tensor, *, epochs: int, generator: torch.Generator) -> tuple[float, ...]:
    """Train layer after layer, each with a decoder that is thrown away. Returns each layer's last mean squared error.

    The layers before the one that learns stay as they are. Order and decoders come from `generator` alone.
    """
    losses = []
    given = prepared.detach()
    for module in network.layers:
        assert isinstance(module, nn.Linear)
        decoder = _decoder(module, generator)
        optimiser = torch.optim.Adam([*module.parameters(), *decoder.parameters()], lr=LEARNING_RATE)
        for _ in range(epochs):
            for rows in torch.randperm(len(given), generator=generator).split(BATCH):
                loss = nn.functional.mse_loss(decoder(torch.relu(module(given[rows]))), given[rows])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
        with torch.no_grad():
            hidden = torch.relu(module(given))
            losses.append(float(nn.functional.mse_loss(decoder(hidden), given)))
        given = hidden
    network.zero_grad()
    return tuple(losses)


def _decoder(layer: nn.Linear, generator: torch.Generator) -> nn.Linear:
    decoder = nn.utils.skip_init(nn.Linear, layer.out_features, layer.in_features)
    bound = layer.out_features**-0.5
    with torch.no_grad():
        decoder.weight.uniform_(-bound, bound, generator=generator)
        decoder.bias.uniform_(-bound, bound, generator=generator)
    return decoder
