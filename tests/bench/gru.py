"""Every way of getting int8 weights into stock onnxruntime, next to the float GRU operator, on the bundle's network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from edged.infer.judge import Judge
from export.compare import interleaved_us, run_rows, session
from export.quantise.candidates import candidates
from export.quantise.schemes import Scheme
from export.trial.answers import Answers, ask
from tests.bench.subject import Subject
from tests.bench.table import Row

if TYPE_CHECKING:
    import onnxruntime

PEER = "float GRU operator"
LEAST_EQUAL = 0.995
LARGEST_DIFFERENCE = 0.02  # of a probability


def gru(subject: Subject) -> Iterator[Row]:
    """One spectrum at a time, one thread, CPU time; then what the int8 weights do to real held-out spectra."""
    models = candidates(subject.float_graph, subject.held_out)
    sessions = {scheme: session(model) for scheme, model in models.items()}
    one = subject.held_out[:1]
    calls: dict[str, Callable[[], object]] = {scheme: _call(opened, one) for scheme, opened in sessions.items()}
    times = interleaved_us(calls, rounds=subject.scale.rounds)
    sizes = {scheme: model.ByteSize() / 1e3 for scheme, model in models.items()}
    answers = {scheme: _answers(opened, subject) for scheme, opened in sessions.items()}
    others = [scheme for scheme in models if scheme != "float"]
    for scheme in others:
        chosen = " (the bundle's)" if scheme == subject.recipe.quantisation.scheme else ""
        yield _row(f"{scheme}{chosen}, latency", times[scheme], times["float"], "us")
    for scheme in others:
        yield _row(f"{scheme}, file", sizes[scheme], sizes["float"], "kB")
    peer = "limit" if subject.has_float_original else "limit, from the bundle's own weights"
    for scheme in others:
        yield from _differences(scheme, answers, peer)


def _row(what: str, ours: float, other: float, unit: str) -> Row:
    return Row(bench="gru", what=what, ours=ours, other=other, against=PEER, unit=unit)


def _differences(scheme: Scheme, answers: dict[Scheme, tuple[Answers, np.ndarray]], peer: str) -> Iterator[Row]:
    (ours, probabilities), (first, original) = answers[scheme], answers["float"]
    off = float(np.abs(probabilities - original).max())
    yield Row(
        bench="gru",
        what=f"{scheme}, largest difference of a probability",
        ours=off,
        other=LARGEST_DIFFERENCE,
        against=peer,
        unit="-",
    )
    yield Row(
        bench="gru",
        what=f"{scheme}, equal decisions of {len(first.best)}",
        ours=float(ours.same_as(first).mean()),
        other=LEAST_EQUAL,
        against=peer,
        unit="share",
        more_is_better=True,
    )


def _call(opened: onnxruntime.InferenceSession, one: np.ndarray) -> Callable[[], object]:
    return lambda: opened.run(None, {"spectrum": one})


def _answers(opened: onnxruntime.InferenceSession, subject: Subject) -> tuple[Answers, np.ndarray]:
    """The judge's answers, and the calibrated probability of every class."""
    logits = run_rows(opened, subject.held_out, "logits")
    features = run_rows(opened, subject.held_out, "features")
    manifest = subject.bundle.manifest
    judge = Judge(manifest)
    return ask(manifest, logits, features), np.stack([judge.probabilities(row) for row in logits])
