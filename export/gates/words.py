"""The gate's vocabulary in a recipe."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edged.infer.verdict import Preset
from export.preprocess.words import StepWords
from export.words import Words

Share = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]


class Space(Words):
    """Distances to each class, behind steps of the space's own, none of which is fitted.

    kind: by the class's own scatter, or in the discriminant by the scatter that all share, for few scans a class.
    strength: how strongly the copies that it is fitted on are changed. pooled: share of the classes' mean covariance in
    each class's own; a discriminant has no other.
    """

    name: Name
    kind: Literal["class-scatter", "discriminant"] = "class-scatter"
    steps: Annotated[tuple[StepWords, ...], Field(min_length=1)]
    strength: Annotated[float, Field(ge=0, le=3)]
    shrinkage: Share
    pooled: Share | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Space:
        if (self.pooled is None) != (self.kind == "discriminant"):
            raise ValueError("pooled: class-scatter needs it, and a discriminant has none")
        if fitted := [step.kind for step in self.steps if step.fitted]:
            raise ValueError(f"steps: {', '.join(fitted)} takes constants from training spectra; a space has none")
        return self


class Gate(Words):
    """Out-of-model gates. Limit = slack x the quantile of held-out distances, of the blocks and of their copies.

    copies: augmented copies of each spectrum that the spaces are fitted on and that the limits are taken from.
    shrinkage: share of the mean variance added to the within-class scatter. spaces: gates of which any may refuse, in
    place of the one discriminant of `name`, which sees what the network's first steps make.
    """

    name: Name
    shrinkage: Share
    copies: Annotated[int, Field(ge=1, le=50)]
    quantile: Share
    slack: dict[Preset, Annotated[float, Field(ge=1, le=10)]]
    spaces: tuple[Space, ...] = ()

    @model_validator(mode="after")
    def _names_differ(self) -> Gate:
        if len({space.name for space in self.spaces}) != len(self.spaces):
            raise ValueError("spaces: two bear one name")
        return self


class Claims(Words):
    """A claim is tested against held-out scans of the class and changed copies of them: the distance in that space.

    alpha: share of true claims that is refused.
    """

    space: Name
    alpha: dict[Preset, Share]
