"""A bundle put to work: spectrum in, verdict out. The daemon and `edged analyze` both go this way and no other.

An Analyzer may be called from any thread, from one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import Bundle
from edged.infer.alone import Alone
from edged.infer.batches import parts, safe_sizes
from edged.infer.components import Residual
from edged.infer.engine import Engine, Outputs
from edged.infer.errors import AxisNotCovered, EngineFault, InferError, NotOffered
from edged.infer.explain import CHUNK, windows
from edged.infer.judge import Judge, Question
from edged.infer.resample import resample
from edged.infer.runtime import reads_from_memory
from edged.infer.verdict import Preset, Procedure, Reason, Verdict
from edged.infer.why import Explainer, Explanation
from edged.spectra.quality import is_unfit
from edged.spectra.spectrum import Spectrum

LONGEST_EXPLANATION_S: Final = 5.0
"""The thread that judges answers nobody meanwhile."""
Measured = tuple[Spectrum, tuple[Reason, ...]]
"""A spectrum, and what the quality checks found of its measurement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A verdict, what it rests on, and what it took.

    probabilities: label -> calibrated probability of every class; None where the graph was not asked, a gate is shut,
    or something else was wanted than a class.
    residual: what an unknown component may be read from; None without one.
    timing_ms: `resample`, `graph`, `judge`; only the stages that were gone through.
    """

    verdict: Verdict
    probabilities: dict[str, float] | None
    residual: Residual | None = None
    timing_ms: dict[str, float]


class Analyzer:
    """One bundle, loaded and proven. Raises EngineFault when it does not run here as its builder saw it."""

    def __init__(self, bundle: Bundle, *, threads: int = 1, clock: Callable[[], float] = time.perf_counter) -> None:
        self.bundle = bundle
        self._engine = Engine.load(bundle, threads=threads)
        self._judge = Judge(bundle.manifest, bundle.library)
        self._threads = threads
        self._clock = clock

    def question(
        self, *, procedure: Procedure | None = None, preset: Preset | None = None, claimed: str | None = None
    ) -> Question:
        """Check what is going to be asked, before anything is measured: see `Judge.question`. Raises NotOffered."""
        return self._judge.question(procedure=procedure, preset=preset, claimed=claimed)

    def analyze(
        self, spectrum: Spectrum, asked: Question | None = None, *, measurement: tuple[Reason, ...] = ()
    ) -> Analysis:
        """Judge one spectrum. `asked` None asks what `Judge.question` takes when nothing is said.

        A spectrum that does not span the model's axis, or a measurement that is unfit, gives the verdict `rejected`.
        Raises WrongKind for another unit or quantity, EngineFault when the graph fails.
        """
        asked = asked or self.question()
        start = self._clock()
        row = self._row(spectrum, asked, measurement)
        if isinstance(row, Analysis):
            return row
        resampled = self._clock()
        out = self._engine.run(row)
        timing_ms = {"resample": (resampled - start) * 1e3, "graph": (self._clock() - resampled) * 1e3}
        return self._judged(asked, out, 0, measurement, timing_ms)

    def analyze_many(self, measured: Sequence[Measured], asked: Question | None = None) -> list[Analysis | InferError]:
        """Judge many spectra in their order, each as `analyze` would, to the bit: its analysis, or what it would raise.

        Faster than one by one where the graph has been seen to keep its rows apart. Of timing only `judge` is told.
        """
        asked = asked or self.question()
        found: dict[int, Analysis | InferError] = {}
        rows: dict[int, NDArray[np.float32]] = {}
        for index, (spectrum, measurement) in enumerate(measured):
            try:
                row = self._row(spectrum, asked, measurement)
            except InferError as error:
                found[index] = error
                continue
            if isinstance(row, Analysis):
                found[index] = row
            else:
                rows[index] = row
        indices = list(rows)
        for start, size in parts(len(indices), self._sizes if len(indices) > 1 else ()):
            chosen = indices[start : start + size]
            found |= self._answers(chosen, np.stack([rows[i] for i in chosen]), measured, asked)
        return [found[index] for index in range(len(measured))]

    def explain(self, spectrum: Spectrum, verdict: Verdict) -> Explanation | None:
        """Say what in the spectrum this verdict of it rests on; None where it names no class and no compound.

        Some hundred runs of the graph, or of the named compounds alone where the bundle has a graph for that. Raises
        NotOffered for amounts and where it would take longer than LONGEST_EXPLANATION_S, EngineFault where a graph
        fails.
        """
        if verdict.outcome in ("rejected", "not_in_scope"):
            return None
        columns = self._explainer.targets(verdict)
        if not columns:
            return None
        self._require_time(columns)
        if self._alone is not None:
            self._alone.prove(columns)
        return self._explainer.explain(resample(spectrum, self.bundle.manifest), verdict)

    def _require_time(self, columns: Sequence[int]) -> None:
        """Raise NotOffered where these targets, and what must be proven of them before, would take too long."""
        asked = sum(map(len, windows(self.bundle.manifest.axis)))
        if self._alone is not None:
            asked = asked * len(columns) + self._alone.trials(columns)
        if (taken_s := asked * self._once_s) <= LONGEST_EXPLANATION_S:
            return
        hint = "use a bundle whose compounds can be asked alone or share one trunk, or a faster board"
        if self.bundle.why and not self._asks_alone:
            hint = "install onnxruntime 1.24 or newer: this one cannot ask the compounds of this bundle alone"
        raise NotOffered(
            f"an explanation asks {'one compound' if self._alone else 'the graph'} {asked} times, which would take "
            f"{taken_s:.0f} s here; {LONGEST_EXPLANATION_S:g} s are allowed",
            hint=hint,
        )

    @cached_property
    def _once_s(self) -> float:
        """What asking of one spectrum takes here, at best: the graph, or one compound alone, whom many are put to at a
        time."""
        known, alone = self.bundle.golden["spectra"], self._alone
        if alone is None:
            return self._least_s(lambda: self._engine.run(known[:1]))
        many = np.resize(known, (CHUNK, known.shape[1]))
        return self._least_s(lambda: alone.logits(many, [0])) / CHUNK

    def _least_s(self, work: Callable[[], object]) -> float:
        taken_s = []
        for _ in range(3):
            began = self._clock()
            work()
            taken_s.append(self._clock() - began)
        return min(taken_s)

    @cached_property
    def _alone(self) -> Alone | None:
        """Opened for the first explanation: it holds the numbers of all compounds once more."""
        return Alone.load(self.bundle, threads=self._threads) if self._asks_alone else None

    @property
    def _asks_alone(self) -> bool:
        return bool(self.bundle.why) and reads_from_memory()

    @cached_property
    def _explainer(self) -> Explainer:
        return Explainer(self.bundle, self._logits, self._logits_alone if self._asks_alone else None)

    def _logits_alone(self, rows: NDArray[np.float32], columns: Sequence[int]) -> NDArray[np.float32]:
        assert self._alone is not None
        return self._alone.logits(rows, columns)

    def _logits(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the graph says of many rows, each to the bit as if alone; in batches where they have been tried already,
        since the trial takes longer than one explanation.
        """
        sizes = self._sizes if "_sizes" in vars(self) else ()
        found = np.empty((len(rows), self.bundle.manifest.logit_columns), dtype=np.float32)
        for start, size in parts(len(rows), sizes):
            chosen = rows[start : start + size]
            out = self._engine.run_together(chosen) if size > 1 else self._engine.run(chosen)
            found[start : start + size] = out.logits
        return found

    @cached_property
    def _sizes(self) -> tuple[int, ...]:
        return safe_sizes(self._engine, self.bundle.golden["spectra"])

    def _answers(
        self, chosen: Sequence[int], rows: NDArray[np.float32], measured: Sequence[Measured], asked: Question
    ) -> dict[int, Analysis | InferError]:
        """Run rows together and judge each. Where the graph fails, the rows are run alone, to find those that it is."""
        try:
            out = self._engine.run_together(rows) if len(rows) > 1 else self._engine.run(rows)
        except EngineFault as error:
            if len(rows) == 1:
                return {chosen[0]: error}
            alone = [self._answers([i], row[None], measured, asked) for i, row in zip(chosen, rows, strict=True)]
            return {i: answer for answers in alone for i, answer in answers.items()}
        found: dict[int, Analysis | InferError] = {}
        for at, index in enumerate(chosen):
            try:
                found[index] = self._judged(asked, out, at, measured[index][1], {})
            except InferError as error:
                found[index] = error
        return found

    def _row(
        self, spectrum: Spectrum, asked: Question, measurement: tuple[Reason, ...]
    ) -> NDArray[np.float32] | Analysis:
        """Return what the graph is given, or the refusal where it is not asked."""
        try:
            row = resample(spectrum, self.bundle.manifest)
        except AxisNotCovered as error:
            short = Reason(code="axis_not_covered", message=error.message, value=error.missing, limit=0.0)
            return self._refusal(asked, (*measurement, short))
        return self._refusal(asked, measurement) if is_unfit(measurement) else row

    def _judged(
        self, asked: Question, out: Outputs, at: int, measurement: tuple[Reason, ...], timing_ms: Mapping[str, float]
    ) -> Analysis:
        """Judge row `at` of what the graph said; `timing_ms`: the stages before."""
        began = self._clock()
        logits = out.logits[at]
        judged = self._judge.judged(
            asked, logits, out.features[at], measurement, amounts=out.amounts[at], prepared=out.prepared[at]
        )
        verdict, probabilities = judged.verdict, None
        if verdict.outcome != "not_in_scope" and asked.procedure in ("identify", "verify"):
            classes = self.bundle.manifest.classes
            values = self._judge.probabilities(logits)
            probabilities = {info.label: float(p) for info, p in zip(classes, values, strict=True)}
        return Analysis(
            verdict=verdict,
            probabilities=probabilities,
            residual=judged.residual,
            timing_ms={**timing_ms, "judge": (self._clock() - began) * 1e3},
        )

    def _refusal(self, asked: Question, measurement: tuple[Reason, ...]) -> Analysis:
        return Analysis(verdict=self._judge.rejected(asked, measurement), probabilities=None, timing_ms={})
