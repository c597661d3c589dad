"""Why methods disagree about solvents: each disagreement in one of a few groups, what is measured of each group, and
mixtures looked at one by one."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from export.data.mixtures.library import Library
from export.page import Heading, Part, Picture, Table, Text
from export.study.solvents.disputed import NOT_THERE, THERE, Light, Rows
from export.study.solvents.namings import FEW, Bools, LeastSquares, Lot, shares, weights

ALIKE = 0.4  # cosine of the slopes of two pure spectra from which on one can stand for the other
NEGATIVE_COUNTS = -100.0  # a spectrum that goes lower had another background taken off
OWN = 0.5  # share of a window from which on a band is a solvent's own
CONFORMERS_CM1 = (655.0, 756.0)
"""C-Cl stretches of 1,2-dichloroethane, gauche and trans (Mizushima, Structure of Molecules and Internal Rotation,
1954)."""

BESIDE_CM1, REACH_CM1 = 1082.0, 22.0  # where light under sodium carbonate's band may come from
MOVING = (("Ethanol", 880.0), ("Ethanol", 1096.0), ("Ethanol", 1454.0), ("Methanol", 1034.0))
"""Bands, 1/cm: of the skeleton, of C-O, of CH3, and of C-O."""

ADDED = {
    "weak": "there; under 3 % of the heights",
    "background": "there; background taken off",
    "open": "less than an equal part",
    "session": "no part; background taken off",
    "trace": "no part; its own band stands",
    "alike": "no part; a look-alike is there",
    "none": "no part; no reason seen",
}
MISSING = {
    "refused": "all of the mixture refused",
    "missed": "there; not named",
    "open": "less than an equal part",
    "absent": "no part: NNLS is wrong",
}


@dataclass(frozen=True, kw_only=True)
class Disputed:
    """The 92 mixtures, what the peer says of them [n, c], and what their light shows."""

    names: tuple[str, ...]
    light: Light
    peer: Rows
    limit: float

    @property
    def named_by_peer(self) -> Bools:
        """What the peer names."""
        return self.peer > self.limit

    @cached_property
    def negative(self) -> Bools:
        """Mixtures of which another background was taken off [n]."""
        return np.asarray(self.light.mixtures.min(axis=1) < NEGATIVE_COUNTS)

    @cached_property
    def alike(self) -> Rows:
        """Cosines between the slopes of the pure spectra, zero with itself [c, c]."""
        unit = self.light.slopes / np.linalg.norm(self.light.slopes, axis=1, keepdims=True)
        return np.asarray(unit @ unit.T - np.eye(len(unit)))

    def added(self, row: int, column: int) -> str:
        """Return the group of a name that only the other method gives."""
        part = self.light.parts.part[row, column]
        if part >= THERE:
            return "background" if self.negative[row] else "weak"
        if part > NOT_THERE:
            return "open"
        if self.negative[row]:
            return "session"
        if self.light.band(row, column).own >= OWN and self.light.sighting(row, column).stands:
            return "trace"
        return "alike" if (self.alike[column] * self.light.parts.there[row]).max() >= ALIKE else "none"

    def missing(self, row: int, column: int, told: Bools) -> str:
        """Return the group of a name that only the peer gives. told [c]: all that the method says of the mixture."""
        part = self.light.parts.part[row, column]
        if part <= NOT_THERE:
            return "absent"
        if not told.any():
            return "refused"
        return "missed" if part >= THERE else "open"


def disputed(library: Library, lot: Lot, peer: LeastSquares) -> Disputed:
    """Return what the mixtures of the library's own set show."""
    light = Light(library.axis, library.values, lot.values)
    return Disputed(names=library.names, light=light, peer=shares(weights(peer, library, lot)), limit=peer.share)


def read(of: Disputed) -> list[Part]:
    """Return what speaks for reading the mixtures as equal parts: how far parts are from 1 and 0, the order of the
    file, and the solvents' own bands."""
    parts = of.light.parts
    edges = [0.0, 0.05, 0.1, NOT_THERE, THERE, 0.8, 1.2, 1.5]
    counts, _ = np.histogram(parts.part, [*edges, np.inf])
    header = [f"{low:g} to {high:g}" for low, high in pairwise(edges)] + [f"over {edges[-1]:g}"]
    held = parts.there.sum(axis=1)
    falls = int((np.diff(held) < 0).sum())
    numbers = [
        [str(number), str(int((held == number).sum())), _places(np.flatnonzero(held == number) + 1)]
        for number in np.unique(held)
    ]
    own = [
        (parts.there[row, column], of.light.sighting(row, column))
        for row, column in np.argwhere(parts.said)
        if of.light.band(row, column).own >= OWN
    ]
    there, absent = ([seen for holds, seen in own if holds == kind] for kind in (True, False))
    return [
        Table(["parts", *header], [["pairs of mixture and solvent", *map(str, counts.tolist())]]),
        Table(["solvents in a mixture", "mixtures", "their places in the file"], numbers),
        Text(
            f"Their number grows along the file and falls in {falls} of {len(held) - 1} steps. A band of its own is "
            f"there to look at for {len(own)} of {int(parts.said.sum())} pairs of which something is said: it stands "
            f"for {sum(seen.stands for seen in there)} of the {len(there)} that hold a part and for "
            f"{sum(seen.stands for seen in absent)} of the {len(absent)} that hold none, where the most of it is "
            f"{max(seen.part for seen in absent):.2f} of a part; the least where there is one is "
            f"{min(seen.part for seen in there):.2f}."
        ),
    ]


def groups(found: Mapping[str, Bools], of: Disputed) -> list[Part]:
    """Return the tables of names added and missing against the peer, group by group and solvent by solvent."""
    added_rows, missing_rows, solvents = [], [], []
    for name, named in found.items():
        added, missing = named & ~of.named_by_peer, ~named & of.named_by_peer
        why = [of.added(row, column) for row, column in np.argwhere(added)]
        lost = [of.missing(row, column, named[row]) for row, column in np.argwhere(missing)]
        added_rows.append([name, str(len(why)), *(str(why.count(group)) for group in ADDED)])
        missing_rows.append([name, str(len(lost)), *(str(lost.count(group)) for group in MISSING)])
        solvents.append([name, _most(added, of.names), _most(missing, of.names)])
    return [
        Heading("Names that NNLS does not give"),
        Table(["", "all", *ADDED.values()], added_rows),
        Heading("Names that only NNLS gives"),
        Table(["", "all", *MISSING.values()], missing_rows),
        Heading("Which solvents"),
        Table(["", "most often added", "most often missing"], solvents),
    ]


def by_solvent(found: Mapping[str, Bools], of: Disputed) -> list[Part]:
    """Return a table of the solvents, weakest scatterer first: in how many of the mixtures that hold it, each method
    names it."""
    light = of.light
    one = light.parts.one * light.counts
    share = np.median(one / (one * light.parts.there).sum(axis=1, keepdims=True), axis=0)
    many = light.parts.there.sum(axis=1) >= 9
    rows = []
    for column in np.argsort(light.counts):
        there = light.parts.there[:, column]
        peers = of.peer[there & many, column]
        rows.append(
            [
                of.names[column],
                f"{light.counts[column]:,.0f}",
                f"{100 * share[column]:.1f}",
                f"{100 * np.median(peers):.1f}",
                str(there.sum()),
                *(str(int((named[:, column] & there).sum())) for named in found.values()),
            ]
        )
    return [
        Table(
            [
                "",
                "highest point, counts",
                "height of one part, %",
                "NNLS in mixtures of nine and more, median %",
                "mixtures that hold it",
                *found,
            ],
            rows,
        )
    ]


def moved(of: Disputed, others: Light) -> list[Part]:
    """Return how far bands have moved, and how much wider they are. others: mixtures of the other set."""
    light = of.light
    found = np.array([light.displaced(row) for row in range(len(light.mixtures))])
    other = np.array([others.displaced(row) for row in range(len(others.mixtures))])
    rows = [
        ["all bands of a mixture", *_quartiles(found[:, 0])],
        ["all bands, three liquids of the other set", *_quartiles(other[:, 0])],
        ["width added to a line", *_quartiles(found[:, 1])],
        ["width added, three liquids of the other set", *_quartiles(other[:, 1])],
    ]
    for column, name in enumerate(of.names):
        own = [light.own_shift(int(row), column) for row in np.flatnonzero(light.parts.there[:, column])]
        rows.append([f"bands of {name}", *_quartiles(np.array(own))])
    return [Table(["1/cm", "lower quartile", "median", "upper quartile", "farthest"], rows)]


def refused(named: Bools | None, told: Bools | None, of: Disputed) -> list[Part]:
    """Return a table of kinds of mixtures: how much of their slopes is left over, how many are refused whole, and how
    many of these for want of a solvent that is there. Nothing where nobody was asked."""
    if named is None or told is None:
        return []
    light, names = of.light, list(of.names)
    dichloroethane, acetonitrile = names.index("Dichloroethane"), names.index("Acetonitrile")
    holds, others = light.parts.there, ~of.negative
    few, chloride, nitrile = holds.sum(axis=1) <= FEW, holds[:, dichloroethane], holds[:, acetonitrile]
    kinds = {
        "another background taken off": of.negative,
        f"two to {FEW} solvents, dichloroethane and acetonitrile among them": few & chloride & nitrile & others,
        f"two to {FEW}, dichloroethane without acetonitrile": few & chloride & ~nitrile & others,
        f"two to {FEW}, no dichloroethane": few & ~chloride & others,
        f"more than {FEW}": ~few & others,
    }
    rests = np.array([light.rest(row) for row in range(len(holds))])
    whole, short = ~told.any(axis=1), (holds & ~named).any(axis=1)
    rows = []
    for kind, chosen in kinds.items():
        ratios = [_ratio(light, int(row), dichloroethane) for row in np.flatnonzero(chosen & chloride & few)]
        rows.append(
            [
                kind,
                str(int(chosen.sum())),
                f"{100 * np.median(rests[chosen]):.1f}",
                f"{np.median(ratios):.2f}" if ratios else "–",
                str(int((chosen & whole).sum())),
                str(int((chosen & whole & short).sum())),
            ]
        )
    return [
        Table(["", "mixtures", "left over, %", "655 over 756", "refused", "of these short of a solvent"], rows),
        Text(
            "*Left over*: of the slopes, by least squares of all thirteen, median. *655 over 756*: how much "
            "dichloroethane its gauche band tells over how much its trans band does, 1 in the pure liquid; median of "
            f"mixtures of two to {FEW}. *Refused*: called unknown at balanced. *Short of a solvent*: one that is there "
            "is not named: the network did not let it through to the fit, or the fit dropped it."
        ),
    ]


def carbonate(library: Library, six: Lot) -> list[Part]:
    """Return what the six mixtures show of sodium carbonate, and how bands beside its own have moved."""
    light, names = Light(library.axis, library.values, six.values), list(library.names)
    salt = names.index("Sodium Carbonate")
    near = np.abs(light.axis - BESIDE_CM1) <= REACH_CM1
    rows = []
    for row in range(len(six.rows)):
        seen, there = light.sighting(row, salt), light.parts.there[row]
        bands = [(names.index(name), centre) for name, centre in MOVING]
        shifts = [f"{light.band_shift(row, c, centre):.1f}" if there[c] else "–" for c, centre in bands]
        left = light.mixtures[row] - light.fit(row, [c for c in range(len(names)) if c != salt]) @ light.pure
        top = light.axis[near][left[near].argmax()]
        rows.append([str(row + 1), f"{seen.part:.3f} ± {seen.error:.3f}", f"{top:.0f}", *shifts])
    header = ["of the six", "sodium carbonate by its band at 1078, parts", "without it most is left at, 1/cm"]
    return [Table([*header, *(f"{name.lower()} at {centre:g} moved by" for name, centre in MOVING)], rows)]


def _ratio(light: Light, row: int, column: int) -> float:
    """The weight of dichloroethane by its gauche band over that by its trans band: 1 in the pure liquid."""
    gauche, trans = (light.weight_at(row, column, centre) for centre in CONFORMERS_CM1)
    return gauche / trans


@dataclass(frozen=True, slots=True)
class Look:
    """A mixture, counted from 1 in the order of the file, a solvent in dispute, and what is seen, in words."""

    mixture: int
    solvent: str
    words: str


def looked_at(looks: Sequence[Look], found: Mapping[str, Bools], of: Disputed) -> list[Part]:
    """Return a table of single disputes, a picture, and a paragraph on each."""
    rows = []
    for look in looks:
        row, column = look.mixture - 1, of.names.index(look.solvent)
        band, sighting = of.light.band(row, column), of.light.sighting(row, column)
        rows.append(
            [
                f"{look.mixture}, {look.solvent}",
                _listed([of.names[held] for held in of.light.there(row)], of.names),
                f"{100 * of.peer[row, column]:.1f}",
                f"{of.light.parts.part[row, column]:.2f}",
                f"{band.centre:.0f}",
                f"{100 * band.own:.0f}",
                f"{sighting.part:.2f} ± {sighting.error:.2f}",
                *("named" if named[row, column] else "–" for named in found.values()),
            ]
        )
    header = ["", "holds a part of", "NNLS, %", "parts", "band, 1/cm", "its own, %", "parts in that band", *found]
    return [
        Table(header, rows),
        Picture("solvents.png", "Spectra of disputed mixtures, fitted with and without the solvent", _drawn(looks, of)),
        *(Text(f"**Mixture {look.mixture}, {look.solvent}.** {' '.join(look.words.split())}") for look in looks),
    ]


def _drawn(looks: Sequence[Look], of: Disputed) -> bytes:
    figure = Figure(figsize=(11.0, 2.3 * len(looks)), layout="constrained")
    panels = figure.subplots(len(looks), 2, squeeze=False, width_ratios=(3, 2))
    for (whole, near), look in zip(panels, looks, strict=True):
        row, column = look.mixture - 1, of.names.index(look.solvent)
        centre = of.light.band(row, column).centre
        _draw(whole, of.light, row, column, (float(of.light.axis[0]), float(of.light.axis[-1])))
        _draw(near, of.light, row, column, (centre - 60.0, centre + 60.0))
        near.axvline(centre, color="#9aa5b1", lw=0.8, ls=":")
        whole.set_title(f"mixture {look.mixture}: is {look.solvent} in it?", fontsize=9, loc="left")
    panels[0, 0].legend(fontsize=7, frameon=False)
    for panel in panels[-1]:
        panel.set_xlabel("Raman shift, 1/cm", fontsize=8)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=90, metadata={"Software": None})
    return out.getvalue()


def _draw(panel: Axes, light: Light, row: int, column: int, span: tuple[float, float]) -> None:
    """Counts, and two fits, each brought to the median of the counts in the span: slopes tell no background."""
    inside = (light.axis >= span[0]) & (light.axis <= span[1])
    at, counts = light.axis[inside], light.mixtures[row, inside]
    panel.plot(at, counts, color="#1f2933", lw=1.0, label="measured")
    everything = range(len(light.pure))
    ways = {"fit with it": list(everything), "without": [other for other in everything if other != column]}
    for (label, columns), colour in zip(ways.items(), ("#1f6f8b", "#c44536"), strict=True):
        model = (light.fit(row, columns) @ light.pure)[inside]
        panel.plot(at, model + np.median(counts - model), color=colour, lw=0.9, ls="--", label=label)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=7)


def _listed(held: Sequence[str], names: Sequence[str]) -> str:
    return "all of them" if len(held) == len(names) else ", ".join(held)


def _most(wrong: Bools, names: Sequence[str], count: int = 4) -> str:
    """The solvents that are wrong most often."""
    totals: NDArray[np.int64] = wrong.sum(axis=0)
    order = [int(column) for column in np.argsort(-totals, kind="stable") if totals[column]]
    return ", ".join(f"{names[column]} {totals[column]}" for column in order[:count]) or "–"


def _places(numbers: NDArray[np.int64]) -> str:
    """Ascending numbers, runs of them as one."""
    runs = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs)


def _quartiles(values: Rows) -> list[str]:
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return [f"{value:.1f}" for value in (low, middle, high, values[np.abs(values).argmax()])]
