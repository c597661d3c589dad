"""The vocabulary of a recipe: one TOML file says everything a bundle is made of, and unknown keys are errors.

All mistakes are reported at once, each with its key, what was found and what is allowed.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from edged.bundle.manifest import Axis
from edged.infer.verdict import Preset, Procedure
from export.acceptance import Acceptance
from export.baselines.dose import PlsDoseWords, SvrDoseWords
from export.data.augment import Session
from export.data.split import SplitWords
from export.errors import RecipeError
from export.gates.words import Claims, Gate
from export.learning import Learning, Positive
from export.models.any import ModelWords
from export.models.deepcid import DeepCidWords
from export.models.network import NetworkKind
from export.models.pair import PairWords
from export.models.resuca import ResucaWords
from export.preprocess.pipeline import StepWords, axis_after, build
from export.quantise.schemes import Wanted
from export.reading import RECIPES as RECIPES
from export.reading import names_components, recipe_fields, recipe_text, recipe_words
from export.words import Words

Share = Annotated[float, Field(gt=0, lt=1)]


class About(Words):
    """What the data sheet and the licence of the bundle say of a user's own spectra."""

    title: str = "the user's own classes"
    licence: str = "the user's own"
    copyright: str = ""
    origin: str = "the user's own measurements"
    instruments: tuple[str, ...] = ("not stated",)
    conditions: str = "not stated"
    grouping: str = "what the column group of labels.csv says"
    ships: bool = True


class Data(Words):
    """Which spectra, how they are split, and which sets must be refused.

    set: a public one. folder: the user's own instead, a folder with a labels.csv or one table, by its path from the
    recipe's folder on; `about` tells of them. outsiders: things that the model does not know. near_outsiders: the hard
    case, mixtures of what it knows and the like: shown apart, and left out of the headline.
    """

    set: str | None = None
    folder: Annotated[str | None, Field(min_length=1)] = None
    about: About = About()
    split: SplitWords
    outsiders: tuple[str, ...] = ()
    near_outsiders: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if (self.set is None) == (self.folder is None):
            raise ValueError("set: name either a public set or a folder of your own")
        return self


class Training(Learning):
    """An ensemble: each fold is left out by members of its own, which differ by seed."""

    seed: Annotated[int, Field(ge=0, le=2**31)]
    members_per_fold: Annotated[int, Field(ge=1, le=8)]


class Quantity(Words):
    """The amount that the model tells, in the unit of the set: a short label, and a title for people."""

    label: Annotated[str, Field(min_length=1, max_length=64)]
    title: Annotated[str, Field(min_length=1, max_length=200)]


class OperatingPoint(Words):
    """coverage: share of new spectra whose true class the conformal set is to hold. The floor is a probability."""

    coverage: Share
    min_probability: Annotated[float, Field(ge=0, le=1)]


class Sets(Words):
    """Conformal sets hold the true class of spectra as measured, and of copies changed with `strength`.

    What the copies do not show is not promised: 1 takes changes as the augmentation states them.
    """

    strength: Annotated[float, Field(ge=0, le=3)] = 1.0


class Quantisation(Words):
    """scheme: how the weights become int8; float keeps them, auto measures and chooses (`export.quantise.choose`).

    tolerance: largest logit difference on any CPU. aware_epochs: of learning with the rounding in the loop, which makes
    the candidate `aware`; with none it is made only by auto, where fixed scales change verdicts of a network.
    """

    scheme: Wanted
    tolerance: Positive
    aware_epochs: Annotated[int, Field(ge=0, le=1000)] = 0
    golden_vectors: Annotated[int, Field(ge=1, le=256)]

    @model_validator(mode="after")
    def _makes_sense(self) -> Quantisation:
        if self.scheme == "aware" and not self.aware_epochs:
            raise ValueError("aware_epochs: aware is made by learning, so at least 1")
        return self


class Evaluation(Words):
    """What the report measures beside the held-out block: stress sessions, and the rotation over all blocks."""

    sessions: Annotated[int, Field(ge=1, le=100)]
    session: Session
    mild_session: Session
    rotation: bool
    baselines: bool
    seeds: Annotated[int, Field(ge=1, le=10, description="how often the shipped split is trained anew, for the spread")]


class Quick(Words):
    """What `--quick` replaces: a small bundle in seconds, for tests and first tries; not for use."""

    epochs: Annotated[int, Field(ge=1, le=2000)]
    hidden: Annotated[int, Field(ge=4, le=512)]
    sessions: Annotated[int, Field(ge=1, le=100)]


class Recipe(Words):
    """Everything a bundle is made of.

    purpose: the intended use. limits: what the model is known not to do, a sentence each; the report adds what the
    trial finds. acceptance: what the model must reach, stated before the trial.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    technique: Literal["nir", "raman"]
    quantity: Literal["absorbance", "reflectance", "intensity"]
    procedures: Annotated[tuple[Procedure, ...], Field(min_length=1)]
    default_preset: Preset
    purpose: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    limits: tuple[Annotated[str, Field(min_length=1, max_length=500)], ...] = ()
    acceptance: Acceptance = Acceptance()
    amount: Quantity | None = None
    data: Data
    axis: Axis
    steps: Annotated[tuple[StepWords, ...], Field(min_length=1)]
    network: ModelWords
    training: Training
    gate: Gate
    claims: Claims | None = None
    presets: dict[Preset, OperatingPoint]
    sets: Sets = Sets()
    quantisation: Quantisation
    evaluation: Evaluation
    quick: Quick

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if (self.amount is not None) != ("quantify" in self.procedures) or (self.amount and len(self.procedures) > 1):
            raise ValueError("amount: a model that quantifies, and does nothing else, says which amount it tells")
        if isinstance(self.network, ResucaWords | DeepCidWords | PairWords):
            raise ValueError(f"network.kind: {self.network.kind} says which compounds a mixture holds: components")
        if self.amount is None and isinstance(self.network, PlsDoseWords | SvrDoseWords):
            raise ValueError(f"network.kind: {self.network.kind} tells amounts; name one of them in amount")
        if self.amount is not None and not isinstance(self.network, NetworkKind | PlsDoseWords | SvrDoseWords):
            raise ValueError(f"network.kind: {self.network.kind} names classes; pls, svr or a network tells an amount")
        if self.amount is None and ("identify" not in self.procedures or "components" in self.procedures):
            raise ValueError("procedures: a model that names classes offers identify, and verify if wanted")
        if self.claims is not None and "verify" not in self.procedures:
            raise ValueError("claims: are tested by verify, which is not among procedures")
        if not self.axis.start < self.axis.stop:
            raise ValueError("axis.start: must be under axis.stop")
        if self.default_preset not in self.presets:
            raise ValueError(f"default_preset: {self.default_preset} is not among presets")
        if set(self.presets) != set(self.gate.slack):
            raise ValueError("gate.slack: must name the same presets as presets")
        if self.claims is not None:
            if self.claims.space not in {space.name for space in self.gate.spaces}:
                raise ValueError(f"claims.space: {self.claims.space} is not among gate.spaces")
            if set(self.presets) != set(self.claims.alpha):
                raise ValueError("claims.alpha: must name the same presets as presets")
        try:
            self.acceptance.check(tells_amounts=self.amount is not None)
        except ValueError as error:
            raise ValueError(f"acceptance.{error}") from error
        build(self.steps, self.grid)
        for number, space in enumerate(self.gate.spaces):
            try:
                build(space.steps, self.grid)
            except RecipeError as error:
                raise ValueError(f"gate.spaces.{number}.{error}") from error
        if isinstance(self.network, NetworkKind):
            try:
                self.network.check(points=len(axis_after(self.steps, self.grid)))
            except ValueError as error:
                raise ValueError(f"network.{error}") from error
        return self

    @property
    def grid(self) -> NDArray[np.float64]:
        """The model's own axis: its positions, float64 [points]."""
        return np.linspace(self.axis.start, self.axis.stop, self.axis.points)

    def quickened(self) -> Recipe:
        """Return the recipe with the values of its `quick` table, one member a fold, no rotation, no baselines."""
        training = {"epochs": self.quick.epochs, "members_per_fold": 1}
        evaluation = {"rotation": False, "baselines": False, "seeds": 1, "sessions": self.quick.sessions}
        network = {"hidden": self.quick.hidden} if "hidden" in type(self.network).model_fields else {}
        return self.model_copy(
            update={
                "training": self.training.model_copy(update=training),
                "network": self.network.model_copy(update=network),
                "evaluation": self.evaluation.model_copy(update=evaluation),
            }
        )


def load_recipe(name: str) -> Recipe:
    """Read a recipe by path, or by the name of one that comes with the package. Raises RecipeError with all
    problems."""
    text, where = recipe_text(name)
    return parse_recipe(text, where=where)


def parse_recipe(text: str, *, where: str = "recipe") -> Recipe:
    """Read a recipe from TOML text. `where` names it in messages. Raises RecipeError with all problems."""
    fields = recipe_fields(text, where=where)
    if names_components(fields):
        problem = "a recipe for a model of components, which this command does not take"
        raise RecipeError(f"{where}: {problem}", problems=(problem,), hint="build does, and each of its stages")
    return recipe_words(Recipe, fields, where=where)
