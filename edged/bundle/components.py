"""The manifest's table for the procedure `components`: which compounds a sample holds, and how much of each.

The graph gives `logits` float32 [N, compounds], one a compound, each for itself, and `features` for the gates. Where a
preset confirms it gives `prepared` float32 [N, m] too: the spectrum where mixtures add up, such as the second
derivative of Kubelka-Munk. `library.npz` then holds what a sample is explained by, float32 and two-dimensional:

    references   [r, m]             spectra of pure compounds, prepared alike; `references` says whose
    whitener     [k, m] or [1, m]   what turns the noise of `prepared` into k values of unit variance each, independent;
                                    one row: a weight a point
    baseline     [b, m]             where `baseline` names terms: shapes that may be there with either sign
    scatter      [s, m]             where `scatter` says whose: ways in which scans of one compound differ, one standard
                                    deviation long where the compound's weight is one; noise that grows with it

`docs/models/manifest.md` shows a whole table; what is done with it: `edged.infer.confirm`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from edged.bundle.vocabulary import Axis, Label, Title
from edged.infer.verdict import Model, Preset

MAX_COMPOUNDS: Final = 1024  # three times the largest library of the literature
MAX_PREPARED_POINTS: Final = 4096  # the largest array of any supported instrument
MAX_REFERENCES_EACH: Final = 8  # of one compound: fillings, grain sizes, polymorphs; bounds what is fitted at once
MAX_SCATTER_EACH: Final = 32  # of one compound; its scans tell no more
MAX_BASELINE_TERMS: Final = 16  # a polynomial and a few shapes; more would explain compounds away
MAX_CLAIMED: Final = 32
"""Compounds that the logits of one sample claim, and those that a preset puts to every fit: a fit has twice as many at
most, and no real sample comes near."""
MIN_FREE: Final = 8  # whitened values beyond the baseline terms: with fewer nothing is left to judge a fit by
_Z95: Final = 1.6448536  # one-sided 95 % of a normal distribution

Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Share = Annotated[float, Field(gt=0, le=1)]
Number = Annotated[float, Field(ge=-1e12, le=1e12)]
Names = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=64)], ...], Field(max_length=MAX_BASELINE_TERMS)]


class Compound(Model):
    """One compound in the order of the logits. `label` is the data source's own name, `title` is for people."""

    label: Label
    title: Title


class OperatingPoint(Model):
    """What one preset demands. Every tuple has one entry a compound.

    confirm: what the thresholds let through must hold its own in a fit of the library too.
    false_names: how many compounds a sample without them may be said to hold, in the mean over samples.
    thresholds: the least logit; null puts the compound to the fit whatever its logit.
    negatives: held-out samples without the compound that the whole preset was tried on; named: how many of them were
    said to hold it all the same.
    detection_limits: the smallest fraction that is found reliably, in 95 of 100 samples that hold it; null where it was
    not measured. It bars nothing from being told.
    detection_limits_in: the same where the compound of that label makes up the most of the rest; null falls back on
    the general one.
    min_support: of a confirmed compound; max_rest: of a spectrum that is explained; both only with `confirm`.
    """

    confirm: bool
    false_names: Annotated[float, Field(gt=0, le=10)]
    thresholds: tuple[Number | None, ...]
    negatives: tuple[Count, ...]
    named: tuple[Count, ...]
    detection_limits: tuple[Share | None, ...]
    detection_limits_in: dict[Label, tuple[Share | None, ...]] = Field(default_factory=dict)
    min_support: tuple[Annotated[float, Field(ge=0, le=1e12)], ...] = ()
    max_rest: Annotated[float, Field(gt=0, le=1e12)] | None = None


class Fractions(Model):
    """From visible weights to fractions by mass: w_c = (a_c / responses_c) / sum of the same over what was found.

    half_widths: of the interval around a fraction, one a compound, for each preset that confirms (split conformal).
    """

    responses: tuple[Annotated[float, Field(ge=1e-6, le=1e6)], ...]
    half_widths: dict[Preset, tuple[Share, ...]]


class Confirmation(Model):
    """What the second stage fits, and how well `prepared` must be reproduced here.

    axis: of `prepared`. references, scatter: the compound's column of each row of that array, rows of one compound in
    any place.
    baseline: a name for each row of that array. rest: how the unexplained rest is told: `noise`, its root mean square
    in units of the measured noise, or `share` of the norm of what is not baseline.
    tolerance: largest difference of `prepared` from the golden one, as a share of the largest golden value.
    fractions: null where only visible shares can be told.
    """

    axis: Axis
    references: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=MAX_COMPOUNDS * 8)]
    scatter: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(max_length=MAX_COMPOUNDS * 8)] = ()
    baseline: Names = ()
    rest: Literal["noise", "share"]
    tolerance: Annotated[float, Field(gt=0, le=0.1)]
    fractions: Fractions | None = None


class Components(Model):
    """The whole table. `confirmation` is there when, and only when, a preset confirms."""

    compounds: Annotated[tuple[Compound, ...], Field(min_length=1, max_length=MAX_COMPOUNDS)]
    presets: Annotated[dict[Preset, OperatingPoint], Field(min_length=1)]
    confirmation: Confirmation | None = None

    @property
    def prepared_points(self) -> int:
        """Columns of `prepared`; 0 where no preset confirms."""
        return self.confirmation.axis.points if self.confirmation else 0


def largest_rate(named: int, negatives: int) -> float:
    """Return the share of samples without a compound that may be said to hold it, with 95 % confidence.

    The upper limit of a Poisson mean by Wilson and Hilferty, within 1 % of the exact one; the rule of three, 3 / n,
    where none of the negatives was named (Hanley and Lippman-Hand 1983, JAMA 249, 1743).
    """
    if negatives == 0:
        return math.inf
    if named == 0:
        return 3.0 / negatives
    n = named + 1.0
    upper: float = n * (1.0 - 1.0 / (9.0 * n) + _Z95 / (3.0 * math.sqrt(n))) ** 3
    return upper / negatives


def problems(components: Components) -> Iterator[str]:
    """Yield what is wrong with the table, each with its place."""
    n = len(components.compounds)
    labels = [compound.label for compound in components.compounds]
    if len(set(labels)) != n:
        yield "components.compounds: two bear one label"
    confirmation = components.confirmation
    confirming = {preset for preset, point in components.presets.items() if point.confirm}
    if bool(confirming) != (confirmation is not None):
        yield "components.confirmation: is there when a preset has confirm, and only then"
    for preset, point in components.presets.items():
        yield from _point(f"components.presets.{preset}", point, labels)
    if confirmation is not None:
        yield from _confirmation(confirmation, labels, confirming)


def _point(where: str, point: OperatingPoint, labels: list[str]) -> Iterator[str]:
    n = len(labels)
    columns: dict[str, Sequence[object]] = {
        "thresholds": point.thresholds,
        "negatives": point.negatives,
        "named": point.named,
        "detection_limits": point.detection_limits,
        **{f"detection_limits_in.{label}": row for label, row in point.detection_limits_in.items()},
    }
    if point.confirm:
        columns["min_support"] = point.min_support
    wrong = [f"{name}: {len(column)}" for name, column in columns.items() if len(column) != n]
    if wrong:
        yield f"{where}.{wrong[0]} values for {n} compounds" + (f", and {len(wrong) - 1} more" * (len(wrong) > 1))
        return
    if unknown := sorted(set(point.detection_limits_in) - set(labels)):
        yield f"{where}.detection_limits_in: {unknown[0][:64]!r} is none of the compounds"
    unasked = sum(threshold is None for threshold in point.thresholds)
    if point.confirm and (point.max_rest is None or unasked > MAX_CLAIMED):
        yield f"{where}: confirm needs max_rest, and a threshold for all compounds but at most {MAX_CLAIMED}"
    if not point.confirm and (point.max_rest is not None or point.min_support or unasked):
        yield f"{where}: max_rest, min_support and thresholds of null have a use only with confirm"
    yield from _certified(where, point, labels)


def _certified(where: str, point: OperatingPoint, labels: list[str]) -> Iterator[str]:
    """A promise that the negatives do not bear is not made: leave the preset out, or try it on more of them."""
    allowed = point.false_names / len(labels)
    rows = list(zip(labels, point.named, point.negatives, strict=True))
    if odd := [label for label, named, negatives in rows if named > negatives]:
        yield f"{where}.named: more than there are negatives of {odd[0]}"
    unborne = [row for row in rows if largest_rate(row[1], row[2]) > allowed * (1.0 + 1e-9)]
    if unborne:
        label, named, negatives = unborne[0]
        yield (
            f"{where}.negatives: {label}: {named} of {negatives} named do not bear {point.false_names:g} false names a "
            f"sample, {allowed:.3g} a compound; with none named that takes {math.ceil(3.0 / allowed):,} negatives"
            + (f"; so with {len(unborne) - 1} other compounds" * (len(unborne) > 1))
        )


def _confirmation(confirmation: Confirmation, labels: list[str], confirming: set[Preset]) -> Iterator[str]:
    where, n, axis = "components.confirmation", len(labels), confirmation.axis
    if axis.points > MAX_PREPARED_POINTS or not axis.start < axis.stop:
        yield f"{where}.axis: start must be under stop, with at most {MAX_PREPARED_POINTS} points"
    counts = [0] * n
    for column in confirmation.references:
        if column >= n:
            yield f"{where}.references: column {column} of {n} compounds"
            return
        counts[column] += 1
    if bad := [label for label, count in zip(labels, counts, strict=True) if not 1 <= count <= MAX_REFERENCES_EACH]:
        yield f"{where}.references: from 1 to {MAX_REFERENCES_EACH} a compound; not so {', '.join(bad[:3])}"
    ways = Counter(confirmation.scatter)
    if any(column >= n or count > MAX_SCATTER_EACH for column, count in ways.items()):
        yield f"{where}.scatter: columns of {n} compounds, at most {MAX_SCATTER_EACH} of each"
    fractions = confirmation.fractions
    if fractions is None:
        return
    if set(fractions.half_widths) != confirming:
        yield f"{where}.fractions.half_widths: needs the presets that confirm: {sorted(confirming)}"
    if any(len(row) != n for row in (fractions.responses, *fractions.half_widths.values())):
        yield f"{where}.fractions: needs {n} responses and half widths, one a compound"
