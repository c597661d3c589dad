"""Operating points: limits under which false names stay under their target, and how many negatives say so.

Limits are chosen on one half of the held-out mixtures and tried on the other, the whole preset at once; what the second
half says goes into the manifest, which refuses a promise that its negatives do not bear.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edged.bundle.components import MAX_CLAIMED, Components, Compound, Confirmation, OperatingPoint, largest_rate
from edged.bundle.vocabulary import Axis
from edged.infer.verdict import Preset
from export.components.evidence import EVERYTHING, Bools, Mixture, Said, asked, joined, rates, together
from export.components.unmix import Unmixer
from export.errors import VerificationFailed

Library = dict[str, NDArray[np.float32]]
Rate = Callable[[int, int], float]
LUCK = 2.5  # standard deviations by which the half that tries limits may name more than the half that chose them
RAISED = 1.1  # by how much the limit of a compound grows that is named too often
LOWEST, HALVINGS = 0.03, 5
"""The least limit that is tried, of the support that absent compounds reach in a fit of everything; most of them go
before a fit is judged. Five halvings of its logarithm leave 12 %."""
BILLION = 1_000_000_000
RELIABLE = 0.95  # of samples that hold a compound at its detection limit, it is found in
FEWEST = 40  # samples that a detection limit stands on
PRESET: Preset = "confirm"


def compounds_of(names: Sequence[str]) -> tuple[Compound, ...]:
    """Return the manifest's words on compounds of these names."""
    return tuple(Compound(label=name, title=name[:1].upper() + name[1:]) for name in names)


def open_point(compounds: int, *, thresholds: tuple[float | None, ...]) -> OperatingPoint:
    """Return a preset that lets every fitted compound through, to see what the fit says of it."""
    return OperatingPoint(
        confirm=True,
        false_names=10.0,
        thresholds=thresholds,
        negatives=(1_000_000,) * compounds,
        named=(0,) * compounds,
        detection_limits=(None,) * compounds,
        min_support=(0.0,) * compounds,
        max_rest=EVERYTHING,
    )


def screening_point(point: OperatingPoint) -> OperatingPoint:
    """Return the same thresholds as a preset that confirms nothing."""
    thresholds = tuple(-EVERYTHING if limit is None else limit for limit in point.thresholds)
    return point.model_copy(update={"confirm": False, "thresholds": thresholds, "min_support": (), "max_rest": None})


def confirmation_of(unmixer: Unmixer, *, tolerance: float) -> Confirmation:
    """Return the manifest's words on a library, without fractions."""
    step = float(unmixer.axis[1] - unmixer.axis[0])
    axis = Axis(
        unit=unmixer.axis_unit,
        start=float(unmixer.axis[0]),
        stop=float(unmixer.axis[0]) + step * (len(unmixer.axis) - 1),
        points=len(unmixer.axis),
    )
    return Confirmation(
        axis=axis,
        references=tuple(range(len(unmixer.references))),
        scatter=unmixer.scatter_of,
        rest="noise",
        tolerance=tolerance,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Mixtures of scans that neither the logits' network nor the library has seen: half to choose limits on, half to
    try them on."""

    library: Library
    confirmation: Confirmation | None
    chosen_on: Mixture
    tried_on: Mixture


class Bench:
    """Compounds, and held-out mixtures, fold by fold, on which operating points are chosen and tried.

    false_names, divided by the compounds, is what each may be wrong in, of mixtures without it: so a sample, which
    holds some of them, is promised fewer. sure: limits are such that the promise will hold on the other half too, with
    confidence; else such that each rate on the half that chose them is just met: how methods are compared.
    """

    def __init__(self, compounds: tuple[Compound, ...], folds: Sequence[Fold], *, sure: bool = True) -> None:
        self._rate: Rate = worst_rate if sure else _plain_rate
        self.compounds, self.folds = compounds, tuple(folds)
        self.chosen_on = joined([fold.chosen_on for fold in folds])
        self.tried_on = joined([fold.tried_on for fold in folds])

    def screening(self, false_names: float) -> OperatingPoint:
        """Return a preset that judges by logits alone. Raises VerificationFailed."""
        mixtures, n = self.chosen_on, len(self.compounds)
        limits = [
            level(mixtures.logits[~mixtures.present[:, c], c], self._each(false_names), self._rate) for c in range(n)
        ]
        point = screening_point(open_point(n, thresholds=tuple(limits)))
        return self._with_trial(point.model_copy(update={"false_names": false_names}))

    def confirming(
        self, false_names: float, *, thresholds: tuple[float | None, ...], wrongly_unknown: float
    ) -> OperatingPoint:
        """Return a preset that confirms what `thresholds` let through. Raises VerificationFailed.

        wrongly_unknown: share of mixtures of the library whose rest may be called too large.
        """
        point, said = self._least_limits(thresholds, self._each(false_names))
        max_rest = float(np.quantile(said.rest, 1.0 - wrongly_unknown, method="higher"))
        return self._with_trial(point.model_copy(update={"false_names": false_names}), max_rest=max_rest)

    def said(self, point: OperatingPoint) -> Said:
        """Return what a preset says of the mixtures that it is tried on, none called unknown."""
        return self._ask(point, tried=True)

    def detection_limits(self, said: Said, responses: Sequence[float] | None = None) -> dict[str, Any]:
        """Return the shares from which on a compound is found in 95 of 100 mixtures: `general`, one a compound, and
        `beside` the compound that makes up most of the rest, by its label.

        Visible shares, or with `responses` fractions by mass, each as the daemon tells them.
        """
        mixtures, n = self.tried_on, len(self.compounds)
        shares = mixtures.shares if responses is None else mixtures.shares / np.array(responses)
        shares = shares / np.maximum(shares.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        matrix = _matrix(shares)

        def row(among: NDArray[np.bool_]) -> tuple[float | None, ...]:
            holds = mixtures.present & among
            return tuple(detection_limit(shares[:, c], said.found[:, c], holds[:, c]) for c in range(n))

        beside = {compound.label: row(matrix == m) for m, compound in enumerate(self.compounds)}
        told = {label: limits for label, limits in beside.items() if any(limit is not None for limit in limits)}
        return {"general": row(np.ones_like(mixtures.present)), "beside": told}

    def with_limits_told(
        self, point: OperatingPoint, said: Said, responses: Sequence[float] | None = None
    ) -> OperatingPoint:
        """Return a preset that tells the detection limits of what it said of the mixtures that it is tried on.

        Beside each compound only where a fit takes all of them, since a table of hundreds by hundreds is no help.
        """
        found = self.detection_limits(said, responses)
        few = len(self.compounds) <= MAX_CLAIMED
        limits = {"detection_limits": found["general"], "detection_limits_in": found["beside"] if few else {}}
        return point.model_copy(update=limits)

    def tried(self, point: OperatingPoint) -> dict[str, float]:
        """Return how well a preset does on the half that chose nothing, whatever the rest."""
        return rates(self._ask(point, tried=True).found, self.tried_on.present)

    def _least_limits(self, thresholds: tuple[float | None, ...], rate: float) -> tuple[OperatingPoint, Said]:
        """Find the least supports under which no compound is named too often, and what is said with them.

        A compound that goes leaves more to the others, so that limits are found by trying: all of them at once, each
        between two of its own that come nearer.
        """
        absent, n = ~self.chosen_on.present, len(self.compounds)
        open_said = self._ask(open_point(n, thresholds=thresholds), tried=False)
        high = np.array([max(level(open_said.supports[absent[:, c], c], rate, self._rate), 1.0) for c in range(n)])
        low = LOWEST * high
        for _ in range(HALVINGS):
            middle = np.sqrt(low * high)
            said = self._ask(self._with_limits(middle, thresholds), tried=False)
            often = _too_often(said.found & absent, absent, rate, self._rate)
            low, high = np.where(often, middle, low), np.where(often, high, middle)
        while True:
            point = self._with_limits(high, thresholds)
            said = self._ask(point, tried=False)
            often = _too_often(said.found & absent, absent, rate, self._rate)
            if not often.any():
                return point, said
            high = np.where(often, RAISED * high, high)

    def _with_limits(self, limits: NDArray[np.float64], thresholds: tuple[float | None, ...]) -> OperatingPoint:
        point = open_point(len(limits), thresholds=thresholds)
        return point.model_copy(update={"min_support": tuple(limits.tolist())})

    def _with_trial(self, point: OperatingPoint, *, max_rest: float | None = None) -> OperatingPoint:
        """Try a preset on the other half, and write down what that half says of it."""
        absent = ~self.tried_on.present
        said = self._ask(point, tried=True)
        named, negatives = (said.found & absent).sum(axis=0).tolist(), absent.sum(axis=0).tolist()
        return point.model_copy(update={"named": tuple(named), "negatives": tuple(negatives), "max_rest": max_rest})

    def require(self, point: OperatingPoint) -> None:
        """Raise VerificationFailed where the negatives do not bear what the preset promises."""
        each = self._each(point.false_names)
        for compound, k, m in zip(self.compounds, point.named, point.negatives, strict=True):
            if largest_rate(k, m) > each:
                raise VerificationFailed(
                    f"{compound.label}: {k} of {m} held-out mixtures without it are said to hold it; "
                    f"{point.false_names:g} false names a sample allow {each:.3g}",
                    hint=f"at least {int(np.ceil(3.0 / each)):,} held-out mixtures, or a larger target",
                )

    def _ask(self, point: OperatingPoint, *, tried: bool) -> Said:
        said = []
        for fold in self.folds:
            confirmation = fold.confirmation if point.confirm else None
            table = Components(compounds=self.compounds, presets={PRESET: point}, confirmation=confirmation)
            said.append(asked(table, fold.library, fold.tried_on if tried else fold.chosen_on, PRESET))
        return together(said)

    def _each(self, false_names: float) -> float:
        return false_names / len(self.compounds)


def _too_often(named: Bools, absent: Bools, rate: float, told: Rate) -> Bools:
    """Which compounds are said to be where they are not at more than a rate, as `told` [c]."""
    pairs = zip(named.sum(axis=0).tolist(), absent.sum(axis=0).tolist(), strict=True)
    return np.array([told(found, negatives) > rate for found, negatives in pairs])


def _plain_rate(named: int, negatives: int) -> float:
    """The rate itself."""
    return named / max(negatives, 1)


def worst_rate(named: int, negatives: int) -> float:
    """The upper confidence limit of a rate as the other half may show it: two such counts differ by chance alone."""
    worst = named + int(np.ceil(LUCK * np.sqrt(2.0 * named + 1.0)))
    return largest_rate(min(worst, negatives), negatives)


def level(scores: NDArray[np.floating], rate: float, told: Rate) -> float:
    """The least limit above which no more scores lie than `rate` allows, as `told`."""
    ordered = np.sort(scores)[::-1]
    allowed = -1
    while allowed + 1 < len(ordered) and told(allowed + 1, len(ordered)) <= rate:
        allowed += 1
    if allowed < 0:
        fewest = int(np.ceil(worst_rate(0, BILLION) * BILLION / rate))
        raise VerificationFailed(
            f"{len(ordered)} negatives cannot bear a rate of {rate:.3g}",
            hint=f"more held-out mixtures: with none named it takes {fewest:,}",
        )
    return float(np.nextafter(np.float32(ordered[allowed]), np.float32(np.inf)))


def detection_limit(shares: NDArray[np.float64], found: NDArray[np.bool_], holds: NDArray[np.bool_]) -> float | None:
    """Return the least share from which on at least 95 % of mixtures that hold a compound are said to hold it.

    Counted from the largest share down, in groups of at least 40 mixtures; None where there are fewer, or the largest
    shares are missed too.
    """
    order = np.argsort(-shares[holds], kind="stable")
    sorted_shares, hits = shares[holds][order], found[holds][order]
    limit = None
    for start in range(0, len(hits) - FEWEST + 1, FEWEST):
        if hits[start : start + FEWEST].mean() < RELIABLE:
            break
        limit = float(sorted_shares[start + FEWEST - 1])
    return limit


def _matrix(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each mixture and compound, which of the others has the largest share; -1 where there is no other [n, c]."""
    n, c = shares.shape
    found = np.full((n, c), -1)
    for column in range(c):
        others = shares.copy()
        others[:, column] = 0.0
        found[:, column] = np.where(others.max(axis=1) > 0.0, others.argmax(axis=1), -1)
    return found
