"""What a bundle's own graph and judge say of many spectra at one preset, as arrays, and shares read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import Bundle
from edged.infer.engine import Outputs
from edged.infer.judge import Judge
from edged.infer.verdict import Preset, Verdict
from export.components.evidence import rates
from export.figures import share_of

Bools = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """n verdicts. outcome: [n]. found [n, c]: what is told. shares, low, high [n, c]: fraction, else visible share, and
    its interval; nan where nothing is told. rest: [n], nan where nothing was fitted. unknown [n]: too large a rest.
    """

    outcome: NDArray[np.str_]
    found: Bools
    shares: Numbers
    low: Numbers
    high: Numbers
    rest: Numbers
    unknown: Bools

    def same_as(self, other: Told) -> Bools:
        """Where outcome and set of compounds are the same."""
        return np.asarray((self.outcome == other.outcome) & (self.found == other.found).all(axis=1))


def told(bundle: Bundle, out: Outputs, preset: Preset) -> Told:
    """Judge what a graph said of n spectra."""
    manifest = bundle.manifest
    judge = Judge(manifest, bundle.library)
    question = judge.question(procedure="components", preset=preset)
    verdicts = [
        judge.answer(question, logits, features, prepared=prepared)
        for logits, features, prepared in zip(out.logits, out.features, out.prepared, strict=True)
    ]
    return _as_arrays(verdicts, [compound.label for compound in manifest.compounds])


def summary(said: Told, present: Bools, groups: NDArray[np.int64]) -> dict[str, Any]:
    """Return rates of what is told against what is there, and a 95 % interval of exact sets over groups."""
    exact = share_of((said.found == present).all(axis=1), groups)
    return {
        "spectra": exact["spectra"],
        "preparations": exact["units"],
        **rates(said.found, present),
        "exact_low": exact["low"],
        "exact_high": exact["high"],
        "resolved": float((said.outcome == "resolved").mean()),
        "unknown": float(said.unknown.mean()),
    }


def _as_arrays(verdicts: Sequence[Verdict], labels: Sequence[str]) -> Told:
    n, columns = len(verdicts), {label: column for column, label in enumerate(labels)}
    found = np.zeros((n, len(labels)), dtype=np.bool_)
    shares, low, high = (np.full(found.shape, np.nan) for _ in range(3))
    for row, verdict in enumerate(verdicts):
        for component in verdict.components:
            column = columns[component.label]
            found[row, column] = True
            for array, value in ((shares, component.share), (low, component.low), (high, component.high)):
                array[row, column] = np.nan if value is None else value
    rests = [verdict.unexplained.value if verdict.unexplained else np.nan for verdict in verdicts]
    return Told(
        outcome=np.array([verdict.outcome for verdict in verdicts]),
        found=found,
        shares=shares,
        low=low,
        high=high,
        rest=np.array(rests),
        unknown=np.array([any(reason.code == "unknown_component" for reason in v.reasons) for v in verdicts]),
    )
