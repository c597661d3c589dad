"""A bundle put to work: spectrum in, verdict out. The daemon and `edged analyze` both go this way and no other.

An Analyzer may be called from any thread, from one at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from edged.bundle.archive import Bundle
from edged.infer.engine import Engine
from edged.infer.errors import AxisNotCovered
from edged.infer.judge import Judge, Question
from edged.infer.resample import resample
from edged.infer.verdict import Preset, Procedure, Reason, Verdict
from edged.spectra.quality import is_unfit
from edged.spectra.spectrum import Spectrum


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """A verdict, what it rests on, and what it took.

    probabilities: label -> calibrated probability of every class; None where the graph was not asked, a gate is shut,
    or amounts were wanted.
    timing_ms: `resample`, `graph`, `judge`; only the stages that were gone through.
    """

    verdict: Verdict
    probabilities: dict[str, float] | None
    timing_ms: dict[str, float]


class Analyzer:
    """One bundle, loaded and proven. Raises EngineFault when it does not run here as its builder saw it."""

    def __init__(self, bundle: Bundle, *, threads: int = 1, clock: Callable[[], float] = time.perf_counter) -> None:
        self.bundle = bundle
        self._engine = Engine.load(bundle, threads=threads)
        self._judge = Judge(bundle.manifest)
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
        try:
            row = resample(spectrum, self.bundle.manifest)
        except AxisNotCovered as error:
            short = Reason(code="axis_not_covered", message=error.message, value=error.missing, limit=0.0)
            return self._refusal(asked, (*measurement, short))
        if is_unfit(measurement):
            return self._refusal(asked, measurement)
        resampled = self._clock()
        out = self._engine.run(row)
        ran = self._clock()
        verdict = self._judge.answer(asked, out.logits[0], out.features[0], measurement, amounts=out.amounts[0])
        probabilities = None
        if verdict.outcome != "not_in_scope" and asked.procedure != "quantify":
            classes = self.bundle.manifest.classes
            values = self._judge.probabilities(out.logits[0])
            probabilities = {info.label: float(p) for info, p in zip(classes, values, strict=True)}
        timing_ms = {
            "resample": (resampled - start) * 1e3,
            "graph": (ran - resampled) * 1e3,
            "judge": (self._clock() - ran) * 1e3,
        }
        return Analysis(verdict=verdict, probabilities=probabilities, timing_ms=timing_ms)

    def _refusal(self, asked: Question, measurement: tuple[Reason, ...]) -> Analysis:
        return Analysis(verdict=self._judge.rejected(asked, measurement), probabilities=None, timing_ms={})
