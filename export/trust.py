"""How far a model's probabilities and sets can be trusted: calibration errors, and what conformal sets cover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from export.calibrate import probabilities
from export.conformal import Scored, class_quantiles, promise
from export.figures import share_of

BINS = 15
COVERAGES = (0.9, 0.99)
NONE_SHIPPED: Mapping[float, Sequence[float]] = {}
Logits = NDArray[np.floating]
Targets = NDArray[np.int64]
Kind = tuple[Logits, Targets, Targets]
"""Spectra of one kind: what was said of them, their classes, and the units (fillings, say) that they are of."""


class Calibrated(TypedDict):
    """Errors of probabilities at one temperature: expected calibration error in equal bins, Brier score."""

    ece: float
    brier: float


class Covered(TypedDict):
    """Of conformal sets: the share that holds the true class, and how large they are.

    asked, promised: the coverage wanted, and what the calibrating units can promise. error: standard error of the
    covered share, over units. low, high: its 95 % interval, None over several blocks. by_class: the same share of each
    class that there is, by column. one: share of the sets with a single class.
    """

    asked: float
    promised: float
    covered: float
    error: float
    low: float | None
    high: float | None
    by_class: dict[int, float]
    mean_size: float
    one: float


class Trust(TypedDict):
    """One kind of spectra: errors before and after the temperature, and the sets."""

    spectra: int
    before: Calibrated
    after: Calibrated
    sets: list[Covered]


def trust_table(
    kinds: Mapping[str, Kind],
    *,
    temperature: float,
    scored: Scored,
    coverages: Sequence[float] = COVERAGES,
    shipped: Mapping[float, Sequence[float]] = NONE_SHIPPED,
) -> dict[str, Trust]:
    """Return a row for each kind of spectra, none of which calibrated anything.

    scored: what sets the quantiles, but those of the coverages in `shipped`, which are taken as they are, class by
    class.
    """
    table = {}
    for name, (logits, truth, units) in kinds.items():
        classes, calibrated = logits.shape[1], probabilities(logits, temperature)
        sets = []
        for asked in coverages:
            quantiles = shipped.get(asked) or class_quantiles(scored, asked, classes=classes)
            promised = promise(scored, asked, classes=classes)["promised"]
            sets.append(covered(calibrated, truth, units, quantiles, asked=asked, promised=promised))
        before, after = errors(probabilities(logits, 1.0), truth), errors(calibrated, truth)
        table[name] = Trust(spectra=len(truth), before=before, after=after, sets=sets)
    return table


def over_blocks(tables: Sequence[Mapping[str, Trust]]) -> dict[str, list[Covered]]:
    """Return the sets of each kind over tables of several held-out blocks: means, and error as that of the mean."""
    return {
        kind: [_mean(sets) for sets in zip(*(table[kind]["sets"] for table in tables), strict=True)]
        for kind in tables[0]
    }


def _mean(sets: Sequence[Covered]) -> Covered:
    shares = np.array([one["covered"] for one in sets])
    columns = {column for one in sets for column in one["by_class"]}
    alone = sets[0] if len(sets) == 1 else None
    by_class = {c: [one["by_class"][c] for one in sets if c in one["by_class"]] for c in columns}
    return Covered(
        asked=sets[0]["asked"],
        promised=min(one["promised"] for one in sets),
        covered=round(float(shares.mean()), 5),
        error=round(float(shares.std(ddof=1) / np.sqrt(len(shares))), 5) if len(shares) > 1 else sets[0]["error"],
        low=alone and alone["low"],
        high=alone and alone["high"],
        by_class={c: round(float(np.mean(of)), 5) for c, of in sorted(by_class.items())},
        mean_size=round(float(np.mean([one["mean_size"] for one in sets])), 3),
        one=round(float(np.mean([one["one"] for one in sets])), 5),
    )


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


def covered(
    probability: NDArray[np.float64],
    truth: Targets,
    units: Targets,
    quantiles: Sequence[float],
    *,
    asked: float,
    promised: float,
) -> Covered:
    """Return what sets of all classes c with 1 - p_c <= quantiles[c] hold."""
    inside = 1.0 - probability <= np.asarray(quantiles)
    held, sizes = inside[np.arange(len(truth)), truth], inside.sum(axis=1)
    shares = np.array([held[units == unit].mean() for unit in np.unique(units)])
    interval = share_of(held, units)
    return Covered(
        asked=asked,
        promised=promised,
        covered=round(float(held.mean()), 5),
        error=round(float(shares.std(ddof=1) / np.sqrt(len(shares))), 5) if len(shares) > 1 else 0.0,
        low=interval["low"],
        high=interval["high"],
        by_class={int(c): round(float(held[truth == c].mean()), 5) for c in np.unique(truth)},
        mean_size=round(float(sizes.mean()), 3),
        one=round(float((sizes == 1).mean()), 5),
    )
