"""One build: the recipe, where its spectra are, and the folder in which each stage leaves what the next one needs."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.data.catalogue import known_set
from export.data.check import examine
from export.data.fetch import place_of
from export.data.finding import Finding, raise_refusals
from export.data.folder import read_folder
from export.data.origin import DataSet
from export.data.spectra import Spectra
from export.data.split import Split, split_of
from export.errors import DataUnusable, StageMissing
from export.recipe import Recipe

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
class Job:
    """What a stage works on. `quick` builds a small bundle for tests; its recipe is already quickened.

    beside: the folder of the recipe's file, from which its own folder of spectra is named. workers: processes that
    train at the same time; the result does not depend on it.
    """

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
        for name in (*self.recipe.data.outsiders, *self.recipe.data.near_outsiders):
            known_set(name)
        findings = examine(self.spectra(), self.recipe.data.split, naming="identify" in self.recipe.procedures)
        raise_refusals(self.source.name, findings)
        return findings

    def split(self, spectra: Spectra, *, test: int | None = None) -> Split:
        """Split as the recipe says, or with another part held out for the rotation."""
        return split_of(spectra, self.recipe.data.split, test=test)

    @property
    def grid(self) -> NDArray[np.float64]:
        """The model's own axis."""
        return self.recipe.grid

    def rng(self, *purpose: int) -> np.random.Generator:
        """A generator of its own for each purpose, so that no stage shifts another's draws."""
        return np.random.default_rng([self.seed, *purpose])

    @property
    def tells_amounts(self) -> bool:
        """Whether the model tells an amount, and names nothing."""
        return self.recipe.amount is not None

    @property
    def answer(self) -> str:
        """The graph's output that answers: `logits` or `amounts`."""
        return "amounts" if self.tells_amounts else "logits"

    def path(self, name: str) -> Path:
        """Where a stage writes `name`; the work folder is made if need be."""
        self.work.mkdir(parents=True, exist_ok=True)
        return self.work / name

    def need(self, name: str) -> Path:
        """Where an earlier stage left `name`. Raises StageMissing when it has not run."""
        path = self.work / name
        if not path.is_file():
            stage = STAGE_OF[name]
            raise StageMissing(f"{path} is missing", hint=f"run: edged-export {stage} {self.recipe.name}")
        return path

    def write_json(self, name: str, value: Any) -> None:
        """Write a stage's numbers, readable and stable."""
        self.path(name).write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")

    def read_json(self, name: str) -> Any:
        """Read what an earlier stage wrote. Raises StageMissing."""
        return json.loads(self.need(name).read_text())
