"""One cell of the study of components: a way of naming what is in powders, taught on made mixtures, tried on real ones.

No code that decides has seen a real mixture, but where the cell says so; who wrote it had. Scans of the pure compounds
are dealt to two halves by filling: what learns from one half finds its limits on mixtures made of the other, and both
are then asked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

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
from export.study.elastic_net import Penalised, Penalty, best_of, shares
from export.words import Words

LEARNT, FILLING = 80, 10  # scans of a powder: the last twenty of a hundred are never learnt from
LIMITED_ON, TUNED_ON = 7, 8  # seeds of the mixtures on which limits, and penalties, are chosen
CLAIMS = 5.0  # how many more false names a network may claim than are told once its claims are confirmed


class Taught(Words):
    """A network taught on made mixtures. real: the first 80 scans of the nine binary mixtures are among them, or of
    those that bear these labels."""

    steps: tuple[StepWords, ...]
    network: NetworkWords
    schooling: Schooling
    synthesis: Synthesis
    real: bool | tuple[str, ...] = False


class ComponentsCell(Words):
    """A detector, a fit of the library, or a detector whose claims are confirmed by the fit.

    unmixing: the fit that edged ships, which ranks compounds by how much it needs them; or a penalised one, which ranks
    them by their share of the weights, tuned on other mixtures of `limits_on`, of the same scans.
    limits_on: what the held-out mixtures are, `held_out` of each half. false_names: their target, a
    sample; divided by the compounds, of mixtures without each.
    """

    name: str
    axis: Axis
    taught: Taught | None = None
    unmixing: Unmixing | Penalised | None = None
    limits_on: Synthesis
    held_out: Annotated[int, Field(ge=100, le=100_000)] = 4000
    false_names: Annotated[float, Field(gt=0, le=10)]
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _something(self) -> ComponentsCell:
        if self.taught is None and self.unmixing is None:
            raise ValueError("taught or unmixing: at least one of them")
        if self.taught is not None and isinstance(self.unmixing, Penalised):
            raise ValueError("unmixing: a penalised fit confirms nobody's claims")
        return self

    @property
    def fit(self) -> Unmixing | None:
        """The fit that edged ships, where it has the last word."""
        return self.unmixing if isinstance(self.unmixing, Unmixing) else None


class ComponentsOutcome(Words):
    """What a cell gave: for each real scan, in the order of `trial_of`, which compounds were found, as bits.

    limits: of logits, or of supports, one a compound in the order of `compounds`. on_made: what the whole preset says
    of the half of the made mixtures that chose nothing: exact sets and false names a sample. penalty: the chosen one.
    """

    cell: ComponentsCell
    compounds: tuple[str, ...]
    found: tuple[int, ...]
    limits: tuple[float, ...]
    on_made: dict[str, float]
    parameters: int
    seconds: float
    penalty: Penalty | None = None


class Speaker(Protocol):
    """What ranks compounds by itself."""

    def say(self, spectra: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return how much speaks for each compound [n, compounds], in spectra on the grid [n, points]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElasticNetFit:
    """References and a penalty: the share of the weights speaks for a compound."""

    unmixer: Unmixer
    penalty: Penalty

    def say(self, spectra: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return the shares."""
        rows = self.unmixer.prepare(spectra)
        return shares(self.unmixer.references, rows, self.penalty).astype(np.float32)


def measure(cell: ComponentsCell, data: Path) -> ComponentsOutcome:
    """Return what the cell gives. Deterministic; one thread."""
    started = time.process_time()
    torch.set_num_threads(1)
    scans = real_scans(data)
    pure = load_set("powders12", data)
    halves = [library_of(pure, rows) for rows in _halves(pure)]
    grid = np.linspace(cell.axis.start, cell.axis.stop, cell.axis.points)
    detectors, penalty = _speakers(cell, halves, grid, scans)
    bench = Bench(compounds_of(halves[0].names), _folds(cell, halves, detectors, grid), sure=False)
    point = _point(cell, bench)
    real = resample(scans.values, scans.axis, grid)
    whole = Unmixer(library_of(pure, np.concatenate(_halves(pure))), cell.fit, grid) if cell.fit else None
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
        parameters=_parameters(detectors),
        seconds=round(time.process_time() - started, 2),
        penalty=penalty,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RealScans:
    """Real scans that are tried: values [n, points] on `axis`, labels, scan numbers within a label.

    fractions: of the mass [n, compounds].
    """

    axis: NDArray[np.float64]
    values: NDArray[np.float64]
    labels: tuple[str, ...]
    scan: NDArray[np.int64]
    fractions: NDArray[np.float64]

    @property
    def present(self) -> NDArray[np.bool_]:
        """What they hold [n, compounds]."""
        return self.fractions > 0

    @property
    def may_teach(self) -> NDArray[np.bool_]:
        """The first 80 scans of the binary mixtures: some cells learn from them."""
        return (self.present.sum(axis=1) == 2) & (self.scan < LEARNT)

    def taught_to(self, real: bool | tuple[str, ...]) -> NDArray[np.bool_]:
        """Those that words of a network say it learns from."""
        return self.may_teach & (real if isinstance(real, bool) else np.isin(self.labels, real))


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
        fractions=np.array([[contents[label].get(name, 0.0) for name in compounds] for label in labels]),
    )


def _is_pure(spectra: Spectra) -> NDArray[np.bool_]:
    return np.array([len(spectra.compounds_in(label)) == 1 for label in spectra.labels])


def _halves(pure: Spectra) -> list[NDArray[np.int64]]:
    """The rows of the pure compounds that may be learnt from, by every other filling."""
    learnt = _is_pure(pure) & (pure.scan < LEARNT)
    return [np.flatnonzero(learnt & (pure.scan // FILLING % 2 == half)) for half in (0, 1)]


def _speakers(
    cell: ComponentsCell, halves: list[Library], grid: NDArray[np.float64], scans: RealScans
) -> tuple[Sequence[Speaker], Penalty | None]:
    """What each half has to say, none where a fit is asked alone; and the penalty of both, where there is one."""
    if cell.taught is not None:
        return [_taught(cell.taught, cell.seed, halves[half], grid, scans, half) for half in (0, 1)], None
    if not isinstance(cell.unmixing, Penalised):
        return [], None
    bare = Unmixing(steps=cell.unmixing.steps, directions=0)
    unmixers = [Unmixer(library, bare, grid) for library in halves]
    fits = {
        penalty: [ElasticNetFit(unmixer=unmixer, penalty=penalty) for unmixer in unmixers]
        for penalty in cell.unmixing.penalties()
    }
    compounds = compounds_of(halves[0].names)

    def exact_sets(penalty: Penalty) -> float:
        bench = Bench(compounds, _folds(cell, halves, fits[penalty], grid, draw=TUNED_ON), sure=False)
        return bench.tried(bench.screening(cell.false_names))["exact"]

    best = best_of(tuple(fits), exact_sets)
    return fits[best], best


def _parameters(speakers: Sequence[Speaker]) -> int:
    networks = [one.network for one in speakers if isinstance(one, Detector)]
    return sum(p.numel() for p in networks[0].parameters()) if networks else 0


def _taught(
    words: Taught, seed: int, library: Library, grid: NDArray[np.float64], scans: RealScans, half: int
) -> Detector:
    seen = scans.taught_to(words.real)
    real = RealMixtures(axis=scans.axis, values=scans.values[seen], present=scans.present[seen]) if words.real else None
    return learn(
        Lesson(
            library=library,
            synthesis=words.synthesis,
            grid=grid,
            steps=words.steps,
            network=words.network,
            schooling=words.schooling,
            seed=(seed, half),
            real=real,
        )
    )


def _folds(
    cell: ComponentsCell,
    halves: list[Library],
    speakers: Sequence[Speaker],
    grid: NDArray[np.float64],
    *,
    draw: int = LIMITED_ON,
) -> list[Fold]:
    """What each half says of mixtures made of the other. draw: which of its mixtures."""
    folds = []
    for half, library in enumerate(halves):
        unmixer = Unmixer(library, cell.fit, grid) if cell.fit else None
        made = synthesise(
            halves[1 - half], cell.limits_on, cell.held_out, np.random.default_rng([cell.seed, draw, half]), grid=grid
        )
        said = [speakers[half].say(made.values)] if speakers else []
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
    if cell.fit is None:
        return bench.screening(cell.false_names)
    thresholds: tuple[float | None, ...] = (None,) * len(bench.compounds)
    if cell.taught is not None:
        thresholds = bench.screening(CLAIMS * cell.false_names).thresholds
    return bench.confirming(cell.false_names, thresholds=thresholds, wrongly_unknown=0.01)
