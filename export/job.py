"""One build: the recipe, where its spectra are, and the folder in which each stage leaves what the next one needs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from export.conformal import units_of, unsupported
from export.data.augment import as_absorbance, from_absorbance, resample
from export.data.catalogue import known_set, load_set
from export.data.check import examine
from export.data.fetch import place_of
from export.data.finding import Finding, raise_refusals
from export.data.folder import read_folder
from export.data.origin import DataSet
from export.data.spectra import Spectra
from export.data.split import Split, split_of
from export.errors import DataUnusable
from export.recipe import Recipe
from export.workplace import Workplace

STAGES = {
    "train": "export.train",
    "calibrate": "export.calibrate",
    "convert": "export.to_onnx",
    "quantise": "export.quantise.stage",
    "verify": "export.verify",
    "trial": "export.trial",
    "report": "export.report",
    "pack": "export.pack",
}
STAGE_OF = {  # file in the work folder -> the stage that writes it
    "model.pt": "train",
    "history.json": "train",
    "heldout.npz": "train",
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


@dataclass(frozen=True, kw_only=True)
class Job(Workplace):
    """What a stage works on. `quick` builds a small bundle for tests; its recipe is already quickened.

    beside: the folder of the recipe's file, from which its own folder of spectra is named. workers: processes that
    train at the same time; the result does not depend on it.
    """

    stages: ClassVar = STAGES
    stage_of: ClassVar = STAGE_OF
    recipe: Recipe
    data: Path
    work: Path
    seed: int
    quick: bool
    beside: Path = Path()
    workers: int = field(default_factory=lambda: min(2, os.cpu_count() or 1))

    def spectra(self) -> Spectra:
        """Load the recipe's spectra. Raises DataUnusable when they do not fit the recipe."""
        source, axis = self.source, self.recipe.axis
        spectra = source.load(place_of(source, self.data))
        if (spectra.axis_unit, spectra.quantity) != (axis.unit, self.recipe.quantity):
            raise DataUnusable(
                f"{source.name} holds {spectra.quantity} over {spectra.axis_unit}, "
                f"the recipe wants {self.recipe.quantity} over {axis.unit}",
                hint="say in the recipe what the spectra are: quantity and axis.unit",
            )
        first, last = float(spectra.axis[0]), float(spectra.axis[-1])
        if not first <= axis.start < axis.stop <= last:
            raise DataUnusable(
                f"the spectra cover {first:g} to {last:g} {axis.unit}, "
                f"the recipe's axis {axis.start:g} to {axis.stop:g}",
                hint="choose an axis inside what every instrument of the family covers",
            )
        if self.tells_amounts and spectra.amounts is None:
            raise DataUnusable(
                f"{source.name} states no amounts", hint="leave amount out of the recipe, or choose a set with doses"
            )
        return spectra

    @property
    def source(self) -> DataSet:
        """What is known of the recipe's set, or of its own folder. Raises DataUnusable for an unknown name."""
        words = self.recipe.data
        if words.set is not None:
            return known_set(words.set)
        assert words.folder is not None
        path = self.beside / words.folder
        return DataSet(
            name=path.name,
            folder=path.name,
            files={},
            paper="",
            load=lambda _: read_folder(path, unit=self.recipe.axis.unit, quantity=self.recipe.quantity),
            **words.about.model_dump(),
        )

    def examine(self) -> list[Finding]:
        """Return what speaks against training on the recipe's spectra. Raises DataUnusable for reasons to stop."""
        for name in self.outsiders:
            known_set(name)
        spectra = self.spectra()
        findings = examine(spectra, self.recipe.data.split, naming="identify" in self.recipe.procedures)
        raise_refusals(self.source.name, findings)
        if not self.tells_amounts:
            split, presets = self.split(spectra), self.recipe.presets
            units = units_of(split.part, spectra.groups)[split.development]
            coverages = {preset: point.coverage for preset, point in presets.items()}
            findings += unsupported(coverages, len(np.unique(units)))
        return findings

    @property
    def outsiders(self) -> tuple[str, ...]:
        """The names of the sets that must be refused, the near ones last."""
        return (*self.recipe.data.outsiders, *self.recipe.data.near_outsiders)

    def load_outsiders(self) -> dict[str, Spectra]:
        """Load the spectra of other things, by the names of their sets; as counts under even light, where the model
        wants counts and the set holds absorbance."""
        wanted = self.recipe.quantity
        return {
            name: replace(
                found, values=from_absorbance(as_absorbance(found.values, found.quantity), wanted), quantity=wanted
            )
            for name, found in ((name, load_set(name, self.data)) for name in self.outsiders)
        }

    def development_rows(self) -> NDArray[np.float32]:
        """Return the development spectra [n, points] on the model's axis."""
        spectra = self.spectra()
        values = spectra.values[self.split(spectra).development]
        return resample(values, spectra.axis, self.grid).astype(np.float32)

    def split(self, spectra: Spectra, *, test: int | None = None) -> Split:
        """Split as the recipe says, or with another part held out for the rotation."""
        return split_of(spectra, self.recipe.data.split, test=test)

    @property
    def grid(self) -> NDArray[np.float64]:
        """The model's own axis."""
        return self.recipe.grid

    @property
    def tells_amounts(self) -> bool:
        """Whether the model tells an amount, and names nothing."""
        return self.recipe.amount is not None

    @property
    def answer(self) -> str:
        """The graph's output that answers: `logits` or `amounts`."""
        return "amounts" if self.tells_amounts else "logits"
