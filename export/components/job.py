"""One build of a model of components: its recipe, its spectra and who may see which, and the folder of its stages."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from export.components.recipe import ComponentsRecipe
from export.components.trials import Trial, outsiders_in, trial_of
from export.components.unmix import Unmixer
from export.data.catalogue import known_set, load_set
from export.data.folder import read_folder
from export.data.mixtures.library import Library, library_of
from export.data.origin import DataSet
from export.data.spectra import Spectra
from export.data.split import grouped_parts, parts_of
from export.errors import DataUnusable
from export.workplace import Workplace

Rows = NDArray[np.int64]
HELD_EVERY = 3  # of a bank's groups, this one is held out of its training
STAGES = dict.fromkeys(("train", "calibrate", "convert", "quantise", "verify"), "export.components.stages") | {
    stage: f"export.components.{stage}" for stage in ("trial", "report", "pack")
}
STAGE_OF = {  # file in the work folder -> the stage that writes it
    "model.pt": "train",
    "bank/bank.json": "train",
    "history.json": "train",
    "components.json": "calibrate",
    "library.npz": "calibrate",
    "calibration.json": "calibrate",
    "float.onnx": "convert",
    "model.onnx": "quantise",
    "quantise.json": "quantise",
    "golden.npz": "verify",
    "verify.json": "verify",
    "trial.json": "trial",
    "trial.npz": "trial",
    "report.html": "report",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A member learns from mixtures of `learnt`, and is tried on mixtures of `held`."""

    learnt: Library
    held: Library


@dataclass(frozen=True, kw_only=True)
class ComponentsJob(Workplace):
    """What a stage works on. `quick` builds a small bundle for tests; its recipe is already quickened.

    beside: the folder of the recipe's file, from which its own folder of spectra is named. workers: processes that
    train at the same time; the result does not depend on it.
    """

    threads: ClassVar = 1  # small systems of equations are slower on many threads, and the builder's sums differ
    stages: ClassVar[Mapping[str, str]] = STAGES
    stage_of: ClassVar[Mapping[str, str]] = STAGE_OF
    recipe: ComponentsRecipe
    data: Path
    work: Path
    seed: int
    quick: bool
    beside: Path = Path()
    workers: int = field(default_factory=lambda: min(2, os.cpu_count() or 1))

    @cached_property
    def spectra(self) -> Spectra:
        """The recipe's set. Raises DataUnusable when it does not fit the recipe."""
        name = self.recipe.data.set
        return self.load(name) if name is not None else self._fitting(self.source.name, self.source.load(self.data))

    @cached_property
    def source(self) -> DataSet:
        """What is known of the recipe's set, or of its own folder. Raises DataUnusable for an unknown name."""
        words = self.recipe.data
        if words.set is not None:
            return known_set(words.set)
        assert words.folder is not None
        path = self.beside / words.folder
        about = words.about.model_dump()
        return DataSet(name=path.name, folder=path.name, files={}, paper="", load=lambda _: self._own(path), **about)

    def _own(self, path: Path) -> Spectra:
        """The user's own spectra, each label a pure compound."""
        spectra = read_folder(path, unit=self.recipe.axis.unit, quantity=self.recipe.quantity)
        return replace(spectra, contents={label: {label: 1.0} for label in spectra.classes})

    def load(self, name: str) -> Spectra:
        """Load a set that the model's axis lies inside of. Raises DataUnusable."""
        return self._fitting(name, load_set(name, self.data))

    def _fitting(self, name: str, spectra: Spectra) -> Spectra:
        recipe, axis = self.recipe, self.recipe.axis
        if (spectra.axis_unit, spectra.quantity) != (axis.unit, recipe.quantity):
            raise DataUnusable(
                f"{name} holds {spectra.quantity} over {spectra.axis_unit}, "
                f"the recipe wants {recipe.quantity} over {axis.unit}",
                hint="say in the recipe what the spectra are: quantity and axis.unit",
            )
        first, last = float(spectra.axis[0]), float(spectra.axis[-1])
        if not first <= axis.start < axis.stop <= last:
            raise DataUnusable(
                f"{name} covers {first:g} to {last:g} {axis.unit}, the recipe's axis {axis.start:g} to {axis.stop:g}",
                hint="choose an axis inside what every set covers",
            )
        return spectra

    @cached_property
    def tested(self) -> NDArray[np.bool_]:
        """Which spectra of the recipe's set are held out of everything."""
        words = self.recipe.data.split
        if words is None:
            return np.zeros(len(self.spectra.labels), dtype=np.bool_)
        return np.asarray(parts_of(self.spectra, words) == words.test)

    @cached_property
    def library(self) -> Library:
        """The pure spectra that may be learnt from. Raises DataUnusable where a compound has none."""
        return library_of(self.spectra, np.flatnonzero(~self.tested))

    @cached_property
    def unmixer(self) -> Unmixer:
        """What takes mixtures apart, made of all that may be learnt from."""
        return Unmixer(self.library, self.recipe.unmixing, self.grid)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Who learns from what, and is tried on what. Raises DataUnusable for too few groups of a compound."""
        library, count = self.library, self.recipe.folds
        if self.recipe.is_bank:
            return (dealt(library),)
        if count == 1:
            return (Part(learnt=library, held=library),)
        part = grouped_parts(library.compound, library.groups, parts=count, seed=self.seed, names=library.names)
        return tuple(
            Part(learnt=_rows(library, part != number), held=_rows(library, part == number)) for number in range(count)
        )

    def trials(self) -> tuple[Trial, ...]:
        """Real mixtures, and pure scans that were held out, set by set. Raises DataUnusable."""
        most = self.recipe.quick.scans if self.quick else None
        found = []
        for name in self.recipe.data.trials:
            own = name == self.recipe.data.set
            spectra = self.spectra if own else self.load(name)
            seen = ~self.tested if own else np.zeros(len(spectra.labels), dtype=np.bool_)
            found.append(trial_of(name, spectra, self.library.names, seen=seen, most=most))
        return tuple(found)

    def held_out(self, trial: Trial) -> NDArray[np.bool_]:
        """Which spectra of a trial nothing learns from, fractions included [n]."""
        own = trial.name == self.recipe.data.set
        return self.tested[trial.rows] if own else np.zeros(len(trial), dtype=np.bool_)

    def outsiders(self) -> tuple[Trial, ...]:
        """Spectra of what the library does not hold, set by set. Raises DataUnusable."""
        most = self.recipe.quick.scans if self.quick else None
        return tuple(
            outsiders_in(name, load_set(name, self.data), self.recipe.quantity, self.library.names, most=most)
            for name in self.recipe.data.outsiders
        )

    def examine(self) -> list[str]:
        """Return what a user should know before training. Raises DataUnusable for reasons to stop."""
        for name in (*self.recipe.data.outsiders, *self.recipe.data.trials):
            known_set(name)
        if self.recipe.fractions is not None and (
            lost := set(self.recipe.fractions.taught_by) - set(self.recipe.data.trials)
        ):
            raise DataUnusable(
                f"fractions.taught_by: {', '.join(sorted(lost))} is not among data.trials", hint="name it there too"
            )
        notes = []
        if self.recipe.is_bank:
            notes += undivided(self.library)
        elif len(self.parts) == 1:
            notes.append("one fold: limits are chosen and tried on mixtures of the scans that were learnt from")
        scans = np.bincount(self.library.compound)
        if int(scans.min()) == 1:
            notes.append("a compound with a single scan: how its samples differ is assumed, not measured")
        return notes

    @property
    def grid(self) -> NDArray[np.float64]:
        """The model's own axis."""
        return self.recipe.grid


def groups_of(library: Library) -> list[NDArray[np.int64]]:
    """Return the groups that each compound has, in their order."""
    return [np.unique(library.groups[library.compound == column]) for column in range(len(library.names))]


def undivided(library: Library) -> list[str]:
    """Say how many compounds have too few preparations to hold one out; nothing where none has."""
    few = sum(len(groups) < HELD_EVERY for groups in groups_of(library))
    said = (
        f"{few} of {len(library.names)} compounds have fewer than {HELD_EVERY} preparations: limits are chosen and "
        "tried on mixtures of the scans of theirs that were learnt from"
    )
    return [said] if few else []


def dealt(library: Library) -> Part:
    """Hold out every third group of each compound; of one with fewer than three, all scans are on both sides."""
    learnt, held = np.ones(len(library.compound), np.bool_), np.ones(len(library.compound), np.bool_)
    for column, groups in enumerate(groups_of(library)):
        if len(groups) >= HELD_EVERY:
            own = library.compound == column
            out = own & np.isin(library.groups, groups[HELD_EVERY - 1 :: HELD_EVERY])
            learnt[out], held[own & ~out] = False, False
    return Part(learnt=_rows(library, learnt), held=_rows(library, held))


def _rows(library: Library, chosen: NDArray[np.bool_]) -> Library:
    """Return some spectra of a library, which still has all of its compounds."""
    return Library(
        axis=library.axis,
        axis_unit=library.axis_unit,
        quantity=library.quantity,
        values=library.values[chosen],
        compound=library.compound[chosen],
        groups=library.groups[chosen],
        names=library.names,
        holds=library.holds,
        synthetic=library.synthetic,
    )
