"""Everything that the choice among candidates rests on, measured on the machine at hand and on real spectra."""

from __future__ import annotations

import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import Manifest
from edged.infer.engine import INPUT, Outputs
from edged.infer.judge import Judge
from export.compare import interleaved_us, run_all, session
from export.quantise.schemes import Scheme

if TYPE_CHECKING:
    import onnx

Rows = NDArray[np.float32]
NUDGE = np.float32(2.0**-20)
"""Relative change of a spectrum that stands for the rounding of float32 in another processor's kernels."""
SPREAD_ROWS = 96  # spectra, evenly taken, on which kernels are compared: three more sessions run them
EXACT: tuple[Scheme, ...] = ("float", "weights")  # no integer arithmetic: nothing but the rounding of float32 differs


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What candidates are judged on: spectra [n, points] with their targets (columns [n], or amounts [n, amounts]),
    spectra of other things [m, points], and the manifest whose rules the judge applies."""

    manifest: Manifest
    spectra: Rows
    targets: NDArray[np.int64] | NDArray[np.float64]
    foreign: Rows


class Measured(TypedDict):
    """One candidate. Times are CPU times of one thread; `ratio` and `size_ratio` are over the float graph's.

    same_outcome: share of all spectra that get the float graph's outcome and name. same_class: share of the known
    spectra with the same largest logit (or the same interval held, for amounts). accuracy: of the known spectra.
    largest_difference: of any output from float's, features relative to the largest feature, amounts to their range
    in such a way that the golden tolerance is the measure of all; kernel_spread: the same between the kernels of this
    machine and others that compute the same graph.
    """

    scheme: Scheme
    file_bytes: int
    packed_bytes: int
    size_ratio: float
    latency_us: float
    ratio: float
    load_ms: float
    same_outcome: float
    same_class: float
    accuracy: float
    accuracy_difference: float
    largest_logit_difference: float
    largest_difference: float
    kernel_spread: float


def measured(models: Mapping[Scheme, onnx.ModelProto], subject: Subject, *, rounds: int = 25) -> list[Measured]:
    """Measure all candidates; the first is the yardstick. Timings take turns."""
    raw = {name: model.SerializeToString(deterministic=True) for name, model in models.items()}
    sessions, loads = {}, {}
    for name, graph in raw.items():
        started = time.process_time()
        sessions[name] = session(graph)
        loads[name] = (time.process_time() - started) * 1e3
    one = np.ascontiguousarray(subject.spectra[:1])
    times = interleaved_us(
        {name: partial(opened.run, None, {INPUT: one}) for name, opened in sessions.items()}, rounds=rounds
    )
    rows = np.concatenate([subject.spectra, subject.foreign])
    said = {name: run_all(opened, rows) for name, opened in sessions.items()}
    first = next(iter(models))
    units = _units(said[first], subject.manifest)
    answers = {name: outcomes(subject.manifest, found) for name, found in said.items()}
    right = {name: _right(subject, found) for name, found in said.items()}
    table: list[Measured] = []
    for name in models:
        off = _differences(said[name], said[first], units)
        table.append(
            Measured(
                scheme=name,
                file_bytes=len(raw[name]),
                packed_bytes=len(zlib.compress(raw[name], 9)),
                size_ratio=round(len(raw[name]) / len(raw[first]), 4),
                latency_us=round(times[name], 1),
                ratio=round(times[name] / times[first], 3),
                load_ms=round(loads[name], 1),
                same_outcome=_share([a == b for a, b in zip(answers[name], answers[first], strict=True)]),
                same_class=_share(_decision(subject, said[name]) == _decision(subject, said[first])),
                accuracy=_share(right[name]),
                accuracy_difference=round(float(right[name].mean() - right[first].mean()), 6),
                largest_logit_difference=round(off["logits"], 5),
                largest_difference=round(max(off.values()), 5),
                kernel_spread=0.0 if name in EXACT else kernel_spread(raw[name], rows, subject.manifest),
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


def kernel_spread(graph: bytes, rows: Rows, manifest: Manifest) -> float:
    """Largest difference between this machine's way of computing a graph and three others that are as right: what
    stands between scales in float, nothing fused, and spectra that differ by the last bits."""
    few = rows[:: -(-len(rows) // SPREAD_ROWS)]
    here = session(graph)
    said = run_all(here, few)
    units = _units(said, manifest)
    others = (
        run_all(session(graph, integer_kernels=False), few),
        run_all(session(graph, optimised=False), few),
        run_all(here, few * (1 + NUDGE)),
        run_all(here, few * (1 - NUDGE)),
    )
    return round(max(max(_differences(other, said, units).values()) for other in others), 5)


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
