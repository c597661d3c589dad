"""The one graph of a bundle: preprocessing, the mean of what all members say, and what the gates read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from export.fit import Member
from export.gates.bank import Bank
from export.preprocess.pipeline import Pipeline, steps_in_two
from export.recipe import Recipe


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
    """Return fitted members joined; the gates' spaces are not fitted yet."""
    common, _ = steps_in_two(recipe.steps, recipe.grid)
    return Identifier(
        common,
        [member.own for member in members],
        [member.model for member in members],
        Bank(recipe.gate, recipe.steps, grid=recipe.grid, classes=classes),
    )
