"""The one graph of a bundle: preprocessing, the mean of all members' logits, and the gate's coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from export.models.discriminant import Discriminant
from export.models.network import Network
from export.preprocess.pipeline import Axis, Pipeline, axis_after, build
from export.preprocess.words import StepWords
from export.recipe import Recipe


class Identifier(nn.Module):
    """Spectra float32 [n, points] on the manifest's axis in; logits [n, classes] and features [n, k] out.

    Each member has learned from another part of the development spectra and has constants of its own in the last,
    standardising step; `common` holds the steps before it, which are run once.
    """

    def __init__(
        self, common: Pipeline, own: Sequence[Pipeline], members: Sequence[Network], discriminant: Discriminant
    ) -> None:
        super().__init__()
        self.common = common
        self.own = nn.ModuleList(own)
        self.members = nn.ModuleList(members)
        self.discriminant = discriminant

    def forward(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and features."""
        prepared = self.common(spectrum)
        logits = [member(own(prepared)) for own, member in zip(self.own, self.members, strict=True)]
        return torch.stack(logits).mean(dim=0), self.discriminant(prepared)


def new_member(recipe: Recipe, classes: int) -> Network:
    """Return an untrained network of the recipe's kind."""
    return recipe.network.build(points=recipe.axis.points, classes=classes)


def steps_in_two(steps: Sequence[StepWords], axis: Axis | int) -> tuple[Pipeline, Pipeline]:
    """Return the steps, unfitted: those that need no training data, and the rest, from the first that does.

    axis: as in `pipeline.build`.
    """
    first = next((i for i, words in enumerate(steps) if words.fitted), len(steps))
    return build(steps[:first], axis), build(steps[first:], axis_after(steps[:first], axis))


def new_identifier(recipe: Recipe, *, classes: int, members: int) -> Identifier:
    """Return an unfitted identifier, to load a saved state into."""
    points = recipe.axis.points
    common, _ = steps_in_two(recipe.steps, points)
    return Identifier(
        common,
        [steps_in_two(recipe.steps, points)[1] for _ in range(members)],
        [new_member(recipe, classes) for _ in range(members)],
        Discriminant(points=points, classes=classes),
    )
