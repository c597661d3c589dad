"""Everything that the choice among candidates rests on, measured on the machine at hand and on real spectra."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import Manifest
from edged.infer.engine import INPUT, Outputs
from edged.infer.judge import Judge
from export.compare import QUANTILE, interleaved_rounds_us, run_all, session

if TYPE_CHECKING:
    import onnx

Rows = NDArray[np.float32]
Name = TypeVar("Name", bound=str)
NUDGE, OWN_MOVE, NUDGES = 2.0**-15, 1e-3, 4
"""Relative change of a spectrum's values that stands for other kernels' rounding of float32, how far it may move what
the float graph says (else it is made smaller), and how often it is drawn. It is larger than rounding, so that a hundred
spectra show the jump between two steps of a grid that ten thousand would."""
SPREAD_ROWS = 96  # spectra, evenly taken, on which kernels are compared: three more sessions run them
EXACT = ("float", "weights")  # no integer arithmetic: nothing but the rounding of float32 differs


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What candidates are judged on: spectra [n, points] with their targets (columns [n], or amounts [n, amounts]),
    spectra of other things [m, points], and the manifest whose rules the judge applies."""

    manifest: Manifest
    spectra: Rows
    targets: NDArray[np.int64] | NDArray[np.float64]
    foreign: Rows


class Measured(TypedDict):
    """One candidate. Times are CPU times of one thread. `size_ratio` is over the float graph's; so is `ratio`, the
    median over rounds in which both took their turn: what slows the machine for a while slows both. `ratio_low` and
    `ratio_high` are its quartiles.

    same_outcome: share of all spectra that get the float graph's outcome and name. same_class: share of the known
    spectra with the same largest logit (or the same interval held, for amounts). accuracy: of the known spectra.
    largest_difference: of any output from float's, features relative to the largest feature, amounts to their range
    in such a way that the golden tolerance is the measure of all; kernel_spread: the same between the kernels of this
    machine and others that compute the same graph.
    """

    scheme: str
    file_bytes: int
    packed_bytes: int
    size_ratio: float
    latency_us: float
    ratio: float
    ratio_low: float
    ratio_high: float
    load_ms: float
    same_outcome: float
    same_class: float
    accuracy: float
    accuracy_difference: float
    largest_logit_difference: float
    largest_difference: float
    kernel_spread: float


def measured(models: Mapping[Name, onnx.ModelProto], subject: Subject, *, rounds: int = 100) -> list[Measured]:
    """Measure all candidates; the first is the yardstick. Timings take turns."""
    raw = {name: model.SerializeToString(deterministic=True) for name, model in models.items()}
    sessions, loads = {}, {}
    for name, graph in raw.items():
        started = time.process_time()
        sessions[name] = session(graph)
        loads[name] = (time.process_time() - started) * 1e3
    one = np.ascontiguousarray(subject.spectra[:1])
    times = interleaved_rounds_us(
        {name: partial(opened.run, None, {INPUT: one}) for name, opened in sessions.items()}, rounds=rounds
    )
    rows = np.concatenate([subject.spectra, subject.foreign])
    said = {name: run_all(opened, rows) for name, opened in sessions.items()}
    first = next(iter(models))
    units = _units(said[first], subject.manifest)
    answers = {name: outcomes(subject.manifest, found) for name, found in said.items()}
    right = {name: _right(subject, found) for name, found in said.items()}
    nudge = gentle(raw[first], rows, subject.manifest)
    table: list[Measured] = []
    for name in models:
        off = _differences(said[name], said[first], units)
        low, ratio, high = np.quantile(np.divide(times[name], times[first]), (0.25, 0.5, 0.75))
        table.append(
            Measured(
                scheme=name,
                file_bytes=len(raw[name]),
                packed_bytes=len(zlib.compress(raw[name], 9)),
                size_ratio=round(len(raw[name]) / len(raw[first]), 4),
                latency_us=round(float(np.quantile(times[name], QUANTILE)), 1),
                ratio=round(float(ratio), 3),
                ratio_low=round(float(low), 3),
                ratio_high=round(float(high), 3),
                load_ms=round(loads[name], 1),
                same_outcome=_share([a == b for a, b in zip(answers[name], answers[first], strict=True)]),
                same_class=_share(_decision(subject, said[name]) == _decision(subject, said[first])),
                accuracy=_share(right[name]),
                accuracy_difference=round(float(right[name].mean() - right[first].mean()), 6),
                largest_logit_difference=round(off["logits"], 5),
                largest_difference=round(max(off.values()), 5),
                kernel_spread=0.0 if name in EXACT else kernel_spread(raw[name], rows, subject.manifest, nudge=nudge),
            )
        )
    return table


def outcomes(manifest: Manifest, said: Outputs) -> list[tuple[str, str | None]]:
    """The daemon's own outcome and name for each row, to the question that the bundle answers by itself."""
    judge = Judge(manifest)
    question = judge.question()
    verdicts = [
        judge.answer(question, logits, features, amounts=amounts)
        for logits, features, amounts in zip(said.logits, said.features, said.amounts, strict=True)
    ]
    return [(verdict.outcome, verdict.label) for verdict in verdicts]


def gentle(float_graph: bytes, rows: Rows, manifest: Manifest) -> float:
    """The relative change of spectra that the float graph hardly notices: preprocessing may make much of it."""
    few = rows[:: -(-len(rows) // SPREAD_ROWS)]
    opened = session(float_graph)
    said = run_all(opened, few)
    units = _units(said, manifest)
    moved = max(max(_differences(run_all(opened, nudged), said, units).values()) for nudged in _nudged(few, NUDGE))
    return NUDGE * min(1.0, OWN_MOVE / max(moved, 1e-12))


def kernel_spread(graph: bytes, rows: Rows, manifest: Manifest, *, nudge: float) -> float:
    """Largest difference between this machine's way of computing a graph and others that are as right: what stands
    between scales in float, nothing fused, and spectra that differ by less than anyone measures."""
    few = rows[:: -(-len(rows) // SPREAD_ROWS)]
    here = session(graph)
    said = run_all(here, few)
    units = _units(said, manifest)
    others = (
        run_all(session(graph, integer_kernels=False), few),
        run_all(session(graph, optimised=False), few),
        *(run_all(here, nudged) for nudged in _nudged(few, nudge)),
    )
    return round(max(max(_differences(other, said, units).values()) for other in others), 5)


def _nudged(rows: Rows, nudge: float) -> list[Rows]:
    rng = np.random.default_rng(0)
    signs = [rng.choice(np.array([-1, 1], np.float32), size=rows.shape) for _ in range(NUDGES)]
    return [np.asarray(rows * (1 + np.float32(nudge) * sign), dtype=np.float32) for sign in signs]


def _units(said: Outputs, manifest: Manifest) -> dict[str, float | NDArray[np.float64]]:
    """What a difference of each output is divided by to be held to the golden tolerance, as `Engine.prove` does."""
    own = manifest.amount_tolerance or manifest.golden_tolerance
    ranges = np.array([amount.highest - amount.lowest for amount in manifest.amounts])
    return {
        "logits": 1.0,
        "features": max(1.0, float(np.abs(said.features).max(initial=0.0))),
        "amounts": ranges * (own / manifest.golden_tolerance),
    }


def _differences(one: Outputs, other: Outputs, units: Mapping[str, float | NDArray[np.float64]]) -> dict[str, float]:
    return {
        name: float((np.abs(getattr(one, name).astype(np.float64) - getattr(other, name)) / unit).max(initial=0.0))
        for name, unit in units.items()
    }


def _right(subject: Subject, said: Outputs) -> NDArray[np.bool_]:
    """Whether each known spectrum's class has the largest logit, or its amounts lie in their intervals."""
    n = len(subject.spectra)
    if subject.manifest.classes:
        return np.asarray(said.logits[:n].argmax(axis=1) == subject.targets)
    half = [amount.half_widths[subject.manifest.default_preset] for amount in subject.manifest.amounts]
    return np.asarray((np.abs(said.amounts[:n] - subject.targets) <= half).all(axis=1))


def _decision(subject: Subject, said: Outputs) -> NDArray[np.int64]:
    n = len(subject.spectra)
    return said.logits[:n].argmax(axis=1) if subject.manifest.classes else _right(subject, said).astype(np.int64)


def _share(found: list[bool] | NDArray[np.bool_]) -> float:
    return round(float(np.mean(found)), 6)
