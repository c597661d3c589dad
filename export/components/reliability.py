"""How far what a network says of a compound is a probability: its score, 1 / (1 + exp(-logit)), on made mixtures.

No verdict rests on it: presets have limits of the logit, and a fit. It is shown beside compounds all the same.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from export.components.job import ComponentsJob
from export.components.late import temperature
from export.components.stages import held_out, voices_of

EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 1.0)
BINS = 15  # of the expected calibration error, equal ones


class Bin(TypedDict):
    """Decisions whose score lies between two edges: how many, their mean score, the share that is there."""

    decisions: int
    score: float
    there: float


class Curve(TypedDict):
    """ece: expected calibration error (Guo et al., ICML 2017), of the compound's being there. brier: mean square."""

    ece: float
    brier: float
    bins: list[Bin]


class Reliability(TypedDict):
    """Of scores as they are, and of logits divided by a temperature. decisions: spectra times compounds."""

    temperature: float
    decisions: int
    before: Curve
    after: Curve


def reliability_of(job: ComponentsJob, logits: NDArray[np.floating], present: NDArray[np.bool_]) -> Reliability:
    """Return how far scores of mixtures [n, c] are probabilities. The temperature is fitted on the mixtures that limits
    were chosen on, each heard by the member that has not seen its scans. Raises StageMissing."""
    chosen = [held_out(job, number, "choosing", voice) for number, voice in enumerate(voices_of(job))]
    heat = temperature(
        np.concatenate([one.logits for one in chosen]).astype(np.float64),
        np.concatenate([one.present for one in chosen]),
    )
    wide = logits.astype(np.float64)
    return Reliability(
        temperature=round(heat, 4),
        decisions=present.size,
        before=curve(_score(wide), present),
        after=curve(_score(wide / heat), present),
    )


def curve(score: NDArray[np.float64], present: NDArray[np.bool_]) -> Curve:
    """Return how often compounds are there, by their score [n, c]."""
    said, there = score.ravel(), present.ravel()
    part = np.minimum((said * BINS).astype(int), BINS - 1)
    gaps = [abs(float((there[part == b] - said[part == b]).mean())) * float((part == b).mean()) for b in set(part)]
    bins = []
    for low, high in pairwise(EDGES):
        inside = (said >= low) & ((said < high) | (high == EDGES[-1]))
        if inside.any():
            shown = Bin(
                decisions=int(inside.sum()),
                score=round(float(said[inside].mean()), 5),
                there=round(float(there[inside].mean()), 5),
            )
            bins.append(shown)
    return Curve(ece=round(sum(gaps), 5), brier=round(float(((said - there) ** 2).mean()), 5), bins=bins)


def _score(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits))
