"""Names among 368 compounds: banks of small networks, one shared network, and a fit, on a SYNTHETIC Raman library."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from edged.bundle.vocabulary import Axis
from export.components.words import Schooling, Unmixing
from export.data.mixtures.recipes import A1
from export.models.catalogue import FIXED
from export.models.network import Network, NetworkKind
from export.models.table import multiply_adds, parameters
from export.page import Heading, Part, Picture, Table, Text
from export.plots import false_names, recall
from export.preprocess.words import SavgolStep, SnvStep, StepWords, VectorStep
from export.study.library.banks import CLAIMS, SHARES, TARGETS, BankCell, BankOutcome, BankWords, PresetOutcome, measure
from export.study.library.made import CHOSEN_ON, LEARNT, LOTS, MARK, TRIED_ON, LibraryWords
from export.study.library.refused import hidden, strange
from export.study.library.spread import spread, title
from export.study.library.wanted import MISSED, is_kept, wanted
from export.study.study import Study

NAME = "library"
AXIS = Axis(unit="cm-1", start=220.0, stop=1980.0, points=512)
LIBRARY = LibraryWords(synthesis=A1, axis=AXIS)
FIRST = SavgolStep(kind="savgol", window=7, order=2, derivative=1)
OF_NETWORKS: tuple[StepWords, ...] = (FIRST, SnvStep(kind="snv"))
DRAWS = 1000
OF_BANKS = Schooling(epochs=16, mixtures=20_000, balanced=True)
OF_TRUNK = Schooling(epochs=8, mixtures=25_000)
UNMIXING = Unmixing(
    steps=(FIRST, VectorStep(kind="vector-normalise")), directions=2, shift=1.2, broadening=3.0, noise=0.02
)
CHOOSING, TRYING = 9_000, 22_602
LIBRARIES = 3
DEEPCID = "deepcid"
AS_PUBLISHED = 15_000 * 300  # spectra that a compound of DeepCID learns from, by its code
QUESTION = f"""
**Every spectrum here is {MARK.lower()}: no instrument has seen one.** What follows is about methods, not about
compounds. `synthetic_library` makes {LIBRARY.compounds} compounds in families of one to four that share most of their
bands, {LEARNT + CHOSEN_ON + TRIED_ON} scans each: from {LEARNT} all learn, on {CHOSEN_ON} limits are chosen, {TRIED_ON}
are tried (limits for strangers are chosen otherwise, see there). Mixtures are made by A1: one to six compounds of 2 %
or more, look-alikes, displaced axes, fluorescence up to five times the highest band, signal to noise of 10 to 300,
cosmic rays. A third of the tried ones lies in each of three stretches of signal to noise. Every detector reads
{AXIS.points} points from {AXIS.start:g} to {AXIS.stop:g} cm-1. All is done for {LIBRARIES} libraries of other
seeds."""
HOW = f"""
R-X is one trunk with a head for each compound, which all learn from the same mixtures. R-S and R-T (`resuca` and its
`lite` size) and DeepCID are a network for each compound, none of which knows of another; so that **only some of them,
drawn at random, are taught, at full size**, and false names are told in proportion, as if all {LIBRARY.compounds} were
there. Their members draw {DRAWS:,} of an epoch's {OF_BANKS.mixtures:,} mixtures each, half with the compound; R-X sees
{OF_TRUNK.mixtures:,} an epoch. NNLS is a fit of all references at once, and the weight is the score. *Confirmed*: what
is claimed, at {CLAIMS:g} times the target, is put to the daemon's own fit, which wants all claims and so is not asked
where only some members are taught. The schooling is what some minutes of one core allow, for DeepCID
{AS_PUBLISHED // (OF_BANKS.epochs * DRAWS):,} times less than its authors give it: its row tells the cost, and not what
it can do."""
COST = f"""
Mixtures included, one thread, on a machine with other work, which can double a time: they tell orders of magnitude. For
all {LIBRARY.compounds} in proportion."""
RULE = f"""
A limit of a compound is the least score under which the *next* mixture without it is expected to be named no more
often than target / {LIBRARY.compounds} (so many named plus one, of so many plus one), chosen on {CHOOSING:,} mixtures
of scans that nothing learnt from. *Borne* is of how many compounds the tried negatives bear that rate with 95 %
confidence, the rule by which a manifest is refused: at `confirm` this takes not one false name in
{3 * LIBRARY.compounds / TARGETS["confirm"]:,.0f} negatives, nearly all that are tried here."""


def study() -> Study[BankCell, BankOutcome]:
    """Return the study."""
    return Study(
        name=NAME,
        title=f"{LIBRARY.compounds} compounds, a {MARK} Raman library",
        question=(QUESTION, HOW),
        cells=cells(),
        measure=measure,
        kind=BankOutcome,
        parts=parts,
    )


def cells() -> tuple[BankCell, ...]:
    """Return a cell for each detector and library; of one seed all are tried on the same mixtures."""
    slower = OF_BANKS.model_copy(update={"learning_rate": 1e-3})  # its first weights are large
    banks = {
        "R-X": BankWords(steps=OF_NETWORKS, network=FIXED["resnet1d"], schooling=OF_TRUNK),
        "R-T": _some("resuca-lite", 46, OF_BANKS),
        "R-S": _some("resuca", 24, OF_BANKS),
        "DeepCID": _some(DEEPCID, 4, slower),
        "NNLS": None,
    }
    found: list[BankCell] = []
    for seed in range(LIBRARIES):
        found += [_cell(name, bank, seed) for name, bank in banks.items()]
        found.append(_cell("told what is there", None, seed).model_copy(update={"told": True}))
    return tuple(found)


def _some(name: str, members: int, schooling: Schooling) -> BankWords:
    return BankWords(steps=OF_NETWORKS, network=FIXED[name], schooling=schooling, members=members, draws=DRAWS)


def _cell(name: str, bank: BankWords | None, seed: int) -> BankCell:
    whole = bank is None or not bank.members
    return BankCell(
        name=name,
        library=LIBRARY.model_copy(update={"seed": seed}),
        bank=bank,
        unmixing=UNMIXING,
        confirmed=whole,
        choosing=CHOOSING,
        trying=TRYING,
        unknowns=600 if whole else 0,
        seed=seed,
    )


def parts(outcomes: Sequence[BankOutcome], data: Path) -> Sequence[Part]:
    """Return tables and pictures. `data` is not read: nothing is measured on what an instrument saw."""
    del data
    moved = [*wanted(outcomes), *spread(outcomes)]
    outcomes = [outcome for outcome in outcomes if outcome.cell.library.seed == outcomes[0].cell.library.seed]
    outcomes, told = [o for o in outcomes if not o.cell.told], [o for o in outcomes if o.cell.told]
    if not outcomes:
        return hidden(told)
    rows = [(outcome, preset) for outcome in outcomes for preset in outcome.presets]
    found = [*moved, Heading(f"What was taught, and what it cost ({MARK})"), Text(" ".join(COST.split()))]
    found.append(_budget(outcomes))
    found += [Heading(f"False names a sample ({MARK})"), Text(" ".join(RULE.split())), _false_names(rows)]
    found.append(Picture("library-false-names.png", f"false names against their target, {MARK}", _lines(rows)))
    found += [Heading(f"Recall ({MARK})"), Text(_bar(rows)), *_drawn(rows)]
    found += [part for preset in TARGETS for part in _recall(preset, rows)]
    best = next((pair for pair in rows if pair[1].preset == "balanced" and pair[1].confirmed), rows[0])
    found.append(Picture("library-recall.png", f"recall by share and signal to noise, {MARK}", _curves(*best)))
    found += [*strange(outcomes), *hidden(told)]
    return [*found, *_arithmetic(outcomes)]


def _budget(outcomes: Sequence[BankOutcome]) -> Table:
    header = [
        MARK,
        "compounds taught",
        "parameters, a compound",
        "mixtures seen, a compound",
        "taught, CPU s",
        "an epoch, CPU s",
        "all 368, CPU h",
    ]
    rows = []
    for o in outcomes:
        whole = o.cell.library.compounds / o.members
        bank = o.cell.bank
        if bank is None:  # nobody is taught
            continue
        rows.append(
            [
                o.cell.name,
                f"{o.members} of {o.cell.library.compounds}",
                f"{o.parameters / o.members:,.0f}",
                f"{o.spectra:,}",
                f"{o.taught_seconds:,.0f}",
                f"{o.taught_seconds / bank.schooling.epochs:,.0f}",
                f"{o.taught_seconds * whole / 3600:.1f}",
            ]
        )
    return Table(header, rows)


def _false_names(rows: Sequence[tuple[BankOutcome, PresetOutcome]]) -> Table:
    first = rows[0][0].cell.library.signal_to_noise
    lots = [f"S/N {high:.0f}–{low:.0f}" for high, low in pairwise(first)]
    header = [
        MARK,
        "target",
        "found",
        *lots,
        "of relatives, %",
        "negatives, at least",
        "borne",
        "precision, %",
        "recall, %",
    ]
    return Table(
        header,
        [
            [
                f"{title(o, p)}, {p.preset}",
                f"{TARGETS[p.preset]:g}",
                f"**{p.false_names:.3f}**" + ("" if is_kept(p.preset, p.false_names) else f", {MISSED}"),
                *(f"{value:.3f}" for value in p.by_lot),
                "–" if p.relatives is None else f"{100 * p.relatives:.0f}",
                f"{p.negatives:,}",
                f"{p.borne} of {o.members}",
                f"{100 * p.precision:.1f}",
                f"{100 * p.recall:.1f}",
            ]
            for o, p in rows
        ],
    )


def _bar(rows: Sequence[tuple[BankOutcome, PresetOutcome]]) -> str:
    """Recall of those who name all compounds, which may be ranked: they are asked of the same ones."""
    ranked = []
    for preset in TARGETS:
        of_all = [(p.recall, title(o, p)) for o, p in rows if p.preset == preset and _names_all(o)]
        order = ", ".join(f"{title} {100 * share:.1f}" for share, title in sorted(of_all, reverse=True))
        ranked += [f"`{preset}`: {order}"] if order else []
    return (
        "A fit of all references is the bar: mixtures are made by adding spectra up, which is the very model of such a "
        f"fit. Those that name all compounds, percent found of what is there, traces included: {'; '.join(ranked)}. "
        "Whether a longer schooling of a network changes the order was not tried. Of real powders: "
        "[components](components.md)."
    )


def _drawn(rows: Sequence[tuple[BankOutcome, PresetOutcome]]) -> list[Part]:
    """Why detectors of some members have no rank, and on how many events their false names stand."""
    some = {o.cell.name: o for o, _ in rows if not _names_all(o)}
    if not some:
        return []
    members = ", ".join(f"{name} of {o.members}" for name, o in some.items())
    fewest = min(some, key=lambda name: some[name].members)
    events = ", ".join(f"{_events(o, p):,} at `{p.preset}`" for o, p in rows if o.cell.name == fewest)
    return [
        Text(
            f"**Rows of members have no place in that order**: {members} compounds drawn at random, which are not the "
            "same ones. Compounds differ in how easily they are found, so that recall and false names of such a row "
            "carry the error of the draw; how large it is, counts of all members together do not tell. False names of "
            f"{fewest} are {events}: events, not a rate to build on."
        )
    ]


def _names_all(outcome: BankOutcome) -> bool:
    return outcome.members == outcome.cell.library.compounds


def _events(outcome: BankOutcome, preset: PresetOutcome) -> int:
    """How many false names there were in all."""
    share = outcome.members / outcome.cell.library.compounds
    return round(preset.false_names * share * (outcome.cell.trying // LOTS * LOTS))


def _recall(preset: str, rows: Sequence[tuple[BankOutcome, PresetOutcome]]) -> list[Part]:
    """Percent found by share and signal to noise, at one preset."""
    shares = [f"{100 * low:.0f}–{100 * high:.0f} %" for low, high in pairwise(SHARES)]
    table = []
    for o, p in rows:
        if p.preset != preset:
            continue
        holding, found = np.array(p.holding), np.array(p.found)
        edges = o.cell.library.signal_to_noise
        stretches = [f"S/N {high:.0f}–{low:.0f}" for high, low in pairwise(edges)]
        for lot, stretch in enumerate(stretches):
            cells = [_percent(hits, of) for hits, of in zip(found[:, lot], holding[:, lot], strict=True)]
            table.append([f"{title(o, p)}, {stretch}", *cells, _percent(found[:, lot].sum(), holding[:, lot].sum())])
        cells = [_percent(hits, of) for hits, of in zip(found.sum(axis=1), holding.sum(axis=1), strict=True)]
        table.append([f"**{title(o, p)}**", *cells, f"**{_percent(found.sum(), holding.sum())}**"])
    text = (
        f"`{preset}`: found, percent, by the share with which a compound shows; *all* leaves traces under "
        f"{100 * SHARES[0]:.0f} % out. All {MARK.lower()}."
    )
    return [Text(text), Table([MARK, *shares, "all"], table)]


def _arithmetic(outcomes: Sequence[BankOutcome]) -> list[Part]:
    """What all compounds would weigh and cost, from the networks themselves and from what was measured."""
    compounds, points = LIBRARY.compounds, AXIS.points
    rows = []
    for detector, name in (("R-X", "resnet1d"), ("R-T", "resuca-lite"), ("R-S", "resuca"), ("DeepCID", DEEPCID)):
        shared = name == "resnet1d"
        network = _network(name, classes=compounds if shared else 1)
        times = 1 if shared else compounds
        size, work = times * parameters(network), times * multiply_adds(network, points)
        taught = next((o for o in outcomes if o.cell.name == detector), None)
        rows.append(
            [
                detector,
                f"{size:,}",
                f"{4 * size / 1e6:,.1f}",
                f"{size / 1e6:,.1f}",
                f"{work / 1e6:,.0f}",
                *(_hours(taught) if taught else ["–", "–"]),
            ]
        )
    header = [
        f"all {compounds}, {points} points, {MARK}",
        "parameters",
        "MB, float32",
        "MB, int8",
        "million multiply-adds a spectrum",
        "taught as here, CPU h",
        f"at {AS_PUBLISHED:,} spectra a compound, CPU h",
    ]
    at_881 = compounds * parameters(_network(DEEPCID, points=881, classes=1))
    text = (
        "By arithmetic. The last column is what DeepCID's published schedule would take of each. On its own 881 points "
        f"{compounds} networks of DeepCID have {at_881:,} parameters, {4 * at_881 / 1e9:.1f} GB in float32."
    )
    return [Heading(f"DeepCID for {compounds} compounds, by arithmetic ({MARK})"), Text(text), Table(header, rows)]


def _hours(outcome: BankOutcome) -> list[str]:
    hours = outcome.taught_seconds / 3600 * outcome.cell.library.compounds / outcome.members
    return [f"{hours:.1f}", f"{hours * AS_PUBLISHED / outcome.spectra:,.0f}"]


def _network(name: str, *, classes: int, points: int = AXIS.points) -> Network:
    words = FIXED[name]
    assert isinstance(words, NetworkKind)
    return words.build(points=points, classes=classes)


def _lines(rows: Sequence[tuple[BankOutcome, PresetOutcome]]) -> bytes:
    lines: dict[str, list[tuple[float, float]]] = {}
    for o, p in rows:
        lines.setdefault(title(o, p), []).append((TARGETS[p.preset], p.false_names))
    return false_names(lines, note=MARK)


def _curves(outcome: BankOutcome, preset: PresetOutcome) -> bytes:
    """One line a stretch of signal to noise."""
    middles = [float(np.sqrt(low * high)) for low, high in pairwise(SHARES)]
    holding, found = np.array(preset.holding), np.array(preset.found)
    edges = outcome.cell.library.signal_to_noise
    return recall(
        {
            f"{MARK}, {title(outcome, preset)}, {preset.preset}, S/N {high:.0f}–{low:.0f}": [
                (share, float(hits / of))
                for share, hits, of in zip(middles, found[:, lot], holding[:, lot], strict=True)
                if of
            ]
            for lot, (high, low) in enumerate(pairwise(edges))
        }
    )


def _percent(hits: int, of: int) -> str:
    return f"{100 * hits / of:.1f}" if of else "–"
