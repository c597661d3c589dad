"""One cell of the study of components: a way of naming what is in powders, taught on made mixtures, tried on real ones.

No code that decides has seen a real mixture, but where the cell says so; who wrote it had. Scans of the pure compounds
are dealt to two halves by filling: what learns from one half finds its limits on mixtures made of the other, and both
are then asked.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from edged.bundle.components import Components, Confirmation, OperatingPoint
from edged.bundle.vocabulary import Axis
from export.components.evidence import Mixture, asked
from export.components.learn import Detector, Lesson, RealMixtures, learn
from export.components.operate import PRESET, Bench, Fold, compounds_of, confirmation_of
from export.components.unmix import Unmixer
from export.components.words import Schooling, Unmixing
from export.data.augment import resample
from export.data.catalogue import load_set
from export.data.mixtures.library import Library, library_of
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.words import Synthesis
from export.data.spectra import Spectra
from export.models.catalogue import NetworkWords
from export.preprocess.words import StepWords
from export.words import Words

LEARNT, FILLING = 80, 10  # scans of a powder: the last twenty of a hundred are never learnt from
CLAIMS = 5.0  # how many more false names a network may claim than are told once its claims are confirmed


class Taught(Words):
    """A network taught on made mixtures. real: the first 80 scans of the nine binary mixtures are among them."""

    steps: tuple[StepWords, ...]
    network: NetworkWords
    schooling: Schooling
    synthesis: Synthesis
    real: bool = False


class ComponentsCell(Words):
    """A detector, a fit of the library, or a detector whose claims are confirmed by the fit.

    limits_on: what the held-out mixtures are, `held_out` of each half. false_names: their target, a
    sample; divided by the compounds, of mixtures without each.
    """

    name: str
    axis: Axis
    taught: Taught | None = None
    unmixing: Unmixing | None = None
    limits_on: Synthesis
    held_out: Annotated[int, Field(ge=100, le=100_000)] = 4000
    false_names: Annotated[float, Field(gt=0, le=10)]
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _something(self) -> ComponentsCell:
        if self.taught is None and self.unmixing is None:
            raise ValueError("taught or unmixing: at least one of them")
        return self


class ComponentsOutcome(Words):
    """What a cell gave: for each real scan, in the order of `trial_of`, which compounds were found, as bits.

    limits: of logits, or of supports, one a compound in the order of `compounds`. on_made: what the whole preset says
    of the half of the made mixtures that chose nothing: exact sets and false names a sample.
    """

    cell: ComponentsCell
    compounds: tuple[str, ...]
    found: tuple[int, ...]
    limits: tuple[float, ...]
    on_made: dict[str, float]
    parameters: int
    seconds: float


def measure(cell: ComponentsCell, data: Path) -> ComponentsOutcome:
    """Return what the cell gives. Deterministic; one thread."""
    started = time.process_time()
    torch.set_num_threads(1)
    scans = real_scans(data)
    pure = load_set("powders12", data)
    halves = [library_of(pure, rows) for rows in _halves(pure)]
    grid = np.linspace(cell.axis.start, cell.axis.stop, cell.axis.points)
    detectors = [_taught(cell, halves[half], grid, scans, half) for half in (0, 1)] if cell.taught else []
    bench = Bench(compounds_of(halves[0].names), _folds(cell, halves, detectors, grid), sure=False)
    point = _point(cell, bench)
    real = resample(scans.values, scans.axis, grid)
    whole = Unmixer(library_of(pure, np.concatenate(_halves(pure))), cell.unmixing, grid) if cell.unmixing else None
    table = Components(compounds=bench.compounds, presets={PRESET: point}, confirmation=_confirmation(whole))
    mixtures = _seen(real, [detector.say(real) for detector in detectors], whole, scans.present)
    found = asked(table, whole.arrays() if whole else {}, mixtures, PRESET).found
    made = bench.tried(point)
    return ComponentsOutcome(
        cell=cell,
        compounds=halves[0].names,
        found=tuple((found @ (1 << np.arange(found.shape[1]))).tolist()),
        limits=tuple(float(limit or 0.0) for limit in (point.min_support or point.thresholds)),
        on_made={name: round(value, 6) for name, value in made.items()},
        parameters=sum(p.numel() for p in detectors[0].network.parameters()) if detectors else 0,
        seconds=round(time.process_time() - started, 2),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RealScans:
    """Real scans that are tried: values [n, points] on `axis`, labels, scan numbers within a label, what they hold."""

    axis: NDArray[np.float64]
    values: NDArray[np.float64]
    labels: tuple[str, ...]
    scan: NDArray[np.int64]
    present: NDArray[np.bool_]

    @property
    def may_teach(self) -> NDArray[np.bool_]:
        """The first 80 scans of the binary mixtures: some cells learn from them."""
        return (self.present.sum(axis=1) == 2) & (self.scan < LEARNT)


def real_scans(data: Path) -> RealScans:
    """Return the last twenty scans of each pure compound, all scans of the nine binary and four ternary mixtures."""
    sets = [load_set("powders12", data), load_set("powders-ternary", data)]
    compounds = library_of(sets[0]).names
    rows = [~_is_pure(sets[0]) | (sets[0].scan >= LEARNT), np.ones(len(sets[1].labels), dtype=bool)]
    labels = tuple(label for spectra, kept in zip(sets, rows, strict=True) for label in np.array(spectra.labels)[kept])
    contents = {**sets[0].contents, **sets[1].contents}
    return RealScans(
        axis=sets[0].axis,
        values=np.concatenate([spectra.values[kept] for spectra, kept in zip(sets, rows, strict=True)]),
        labels=labels,
        scan=np.concatenate([spectra.scan[kept] for spectra, kept in zip(sets, rows, strict=True)]),
        present=np.array([[name in contents[label] for name in compounds] for label in labels]),
    )


def _is_pure(spectra: Spectra) -> NDArray[np.bool_]:
    return np.array([len(spectra.compounds_in(label)) == 1 for label in spectra.labels])


def _halves(pure: Spectra) -> list[NDArray[np.int64]]:
    """The rows of the pure compounds that may be learnt from, by every other filling."""
    learnt = _is_pure(pure) & (pure.scan < LEARNT)
    return [np.flatnonzero(learnt & (pure.scan // FILLING % 2 == half)) for half in (0, 1)]


def _taught(cell: ComponentsCell, library: Library, grid: NDArray[np.float64], scans: RealScans, half: int) -> Detector:
    assert cell.taught is not None
    words = cell.taught
    seen = scans.may_teach
    real = RealMixtures(axis=scans.axis, values=scans.values[seen], present=scans.present[seen]) if words.real else None
    return learn(
        Lesson(
            library=library,
            synthesis=words.synthesis,
            grid=grid,
            steps=words.steps,
            network=words.network,
            schooling=words.schooling,
            seed=(cell.seed, half),
            real=real,
        )
    )


def _folds(
    cell: ComponentsCell, halves: list[Library], detectors: list[Detector], grid: NDArray[np.float64]
) -> list[Fold]:
    """What each half says of mixtures made of the other."""
    folds = []
    for half, library in enumerate(halves):
        unmixer = Unmixer(library, cell.unmixing, grid) if cell.unmixing else None
        made = synthesise(
            halves[1 - half], cell.limits_on, cell.held_out, np.random.default_rng([cell.seed, 7, half]), grid=grid
        )
        said = [detectors[half].say(made.values)] if detectors else []
        mixtures = _seen(made.values, said, unmixer, made.present)
        first = np.arange(len(mixtures)) % 2 == 0
        folds.append(
            Fold(
                library=unmixer.arrays() if unmixer else {},
                confirmation=_confirmation(unmixer),
                chosen_on=mixtures.of(first),
                tried_on=mixtures.of(~first),
            )
        )
    return folds


def _confirmation(unmixer: Unmixer | None) -> Confirmation | None:
    return None if unmixer is None else confirmation_of(unmixer, tolerance=1e-3)


def _seen(
    values: NDArray[np.floating], said: list[NDArray[np.float32]], unmixer: Unmixer | None, present: NDArray[np.bool_]
) -> Mixture:
    return Mixture(
        logits=np.mean(said, axis=0, dtype=np.float32) if said else np.zeros(present.shape, dtype=np.float32),
        prepared=(unmixer.prepare(values) if unmixer else np.zeros((len(values), 1))).astype(np.float32),
        present=present,
        shares=present / np.maximum(present.sum(axis=1, keepdims=True), 1),  # nothing here asks how much
    )


def _point(cell: ComponentsCell, bench: Bench) -> OperatingPoint:
    """Where both are asked, the network may claim more, and the fit is held to the target."""
    if cell.unmixing is None:
        return bench.screening(cell.false_names)
    thresholds: tuple[float | None, ...] = (None,) * len(bench.compounds)
    if cell.taught is not None:
        thresholds = bench.screening(CLAIMS * cell.false_names).thresholds
    return bench.confirming(cell.false_names, thresholds=thresholds, wrongly_unknown=0.01)
