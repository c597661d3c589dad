"""Measure one bundle: its own graph, judged as the daemon judges, on the block that its recipe holds out, as changed.

Classical models are fitted on the same training blocks, tuned and augmented as in the grid; they see the same spectra.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from edged.bundle.archive import Bundle, read_bundle
from edged.bundle.slots import built_ins
from edged.infer.engine import Engine
from edged.infer.judge import Judge
from export.calibrate import probabilities, scored_of
from export.conformal import class_quantiles
from export.data.spectra import Spectra
from export.data.stress import drawn
from export.errors import DataUnusable
from export.fit import FitTask, fit_member
from export.job import Job
from export.models.any import ModelWords
from export.preprocess.pipeline import steps_in_two
from export.recipe import load_recipe
from export.study.calibration import Members, held_out, shipped_quantiles
from export.study.grid import CLASSICAL, LEARNING
from export.study.stress.asked import SHIPPED, StressCell, StressOutcome
from export.trial.amounts import CLASSICAL as REGRESSIONS
from export.trial.answers import ask, summary
from export.trust import COVERAGES

Rows = NDArray[np.float32]
BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A bundle that ships and the spectra of its recipe."""

    bundle: Bundle
    job: Job
    spectra: Spectra

    @classmethod
    def of(cls, name: str, data: Path) -> Bench:
        """Open both. Raises DataUnusable where the recipe holds other spectra out than the bundle was tested on."""
        bundle = shipped(name)
        job = Job(recipe=load_recipe(name), data=data, work=Path(), seed=0, quick=False)
        spectra = job.spectra()
        if bundle.manifest.data_sheet["split"]["values_sha256"] != job.split(spectra).digests(spectra):
            raise DataUnusable(f"{bundle.file_name}: the recipe of today holds other spectra out", hint="build it anew")
        return cls(bundle=bundle, job=job, spectra=spectra)

    @property
    def classical(self) -> Mapping[str, ModelWords]:
        """What stands beside the bundle."""
        return REGRESSIONS if self.job.tells_amounts else CLASSICAL

    @property
    def amounts(self) -> NDArray[np.float64]:
        """The true amounts of what is held out."""
        assert self.spectra.amounts is not None
        return self.spectra.amounts[self.test]

    def score(self, said: NDArray[np.floating]) -> float:
        """Return the accuracy of logits [n, classes], or the RMSE of amounts [n, 1]."""
        if self.job.tells_amounts:
            return float(np.sqrt(np.mean((said[:, 0].astype(np.float64) - self.amounts) ** 2)))
        return float((said.argmax(axis=1) == self.spectra.targets[self.test]).mean())

    @property
    def test(self) -> NDArray[np.int64]:
        """The rows that are held out."""
        return self.job.split(self.spectra).test

    def fitted(self, words: ModelWords) -> tuple[Callable[[Rows], NDArray[np.float32]], dict[str, Any]]:
        """Fit a classical model on augmented copies of the other rows. Returns what gives its logits, or amounts, and
        the settings that tuning chose."""
        spectra, recipe, rows = self.spectra, self.job.recipe, self.job.split(self.spectra).development
        amounts = spectra.amounts if self.job.tells_amounts else None
        member = fit_member(
            FitTask(
                axis=spectra.axis,
                axis_unit=spectra.axis_unit,
                quantity=spectra.quantity,
                grid=self.job.grid,
                values=spectra.values[rows],
                targets=spectra.targets[rows],
                amounts=None if amounts is None else amounts[rows],
                groups=spectra.groups[rows],
                classes=len(spectra.classes),
                steps=recipe.steps,
                network=words,
                learning=recipe.training.model_copy(update={"copies": LEARNING.copies}),
                seed=(self.job.seed, 0),
            )
        )
        common, _ = steps_in_two(recipe.steps, self.job.grid)

        def says(rows: Rows) -> NDArray[np.float32]:
            with torch.no_grad():
                said = [member.model(member.own(common(part))) for part in torch.from_numpy(rows).split(BATCH)]
                return np.asarray(torch.cat(said).numpy(), dtype=np.float32)

        return says, member.settings


def shipped(name: str) -> Bundle:
    """Return the bundle of this name that comes with the package. Raises DataUnusable where none does."""
    found = {path.name.rpartition("-")[0]: path for path in built_ins()}
    if name not in found:
        raise DataUnusable(f"no bundle {name} ships with this package", hint=f"one of {', '.join(sorted(found))}")
    return read_bundle(found[name])


def measure(cell: StressCell, data: Path) -> StressOutcome:
    """Return what the cell gives. Deterministic; one thread. Raises DataUnusable."""
    started = time.process_time()
    with threadpool_limits(1):
        bench = Bench.of(cell.name, data)
        fitted = {name: bench.fitted(words) for name, words in bench.classical.items()}
        figures_of = amount_figures(bench) if bench.job.tells_amounts else class_figures(bench)
        kinds = list(dict.fromkeys(asked.title for asked in cell.asked))
        found = []
        for asked in cell.asked:
            rng = np.random.default_rng([cell.seed, kinds.index(asked.title)])  # all sizes to the same side
            copies = drawn(bench.spectra, bench.test, bench.job.grid, asked.influence, rng, draws=cell.draws)
            draws = [
                figures_of(rows) | {name: bench.score(says(rows)) for name, (says, _) in fitted.items()}
                for rows in copies
            ]
            found.append({name: _spread([draw[name] for draw in draws]) for name in draws[0]})
    return StressOutcome(
        cell=cell,
        spectra=len(bench.test),
        fillings=len(np.unique(bench.spectra.groups[bench.test])),
        figures=tuple(found),
        settings={name: settings for name, (_, settings) in fitted.items()},
        seconds=round(time.process_time() - started, 2),
    )


def class_figures(bench: Bench) -> Callable[[Rows], dict[str, float]]:
    """Return what measures the figures of a bundle that names classes on its held-out spectra as changed."""
    job, spectra, bundle, test = bench.job, bench.spectra, bench.bundle, bench.test
    engine, manifest, truth = Engine.load(bundle), bundle.manifest, spectra.targets[test]
    temperature = manifest.calibration.temperature
    held = held_out(job, spectra, Members(bundle))
    scored = scored_of(job, spectra, held, job.split(spectra).development, temperature=temperature)
    ships, count = shipped_quantiles(bundle), len(manifest.classes)
    reach = {
        share: np.array(ships[share] if share in ships else class_quantiles(scored, share, classes=count))
        for share in COVERAGES
    }

    def figures(rows: Rows) -> dict[str, float]:
        said = engine.run(rows)
        told = summary(ask(manifest, said.logits, said.features), truth)
        missing = 1.0 - probabilities(said.logits, temperature)[np.arange(len(truth)), truth]
        return {
            SHIPPED: bench.score(said.logits),
            "right": told["right"],
            "wrong": told["wrong"],
            "silent": told["refused"],
            "gate": told["not_in_scope"],
            **{f"{100 * share:g} %": float((missing <= of[truth]).mean()) for share, of in reach.items()},
        }

    return figures


def amount_figures(bench: Bench) -> Callable[[Rows], dict[str, float]]:
    """Return what measures the figures of a bundle that tells an amount."""
    engine, judge = Engine.load(bench.bundle), Judge(bench.bundle.manifest)
    question, truth = judge.question(procedure="quantify"), bench.amounts

    def figures(rows: Rows) -> dict[str, float]:
        said = engine.run(rows)
        verdicts = [
            judge.answer(question, logits, features, amounts=amounts)
            for logits, features, amounts in zip(said.logits, said.features, said.amounts, strict=True)
        ]
        told = [(v.amounts[0], real) for v, real in zip(verdicts, truth, strict=True) if v.amounts]
        held = sum(of.low <= real <= of.high for of, real in told)
        return {
            SHIPPED: bench.score(said.amounts),
            "right": held / len(truth),
            "wrong": (len(told) - held) / len(truth),
            "silent": 1.0 - len(told) / len(truth),
            "gate": sum(v.outcome == "not_in_scope" for v in verdicts) / len(truth),
        }

    return figures


def _spread(values: Sequence[float]) -> tuple[float, float]:
    return round(float(np.mean(values)), 5), round(float(np.std(values, ddof=1)), 5) if len(values) > 1 else 0.0
