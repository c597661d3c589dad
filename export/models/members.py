"""Many small networks of one kind, one a compound, that are run and trained together.

All members have the same sizes. They stand side by side along the channels of grouped convolutions, so that one
forward runs all of them and the gradient of each is what it would be alone; each can be taken out and put back.
What mixes members is outside: clip gradients and stop early by member, not over the whole bank.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from export.models.network import Network, NetworkKind

State = Mapping[str, Tensor]


class MemberNetwork(Network):
    """Prepared float32 spectra in; logits [n, members] out, each to be judged by a sigmoid of its own.

    The spectra are [n, points], the same for all, or [n, members, points], each member's own: then each member may
    learn from a balanced set. A tensor of the state holds the members one after another along its first dimension.
    """

    def __init__(self, words: NetworkKind, *, points: int, members: int) -> None:
        super().__init__()
        self.words, self.points, self.members = words, points, members

    def state_of(self, member: int) -> dict[str, Tensor]:
        """Return a copy of one member's state, which a network of the same words with one class loads."""
        if not 0 <= member < self.members:
            raise IndexError(f"member {member} of {self.members}")
        return {name: _part(value, member, self.members).clone() for name, value in self.state_dict().items()}

    def alone(self, member: int) -> Network:
        """Return one member as a network of its own, in the same mode."""
        network = self.words.build(points=self.points, classes=1)
        network.load_state_dict(self.state_of(member))
        return network.train(self.training)

    def put(self, member: int, state: State) -> None:
        """Replace one member's state by that of a network with one class."""
        if not 0 <= member < self.members:
            raise IndexError(f"member {member} of {self.members}")
        with torch.no_grad():
            for name, value in self.state_dict().items():
                if value.ndim:
                    _part(value, member, self.members).copy_(state[name])


class FirstConvolution(nn.Conv2d):
    """Reads spectra as pictures of height 1: [n, 1, 1, points] for all members, or [n, members, 1, points]."""

    def forward(self, spectra: Tensor) -> Tensor:
        """Return the maps of all members, [n, members * channels, 1, places]."""
        return nn.functional.conv2d(spectra, self.weight, self.bias, self.stride, self.padding, groups=spectra.shape[1])


class MemberLinear(nn.Linear):
    """A dense layer of each member: [n, members * inputs] to [n, members * outputs], a block-diagonal product.

    weight: [members * outputs, inputs].
    """

    def __init__(self, inputs: int, outputs: int, *, members: int) -> None:
        super().__init__(inputs, members * outputs)
        self.in_features, self.members = members * inputs, members

    def forward(self, rows: Tensor) -> Tensor:
        """Return the new rows."""
        given = rows.unflatten(1, (self.members, -1)).transpose(0, 1)
        weight = self.weight.unflatten(0, (self.members, -1)).transpose(1, 2)
        return (given @ weight).transpose(0, 1).flatten(1) + self.bias


def as_pictures(prepared: Tensor) -> Tensor:
    """Return spectra [n, points] or [n, members, points] as [n, 1 or members, 1, points]."""
    return prepared[:, None, None, :] if prepared.ndim == 2 else prepared[:, :, None, :]


def by_member(rows: Tensor, members: int) -> Tensor:
    """Return [n, members * k] as [n, members, k]."""
    return rows.unflatten(1, (members, -1))


def _part(value: Tensor, member: int, members: int) -> Tensor:
    """One member's rows, as a view. A counter of batches has no rows: it belongs to all."""
    if not value.ndim:
        return value
    rows = value.shape[0] // members
    return value[member * rows : (member + 1) * rows]
