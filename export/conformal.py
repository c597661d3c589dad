"""How far sets of classes, and intervals of amounts, must reach so that they hold the true one: conformal quantiles
over what is new when a sample is, not over scans.

Scans of one filling are alike, so that ten fillings of ten scans promise what ten scans of ten fillings would, not what
a hundred would. A *unit* is the smallest thing that the split keeps whole: a filling, a preparation, or the scan where
nothing is known of groups. Each unit weighs the same, and one more, of which nothing is known, lies beyond the largest
score (Dunn, Wasserman and Ramdas 2022, arXiv 1809.07441; Lee, Barber and Willett 2023, arXiv 2306.06342).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from edged.infer.verdict import Preset
from export.data.finding import Finding, warn

Scores = NDArray[np.float64]
Numbers = NDArray[np.int64]
ROUNDING = 1e-9  # of sums of weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What calibrates sets: 1 - p of the true class, by models that have not seen the spectrum's part; or intervals:
    how far off such models are with the amount.

    measured: [n], of the spectra as they are. changed: [copies * n], of changed copies, copy after copy; may be empty.
    targets, units: [n]. instruments: [n] numbers, all alike where the set does not tell.
    """

    measured: Scores
    changed: Scores
    targets: Numbers
    units: Numbers
    instruments: Numbers

    def of(self, rows: NDArray[np.bool_]) -> Scored:
        """Return the part of some spectra, with their copies."""
        changed = self.changed.reshape(-1, len(self.measured))[:, rows]
        return Scored(
            measured=self.measured[rows],
            changed=changed.reshape(-1),
            targets=self.targets[rows],
            units=self.units[rows],
            instruments=self.instruments[rows],
        )

    @property
    def count(self) -> int:
        """How many units there are."""
        return len(np.unique(self.units))


class Promise(TypedDict):
    """What stands behind the sets, or the intervals, of one coverage.

    promised: the coverage of new units of all classes together, less than asked where there are too few. own: the
    classes, by column, that have units enough for a quantile, and so a promise, of their own; none of amounts.
    instruments: how many of the instruments have.
    """

    asked: float
    promised: float
    units: int
    spectra: int
    own: list[int]
    instruments: int


def units_of(part: Numbers, groups: Numbers) -> Numbers:
    """Return a number for what the split keeps whole: groups, or what of a group is in one part."""
    _, numbers = np.unique(np.stack([groups, part]), axis=1, return_inverse=True)
    return np.asarray(numbers.reshape(-1), dtype=np.int64)


def supported(units: int) -> float:
    """Return the largest coverage that this many units promise without resting on the one that scores worst."""
    return max(0.0, 1.0 - 2.0 / (units + 1))


def conformal_quantile(scores: Scores, coverage: float, *, units: Numbers | None = None, copies: int = 1) -> float:
    """Return the score, of 0 to 1, that a spectrum of a new unit stays under with the asked coverage.

    units: [n]; None takes each score for a unit, which gives the ceil((n + 1) coverage)-th smallest. copies: how many
    scores of each spectrum there are, copy after copy. Where units are too few for the coverage, the one that is
    unseen counts as a spectrum does, and nothing is promised; where spectra are too few too, the set
    must hold every class: 1.

    Given with six decimals, rounded up: rounding down would leave that very score outside. At least 1 / (n + 1): n
    spectra say nothing of what is rarer, and without a floor a model that is sure of all it was calibrated on would
    name nothing that is new.
    """
    n = len(scores) // copies
    units = np.arange(n) if units is None else units
    many = len(np.unique(units))
    share = coverage * (many + 1) / many
    if coverage > supported(many):
        share = max(coverage * (n + 1) / n, (many - 1) / many)
    score = max(_reached(scores, share, units=units, copies=copies), 1.0 / (n + 1))
    return min(1.0, float(np.ceil(score * 1e6) / 1e6))


def error_quantile(scored: Scored, coverage: float) -> float:
    """Return the error that an amount of a new unit stays under with the asked coverage, on each instrument that has
    units enough. Where units are too few, the largest that was seen: nothing is promised, but no less can be said."""
    found = [
        _reached(part.measured, coverage * (part.count + 1) / part.count, units=part.units)
        for part in _by_instrument(scored, coverage)
    ]
    return min(max(found), float(scored.measured.max()))


def _reached(scores: Scores, share: float, *, units: Numbers, copies: int = 1) -> float:
    """Return the score that `share` of all units' weight lies under, each unit's the same; infinity for more than
    there is."""
    if share > 1.0 + ROUNDING:
        return math.inf
    _, place, sizes = np.unique(units, return_inverse=True, return_counts=True)
    order = np.argsort(scores)
    reached = np.cumsum(np.tile(1.0 / (len(sizes) * copies * sizes[place]), copies)[order])
    return float(scores[order[min(int(np.searchsorted(reached, share - ROUNDING)), len(scores) - 1)]])


def class_quantiles(scored: Scored, coverage: float, *, classes: int) -> tuple[float, ...]:
    """Return the quantile of each class, the larger of what spectra and their changed copies need.

    A class takes that of its own scores on each instrument where these are units enough, else that of all its scores,
    and where those are too few nothing of its own. Never less than what all classes together need, on each instrument
    that has units enough. Whoever judges does not know the instrument, so the worst of them counts.
    """
    whole = max(_quantile(part, coverage) for part in _by_instrument(scored, coverage))
    found = []
    for column in range(classes):
        own = scored.of(scored.targets == column)
        parts = _by_instrument(own, coverage) if _enough(own, coverage) else []
        found.append(max([whole, *(_quantile(part, coverage) for part in parts)]))
    return tuple(found)


def promise(scored: Scored, coverage: float, *, classes: int) -> Promise:
    """Return what stands behind `class_quantiles`, or `error_quantile` where there are no classes."""
    numbers = np.unique(scored.instruments)
    return Promise(
        asked=coverage,
        promised=round(min(coverage, supported(scored.count)), 4),
        units=scored.count,
        spectra=len(scored.measured),
        own=[c for c in range(classes) if _enough(scored.of(scored.targets == c), coverage)],
        instruments=sum(_enough(scored.of(scored.instruments == i), coverage) for i in numbers),
    )


def unsupported(coverages: Mapping[Preset, float], units: int) -> list[Finding]:
    """Return a warning for each preset that asks for more coverage than so many units promise."""
    most = supported(units)
    asks = f"ask for {np.floor(most * 1e3) / 1e3:g} at most, or measure more preparations"
    return [
        warn(f"presets.{preset}.coverage: {coverage:g} is more than {units} preparations can promise", asks)
        for preset, coverage in coverages.items()
        if coverage > most
    ]


def _enough(scored: Scored, coverage: float) -> bool:
    return coverage <= supported(scored.count)


def _by_instrument(scored: Scored, coverage: float) -> list[Scored]:
    """The scores of each instrument that has units enough, and all together where one has not."""
    parts = [scored.of(scored.instruments == number) for number in np.unique(scored.instruments)]
    enough = [part for part in parts if _enough(part, coverage)]
    return enough if len(enough) == len(parts) and parts else [scored, *enough]


def _quantile(scored: Scored, coverage: float) -> float:
    found = conformal_quantile(scored.measured, coverage, units=scored.units)
    if not len(scored.changed):
        return found
    copies = len(scored.changed) // len(scored.measured)
    return max(found, conformal_quantile(scored.changed, coverage, units=scored.units, copies=copies))
