"""One build of a model of components: its recipe, its spectra and who may see which, and the folder of its stages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from export.components.recipe import ComponentsRecipe
from export.components.trials import Trial, foreign, outsiders_in, trial_of
from export.components.unmix import Unmixer
from export.data.augment import as_absorbance
from export.data.catalogue import known_set, load_set
from export.data.check import examine
from export.data.finding import Finding, raise_refusals, warn
from export.data.folder import Survey, read_folder
from export.data.mixtures.library import Library, beside, is_pure, library_of, outsiders_of
from export.data.mixtures.synthesise import bench_of
from export.data.mixtures.synthetic_nir import known, synthetic_nir
from export.data.spectra import Spectra
from export.data.split import grouped_parts, parts_of
from export.data.split_file import SPLIT_FILE, SplitTable, Use, split_table
from export.errors import DataUnusable
from export.workplace import NEVER, Workplace

Rows = NDArray[np.int64]
SYNTHETIC = "synthetic/nir"  # no set and no folder has a slash in its name
TEACHING, TRYING = 70, 71  # purposes: strangers that teach are not those that what was taught is tried with
HELD_EVERY = 3  # of a bank's groups, this one is held out of its training
STAGES = dict.fromkeys(("train", "calibrate", "convert", "quantise", "verify"), "export.components.stages") | {
    stage: f"export.components.{stage}" for stage in ("trial", "report", "pack")
}
STAGE_OF = {  # file in the work folder -> the stage that writes it
    SPLIT_FILE: "train",
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


FIRST_SEEN = {  # word of the recipe -> the stage that looks at it first
    "quick": NEVER,  # has been put in the place of others
    "data.folder": NEVER,  # what is read from it counts
    "data.strangers_folder": NEVER,
    "presets": "calibrate",
    "gate": "calibrate",
    "unmixing": "calibrate",
    "wrongly_unknown": "calibrate",
    "held_out": "calibrate",
    "fractions": "calibrate",
    "quantisation.prepared_tolerance": "calibrate",
    "default_preset": "calibrate",
    "quantisation.golden_vectors": "verify",
    "quantisation.tolerance": "trial",
    "data.outsiders": "trial",
    "data.trials": "trial",
    "acceptance": "trial",
    "limits": "report",
    "data.in_sight": "report",
    "name": "report",
    "version": "report",
    "technique": "report",
    "purpose": "report",
    "data.about": "report",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A member learns from mixtures of `learnt`, and is tried on mixtures of `held`."""

    learnt: Library
    held: Library


@dataclass(frozen=True, kw_only=True)
class ComponentsJob(Workplace):
    """A build of a model that names the components of mixtures."""

    threads: ClassVar = 1  # small systems of equations are slower on many threads, and the builder's sums differ
    stages: ClassVar[Mapping[str, str]] = STAGES
    stage_of: ClassVar[Mapping[str, str]] = STAGE_OF
    first_seen: ClassVar[Mapping[str, str]] = FIRST_SEEN
    recipe: ComponentsRecipe

    @property
    def spectra(self) -> Spectra:
        """The recipe's set. Raises DataUnusable when it does not fit the recipe."""
        return self.learned_from

    def survey_own(self, path: Path) -> Survey:
        """Read the user's own spectra, each label a pure compound."""
        found = super().survey_own(path)
        if (spectra := found.spectra) is None:
            return found
        return replace(found, spectra=replace(spectra, contents={label: {label: 1.0} for label in spectra.classes}))

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

    @cached_property
    def strangers(self) -> Mapping[str, Spectra]:
        """Spectra of what the library does not hold, which stand in the mixtures that teach, by the names of their sets
        and of the folder. Raises DataUnusable."""
        words = self.recipe.data
        found = {name: self.other(name) for name in words.strangers}
        if words.strangers_folder is not None:
            path, hint = self.beside / words.strangers_folder, "measure strangers as the library was measured"
            spectra = read_folder(path, unit=self.recipe.axis.unit, quantity=self.recipe.quantity)
            found[path.name] = self.fitting(path.name, spectra, states=hint, inside=hint)
        return found

    def synthetic(self, purpose: int) -> Library:
        """As many strangers as the recipe asks for that no instrument has seen, as bright as the library's compounds
        are; of each purpose others. Raises DataUnusable where no bands are known."""
        library = self.library
        levels = as_absorbance(library.means(), library.quantity).mean(axis=1)
        return synthetic_nir(
            self.recipe.data.synthetic_strangers,
            library.axis[known(library.axis, library.axis_unit)],
            int(self.rng(purpose).integers(2**63 - 1)),
            axis_unit=library.axis_unit,
            quantity=library.quantity,
            level_au=(float(levels.min()), float(levels.max())),
        )

    def taught_by(self) -> tuple[Spectra, ...]:
        """All spectra that the training sees."""
        return (self.learned_from, *self.strangers.values())

    def mixed(self, library: Library) -> tuple[Library, Library | None]:
        """Return a part of the library and the strangers, ready to be mixed. Raises DataUnusable."""
        others = {
            name: outsiders_of(spectra, foreign(name, spectra, self.library.names))
            for name, spectra in self.strangers.items()
        }
        if self.recipe.data.synthetic_strangers:
            others[SYNTHETIC] = self.synthetic(TEACHING)
        return beside(library, others) if others else (library, None)

    def trials(self) -> tuple[Trial, ...]:
        """Real mixtures, and pure scans that were held out, set by set. Raises DataUnusable."""
        most = self.recipe.quick.scans if self.quick else None
        found, hint = [], "leave it out of data.trials, or state the axis and the quantity of what is measured there"
        for name in self.recipe.data.trials:
            own = name == self.recipe.data.set
            spectra = self.spectra if own else self.fitting(name, load_set(name, self.data), states=hint, inside=hint)
            seen = ~self.tested if own else np.zeros(len(spectra.labels), dtype=np.bool_)
            found.append(trial_of(name, spectra, self.library.names, seen=seen, most=most))
        return tuple(found)

    def held_out(self, trial: Trial) -> NDArray[np.bool_]:
        """Which spectra of a trial nothing learns from, fractions included [n]."""
        own = trial.name == self.recipe.data.set
        return self.tested[trial.rows] if own else np.zeros(len(trial), dtype=np.bool_)

    def split_table(self) -> SplitTable:
        """Return who learns from which spectrum, and which only test. Raises DataUnusable."""
        spectra, words = self.spectra, self.recipe.data
        rows = range(len(spectra.labels))
        rule = words.split and words.split.model_dump(mode="json")
        return split_table(
            spectra,
            source=self.source.name,
            below=self.own_folder,
            rule=rule,
            more={"members": json.dumps({"folds": self.recipe.folds, "seed": self.seed})},
            test=self.tested,
            uses=[self._use(row) for row in rows],
            parts=[self._left_out_by(row) for row in rows],
            others={
                "strangers that teach": (
                    *words.strangers,
                    *filter(None, [words.strangers_folder]),
                    *([f"{words.synthetic_strangers} synthetic ones"] if words.synthetic_strangers else []),
                ),
                "tried": tuple(name for name in words.trials if name != words.set),
                "refused": words.outsiders,
            },
        )

    def rows_by_use(self) -> dict[Use, Rows]:
        """Return the spectra of the recipe's set, by what is done with them."""
        uses = [self._use(row) for row in range(len(self.spectra.labels))]
        return {use: np.flatnonzero([of == use for of in uses]) for use in dict.fromkeys(uses)}

    def _use(self, row: int) -> Use:
        """What is done with a spectrum of the recipe's set."""
        label, fractions = self.spectra.labels[row], self.recipe.fractions
        if self.tested[row]:
            return "test"
        if is_pure(self.spectra, label):
            return "learn"
        if self.recipe.data.set not in self.recipe.data.trials:
            return "unused"
        teaches = fractions is not None and self.recipe.data.set in fractions.taught_by
        return "fractions" if teaches and label in self.spectra.contents else "tried"

    def _left_out_by(self, row: int) -> int | None:
        """The member that does not learn from a spectrum that others learn from; None where all of them do."""
        if self._use(row) != "learn":
            return None
        compound, group = self.spectra.compounds_in(self.spectra.labels[row])[0], int(self.spectra.groups[row])
        return next(
            (number for number, part in enumerate(self.parts) if not _holds(part.learnt, compound, group)), None
        )

    def outsiders(self) -> tuple[Trial, ...]:
        """Spectra of what the library does not hold, set by set. Raises DataUnusable."""
        most = self.recipe.quick.scans if self.quick else None
        names = self.recipe.data.outsiders
        return tuple(outsiders_in(name, self.other(name), self.library.names, most=most) for name in names)

    def examine(self) -> list[Finding]:
        """Return what speaks against training. Raises DataUnusable for reasons to stop, be they in the library or in
        what is needed hours later: trials, outsiders."""
        words = self.recipe.data
        findings, read = list(self.surveyed.findings), self.surveyed.spectra
        if read is not None:
            findings += examine(read, words.split, naming=False, rotates=False)
        raise_refusals(self.source.name, findings)
        if self.recipe.fractions is not None and (lost := set(self.recipe.fractions.taught_by) - set(words.trials)):
            raise DataUnusable(
                f"fractions.taught_by: {', '.join(sorted(lost))} is not among data.trials", hint="name it there too"
            )
        self._require_strangers()
        self.trials()
        self.outsiders()
        return findings + self._remarks()

    def _require_strangers(self) -> None:
        """Raise DataUnusable where strangers cannot be mixed, or where what teaches would be tried."""
        words = self.recipe.data
        for name in words.strangers:
            own = known_set(name)
            for other in map(known_set, filter(None, (words.set, *words.outsiders, *words.trials))):
                if other.folder == own.folder and other.files.keys() & own.files.keys():
                    raise DataUnusable(
                        f"data.strangers: {name} and {other.name} are of the same files",
                        hint="what was learnt from tests nothing: other strangers, or other sets to be tried on",
                    )
        for name in self.strangers.keys() - set(words.strangers):
            raise_refusals(name, examine(self.strangers[name], naming=False))
        if words.has_strangers:
            library, strangers = self.mixed(self.library)
            bench_of(library, self.recipe.synthesis, self.grid, strangers, None)

    def _remarks(self) -> list[Finding]:
        found = []
        if self.recipe.is_bank:
            found += [warn(said) for said in undivided(self.library)]
        elif len(self.parts) == 1:
            found.append(warn("one fold: limits are chosen and tried on mixtures of the scans that were learnt from"))
        if int(np.bincount(self.library.compound).min()) == 1:
            found.append(warn("a compound with a single scan: how its samples differ is assumed, not measured"))
        share = self.recipe.synthesis.composition.outsiders
        if share and not self.recipe.data.has_strangers:
            found.append(
                warn(
                    f"synthesis.composition.outsiders is {share:g}, and there are no strangers: no mixture holds one",
                    "name sets in data.strangers, a folder in data.strangers_folder, or a number of made-up ones in "
                    "data.synthetic_strangers",
                )
            )
        return found

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


def _holds(library: Library, compound: str, group: int) -> bool:
    """Whether a preparation of a compound is in a library: whole preparations are, or none of them."""
    own = library.compound == library.names.index(compound)
    return bool((library.groups[own] == group).any())


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
