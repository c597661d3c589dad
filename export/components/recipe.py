"""The vocabulary of a recipe for a model that names the components of mixtures: one TOML file says everything."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from edged.bundle.components import MAX_CLAIMED
from edged.bundle.manifest import Axis
from edged.infer.verdict import Preset
from export.components.acceptance import ComponentsAcceptance
from export.components.words import Schooling, Unmixing
from export.data.mixtures.synthetic_nir import MOST_COMPOUNDS
from export.data.mixtures.words import Synthesis
from export.data.split import SplitWords
from export.errors import RecipeError
from export.learning import Positive
from export.models.catalogue import NetworkWords
from export.models.network import NetworkKind
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords
from export.preprocess.pipeline import axis_after, build
from export.preprocess.words import StepWords
from export.reading import names_components, recipe_fields, recipe_text, recipe_words
from export.recipe import About
from export.words import Words

Share = Annotated[float, Field(gt=0, lt=1)]
MOST_HELD_OUT = 200_000


class Data(Words):
    """Which spectra.

    set: its pure compounds are the library. folder: the user's own instead, as `export.data.folder` reads it, by its
    path from the recipe's folder on; each label is a pure compound. `about` tells of them. split: how scans are held
    out that nothing is learnt from; absent where each compound has too few. outsiders: sets of things that the library
    does not hold; what holds a compound of it is left aside. trials: sets of real mixtures, and of pure scans that were
    held out, to be tested on; no stage learns or chooses from them what is found. strangers: sets whose spectra
    stand, in the mixtures that teach, for what the library does not hold; none of them is tried. strangers_folder: the
    same, from a folder of the user's own. synthetic_strangers: so many more, in NIR, that no instrument has seen:
    `export.data.mixtures.synthetic_nir`. Limits and gate stand on mixtures of the library alone. in_sight: what whoever
    wrote the recipe knew of the trials while writing it.
    """

    set: str | None = None
    folder: Annotated[str | None, Field(min_length=1)] = None
    about: About = About()
    split: SplitWords | None = None
    outsiders: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    strangers_folder: Annotated[str | None, Field(min_length=1)] = None
    synthetic_strangers: Annotated[int, Field(ge=0, le=MOST_COMPOUNDS)] = 0
    in_sight: str = "nothing"

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if (self.set is None) == (self.folder is None):
            raise ValueError("set: name either a public set or a folder of your own")
        if tried := sorted(set(self.strangers) & {*self.outsiders, *self.trials, self.set or ""}):
            raise ValueError(f"strangers: {tried[0]} is the library or tried too: what was learnt from tests nothing")
        return self

    @property
    def has_strangers(self) -> bool:
        """Whether anything stands in mixtures for what the library does not hold."""
        return bool(self.strangers) or self.strangers_folder is not None or self.synthetic_strangers > 0

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Say nothing of a folder or strangers where there are none: recipes of before keep their digests."""
        unsaid = {"folder", "about"} if self.folder is None else set()
        unsaid |= {"strangers", "strangers_folder"} if not self.has_strangers else set()
        unsaid |= {"synthetic_strangers"} if not self.synthetic_strangers else set()
        return {key: value for key, value in handler(self).items() if key not in unsaid}


class PresetWords(Words):
    """What one preset promises.

    false_names: of a sample, in the mean. confirm: the fit of the library decides, not the network alone. passing: the
    share of held-out mixtures of a compound whose logit lets it through to the fit; 1 puts all compounds to the fit.
    """

    false_names: Annotated[float, Field(gt=0, le=10)]
    confirm: bool
    passing: Annotated[float, Field(gt=0.5, le=1)] = 1.0


class HeldOutWords(Words):
    """Mixtures made of scans that a member has not seen: limits are chosen on some, and tried on others."""

    choosing: Annotated[int, Field(ge=100, le=MOST_HELD_OUT)]
    trying: Annotated[int, Field(ge=100, le=MOST_HELD_OUT)]


class GateWords(Words):
    """What is nothing like a mixture of the library is not looked at further.

    steps: of a space in which made mixtures are seen. explained: share of their variance that its first principal
    components hold; what lies beside these is a spectrum's distance. wrongly_refused: share of held-out mixtures that
    are farther than the limit before slack. slack: factors of the limit, one a preset: real mixtures lie farther than
    made ones.
    """

    steps: Annotated[tuple[StepWords, ...], Field(min_length=1)]
    explained: Share = 0.99
    wrongly_refused: Share = 0.01
    slack: dict[Preset, Annotated[float, Field(ge=1, le=10)]]


class FractionWords(Words):
    """Fractions by mass, from how much more of one compound is seen than of another.

    taught_by: sets of mixtures with stated shares; what the split holds out of them only tests. coverage: of the
    intervals, for each preset that confirms. Nothing here moves what is found.
    """

    taught_by: Annotated[tuple[str, ...], Field(min_length=1)]
    coverage: dict[Preset, Share]


class Quantisation(Words):
    """scheme: float keeps the networks' weights, `weights` stores them as int8, `bank` fuses what each compound has of
    its own into one int8 graph, and leaves a bank beside the bundle that compounds may enter later: docs/banks.md.

    tolerance: of a logit, on any CPU. prepared_tolerance: of the prepared spectrum, as a share of its largest golden
    value.
    """

    scheme: Literal["float", "weights", "bank"]
    tolerance: Positive
    prepared_tolerance: Annotated[float, Field(gt=0, le=0.1)] = 1e-4
    golden_vectors: Annotated[int, Field(ge=1, le=256)]


class Quick(Words):
    """What `--quick` replaces: a small bundle in seconds, for tests and first tries; not for use."""

    epochs: Annotated[int, Field(ge=1, le=500)]
    mixtures: Annotated[int, Field(ge=32, le=1_000_000)]
    held_out: Annotated[int, Field(ge=100, le=MOST_HELD_OUT)]
    scans: Annotated[int, Field(ge=1, le=10_000, description="of each label of a trial, at most")]


class ComponentsRecipe(Words):
    """Everything a bundle of this kind is made of.

    folds: parts to which the scans of each compound are dealt, whole groups together; each member of the ensemble
    learns without one of them. 1: one member learns from all, and is tried on mixtures of the same scans.
    wrongly_unknown: share of mixtures of the library that may be said to hold an unknown compound. purpose: the
    intended use. limits: what the model is known not to do, a sentence each; the report adds what the trial finds.
    acceptance: what the model must reach, stated before the trial.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    technique: Literal["nir", "raman"]
    quantity: Literal["absorbance", "reflectance", "intensity"]
    procedures: tuple[Literal["components"]]
    default_preset: Preset
    purpose: Annotated[str, Field(min_length=1, max_length=1000)]
    limits: tuple[Annotated[str, Field(min_length=1, max_length=500)], ...] = ()
    acceptance: ComponentsAcceptance = ComponentsAcceptance()
    data: Data
    axis: Axis
    steps: Annotated[tuple[StepWords, ...], Field(min_length=1)]
    network: NetworkWords
    schooling: Schooling
    synthesis: Synthesis
    folds: Annotated[int, Field(ge=1, le=10)]
    unmixing: Unmixing
    gate: GateWords
    presets: Annotated[dict[Preset, PresetWords], Field(min_length=1)]
    wrongly_unknown: Share
    held_out: HeldOutWords
    fractions: FractionWords | None = None
    quantisation: Quantisation
    quick: Quick

    @model_validator(mode="after")
    def _consistent(self) -> ComponentsRecipe:
        if not self.axis.start < self.axis.stop:
            raise ValueError("axis.start: must be under axis.stop")
        if self.default_preset not in self.presets:
            raise ValueError(f"default_preset: {self.default_preset} is not among presets")
        if set(self.gate.slack) != set(self.presets):
            raise ValueError("gate.slack: must name the same presets as presets")
        confirming = {preset for preset, words in self.presets.items() if words.confirm}
        if loose := sorted(p for p, words in self.presets.items() if words.passing < 1.0 and not words.confirm):
            raise ValueError(f"presets.{loose[0]}.passing: has a use only with confirm")
        if self.fractions is not None and set(self.fractions.coverage) != confirming:
            raise ValueError(f"fractions.coverage: needs the presets that confirm: {', '.join(sorted(confirming))}")
        if self.data.has_strangers and not self.synthesis.composition.outsiders:
            raise ValueError("data.strangers: synthesis.composition.outsiders is 0, so that none would be drawn")
        if (self.technique == "nir") != (self.synthesis.nir is not None):
            raise ValueError(f"synthesis.nir: is there for nir, and only then; the technique is {self.technique}")
        if (self.technique == "raman") != (self.synthesis.raman is not None):
            raise ValueError(f"synthesis.raman: is there for raman, and only then; the technique is {self.technique}")
        if self.data.synthetic_strangers and (self.technique != "nir" or self.quantity == "intensity"):
            raise ValueError(
                f"data.synthetic_strangers: are made for NIR absorbance or reflectance, not {self.technique} "
                f"{self.quantity}: 0"
            )
        return self

    @model_validator(mode="after")
    def _makes_a_bank(self) -> ComponentsRecipe:
        if not self.is_bank:
            return self
        if not isinstance(self.network, ResucaWords | ResNet1dWords):
            raise ValueError("network.kind: a bank is made of resuca or resnet1d")
        if self.folds != 1:
            raise ValueError("folds: a bank is one network a compound: 1")
        if self.fractions is not None:
            raise ValueError("fractions: no real mixture teaches those of a compound that enters later: leave them out")
        if self.data.has_strangers:
            raise ValueError("data.strangers: a compound that enters later would learn without them: leave them out")
        if fitted := [step.kind for step in self.steps if step.fitted]:
            raise ValueError(f"steps: {fitted[0]} learns from spectra, of which a compound that enters later had none")
        return self

    @model_validator(mode="after")
    def _fits_the_axis(self) -> ComponentsRecipe:
        named = {"steps": self.steps, "unmixing.steps": self.unmixing.steps, "gate.steps": self.gate.steps}
        for where, steps in named.items():
            try:
                build(steps, self.grid)
            except RecipeError as error:
                raise ValueError(error.message.replace("steps", where, 1)) from error
        if fitted := [step.kind for step in self.gate.steps if step.fitted]:
            raise ValueError(f"gate.steps: {fitted[0]} learns from spectra; the gate itself does")
        assert isinstance(self.network, NetworkKind)
        try:
            self.network.check(points=len(axis_after(self.steps, self.grid)))
        except ValueError as error:
            raise ValueError(f"network.{error}") from error
        return self

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Say nothing of limits and criteria where none are stated: recipes of before keep their digests."""
        stated: dict[str, Any] = {"limits": list(self.limits), "acceptance": self.acceptance.stated()}
        return {key: stated.get(key, value) for key, value in handler(self).items() if stated.get(key, True)}

    @property
    def is_bank(self) -> bool:
        """Whether a bank is left beside the bundle."""
        return self.quantisation.scheme == "bank"

    @property
    def grid(self) -> NDArray[np.float64]:
        """The model's own axis: its positions, float64 [points]."""
        return np.linspace(self.axis.start, self.axis.stop, self.axis.points)

    def puts_all_to_the_fit(self, preset: Preset, compounds: int) -> bool:
        """Whether a preset fits every compound, whatever the network says; a large library cannot be fitted at once."""
        return self.presets[preset].passing == 1.0 and compounds <= MAX_CLAIMED

    def quickened(self) -> ComponentsRecipe:
        """Return the recipe with the values of its `quick` table."""
        few = HeldOutWords(choosing=self.quick.held_out, trying=self.quick.held_out)
        schooling = {"epochs": self.quick.epochs, "mixtures": self.quick.mixtures}
        return self.model_copy(update={"schooling": self.schooling.model_copy(update=schooling), "held_out": few})


def load_components_recipe(name: str) -> ComponentsRecipe:
    """Read a recipe by path, or by the name of one that comes with the package. Raises RecipeError with all
    problems."""
    text, where = recipe_text(name)
    return parse_components_recipe(text, where=where)


def parse_components_recipe(text: str, *, where: str = "recipe") -> ComponentsRecipe:
    """Read a recipe from TOML text. `where` names it in messages. Raises RecipeError with all problems."""
    return recipe_words(ComponentsRecipe, recipe_fields(text, where=where), where=where)


def is_for_components(name: str) -> bool:
    """Whether a recipe, by path or name, is one of these. Raises RecipeError where it cannot be read."""
    text, where = recipe_text(name)
    return names_components(recipe_fields(text, where=where))
