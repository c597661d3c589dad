"""Whole production batches held out: what the powders, one preparation a class, do not allow.

The tablets have seven or eight batches of each of four types. A gate is fitted on the batches of some parts, its
limits are quantiles of training batches that an inner rotation held out, and it is asked of batches that neither saw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.data.augment import augment, resample
from export.data.catalogue import load_set
from export.data.spectra import Spectra
from export.data.split import grouped_parts, random_parts
from export.page import Heading, Part, Table, Text
from export.study.tablets.cells import CHANGES, GROUPINGS, PARTS
from export.study.unknowns.gates import (
    ALONE,
    COPIES,
    ONE_PCA,
    PAIR,
    WRONG,
    Gate,
    Measure,
    Numbers,
    Rows,
    fitted,
    limit_of,
    name_of,
    without,
)

ASKED: tuple[Gate, ...] = ((PAIR[0],), (PAIR[1],), PAIR, ALONE, (ONE_PCA,))
POINTS = 112  # some 3.5 nm a point, as on the powders' axis, so that windows of derivatives are as wide


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """Of one gate, at limits that wrongly refuse one share. Shares, 0 to 1.

    tablets: [deals, parts], of the batches that a part holds out. batches: [deals, batches], of each batch, when it
    was out. mixed: as tablets, where the inner rotation had tablets of one batch on both sides. types: [deals, types],
    of a type that nothing learned, mean over the parts.
    """

    tablets: Rows
    batches: Rows
    mixed: Rows
    types: Rows


def refused_of(gate: Gate, spectra: Spectra) -> dict[float, Batches]:
    """Return by share of wrong refusals what a gate refuses of batches that neither it nor its limits have seen."""
    targets, groups = spectra.targets, spectra.groups
    types, batches = len(spectra.classes), np.unique(groups)
    grid = np.linspace(spectra.axis[0], spectra.axis[-1], POINTS)
    plain = resample(spectra.values, spectra.axis, grid)
    changed = {strength: _copies(spectra, grid, strength) for strength in {c.strength for c in gate}}
    found = {
        wrong: Batches(
            tablets=np.zeros((GROUPINGS, PARTS)),
            batches=np.zeros((GROUPINGS, len(batches))),
            mixed=np.zeros((GROUPINGS, PARTS)),
            types=np.zeros((GROUPINGS, types)),
        )
        for wrong in WRONG
    }

    def fit(rows: Numbers, of: Numbers) -> Measure:
        return fitted(gate, changed, rows, of)

    def inner(rows: Numbers, of: Numbers, part: Numbers) -> Rows:
        """Distances of `rows` to what was fitted on the others' parts."""
        return np.concatenate(
            [fit(rows[part[rows] != out], of)(plain[rows[part[rows] == out]]) for out in np.unique(part[rows])]
        )

    for deal in range(GROUPINGS):
        part = grouped_parts(targets, groups, parts=PARTS, seed=deal)
        mixed = random_parts(targets, parts=PARTS - 1, seed=deal)
        for held in range(PARTS):
            train, test = np.flatnonzero(part != held), np.flatnonzero(part == held)
            far = fit(train, targets)(plain[test])
            known, flattered = inner(train, targets, part), inner(train, targets, mixed)
            for wrong, into in found.items():
                beyond = far > limit_of(known, wrong)
                into.tablets[deal, held] = beyond.mean()
                into.mixed[deal, held] = (far > limit_of(flattered, wrong)).mean()
                for batch in np.unique(groups[test]):
                    into.batches[deal, np.searchsorted(batches, batch)] = beyond[groups[test] == batch].mean()
            for out in range(types):
                kept, of = train[targets[train] != out], without(out, targets)
                strange = fit(kept, of)(plain[test[targets[test] == out]])
                known = inner(kept, of, part)
                for wrong, into in found.items():
                    into.types[deal, out] += (strange > limit_of(known, wrong)).mean() / PARTS
    return found


def _copies(spectra: Spectra, grid: Rows, strength: float) -> Rows:
    rng = np.random.default_rng(6)
    return np.stack(
        [
            augment(spectra.values, spectra.axis, grid, CHANGES, rng, strength=strength, axis_unit=spectra.axis_unit)
            for _ in range(COPIES)
        ]
    )


def section(data: Path) -> Sequence[Part]:
    """Measure all gates of `ASKED`."""
    spectra = load_set("tablets", data)
    measured = {gate: refused_of(gate, spectra) for gate in ASKED}
    parts: list[Part] = [Heading("Batches never seen"), Text(" ".join(OPENING.split()))]
    for wrong in WRONG:
        rows = [_row(name_of(gate), found[wrong], spectra, wrong) for gate, found in measured.items()]
        parts += [
            Text(
                f"**tablets**: refused, percent, at limits that refuse {wrong:.0%} of held-out training batches. "
                f"{_in_words([found[wrong] for found in measured.values()])}"
            ),
            Table(HEADER, rows),
        ]
    return parts


def _in_words(found: Sequence[Batches]) -> str:
    """How far the gates lie apart in what they refuse rightly and wrongly."""

    def span(shares: Sequence[Rows]) -> str:
        means = [100 * float(of.mean()) for of in shares]
        return f"{min(means):.1f} to {max(means):.1f} %"

    return (
        f"Of batches never seen {span([of.tablets for of in found])} are refused, with limits set within batches "
        f"{span([of.mixed for of in found])}; of a type that was left out no more than "
        f"{span([of.types for of in found])}."
    )


HEADER = [
    "gate",
    "batches never seen",
    "at most what was asked",
    "half of a batch or more",
    "worst batch",
    "limits within batches",
    "a type left out",
    "worst type",
]


def _row(name: str, found: Batches, spectra: Spectra, wrong: float) -> list[str]:
    shares = 100 * found.tablets.ravel()
    mean, spread = float(shares.mean()), float(shares.std(ddof=1))
    types, batches = 100 * found.types.mean(axis=0), 100 * found.batches.mean(axis=0)
    worst, batch = int(types.argmin()), int(batches.argmax())
    of = spectra.classes[spectra.targets[spectra.groups == np.unique(spectra.groups)[batch]][0]]
    return [
        name,
        f"{mean:.1f} ± {spread:.1f}",
        "met" if mean <= 100 * wrong else "**missed**",
        f"{int((found.batches >= 0.5).sum())} of {found.batches.size}",
        f"{batches[batch]:.0f} (batch {batch + 1}, type {of})",
        f"{100 * found.mixed.mean():.1f}",
        f"{types.mean():.1f}",
        f"{types[worst]:.1f} ({spectra.classes[worst]})",
    ]


OPENING = f"""
The powders were one preparation a class, and the drugs one vial: to leave a preparation out would leave the class out,
so **these sets say nothing of the next preparation**, and simulated sessions stand in for it. The tablets have 31
production batches of ten, of four types. Whole batches are dealt to {PARTS} parts, {GROUPINGS} times; a gate is fitted
on copies of four parts, and its limits are quantiles of what these show of each other, each part measured by a gate of
the other three. Asked is the fifth part. Only gates like those of the recipes are tried, with their steps, on
{POINTS} points, and nothing was chosen by these tablets; how copies are changed is said by the tablets' own study. Mean
± standard deviation over {GROUPINGS} x {PARTS} parts. Some 25 batches set a limit, which can promise no 1 % of new
ones. *Worst batch*: mean over the deals. *Limits within batches*: what is refused where the inner rotation has tablets
of one batch on both sides, as whoever splits at random has. *A type left out*: space and limits from the other three
types, asked of that type in batches that were out; types B, C and D hold the same share of drug and differ in size
alone."""
