"""The one graph of a bundle: preprocessing, the mean of what all members say, and what the gates read."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from export.fit import Member
from export.gates.bank import Bank
from export.preprocess.pipeline import Pipeline, steps_in_two
from export.recipe import Recipe

LARGEST = 64.0  # logit: in float32 four decimals are good in it


class Halved(nn.Module):
    """Logits halved so many times, which changes no digit of them but the exponent."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.share = 0.5**times

    def forward(self, logits: Tensor) -> Tensor:
        """Return them."""
        return logits * self.share


class Identifier(nn.Module):
    """Spectra float32 [n, points] on the manifest's axis in; logits [n, classes], or amounts [n, 1], and features
    [n, k] out.

    Each member has learned from another part of the development spectra and has constants of its own from the first
    fitted step on; `common` holds the steps before it, which are run once.
    """

    def __init__(self, common: Pipeline, own: Sequence[Pipeline], members: Sequence[nn.Module], gates: Bank) -> None:
        super().__init__()
        self.common = common
        self.own = nn.ModuleList(own)
        self.members = nn.ModuleList(members)
        self.gates = gates

    def forward(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features."""
        prepared = self.common(spectrum)
        logits = [member(own(prepared)) for own, member in zip(self.own, self.members, strict=True)]
        return torch.stack(logits).mean(dim=0), self.gates(spectrum)


def identifier_of(recipe: Recipe, members: Sequence[Member], *, classes: int) -> Identifier:
    """Return fitted members joined; the gates' spaces are not fitted yet.

    Discriminants of classes far apart run to thousands, in which float32 has no thousandths left, and every device is
    to say to a fiftieth of a logit what the build said. So all members' are halved until the largest is under LARGEST:
    the mean names the same classes, and how sure to be is calibrated afterwards.
    """
    largest = max(member.largest for member in members)
    times = max(0, math.ceil(math.log2(largest / LARGEST))) if largest else 0
    common, _ = steps_in_two(recipe.steps, recipe.grid)
    return Identifier(
        common,
        [member.own for member in members],
        [nn.Sequential(member.model, Halved(times)) if times else member.model for member in members],
        Bank(recipe.gate, recipe.steps, grid=recipe.grid, classes=classes),
    )
