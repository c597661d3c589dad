"""From what the graph says to a verdict. numpy only, any thread.

    a reason that makes the measurement unfit   -> rejected
    a gate stands shut                          -> not_in_scope, and neither class nor amount is told

`identify` goes on with the conformal set and a floor:

    the set is empty                            -> inconclusive (set_empty)
    the set has more than one class             -> inconclusive (set_ambiguous), with the candidates
    one class, its probability under the floor  -> inconclusive (low_probability)
    one class                                   -> identified

`verify` puts the spectrum to a claim. Where the manifest has residuals, the claimed class's own scans come first:

    p of the claimed class under alpha          -> fail (residual_too_large)
    the set is not empty and lacks the claim    -> fail
    identify would have named the claimed class -> pass
    anything else                               -> inconclusive, with the reason that identify would give

`quantify` tells every amount with its interval:

    one lies beyond its range by more than its half width  -> inconclusive (out_of_range)
    else                                                   -> quantified

`components` tells which compounds the sample holds: `edged.infer.components`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import Amount, Manifest
from edged.infer.components import Residual, Resolver
from edged.infer.errors import NotOffered
from edged.infer.gates import Gates
from edged.infer.residual import p_value
from edged.infer.verdict import Candidate, Estimate, Gate, Outcome, Preset, Procedure, Reason, Verdict
from edged.spectra.quality import is_unfit

_NOTHING = np.empty(0, dtype=np.float32)
_NO_LIBRARY: Mapping[str, NDArray[np.float32]] = MappingProxyType({})


def judge(
    logits: NDArray[np.floating],
    features: NDArray[np.floating],
    manifest: Manifest,
    *,
    amounts: NDArray[np.floating] = _NOTHING,
    prepared: NDArray[np.floating] = _NOTHING,
    library: Mapping[str, NDArray[np.float32]] = _NO_LIBRARY,
    procedure: Procedure | None = None,
    preset: Preset | None = None,
    claimed: str | None = None,
    measurement: tuple[Reason, ...] = (),
) -> Verdict:
    """Judge one spectrum: see `Judge`. For many spectra of one bundle keep a `Judge`. Raises NotOffered."""
    bench = Judge(manifest, library)
    asked = bench.question(procedure=procedure, preset=preset, claimed=claimed)
    return bench.answer(asked, logits, features, measurement, amounts=amounts, prepared=prepared)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, checked against the manifest. `claimed` is the column of the claimed class, or None."""

    procedure: Procedure
    preset: Preset
    claimed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A verdict, and what an unknown component may be read from, None without one."""

    verdict: Verdict
    residual: Residual | None = None


class Judge:
    """The rules of one manifest, with its tables as arrays. Holds no state between spectra.

    library: the bundle's, needed where components are confirmed. Raises EngineFault for one that is no use.
    """

    def __init__(self, manifest: Manifest, library: Mapping[str, NDArray[np.float32]] = _NO_LIBRARY) -> None:
        self._manifest = manifest
        self._resolver = Resolver(manifest.components, library) if manifest.components else None
        self._gates = Gates(manifest)
        self._columns = {info.label: column for column, info in enumerate(manifest.classes)}

    def question(
        self, *, procedure: Procedure | None = None, preset: Preset | None = None, claimed: str | None = None
    ) -> Question:
        """Check what is asked before anything is measured. Raises NotOffered.

        procedure: None takes identify, or the first that is offered instead. preset: None takes the bundle's own.
        claimed: a label, for verify only.
        """
        manifest = self._manifest
        name = f"{manifest.name} {manifest.version}"
        procedure = procedure or ("identify" if "identify" in manifest.procedures else manifest.procedures[0])
        if procedure not in manifest.procedures:
            raise NotOffered(
                f"{name} does not offer the procedure {procedure}", hint=f"it offers: {', '.join(manifest.procedures)}"
            )
        preset = preset or manifest.default_preset
        if preset not in manifest.presets:
            raise NotOffered(f"{name} has no preset {preset}", hint=f"it has: {', '.join(manifest.presets)}")
        if procedure != "verify":
            if claimed is not None:
                raise NotOffered(f"a claimed class has no meaning for {procedure}", hint="ask for the procedure verify")
            return Question(procedure=procedure, preset=preset, claimed=None)
        if claimed is None:
            raise NotOffered("verify needs the claimed class", hint=f"one of: {', '.join(self._columns)}")
        if claimed not in self._columns:
            raise NotOffered(
                f"{name} does not know the class {claimed[:64]!r}", hint=f"one of: {', '.join(self._columns)}"
            )
        return Question(procedure=procedure, preset=preset, claimed=self._columns[claimed])

    def rejected(self, question: Question, measurement: tuple[Reason, ...]) -> Verdict:
        """The verdict on a measurement that is unfit; the graph is not asked."""
        return Verdict(procedure=question.procedure, preset=question.preset, outcome="rejected", reasons=measurement)

    def probabilities(self, logits: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrated probabilities of all classes, float64, for one row of logits."""
        scaled = logits.astype(np.float64) / self._manifest.calibration.temperature
        weights = np.exp(scaled - scaled.max())
        return np.asarray(weights / weights.sum(), dtype=np.float64)

    def answer(
        self,
        asked: Question,
        logits: NDArray[np.floating],
        features: NDArray[np.floating],
        measurement: tuple[Reason, ...] = (),
        *,
        amounts: NDArray[np.floating] = _NOTHING,
        prepared: NDArray[np.floating] = _NOTHING,
    ) -> Verdict:
        """Judge one row of the graph: see `judged`."""
        return self.judged(asked, logits, features, measurement, amounts=amounts, prepared=prepared).verdict

    def judged(
        self,
        asked: Question,
        logits: NDArray[np.floating],
        features: NDArray[np.floating],
        measurement: tuple[Reason, ...] = (),
        *,
        amounts: NDArray[np.floating] = _NOTHING,
        prepared: NDArray[np.floating] = _NOTHING,
    ) -> Judged:
        """Judge one row of logits [classes or compounds], features [k], amounts [amounts] and prepared [m], all finite.

        measurement: what the quality checks found. In pass and fail, `label` and `probability` are the claimed class's;
        `candidates` is what it looks like. Raises EngineFault where the fit of components comes to no end.
        """
        if is_unfit(measurement):
            return Judged(verdict=self.rejected(asked, measurement))
        gates = self._gates.measure(features, asked.preset)
        if shut := self._gates.refusals(gates):
            refused = Verdict(
                procedure=asked.procedure,
                preset=asked.preset,
                outcome="not_in_scope",
                gates=gates,
                reasons=(*shut, *measurement),
            )
            return Judged(verdict=refused)
        if asked.procedure == "components":
            return self._from_fit(asked, logits, prepared, gates, measurement)
        if asked.procedure == "quantify":
            return Judged(verdict=self._from_amounts(asked, amounts, gates, measurement))
        return Judged(verdict=self._from_set(asked, self.probabilities(logits), features, gates, measurement))

    def _from_fit(
        self,
        asked: Question,
        logits: NDArray[np.floating],
        prepared: NDArray[np.floating],
        gates: tuple[Gate, ...],
        measurement: tuple[Reason, ...],
    ) -> Judged:
        assert self._resolver is not None
        found = self._resolver.resolve(logits, prepared, asked.preset)
        verdict = Verdict(
            procedure=asked.procedure,
            preset=asked.preset,
            outcome=found.outcome,
            candidates=found.candidates,
            components=found.components,
            unexplained=found.unexplained,
            gates=gates,
            reasons=(*found.reasons, *measurement),
        )
        return Judged(verdict=verdict, residual=found.residual)

    def _from_amounts(
        self, asked: Question, amounts: NDArray[np.floating], gates: tuple[Gate, ...], measurement: tuple[Reason, ...]
    ) -> Verdict:
        pairs = list(zip(self._manifest.amounts, (float(value) for value in amounts), strict=True))
        beyond = tuple(
            reason for info, value in pairs if (reason := _beyond(info, value, info.half_widths[asked.preset]))
        )
        return Verdict(
            procedure=asked.procedure,
            preset=asked.preset,
            outcome="inconclusive" if beyond else "quantified",
            amounts=() if beyond else tuple(_estimate(info, v, info.half_widths[asked.preset]) for info, v in pairs),
            gates=gates,
            reasons=(*beyond, *measurement),
        )

    def _from_set(
        self,
        asked: Question,
        probabilities: NDArray[np.float64],
        features: NDArray[np.floating],
        gates: tuple[Gate, ...],
        measurement: tuple[Reason, ...],
    ) -> Verdict:
        calibration = self._manifest.calibration
        quantiles = np.array(calibration.quantiles[asked.preset], dtype=np.float64)
        inside = np.flatnonzero(1.0 - probabilities <= quantiles)
        columns = sorted((int(c) for c in inside), key=lambda c: (-probabilities[c], c))
        p = self._p_value(asked, features)
        misfit = self._misfit(asked, p)
        doubt = self._doubt(asked.preset, columns, probabilities, quantiles)
        named, outcome = self._named(asked, columns, misfit, doubt)
        info = self._manifest.classes[named] if named is not None else None
        why = misfit or (doubt if outcome == "inconclusive" else None)
        return Verdict(
            procedure=asked.procedure,
            preset=asked.preset,
            outcome=outcome,
            label=info.label if info else None,
            title=info.title if info else None,
            probability=float(probabilities[named]) if named is not None else None,
            p_value=p,
            candidates=tuple(self._candidate(column, probabilities) for column in columns),
            gates=gates,
            reasons=(*((why,) if why else ()), *measurement),
        )

    @staticmethod
    def _named(
        asked: Question, columns: list[int], misfit: Reason | None, doubt: Reason | None
    ) -> tuple[int | None, Outcome]:
        """The column of the class that the verdict speaks of, and what it says."""
        if asked.procedure == "verify":
            if misfit or (columns and asked.claimed not in columns):
                return asked.claimed, "fail"
            return (None, "inconclusive") if doubt else (asked.claimed, "pass")
        return (None, "inconclusive") if doubt else (columns[0], "identified")

    def _p_value(self, asked: Question, features: NDArray[np.floating]) -> float | None:
        residuals = self._manifest.residuals
        if residuals is None or asked.claimed is None:
            return None
        return p_value(float(features[residuals.columns[0] + asked.claimed]), residuals.levels[asked.claimed])

    def _misfit(self, asked: Question, p: float | None) -> Reason | None:
        """Why the claimed class is refused by its own scans, or None when it is not."""
        residuals = self._manifest.residuals
        if residuals is None or asked.claimed is None or p is None or p >= residuals.alpha[asked.preset]:
            return None
        alpha, label = residuals.alpha[asked.preset], self._manifest.classes[asked.claimed].label
        return Reason(
            code="residual_too_large",
            message=f"{residuals.name}: fits worse than scans of {label} do, p = {p:.2g}; "
            f"{alpha:.2g} is needed at {asked.preset}",
            value=p,
            limit=alpha,
        )

    def _doubt(
        self, preset: Preset, columns: list[int], probabilities: NDArray[np.float64], quantiles: NDArray[np.float64]
    ) -> Reason | None:
        """Why the set does not name one class, or None when it does."""
        if not columns:
            best = int(np.argmax(probabilities))
            p, needed = float(probabilities[best]), float(1.0 - quantiles[best])
            return Reason(
                code="set_empty",
                message=f"no class is likely enough at {preset}: the best has {p:.4f} and needs {needed:.4f}",
                value=p,
                limit=needed,
            )
        if len(columns) > 1:
            return Reason(
                code="set_ambiguous",
                message=f"{len(columns)} classes are possible at {preset}",
                value=float(len(columns)),
                limit=1.0,
            )
        p, floor = float(probabilities[columns[0]]), self._manifest.calibration.min_probability[preset]
        if p < floor:
            return Reason(
                code="low_probability",
                message=f"probability {p:.4f} is under the floor of {floor:.4f} at {preset}",
                value=p,
                limit=floor,
            )
        return None

    def _candidate(self, column: int, probabilities: NDArray[np.float64]) -> Candidate:
        info = self._manifest.classes[column]
        return Candidate(label=info.label, title=info.title, probability=min(float(probabilities[column]), 1.0))


def _estimate(info: Amount, value: float, half: float) -> Estimate:
    return Estimate(
        label=info.label, title=info.title, unit=info.unit, value=value, low=value - half, high=value + half
    )


def _beyond(info: Amount, value: float, half: float) -> Reason | None:
    """Why an amount is not told: it lies where the model has never been."""
    lowest, highest = info.lowest - half, info.highest + half
    if lowest <= value <= highest:
        return None
    limit = lowest if value < lowest else highest
    return Reason(
        code="out_of_range",
        message=f"{info.title}: {value:.4g} {info.unit} is beyond {info.lowest:.4g} to {info.highest:.4g} {info.unit}, "
        f"which the model was trained on, by more than the {half:.4g} that it may err",
        value=value,
        limit=limit,
    )
