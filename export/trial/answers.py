"""What a judge said of many spectra, as arrays, and the shares that are read from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import Levels, Manifest
from edged.infer.gates import Gates
from edged.infer.judge import Judge
from edged.infer.residual import p_value
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


class Challenge(TypedDict):
    """How verify answers claims of one class at the default preset.

    neighbour: the other class that passes most often; of equals, that with the spectrum which comes closest to passing:
    by its distance to the claimed class, which p-values are read from and tell no more of far away, else by its
    probability. neighbour_pass: the share of its spectra that passes. probability, p_value, distance: of that closest
    spectrum, the distance in units of the largest that the claim allows; both are None where claims are not tested by
    distances.
    """

    true_pass: float
    true_fail: float
    neighbour: str
    neighbour_pass: float
    probability: float
    probability_needed: float
    p_value: float | None
    p_value_needed: float | None
    distance: float | None


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


def gate_distances(manifest: Manifest, features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how far each spectrum is, in units of the default preset's limit, at the gate that is nearest to shut."""
    gates = Gates(manifest)
    shut = [
        max(found.distance / found.limit for found in gates.measure(row, manifest.default_preset)) for row in features
    ]
    return np.array(shut, dtype=np.float64)


def verify_shares(
    manifest: Manifest, logits: NDArray[np.floating], features: NDArray[np.floating], truth: NDArray[np.int64]
) -> dict[str, Challenge]:
    """Return for each class how verify answers true claims of it, and the selectivity challenge: the claim that spectra
    of its nearest neighbour are of it. Classes without spectra are left out."""
    judge, labels = Judge(manifest), [info.label for info in manifest.classes]
    probabilities = np.array([judge.probabilities(row) for row in logits])
    preset, there = manifest.default_preset, np.unique(truth)
    shares: dict[str, Challenge] = {}
    for column in there:
        label = labels[column]
        question = judge.question(procedure="verify", claimed=label)
        verdicts = [judge.answer(question, *rows) for rows in zip(logits, features, strict=True)]
        outcome = np.array([verdict.outcome for verdict in verdicts])
        needed = max(1.0 - manifest.calibration.quantiles[preset][column], manifest.calibration.min_probability[preset])
        close, distances = probabilities[:, column], None
        if manifest.residuals is not None:
            own = features[:, manifest.residuals.columns[0] + column].astype(np.float64)
            levels, alpha = manifest.residuals.levels[column], manifest.residuals.alpha[preset]
            distances = own / _allowed(levels, alpha)
            close = -distances
        others = [other for other in there if other != column]
        passes = {other: float((outcome[truth == other] == "pass").mean()) for other in there}
        nearest = max(others, key=lambda other: (passes[other], close[truth == other].max()))
        of_it = np.flatnonzero(truth == nearest)
        closest = of_it[np.argmax(close[of_it])]
        shares[label] = Challenge(
            true_pass=round(passes[column], 6),
            true_fail=round(float((outcome[truth == column] == "fail").mean()), 6),
            neighbour=labels[nearest],
            neighbour_pass=round(passes[nearest], 6),
            probability=round(float(probabilities[closest, column]), 6),
            probability_needed=round(needed, 6),
            p_value=None if distances is None else round(p_value(float(own[closest]), levels), 6),
            p_value_needed=None if distances is None else alpha,
            distance=None if distances is None else round(float(distances[closest]), 4),
        )
    return shares


def _allowed(levels: Levels, alpha: float) -> float:
    """The largest residual whose p is at least alpha, or the largest that was held out where no p is under alpha."""
    larger = alpha * (levels.n + 1.0) - 1.0
    rank = min((levels.n - larger) / (levels.n - 1.0), 1.0)
    return float(np.interp(rank, np.linspace(0.0, 1.0, len(levels.quantiles)), levels.quantiles))


def let_by_as_others(
    manifest: Manifest, features: NDArray[np.floating], truth: NDArray[np.int64]
) -> dict[str, dict[str, float | str]]:
    """Return the classes whose spectra every gate would let by at the default preset if the class were not known: the
    share of them, and the class that most of these are nearest to.

    The gates' spaces were fitted with the class in sight, so that one which was never seen fares no better. Empty where
    there is no gate, or one does not go by distances to each class.
    """
    classes, open_ = len(manifest.classes), np.ones(len(truth), dtype=bool)
    nearest = np.zeros(len(truth), dtype=np.int64)
    gates = Gates(manifest)
    said = [gates.distances(row) for row in features]
    for number, gate in enumerate(manifest.gates):
        distances = np.array([of[number] for of in said])
        if distances.shape[1] != classes:
            return {}
        distances[np.arange(len(truth)), truth] = np.inf
        nearest = distances.argmin(axis=1)
        open_ &= distances.min(axis=1) <= gate.limits[manifest.default_preset]
    if not manifest.gates:
        return {}
    found: dict[str, dict[str, float | str]] = {}
    for column, info in enumerate(manifest.classes):
        by = open_ & (truth == column)
        if by.any():
            most = int(np.bincount(nearest[by]).argmax())
            share = float(by.sum() / (truth == column).sum())
            found[info.label] = {"share": round(share, 6), "as": manifest.classes[most].label}
    return found
