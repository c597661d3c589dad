"""How far a model's probabilities and sets can be trusted: calibration errors, and what conformal sets cover."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from export.calibrate import conformal_quantile, probabilities

BINS = 15
COVERAGES = (0.9, 0.99)
Logits = NDArray[np.floating]
Targets = NDArray[np.int64]


class Calibrated(TypedDict):
    """Errors of probabilities at one temperature: expected calibration error in equal bins, Brier score."""

    ece: float
    brier: float


class Covered(TypedDict):
    """Of conformal sets: the share that holds the true class, and their mean size. asked: the coverage promised."""

    asked: float
    covered: float
    mean_size: float


class Trust(TypedDict):
    """One kind of spectra: errors before and after the temperature, and the sets."""

    spectra: int
    before: Calibrated
    after: Calibrated
    sets: list[Covered]


def trust_table(
    kinds: Mapping[str, tuple[Logits, Targets]], *, temperature: float, held_out: Logits, targets: Targets
) -> dict[str, Trust]:
    """Return a row for each kind of spectra, none of which calibrated anything.

    held_out, targets: what members told of development spectra that they had not seen; they set the sets' quantiles.
    """
    true = probabilities(held_out, temperature)[np.arange(len(targets)), targets]
    quantiles = {asked: conformal_quantile(1.0 - true, asked) for asked in COVERAGES}
    return {
        name: Trust(
            spectra=len(truth),
            before=errors(probabilities(logits, 1.0), truth),
            after=errors(probabilities(logits, temperature), truth),
            sets=[covered(probabilities(logits, temperature), truth, asked, q) for asked, q in quantiles.items()],
        )
        for name, (logits, truth) in kinds.items()
    }


def errors(probability: NDArray[np.float64], truth: Targets) -> Calibrated:
    """Return the expected calibration error of the named class in 15 equal bins (Guo et al. 2017), and Brier's score,
    the mean squared distance from certainty of the true class."""
    best = probability.max(axis=1)
    right = probability.argmax(axis=1) == truth
    part = np.minimum((best * BINS).astype(int), BINS - 1)
    gaps = [abs(float(right[part == b].mean() - best[part == b].mean())) * float((part == b).mean()) for b in set(part)]
    certain = np.eye(probability.shape[1])[truth]
    brier = float(((probability - certain) ** 2).sum(axis=1).mean())
    return Calibrated(ece=round(sum(gaps), 5), brier=round(brier, 5))


def covered(probability: NDArray[np.float64], truth: Targets, asked: float, quantile: float) -> Covered:
    """Return what sets of all classes with 1 - p <= quantile hold."""
    inside = 1.0 - probability <= quantile
    return Covered(
        asked=asked,
        covered=round(float(inside[np.arange(len(truth)), truth].mean()), 5),
        mean_size=round(float(inside.sum(axis=1).mean()), 3),
    )
