"""What a judge said of many spectra, as arrays, and the shares that are read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import Manifest
from edged.infer.gates import Gates
from edged.infer.judge import Judge
from edged.infer.verdict import Preset

NOBODY = -1  # in `named`: no class was named


class Shares(TypedDict):
    """Shares of spectra whose class is known; right + wrong + refused = 1."""

    spectra: int
    right: float
    wrong: float
    refused: float
    not_in_scope: float
    inconclusive: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One entry a spectrum. named: column of the class that was named, or NOBODY. best: column of the largest logit;
    probability: its calibrated probability, whatever the outcome."""

    outcome: NDArray[np.str_]
    named: NDArray[np.int64]
    best: NDArray[np.int64]
    probability: NDArray[np.float64]

    @classmethod
    def joined(cls, parts: Sequence[Answers]) -> Answers:
        """Put several together."""
        return cls(
            outcome=np.concatenate([p.outcome for p in parts]),
            named=np.concatenate([p.named for p in parts]),
            best=np.concatenate([p.best for p in parts]),
            probability=np.concatenate([p.probability for p in parts]),
        )

    def same_as(self, other: Answers) -> NDArray[np.bool_]:
        """Where outcome and named class are the same."""
        return (self.outcome == other.outcome) & (self.named == other.named)


def ask(
    manifest: Manifest, logits: NDArray[np.floating], features: NDArray[np.floating], preset: Preset | None = None
) -> Answers:
    """Judge rows of logits and features one by one, to identify; preset None takes the manifest's own."""
    judge = Judge(manifest)
    question = judge.question(procedure="identify", preset=preset)
    verdicts = [judge.answer(question, row, of) for row, of in zip(logits, features, strict=True)]
    columns = {info.label: column for column, info in enumerate(manifest.classes)}
    return Answers(
        outcome=np.array([verdict.outcome for verdict in verdicts]),
        named=np.array([columns[v.label] if v.label else NOBODY for v in verdicts], dtype=np.int64),
        best=np.asarray(logits.argmax(axis=1), dtype=np.int64),
        probability=np.array([judge.probabilities(row).max() for row in logits]),
    )


def summary(answers: Answers, truth: NDArray[np.int64]) -> Shares:
    """Return the shares of right and wrong names and of refusals."""
    right = float((answers.named == truth).mean())
    out = float(refused(answers))
    return Shares(
        spectra=len(truth),
        right=round(right, 6),
        wrong=round(float(((answers.named != truth) & (answers.named != NOBODY)).mean()), 6),
        refused=round(out, 6),
        not_in_scope=round(float((answers.outcome == "not_in_scope").mean()), 6),
        inconclusive=round(float((answers.outcome == "inconclusive").mean()), 6),
    )


def refused(answers: Answers) -> float:
    """Return the share that was given no name: not in scope, or inconclusive."""
    return round(float((answers.named == NOBODY).mean()), 6)


def gate_distances(
    manifest: Manifest, logits: NDArray[np.floating], features: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return how far each spectrum is, in units of the default preset's limit, at the gate that is nearest to shut.

    Only of gates whose distances are positive.
    """
    gates = Gates(manifest)
    shut = [
        max(found.distance / found.limit for found in gates.measure(row, of, manifest.default_preset))
        for row, of in zip(logits, features, strict=True)
    ]
    return np.array(shut, dtype=np.float64)


def verify_shares(
    manifest: Manifest, logits: NDArray[np.floating], features: NDArray[np.floating], truth: NDArray[np.int64]
) -> dict[str, dict[str, float | str]]:
    """Return for each class how verify answers a true claim, and the claim that a neighbour's spectra are of it.

    neighbour: the class whose spectra pass most often, of all others; neighbour_pass: the share of them that passes.
    """
    judge, labels = Judge(manifest), [info.label for info in manifest.classes]
    shares: dict[str, dict[str, float | str]] = {}
    for column, label in enumerate(labels):
        question = judge.question(procedure="verify", claimed=label)
        outcome = np.array([judge.answer(question, *rows).outcome for rows in zip(logits, features, strict=True)])
        passed = [float((outcome[truth == other] == "pass").mean()) for other in range(len(labels))]
        others = [-1.0 if other == column else share for other, share in enumerate(passed)]
        nearest = int(np.argmax(others))
        shares[label] = {
            "true_pass": round(passed[column], 6),
            "true_fail": round(float((outcome[truth == column] == "fail").mean()), 6),
            "neighbour": labels[nearest],
            "neighbour_pass": round(others[nearest], 6),
        }
    return shares
