"""One cell of the study of solvents: a way of naming what a Raman spectrum holds, asked of real mixtures.

All that anything learns from is one pure spectrum of each compound of a library; limits are chosen on mixtures made of
those same spectra. No code that decides has seen a real mixture.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.optimize import nnls

from edged.bundle.archive import read_bundle
from edged.bundle.components import Components
from edged.bundle.slots import built_ins
from edged.bundle.vocabulary import Axis
from edged.infer.engine import Engine
from edged.infer.verdict import Preset
from export.components.answers import told
from export.components.evidence import Mixture, asked, rates
from export.components.learn import Lesson, learn
from export.components.operate import PRESET, Bench, Fold, compounds_of, confirmation_of
from export.components.unmix import Unmixer
from export.components.words import Unmixing
from export.data.augment import resample
from export.data.catalogue import load_set
from export.data.mixtures.library import Library, library_of
from export.data.mixtures.synthesise import synthesise
from export.data.mixtures.words import Synthesis
from export.data.spectra import Spectra
from export.errors import DataUnusable
from export.preprocess.pipeline import build
from export.preprocess.words import StepWords
from export.study import elastic_net
from export.study.elastic_net import Penalised, Penalty, best_of
from export.study.mixtures import CLAIMS, TUNED_ON, Taught
from export.trial.sessions import rows_of
from export.words import Words

Rows = NDArray[np.float64]
Bools = NDArray[np.bool_]
Where = Literal["raman-solvents", "raman-powders"]
Answer = Literal["found", "told", "at_half"]
FEW = 5  # solvents: up to so many are a small mixture


class LeastSquares(Words):
    """Non-negative least squares by scipy; named is what has more than `share` of all weights.

    Each pure spectrum is divided by its highest point. steps: before the fit. constant: of the axis, zero or more, is
    fitted beside them. stop: where the axis ends, 1/cm, or earlier where a spectrum does.
    """

    kind: Literal["least squares"] = "least squares"
    steps: tuple[StepWords, ...] = ()
    constant: bool = False
    stop: Annotated[float, Field(gt=0)] = 2000.0
    share: Annotated[float, Field(gt=0, lt=1)] = 0.03


class ElasticNet(Words):
    """A penalised fit, as `plain` is a plain one: the same references, and named by the same share of the weights.

    penalties: of which is taken what names the mixtures of `tuned_on`, `held_out` of them, with the highest F1; its
    steps are those of `plain`.
    """

    kind: Literal["elastic net"] = "elastic net"
    plain: LeastSquares
    penalties: Penalised
    tuned_on: Synthesis
    held_out: Annotated[int, Field(ge=100, le=100_000)]

    @model_validator(mode="after")
    def _same_steps(self) -> ElasticNet:
        if self.penalties.steps != self.plain.steps:
            raise ValueError("penalties: other steps than those of the plain fit")
        return self


class Learnt(Words):
    """A detector, a fit of the library, or a detector whose claims the fit confirms.

    limits_on: what the made mixtures are, `held_out` of them, half to choose limits on, half to try them on.
    false_names: of a sample, what limits are chosen for. wrongly_unknown: share of mixtures of the library whose rest
    a fit may call too large.
    """

    kind: Literal["learnt"] = "learnt"
    axis: Axis
    taught: Taught | None = None
    unmixing: Unmixing | None = None
    limits_on: Synthesis
    held_out: Annotated[int, Field(ge=100, le=100_000)]
    false_names: Annotated[float, Field(gt=0, le=10)]
    wrongly_unknown: Annotated[float, Field(gt=0, lt=1)] = 0.02

    @model_validator(mode="after")
    def _something(self) -> Learnt:
        if self.taught is None and self.unmixing is None:
            raise ValueError("taught or unmixing: at least one of them")
        return self


class Shipped(Words):
    """A preset of a bundle that edged ships with. bundle: its name and version, as its file has them; sha256: its
    digest, in hex: one that is built anew is asked anew."""

    kind: Literal["shipped"] = "shipped"
    bundle: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    preset: Preset


class NamingCell(Words):
    """A method asked of all mixtures that a library may hold the compounds of."""

    name: str
    library: Where
    method: Annotated[LeastSquares | ElasticNet | Learnt | Shipped, Field(discriminator="kind")]
    seed: Annotated[int, Field(ge=0)] = 0


class NamingOutcome(Words):
    """What a cell names in each mixture, in the order of `lots_of`, as bits in the order of `compounds`.

    found: whatever is left unexplained. told: to an operator; nothing where the verdict is that the mixture is unknown.
    at_half: of a detector alone, at a probability of one half; empty for others. on_made: what the method says of made
    mixtures that chose no limits; empty where no limit was chosen. penalty: of an elastic net, the chosen one.
    """

    cell: NamingCell
    compounds: tuple[str, ...]
    found: tuple[int, ...]
    told: tuple[int, ...]
    at_half: tuple[int, ...]
    on_made: dict[str, float]
    parameters: int
    seconds: float
    penalty: Penalty | None = None

    def named(self, what: Answer = "found") -> Bools:
        """Return which compounds are named in each mixture, [n, compounds]."""
        return np.asarray((np.array(getattr(self, what))[:, None] >> np.arange(len(self.compounds)) & 1).astype(bool))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """Some mixtures of one set. rows: [n] of its spectra."""

    spectra: Spectra
    rows: NDArray[np.int64]

    @property
    def values(self) -> Rows:
        """The spectra [n, points] on `spectra.axis`."""
        return self.spectra.values[self.rows]

    @property
    def holds(self) -> tuple[tuple[str, ...], ...]:
        """What each mixture is said to hold; nothing where nobody tells."""
        return tuple(self.spectra.compounds_in(self.spectra.labels[row]) for row in self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    found: Bools
    told: Bools
    at_half: Bools | None = None
    on_made: dict[str, float] = field(default_factory=dict)
    parameters: int = 0
    penalty: Penalty | None = None


def measure(cell: NamingCell, data: Path) -> NamingOutcome:
    """Return what the cell names. Deterministic; one thread. Raises DataUnusable."""
    started = time.process_time()
    torch.set_num_threads(1)
    library, lots = library_of(load_set(cell.library, data)), lots_of(cell.library, data)
    match cell.method:
        case LeastSquares() as words:
            found = np.concatenate([shares(weights(words, library, lot)) > words.share for lot in lots])
            named = _Named(found=found, told=found)
        case ElasticNet() as words:
            named = _penalised(words, library, lots, cell.seed)
        case Learnt() as words:
            named = _learnt(words, library, lots, cell.seed)
        case Shipped() as words:
            named = _shipped(words, library, lots)
    return NamingOutcome(
        cell=cell,
        compounds=library.names,
        found=_bits(named.found),
        told=_bits(named.told),
        at_half=() if named.at_half is None else _bits(named.at_half),
        on_made={name: round(value, 6) for name, value in named.on_made.items()},
        parameters=named.parameters,
        seconds=round(time.process_time() - started, 2),
        penalty=named.penalty,
    )


def lots_of(library: Where, data: Path) -> tuple[Lot, ...]:
    """Return the mixtures of the library's own set; then those of the other set that hold nothing beside it."""
    sets = {name: load_set(name, data) for name in ("raman-solvents", "raman-powders")}
    own, names = sets.pop(library), set(library_of(load_set(library, data)).names)
    lots = [Lot(spectra=own, rows=np.flatnonzero([not _is_pure(own, label) for label in own.labels]))]
    for other in sets.values():
        held = [other.compounds_in(label) for label in other.labels]
        inside = [len(compounds) > 1 and set(compounds) <= names for compounds in held]
        if any(inside):
            lots.append(Lot(spectra=other, rows=np.flatnonzero(inside)))
    return tuple(lots)


def weights(words: LeastSquares, library: Library, lot: Lot) -> Rows:
    """Return the weight of each pure spectrum of height one in each mixture of height one, [n, compounds]."""
    references, rows = _prepared(words, library, lot.spectra.axis, lot.values)
    return np.asarray([nnls(references.T, row)[0] for row in rows])[:, : len(library.names)]


def _prepared(words: LeastSquares, library: Library, axis: Rows, values: Rows) -> tuple[Rows, Rows]:
    """What is fitted to what: the pure spectra of height one, and a constant where there is to be one
    [references, m]; mixtures of height one [n, m]."""
    kept = (axis <= words.stop) & (axis <= library.axis[-1])
    grid = axis[kept]
    steps = build(words.steps, grid)

    def prepared(values: Rows) -> Rows:
        scaled = torch.from_numpy((values / values.max(axis=1, keepdims=True)).astype(np.float32))
        with torch.no_grad():
            return np.asarray(steps(scaled).numpy(), dtype=np.float64)

    references = prepared(resample(library.values, library.axis, grid))
    if words.constant:
        references = np.vstack([references, np.ones(references.shape[1])])
    return references, prepared(values[:, kept])


def _penalised(words: ElasticNet, library: Library, lots: tuple[Lot, ...], seed: int) -> _Named:
    made = synthesise(
        library, words.tuned_on, words.held_out, np.random.default_rng([seed, TUNED_ON]), grid=library.axis
    )
    tried = _prepared(words.plain, library, library.axis, made.values.astype(np.float64))

    def named(prepared: tuple[Rows, Rows], penalty: Penalty) -> Bools:
        found = elastic_net.shares(*prepared, penalty)[:, : len(library.names)]
        return np.asarray(shares(found) > words.plain.share)

    penalties = words.penalties.penalties()
    best = best_of(penalties, lambda penalty: rates(named(tried, penalty), made.present)["f1"])
    asked_of = [_prepared(words.plain, library, lot.spectra.axis, lot.values) for lot in lots]
    found = np.concatenate([named(prepared, best) for prepared in asked_of])
    return _Named(found=found, told=found, penalty=best)


def shares(found: Rows) -> Rows:
    """Return weights [n, compounds] as shares of their sum; zeros where there is none."""
    return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny))


def shipped(name: str) -> Path:
    """Return the file of a bundle that edged ships with, by name. Raises DataUnusable."""
    for path in built_ins():
        if path.stem.rpartition("-")[0] == name:
            return path
    raise DataUnusable(f"edged ships with no bundle {name}", hint="install edged anew")


def _is_pure(spectra: Spectra, label: str) -> bool:
    return len(spectra.compounds_in(label)) == 1


def _learnt(words: Learnt, library: Library, lots: tuple[Lot, ...], seed: int) -> _Named:
    grid, detector = np.linspace(words.axis.start, words.axis.stop, words.axis.points), None
    if words.taught is not None:
        detector = learn(
            Lesson(
                library=library,
                synthesis=words.taught.synthesis,
                grid=grid,
                steps=words.taught.steps,
                network=words.taught.network,
                schooling=words.taught.schooling,
                seed=(seed, 0),
            )
        )
    unmixer = Unmixer(library, words.unmixing, grid) if words.unmixing else None
    confirmation = confirmation_of(unmixer, tolerance=1e-3) if unmixer else None
    arrays = unmixer.arrays() if unmixer else {}

    def seen(values: NDArray[np.floating], present: Bools) -> Mixture:
        rows = values.astype(np.float32)
        return Mixture(
            logits=detector.say(rows) if detector else np.zeros(present.shape, dtype=np.float32),
            prepared=(unmixer.prepare(rows) if unmixer else np.zeros((len(rows), 1))).astype(np.float32),
            present=present,
            shares=present / np.maximum(present.sum(axis=1, keepdims=True), 1),  # nothing here asks how much
        )

    made = synthesise(library, words.limits_on, words.held_out, np.random.default_rng([seed, 7]), grid=grid)
    mixtures, first = seen(made.values, made.present), np.arange(words.held_out) % 2 == 0
    fold = Fold(library=arrays, confirmation=confirmation, chosen_on=mixtures.of(first), tried_on=mixtures.of(~first))
    bench = Bench(compounds_of(library.names), [fold], sure=False)
    if unmixer is None:
        point = bench.screening(words.false_names)
    else:
        thresholds: tuple[float | None, ...] = (None,) * len(library.names)
        if detector is not None:  # the network may claim more, and the fit is held to the target
            thresholds = bench.screening(CLAIMS * words.false_names).thresholds
        point = bench.confirming(words.false_names, thresholds=thresholds, wrongly_unknown=words.wrongly_unknown)
    real = np.concatenate([resample(lot.values, lot.spectra.axis, grid) for lot in lots])
    mixtures = seen(real, np.zeros((len(real), len(library.names)), dtype=bool))
    said = asked(
        Components(compounds=bench.compounds, presets={PRESET: point}, confirmation=confirmation),
        arrays,
        mixtures,
        PRESET,
    )
    known = np.ones(len(real), dtype=bool) if point.max_rest is None else said.rest <= point.max_rest
    return _Named(
        found=said.found,
        told=said.found & known[:, None],
        at_half=mixtures.logits > 0.0 if detector is not None and unmixer is None else None,
        on_made=bench.tried(point),
        parameters=sum(p.numel() for p in detector.network.parameters()) if detector else 0,
    )


def _shipped(words: Shipped, library: Library, lots: tuple[Lot, ...]) -> _Named:
    path = shipped(words.bundle.rpartition("-")[0])
    bundle = read_bundle(path)
    if (path.stem, bundle.digest) != (words.bundle, words.sha256):
        raise DataUnusable(
            f"edged ships with {path.stem} of the SHA-256 {bundle.digest[:12]}, not with {words.bundle} of "
            f"{words.sha256[:12]}",
            hint="measure the study anew",
        )
    table = bundle.manifest.components
    if table is None or tuple(compound.label for compound in table.compounds) != library.names:
        raise DataUnusable(f"{words.bundle} names other compounds than the library", hint="build the bundle anew")
    rows = np.concatenate([rows_of(lot.spectra, bundle.manifest)[lot.rows] for lot in lots])
    out = Engine.load(bundle).run(rows)
    nothing = np.zeros(out.logits.shape, dtype=bool)
    mixtures = Mixture(logits=out.logits, prepared=out.prepared, present=nothing, shares=nothing.astype(np.float64))
    return _Named(
        found=asked(table, dict(bundle.library), mixtures, words.preset).found,
        told=told(bundle, out, words.preset).found,
    )


def _bits(found: Bools) -> tuple[int, ...]:
    return tuple((found @ (1 << np.arange(found.shape[1]))).tolist())
