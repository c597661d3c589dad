"""From logits and features to a verdict: measurement, gates, conformal set, floor. numpy only, any thread.

    a reason that makes the measurement unfit   -> rejected
    a gate stands shut                          -> not_in_scope, and no class is named
    conformal set is empty                      -> inconclusive (set_empty)
    conformal set has more than one class       -> inconclusive (set_ambiguous), with the candidates
    one class, its probability under the floor  -> inconclusive (low_probability)
    one class                                   -> identified

`verify` puts the same set to a claim: `pass` where identify would have named the claimed class, `fail` where the set is
not empty and leaves the claimed class out, inconclusive otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import Manifest, OutOfModelGate
from edged.infer.errors import NotOffered
from edged.infer.verdict import Candidate, Gate, Outcome, Preset, Procedure, Reason, Verdict
from edged.spectra.quality import is_unfit


def judge(
    logits: NDArray[np.floating],
    features: NDArray[np.floating],
    manifest: Manifest,
    *,
    procedure: Procedure = "identify",
    preset: Preset | None = None,
    claimed: str | None = None,
    measurement: tuple[Reason, ...] = (),
) -> Verdict:
    """Judge one spectrum: see `Judge.verdict`. For many spectra of one bundle keep a `Judge`."""
    return Judge(manifest).verdict(
        logits, features, procedure=procedure, preset=preset, claimed=claimed, measurement=measurement
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, checked against the manifest. `claimed` is the column of the claimed class, or None."""

    procedure: Procedure
    preset: Preset
    claimed: int | None


class Judge:
    """The rules of one manifest, with its tables as arrays. Holds no state between spectra."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._means = [np.array(gate.means, dtype=np.float64) for gate in manifest.gates]
        self._precisions = [np.array(gate.precision, dtype=np.float64) for gate in manifest.gates]
        self._columns = {info.label: column for column, info in enumerate(manifest.classes)}

    def question(
        self, *, procedure: Procedure = "identify", preset: Preset | None = None, claimed: str | None = None
    ) -> Question:
        """Check what is asked before anything is measured. Raises NotOffered."""
        manifest = self._manifest
        name = f"{manifest.name} {manifest.version}"
        if procedure not in manifest.procedures or procedure == "components":
            offered = ", ".join(p for p in manifest.procedures if p != "components")
            raise NotOffered(f"{name} does not offer the procedure {procedure}", hint=f"it offers: {offered}")
        preset = preset or manifest.default_preset
        if preset not in manifest.calibration.quantiles:
            raise NotOffered(
                f"{name} has no preset {preset}", hint=f"it has: {', '.join(manifest.calibration.quantiles)}"
            )
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

    def verdict(
        self,
        logits: NDArray[np.floating],
        features: NDArray[np.floating],
        *,
        procedure: Procedure = "identify",
        preset: Preset | None = None,
        claimed: str | None = None,
        measurement: tuple[Reason, ...] = (),
    ) -> Verdict:
        """Judge one row of logits [classes] and features [k], both finite. Raises NotOffered.

        preset: None takes the bundle's own. claimed: a label, for verify only. measurement: what the quality checks
        found. In pass and fail, `label` and `probability` are the claimed class's; `candidates` is what it looks like.
        """
        asked = self.question(procedure=procedure, preset=preset, claimed=claimed)
        return self.answer(asked, logits, features, measurement)

    def answer(
        self,
        asked: Question,
        logits: NDArray[np.floating],
        features: NDArray[np.floating],
        measurement: tuple[Reason, ...] = (),
    ) -> Verdict:
        """Judge one row for a question already checked."""
        if is_unfit(measurement):
            return self.rejected(asked, measurement)
        gates = tuple(
            self._gate(index, gate, features, asked.preset) for index, gate in enumerate(self._manifest.gates)
        )
        shut = tuple(
            Reason(
                code="out_of_model",
                message=f"{gate.name}: {gate.distance:.4g} from the nearest class, allowed is {gate.limit:.4g}",
                value=gate.distance,
                limit=gate.limit,
            )
            for gate in gates
            if not gate.passed
        )
        if shut:
            return Verdict(
                procedure=asked.procedure,
                preset=asked.preset,
                outcome="not_in_scope",
                gates=gates,
                reasons=(*shut, *measurement),
            )
        return self._from_set(asked, self.probabilities(logits), gates, measurement)

    def _from_set(
        self,
        asked: Question,
        probabilities: NDArray[np.float64],
        gates: tuple[Gate, ...],
        measurement: tuple[Reason, ...],
    ) -> Verdict:
        calibration = self._manifest.calibration
        quantiles = np.array(calibration.quantiles[asked.preset], dtype=np.float64)
        inside = np.flatnonzero(1.0 - probabilities <= quantiles)
        columns = sorted((int(c) for c in inside), key=lambda c: (-probabilities[c], c))
        doubt = self._doubt(asked.preset, columns, probabilities, quantiles)
        named, outcome = self._named(asked, columns, doubt)
        info = self._manifest.classes[named] if named is not None else None
        return Verdict(
            procedure=asked.procedure,
            preset=asked.preset,
            outcome=outcome,
            label=info.label if info else None,
            title=info.title if info else None,
            probability=float(probabilities[named]) if named is not None else None,
            candidates=tuple(self._candidate(column, probabilities) for column in columns),
            gates=gates,
            reasons=(*((doubt,) if doubt and outcome != "fail" else ()), *measurement),
        )

    @staticmethod
    def _named(asked: Question, columns: list[int], doubt: Reason | None) -> tuple[int | None, Outcome]:
        """The column of the class that the verdict speaks of, and what it says."""
        if asked.procedure == "verify":
            if columns and asked.claimed not in columns:
                return asked.claimed, "fail"
            return (None, "inconclusive") if doubt else (asked.claimed, "pass")
        return (None, "inconclusive") if doubt else (columns[0], "identified")

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

    def _gate(self, index: int, gate: OutOfModelGate, features: NDArray[np.floating], preset: Preset) -> Gate:
        part = features[gate.columns[0] : gate.columns[1]].astype(np.float64)
        if gate.metric == "norm":
            distance = float(part.min())
        else:
            offsets = part - self._means[index]
            squares = np.einsum("ci,ij,cj->c", offsets, self._precisions[index], offsets)
            distance = float(np.sqrt(max(float(squares.min()), 0.0)))
        limit = gate.limits[preset]
        return Gate(name=gate.name, distance=distance, limit=limit, passed=distance <= limit)

    def _candidate(self, column: int, probabilities: NDArray[np.float64]) -> Candidate:
        info = self._manifest.classes[column]
        return Candidate(label=info.label, title=info.title, probability=min(float(probabilities[column]), 1.0))
