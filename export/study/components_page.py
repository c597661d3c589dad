"""The page of the study of components: what was found in real scans, by way, fraction, mixture and lesson.

Every number in the words is read from outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.page import Heading, Part, Picture, Table, Text
from export.plots import spreads
from export.study.components_said import said
from export.study.components_trial import (
    BASE,
    BUT,
    OFF,
    PLAIN,
    REAL,
    RESUCA,
    Bools,
    Trial,
    everything,
    found_of,
)
from export.study.mixtures import ComponentsOutcome, real_scans

OVERALL = {
    "exact": "exact",
    "precision": "precision",
    "recall": "recall",
    "F1": "f1",
    "false names a scan": "false_names",
}
WHAT = {"exact": "exact", "f1": "F1", "false_names": "false names a scan"}
SHOWN = (
    PLAIN,
    "DeepCID, A0",
    "DeepCID, A1",
    "ResUCA, A0",
    "ResUCA, A1",
    RESUCA,
    BASE,
    "pair network, A1, one instrument",
    f"{RESUCA}, confirmed",
    REAL,
)
"""What the tables of fractions and mixtures show, after the best of each fit by made mixtures."""
SCATTER = (
    "shared trunk, A1",
    "shared trunk, A1 without grinding",
    f"shared trunk, A1, {OFF}",
    BASE,
    f"{BASE}, {OFF}",
)
RELIABLE = 0.95
AFTERWORD = """
*Exact* is the share of scans with just the right set. *Made* is each row's own recipe, so that it compares rows of one
recipe only."""
OF_FRACTIONS = """
Found, percent, by the fraction of the mass that a compound makes up, in binary, ternary and pure scans alike. A row
with real binaries is judged by scans that it did not learn from, here and below."""
FRACTIONS = {"10 %": 0.1, "20 %": 0.2, "a third": 0.32, "50 %": 0.5, "60 %": 0.6, "90 %": 0.9, "100 %": 1.0}
OF_LIMITS = """
The least fraction tried, percent, from which on a compound is named in 95 % of the scans of a binary mixture: a
detection limit for each matrix. Steps are 10, 50 and 90 %, so that 50 means more than 10 and at most 50; – means that
not even 90 % is found."""
OF_SCATTER = f"""
*{OFF.capitalize()}*: no grinding, no change of path, offset, slope or gain, and no difference between fillings added;
what the axis, the lamp, moisture and noise do is left as the recipe has it, and each row has its limits from mixtures
of its own recipe. Derivative and SNV, which all rows share, take an offset and a path off by themselves."""
OF_REAL = """
The shared trunk on A1 of one instrument, taught with and without the first 80 scans of real binary mixtures, seen once
an epoch, as another filling might show them. *Seen*: the last 20 scans of the mixtures that it learnt from. *Not seen*:
all scans of mixtures of which it saw nothing. Each pair of compounds is left out in its turn, all three of its
mixtures, and learnt from are the other six; the ternary mixtures, whose compounds all were seen, are never learnt
from. Both columns of a row judge the very same scans."""


def parts(outcomes: Sequence[ComponentsOutcome], data: Path) -> Sequence[Part]:
    """Return the tables."""
    names = dict.fromkeys(outcome.cell.name for outcome in outcomes)
    ways = {name: tuple(one for one in outcomes if one.cell.name == name) for name in names}
    trial = Trial(ways=ways, scans=real_scans(data))
    compounds = outcomes[0].compounds
    best = [trial.best_by_made(way) for way in ("NNLS", "fit with scatter", "elastic net")]
    shown = [name for name in dict.fromkeys((*best, *SHOWN)) if name in ways]
    return [
        Heading("All real scans, percent"),
        _overall(trial),
        _drawn(trial),
        *(part for text in (AFTERWORD, *said(trial, compounds)) for part in _words(text)),
        Heading("By fraction"),
        *_words(OF_FRACTIONS),
        _by_fraction(trial),
        *_words(OF_LIMITS),
        _limits(trial, shown, compounds),
        Heading("By kind of mixture, percent"),
        _by_kind(trial, shown),
        *_scatter(trial),
        *_real(trial),
        Heading("Found, by mixture"),
        *_by_mixture(trial, shown, compounds),
    ]


def _words(text: str) -> list[Part]:
    return [Text(" ".join(text.split()))]


def _overall(trial: Trial) -> Table:
    scans = trial.scans
    binary = scans.present.sum(axis=1) == 2
    columns = [(name, everything(scans), what) for name, what in OVERALL.items()] + [
        ("exact, last 20 scans of binaries", binary & ~scans.may_teach, "exact"),
        ("exact, ternaries", scans.present.sum(axis=1) == 3, "exact"),
    ]
    rows = []
    for name, outcomes in trial.ways.items():
        if BUT in name:  # has a table of its own
            continue
        cells = [_shown(trial.figure(name, what, among), what) for _, among, what in columns]
        made = [_shown([one.on_made[what] for one in outcomes], what) for what in ("exact", "false_names")]
        rows.append([name, *cells, *made])
    return Table(["", *(name for name, _, _ in columns), "exact, made mixtures", "false names, made"], rows)


def _by_fraction(trial: Trial) -> Table:
    rows = [
        [name, *(_shown(found, "recall") for found in _found_by_fraction(trial, name))]
        for name in trial.ways
        if BUT not in name
    ]
    return Table(["recall, percent", *FRACTIONS], rows)


def _drawn(trial: Trial) -> Picture:
    """Of each row, exact sets and what is found of a tenth by mass."""
    names = [name for name in trial.ways if BUT not in name]
    everywhere = everything(trial.scans)
    tenth = next(number for number, middle in enumerate(FRACTIONS.values()) if middle == 0.1)
    series = {
        "exact sets, all real scans": {name: trial.figure(name, "exact", everywhere) for name in names},
        "found, of a tenth by mass": {name: _found_by_fraction(trial, name)[tenth] for name in names},
    }
    spread = {
        title: {
            name: (100 * float(np.mean(found)), 100 * float(np.std(found, ddof=1)) if len(found) > 1 else 0.0)
            for name, found in of.items()
            if found
        }
        for title, of in series.items()
    }
    drawn = spreads(spread, {}, label="percent: mean and standard deviation over seeds", limits={})
    return Picture("components.png", "exact sets, and what is found of a tenth", drawn)


def _found_by_fraction(trial: Trial, name: str) -> list[list[float]]:
    """The recall of each outcome of a row, by fraction, over what it did not learn from."""
    judging = ~trial.learnt(name)[:, None]
    places = [(np.abs(trial.scans.fractions - middle) < 0.025) & judging for middle in FRACTIONS.values()]
    return [[float(found_of(one)[place].mean()) for one in trial.ways[name]] for place in places]


def _limits(trial: Trial, shown: Sequence[str], compounds: Sequence[str]) -> Table:
    """The least fraction in each binary matrix that is found in 95 % of scans, and so are all larger ones."""
    scans = trial.scans
    pairs = [(c, m) for c in range(len(compounds)) for m in range(len(compounds)) if c != m]
    binary = scans.present.sum(axis=1) == 2
    rows = []
    for name in shown:
        cells = []
        for compound, matrix in pairs:
            inside = binary & scans.present[:, compound] & scans.present[:, matrix] & ~trial.learnt(name)
            limit = "–"
            for fraction in sorted(set(scans.fractions[inside, compound].tolist()), reverse=True):
                among = inside & (scans.fractions[:, compound] == fraction)
                if trial.share(name, among)[compound] < RELIABLE:
                    break
                limit = f"{100 * fraction:.0f}"
            cells.append(limit)
        rows.append([name, *cells])
    return Table(["", *(f"{compounds[c]} in {compounds[m]}" for c, m in pairs)], rows)


def _by_kind(trial: Trial, shown: Sequence[str]) -> Table:
    scans = trial.scans
    number, least = scans.present.sum(axis=1), np.where(scans.present, scans.fractions, 1.0).min(axis=1)
    kinds = {
        "pure": number == 1,
        "binary, 10 : 90": (number == 2) & (least < 0.3),
        "binary, 50 : 50": (number == 2) & (least > 0.3),
        "ternary": number == 3,
    }
    rows = []
    for name in shown:
        for kind, of_kind in kinds.items():
            judging = of_kind & ~trial.learnt(name)
            cells = [_shown(trial.figure(name, what, judging), what) for what in OVERALL.values()]
            rows.append([f"{name}: {kind}", str(int(judging.sum())), *cells])
    return Table(["", "scans", *OVERALL], rows)


def _scatter(trial: Trial) -> list[Part]:
    names = [name for name in SCATTER if name in trial.ways]
    if len(names) < 2:
        return []
    rows = [
        [name, *(_shown(trial.figure(name, what, everything(trial.scans)), what) for what in OVERALL.values())]
        for name in names
    ]
    told = []
    for on in ("shared trunk, A1", BASE):
        off = f"{on}, {OFF}"
        if on in names and off in names:
            gain = 100 * (trial.mean(on) - trial.mean(off))
            told.append(f"{gain:+.1f} with *{on}*")
    said = f"What it gives, in points of exact sets: {', '.join(told)}." if told else ""
    return [
        Heading("Scatter augmentation on and off, percent"),
        Table(["", *OVERALL], rows),
        *_words(f"{OF_SCATTER} {said}"),
    ]


def _real(trial: Trial) -> list[Part]:
    """What real mixtures in training give on compositions seen, and cost on others."""
    lessons = [name for name in trial.ways if name.startswith(REAL)]
    if BASE not in trial.ways or not lessons:
        return []
    scans, rows = trial.scans, []
    binary, ternary = scans.present.sum(axis=1) == 2, scans.present.sum(axis=1) == 3
    sums: dict[str, list[float]] = {}
    for name in lessons:
        seen = np.isin(scans.labels, [scans.labels[row] for row in np.flatnonzero(trial.learnt(name))])
        lots = {
            "seen": seen & ~trial.learnt(name),
            "not seen": binary & ~seen,
            "ternaries": ternary,
            "pure": ~binary & ~ternary,
        }
        lesson = f"all but {name.partition(BUT)[2]}" if BUT in name else "all nine"
        for lot, among in lots.items():
            if among.any():
                figures = [(_of(trial, BASE, what, among), _of(trial, name, what, among)) for what in WHAT]
                if BUT in name:
                    sums.setdefault(lot, []).append(figures[0][1].mean - figures[0][0].mean)
                rows.append(
                    [f"{lesson}: {lot}", str(int(among.sum())), *(one.text for pair in figures for one in pair)]
                )
    header = [f"{title}, {when}" for title in WHAT.values() for when in ("without", "with")]
    told = "; ".join(f"{lot} {100 * float(np.mean(gains)):+.1f}" for lot, gains in sums.items())
    said = f"**With a pair left out** real mixtures change exact sets, mean of the pairs, in points: {told}."
    return [
        Heading("Real mixtures in training, percent"),
        Table(["learnt from real binaries", "scans", *header], rows),
        *_words(f"{OF_REAL} {said if sums else ''}"),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figure:
    mean: float
    text: str


def _of(trial: Trial, name: str, what: str, among: Bools) -> _Figure:
    values = trial.figure(name, what, among)
    return _Figure(mean=float(np.mean(values)), text=_shown(values, what))


def _by_mixture(trial: Trial, shown: Sequence[str], compounds: Sequence[str]) -> Sequence[Part]:
    """One row a mixture; of each way shown, how often it names each compound."""
    rows = []
    for label in dict.fromkeys(trial.scans.labels):
        of_label = trial.of_label(label)
        holds = trial.scans.present[of_label][0]
        cells = [
            " / ".join(
                f"**{100 * share:.0f}**" if there else f"{100 * share:.0f}"
                for share, there in zip(trial.share(name, of_label & ~trial.learnt(name)), holds, strict=True)
            )
            for name in shown
        ]
        rows.append([label, *cells])
    return [
        Text(f"Percent of scans in which {', '.join(compounds)} are named, in this order; bold: it is there."),
        Table(["mixture", *shown], rows),
    ]


def _shown(values: Sequence[float], what: str) -> str:
    """The mean, and the standard deviation of several; names a scan as they are, all else in percent."""
    if not len(values):
        return "–"
    scale, digits = (1.0, 3) if what == "false_names" else (100.0, 1)
    text = f"{scale * float(np.mean(values)):.{digits}f}"
    return text + (f" ± {scale * float(np.std(values, ddof=1)):.{digits}f}" if len(values) > 1 else "")
