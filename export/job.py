"""One build: the recipe, where its spectra are, and the folder in which each stage leaves what the next one needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from export.baselines.catalogue import chooses
from export.conformal import units_of, unsupported
from export.data.augment import resample
from export.data.check import examine
from export.data.finding import Finding, raise_refusals, refuse
from export.data.spectra import Spectra
from export.data.split import LEAST_PARTS, Split, parts_of, split_of
from export.data.split_file import SPLIT_FILE, SplitTable, split_table
from export.errors import DataUnusable
from export.models.network import NetworkKind
from export.recipe import Recipe
from export.workplace import NEVER, Workplace

STAGES = {
    "train": "export.train",
    "calibrate": "export.calibrate",
    "convert": "export.to_onnx",
    "quantise": "export.quantise.stage",
    "verify": "export.verify",
    "trial": "export.trial.naming",
    "report": "export.evidence.naming_report",
    "pack": "export.pack",
}
STAGE_OF = {  # file in the work folder -> the stage that writes it
    SPLIT_FILE: "train",
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
FIRST_SEEN = {  # word of the recipe -> the stage that looks at it first
    "quick": NEVER,  # has been put in the place of others
    "data.folder": NEVER,  # what is read from it counts
    "amount.label": "calibrate",
    "amount.title": "calibrate",
    "presets": "calibrate",
    "gate.quantile": "calibrate",
    "gate.slack": "calibrate",
    "claims.alpha": "calibrate",
    "procedures": "quantise",  # which measures a draft of the manifest
    "default_preset": "quantise",
    "quantisation": "quantise",
    "data.outsiders": "quantise",
    "data.near_outsiders": "quantise",
    "evaluation": "trial",
    "acceptance": "trial",
    "limits": "report",
    "purpose": "report",
    "name": "report",
    "version": "report",
    "technique": "report",
    "data.about": "report",
}


@dataclass(frozen=True, kw_only=True)
class Job(Workplace):
    """A build of a model that names classes, or tells an amount."""

    stages: ClassVar[Mapping[str, str]] = STAGES
    stage_of: ClassVar[Mapping[str, str]] = STAGE_OF
    first_seen: ClassVar[Mapping[str, str]] = FIRST_SEEN
    recipe: Recipe

    def spectra(self) -> Spectra:
        """Load the recipe's spectra. Raises DataUnusable when they do not fit the recipe."""
        spectra = self.learned_from
        if self.tells_amounts and spectra.amounts is None:
            raise DataUnusable(
                f"{self.source.name} states no amounts",
                hint="leave amount out of the recipe, or choose a set with doses",
            )
        return spectra

    def examine(self) -> list[Finding]:
        """Return what speaks against training on the recipe's spectra. Raises DataUnusable for reasons to stop, be they
        in these or in those of other things, which are needed hours later."""
        findings, read = list(self.surveyed.findings), self.surveyed.spectra
        if read is not None:
            findings += self._speaks_against(read)
        raise_refusals(self.source.name, findings)
        spectra = self.spectra()
        self.load_outsiders()
        split, presets = self.split(spectra), self.recipe.presets
        units = units_of(split.part, spectra.groups)[split.development]
        coverages = {preset: point.coverage for preset, point in presets.items()}
        return findings + unsupported(coverages, len(np.unique(units)))

    def _speaks_against(self, spectra: Spectra) -> list[Finding]:
        findings = examine(spectra, self.recipe.data.split, naming="identify" in self.recipe.procedures)
        if self.tells_amounts and len(spectra.classes) < 2:
            findings.append(
                refuse(
                    f"all spectra are {spectra.classes[0]!r}: one label",
                    "the gate knows the product by what tells two or more labels of it apart: label each dose or lot",
                )
            )
        return findings + self._tuning_lacks(spectra)

    def _tuning_lacks(self, spectra: Spectra) -> list[Finding]:
        """Whether a classical model has settings to choose among, and no second part to choose them by."""
        network = self.recipe.network
        if isinstance(network, NetworkKind) or not chooses(network):
            return []
        if len(np.unique(parts_of(spectra, self.recipe.data.split))) > LEAST_PARTS:
            return []
        return [
            refuse(
                f"network.kind: {network.kind} chooses its settings by leaving a part out of what it learns from, and "
                f"of {LEAST_PARTS} parts one tests, one calibrates and one is left",
                "a fourth preparation of each class and split.parts = 4, or one value for each setting of the network",
            )
        ]

    @property
    def outsiders(self) -> tuple[str, ...]:
        """The names of the sets that must be refused, the near ones last."""
        return (*self.recipe.data.outsiders, *self.recipe.data.near_outsiders)

    def load_outsiders(self) -> dict[str, Spectra]:
        """Load the spectra of other things, by the names of their sets. Raises DataUnusable."""
        return {name: self.other(name) for name in self.outsiders}

    def development_rows(self) -> NDArray[np.float32]:
        """Return the development spectra [n, points] on the model's axis."""
        spectra = self.spectra()
        values = spectra.values[self.split(spectra).development]
        return resample(values, spectra.axis, self.grid).astype(np.float32)

    def split(self, spectra: Spectra, *, test: int | None = None) -> Split:
        """Split as the recipe says, or with another part held out for the rotation."""
        return split_of(spectra, self.recipe.data.split, test=test)

    def split_table(self) -> SplitTable:
        """Return the split spectrum by spectrum. Raises DataUnusable."""
        spectra, words = self.spectra(), self.recipe.data
        split = self.split(spectra)
        test = np.isin(np.arange(len(spectra.labels)), split.test)
        return split_table(
            spectra,
            source=self.source.name,
            below=self.own_folder,
            rule=words.split.model_dump(mode="json"),
            test=test,
            uses=["test" if out else "learn" for out in test],
            parts=split.part.tolist(),
            others={"refused": self.outsiders},
        )

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
