"""What every build has: its spectra, the folder in which each stage leaves what the next one needs, draws that never
meet. The folder says which recipe, seed and spectra each stage was run with, and no later stage takes another's files.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from export.data.augment import as_absorbance, from_absorbance
from export.data.catalogue import known_set, load_set
from export.data.fetch import place_of
from export.data.finding import raise_refusals
from export.data.folder import Survey, survey
from export.data.origin import DataSet
from export.data.spectra import Spectra
from export.errors import DataUnusable, StageMissing

if TYPE_CHECKING:
    from export.components.recipe import ComponentsRecipe
    from export.recipe import Recipe

STAMPS = "stages.json"  # stage -> SHA-256 of what it was run with
NEVER = "never"  # in place of a stage: a word that no file depends on
STATES = "say in the recipe what the spectra are: quantity and axis.unit"
INSIDE = "choose an axis inside what every instrument of the family covers"


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Base of jobs: what a stage works on. `quick` builds a small bundle for tests; its recipe is already quickened.

    beside: the folder of the recipe's file, from which its own folder of spectra is named. workers: processes that
    train at the same time; the result does not depend on it. called: how a human names the recipe and the work folder
    to the command; empty takes the recipe's name.

    stages: each stage, in the order of `build`, and the module with a function of its name. stage_of: file in the work
    folder -> the stage that writes it. first_seen: word of the recipe, dotted -> the stage that looks at it first;
    `train` looks at all others. threads: of every numerical library while a stage runs; None leaves it to them.
    """

    threads: ClassVar[int | None] = None
    stages: ClassVar[Mapping[str, str]]
    stage_of: ClassVar[Mapping[str, str]]
    first_seen: ClassVar[Mapping[str, str]]
    recipe: Recipe | ComponentsRecipe
    data: Path
    work: Path
    seed: int
    quick: bool
    beside: Path = Path()
    workers: int = field(default_factory=lambda: min(2, os.cpu_count() or 1))
    called: str = ""

    def __getstate__(self) -> dict[str, Any]:
        """What goes to another process: no spectra, which cost time on the way, and whose loader cannot go."""
        return {of.name: getattr(self, of.name) for of in fields(self)}

    def rng(self, *purpose: int) -> np.random.Generator:
        """A generator of its own for each purpose, so that no stage shifts another's draws."""
        return np.random.default_rng([self.seed, *purpose])

    def path(self, name: str) -> Path:
        """Where a stage writes `name`; the work folder is made if need be."""
        self.work.mkdir(parents=True, exist_ok=True)
        return self.work / name

    def need(self, name: str) -> Path:
        """Where an earlier stage left `name`. Raises StageMissing when it has not run, or with other words, another
        seed or other spectra than this job's."""
        path, stage = self.work / name, self.stage_of[name]
        if not path.is_file():
            raise StageMissing(f"{path} is missing", hint=f"run: {self.command(stage)}")
        if stage not in (found := self._stamps()):
            why = "an older version made it, or its stage was stopped"
            raise StageMissing(f"{path}: nobody knows from what: {why}", hint=f"run: {self.command(stage)}")
        if found[stage] != self.stamp(stage):
            first = next(earlier for earlier in self.stages if found.get(earlier) != self.stamp(earlier))
            raise StageMissing(
                f"{path}: made with another recipe, seed or spectra than these, from {first} on",
                hint=f"run: {self.command(first)}, and every stage behind it; or build, which is all of them. "
                "Members that would be the same are not trained again",
            )
        return path

    def write_json(self, name: str, value: Any) -> None:
        """Write a stage's numbers, readable and stable."""
        self.path(name).write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Read what an earlier stage wrote. Raises StageMissing."""
        return json.loads(self.need(name).read_text())

    @contextmanager
    def running(self, stage: str) -> Iterator[None]:
        """Run a stage: what it and those behind it left before is gone when it begins, for it would not fit; what it
        leaves bears its stamp once it has ended well."""
        order = list(self.stages)
        found = self._stamps()
        kept = {name: stamp for name, stamp in found.items() if name in order[: order.index(stage)]}
        if kept != found:
            self._write_stamps(kept)
        for name, of in self.stage_of.items():
            if of not in order[: order.index(stage)]:
                (self.work / name).unlink(missing_ok=True)
        yield
        self._write_stamps(kept | {stage: self.stamp(stage)})

    def stamp(self, stage: str) -> str:
        """Return the SHA-256 of all that the files of a stage depend on, the code apart: the words that it and those
        before it look at, the seed, and the spectra."""
        order = list(self.stages)
        unseen = {NEVER, *order[order.index(stage) + 1 :]}
        words = self.recipe.model_dump(mode="json")
        for word, first in self.first_seen.items():
            if first in unseen:
                *tables, last = word.split(".")
                table: Any = words
                for name in tables:
                    table = table and table[name]  # a table that the recipe leaves out is None
                if table:
                    table.pop(last, None)
        said = json.dumps([words, self.seed, self.quick, self._spectra_digest], sort_keys=True)
        return hashlib.sha256(said.encode()).hexdigest()

    def command(self, stage: str) -> str:
        """How to run a stage of this job."""
        return f"edged-export {stage} {self.called or self.recipe.name}"

    @cached_property
    def source(self) -> DataSet:
        """What is known of the recipe's set, or of its own folder. Raises DataUnusable for an unknown name."""
        words = self.recipe.data
        if words.set is not None:
            return known_set(words.set)
        assert words.folder is not None
        path = self.beside / words.folder
        about = words.about.model_dump()
        return DataSet(name=path.name, folder=path.name, files={}, paper="", load=lambda _: self.learned_from, **about)

    @property
    def own_folder(self) -> str:
        """The folder that the user's own files are below; empty where the recipe names a public set."""
        if self.recipe.data.folder is None:
            return ""
        path = self.beside / self.recipe.data.folder
        return str(path.parent if path.is_file() else path)  # one table is a file

    def survey_own(self, path: Path) -> Survey:
        """Read the recipe's own folder, with what is wrong with its files."""
        return survey(path, unit=self.recipe.axis.unit, quantity=self.recipe.quantity)

    @cached_property
    def surveyed(self) -> Survey:
        """The recipe's set or folder before anything of it is refused. Raises DataUnusable for a set that is not
        there."""
        folder = self.recipe.data.folder
        if folder is None:
            return Survey(spectra=self.source.load(place_of(self.source, self.data)), findings=())
        return self.survey_own(self.beside / folder)

    @cached_property
    def learned_from(self) -> Spectra:
        """The spectra of the recipe's set or folder. Raises DataUnusable when they do not fit the recipe, and with all
        that is wrong with files."""
        found = self.surveyed
        raise_refusals(self.source.name, found.findings)
        assert found.spectra is not None
        return self.fitting(self.source.name, found.spectra)

    def other(self, name: str) -> Spectra:
        """Load a set of other things, counts and absorbance as under even light where the model wants the one and the
        set holds the other. Raises DataUnusable for what the model could not be asked about."""
        found, wanted = load_set(name, self.data), self.recipe.quantity
        if found.quantity != wanted and found.axis_unit == "nm":
            values = from_absorbance(as_absorbance(found.values, found.quantity), wanted)
            found = replace(found, values=values, quantity=wanted)
        unfit = f"leave {name} out of the recipe, or name another set there"
        return self.fitting(name, found, states=unfit, inside=unfit)

    def fitting(self, name: str, spectra: Spectra, *, states: str = STATES, inside: str = INSIDE) -> Spectra:
        """Return spectra that the model's axis lies inside of. Raises DataUnusable, with a hint for spectra of another
        kind, or of another range."""
        recipe, axis = self.recipe, self.recipe.axis
        if (spectra.axis_unit, spectra.quantity) != (axis.unit, recipe.quantity):
            raise DataUnusable(
                f"{name} holds {spectra.quantity} over {spectra.axis_unit}, "
                f"the recipe wants {recipe.quantity} over {axis.unit}",
                hint=states,
            )
        first, last = float(spectra.axis[0]), float(spectra.axis[-1])
        if not first <= axis.start < axis.stop <= last:
            raise DataUnusable(
                f"{name} covers {first:g} to {last:g} {axis.unit}, the recipe's axis {axis.start:g} to {axis.stop:g}",
                hint=inside,
            )
        return spectra

    def taught_by(self) -> tuple[Spectra, ...]:
        """All spectra that the training sees."""
        return (self.learned_from,)

    @cached_property
    def _spectra_digest(self) -> str:
        found = hashlib.sha256()
        for spectra in self.taught_by():
            for array in (spectra.axis, spectra.values, spectra.groups, spectra.scan, spectra.amounts):
                if array is not None:
                    found.update(repr((array.shape, array.dtype.str)).encode() + np.ascontiguousarray(array).tobytes())
            told = (spectra.labels, spectra.instruments, spectra.amount_unit)
            found.update(repr((told, spectra.contents, spectra.holds)).encode())
        return found.hexdigest()

    def _stamps(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads((self.work / STAMPS).read_text())
        except (OSError, ValueError):  # absent, or cut off: nothing vouches for the files
            return {}
        return found

    def _write_stamps(self, stamps: Mapping[str, str]) -> None:
        """Whole or not at all."""
        draft = self.path(f"{STAMPS}.part")
        draft.write_text(json.dumps(stamps, indent=1) + "\n")
        draft.replace(self.work / STAMPS)
