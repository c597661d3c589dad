"""The grid of the first paper: seven preprocessings, three recurrent cells, one to three layers, on two public sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edged.bundle.manifest import Axis
from export.baselines.lda import LdaWords
from export.baselines.logistic import LogisticWords
from export.baselines.plsda import PlsDaWords
from export.baselines.svm import SvmWords
from export.data.augment import HANDHELD_NIR, Session
from export.learning import Learning
from export.models.any import ModelWords
from export.models.catalogue import named
from export.page import Heading, Part, Picture, Text
from export.plots import heat
from export.preprocess.named import NAMED, UNIT
from export.preprocess.words import LogStep, SavgolStep, SnvStep, StandardiseStep, StepWords
from export.study.cell import BlockPart, Candidate, Cell, Outcome, Stress
from export.study.measure import measure
from export.study.study import Figure, Study, accuracy, figure, stressed_accuracy, table, without_a_row

AXIS = Axis(unit="nm", start=904.0, stop=1698.0, points=224)
CELLS, LAYERS = ("lstm", "bilstm", "gru"), (1, 2, 3)
HALF_A_POINT = Session(shift=1.75, gain=0.015, offset_au=0.06, slope_au=0.06, noise_au=3e-4)
STRESS = Stress(session=HALF_A_POINT, sessions=4)
LEARNING = Learning(
    epochs=40,
    batch=64,
    learning_rate=4e-3,
    weight_decay=1e-4,
    label_smoothing=0.05,
    ema=0.98,
    strength=0.6,
    copies=3,
    augmentation=HANDHELD_NIR,
)
LEARNINGS = {  # some 600 steps of descent on either set, which differ twelvefold in size
    "powders12": LEARNING,
    "api20": LEARNING.model_copy(update={"epochs": 120, "batch": 16}),
}
DERIVATIVES: dict[str, tuple[StepWords, ...]] = {
    "SG1 + SNV + z-score": (
        SavgolStep(kind="savgol", window=21, order=2, derivative=1),
        SnvStep(kind="snv"),
        StandardiseStep(kind="standardise"),
    ),
    "SG2 + SNV + z-score": (
        SavgolStep(kind="savgol", window=21, order=2, derivative=2),
        SnvStep(kind="snv"),
        StandardiseStep(kind="standardise"),
    ),
}
CLASSICAL: dict[str, ModelWords] = {
    "SVM": SvmWords(),
    "shrinkage LDA": LdaWords(),
    "logistic regression": LogisticWords(),
    "PLS-DA": PlsDaWords(),
}
SETS = {
    "powders12": (BlockPart(scans=20, test=4), BlockPart(scans=20, test=1)),
    "api20": tuple(BlockPart(scans=1, test=k) for k in range(5)),
}
PUBLISHED: dict[str, tuple[StepWords, ...]] = {name: words for name, words in NAMED.items() if name != "none"}
KINDS = (("held-out block", False), ("stress", True))
FIGURES = {"macro_f1": "macro-F1", "mcc": "Matthews' correlation coefficient (MCC)", "kappa": "Cohen's kappa"}
LOGS: dict[str, tuple[StepWords, ...]] = {"powders12": (), "api20": (LogStep(kind="negative-log"),)}


QUESTION = f"""
The grid of the first paper (J. Innov. Opt. Health Sci. 15(4) 2250022, 2022) on two public sets: `powders12`,
twelve formulations, blocks of twenty contiguous scans of each class held out; `api20`, twenty compounds, one of
five scans of each held out. **The five scans of api20 are of one vial each**: what is tested there is a repeat of the
training sample, and a figure says how well a scan is recognised, not a compound. Mean ± standard deviation over the
blocks that were held out in turn: {len(SETS["powders12"])} of the five of powders12, all {len(SETS["api20"])} scans of
api20; a standard deviation of so few says little. *Stress* is the held-out block after four simulated changes of
session: axis by half a point, gain curve of 1.5 %, offset, slope, noise. It is of another make than the augmentation,
but of like kind. Patches of eight points, 64 hidden units, 600 steps of descent: one setting for all. The networks here
are of one size for a fair grid, and none of them is what ships: the shipped GRU stands beside tuned classical models,
over all blocks, in `docs/models/powders12.md` and `docs/models/api20.md`. That it at least matches the best of them on
either set was wanted: on powders12 that is **missed** on spectra as they were measured, by less than a point, and met
in stress sessions; on api20 it is met, and tells nothing, since all of them are right there."""
BLOCKS = "; ".join(
    f"of {name} {'those' if len(splits) > 1 else 'that'} from scan "
    f"{', '.join(str(split.scans * split.test + 1) for split in sorted(splits, key=lambda split: split.test))} on "
    f"({splits[0].scans} scan{'s' if splits[0].scans > 1 else ''} each)"
    for name, splits in SETS.items()
)
COLUMNS = f"""
There are {len(PUBLISHED) + len(DERIVATIVES)} columns: the {len(PUBLISHED)} preprocessings of the paper, and
{len(DERIVATIVES)} of ours, a derivative (SG1 the first, SG2 the second) with SNV and z-score. Each of the paper's is
followed by one mean and one standard deviation of the whole training set, since a network learns little from values of
1e-3; that changes the unit and nothing else. The classical models stand in our {len(DERIVATIVES)} columns alone, and
see the same augmented copies."""


def study() -> Study[Cell, Outcome]:
    """Return the study."""
    return Study(
        name="grid",
        title="Seven preprocessings, three recurrent cells, one to three layers",
        question=(QUESTION, COLUMNS, f"Blocks that were held out, by their scans within each class: {BLOCKS}."),
        cells=cells(),
        measure=measure,
        kind=Outcome,
        parts=parts,
    )


def cells() -> tuple[Cell, ...]:
    """Return all cells."""
    steps = {name: (*words, UNIT) for name, words in PUBLISHED.items()} | DERIVATIVES
    models = [
        (f"{cell}-{layers}", named(f"{cell}-{layers}", points=AXIS.points)) for cell in CELLS for layers in LAYERS
    ]
    plans: list[tuple[str, str, ModelWords]] = [
        (network, prepared, words) for network, words in models for prepared in steps
    ]
    plans += [(name, prepared, words) for name, words in CLASSICAL.items() for prepared in DERIVATIVES]
    return tuple(
        Cell(
            set=data,
            axis=AXIS,
            split=split,
            name=name,
            candidates=(
                Candidate(
                    name=prepared, steps=(*LOGS[data], *steps[prepared]), network=words, learning=LEARNINGS[data]
                ),
            ),
            stress=STRESS,
            seed=split.test,
        )
        for data, splits in SETS.items()
        for name, prepared, words in plans
        for split in splits
    )


def parts(outcomes: Sequence[Outcome], data: Path) -> Sequence[Part]:
    """Return a table a set and figure."""
    shown: list[Part] = []
    all_cells = cells()
    for name in SETS:
        of_set = [outcome for outcome in outcomes if outcome.cell.set == name]
        asked = [cell for cell in all_cells if cell.set == name]
        whole = len(of_set) == len(asked)
        shown.append(Heading(name))
        if not of_set:
            shown.append(Text("Not measured yet."))
            continue
        for title, stress in KINDS:
            shown += [
                Text(f"**{name}, {title}**: accuracy, percent"),
                _by_preparation(of_set, figure("accuracy", stress=stress), bold=whole),
            ]
            if whole:
                shown.append(Text(_findings(of_set, stress=stress)))
        shown.append(_drawn(name, of_set))
        shown += without_a_row(asked, of_set)
        for what, called in FIGURES.items():
            for title, stress in KINDS:
                shown += [
                    Text(f"**{name}, {title}**: {called}, percent"),
                    _by_preparation(of_set, figure(what, stress=stress), bold=whole),
                ]
    return [*shown, *_on_the_edge(outcomes)]


def _findings(outcomes: Sequence[Outcome], *, stress: bool) -> str:
    """The best column, the best recurrent network beside the best classical model, and what three layers add to one."""
    read = stressed_accuracy if stress else accuracy
    found: dict[tuple[str, str], list[float]] = {}
    for outcome in outcomes:
        if (value := read(outcome)) is not None:
            found.setdefault((outcome.cell.name, outcome.chosen), []).append(100 * value)
    means = {pair: float(np.mean(values)) for pair, values in found.items()}
    networks = {pair: value for pair, value in means.items() if pair[0] not in CLASSICAL}
    columns = {
        column: float(np.mean([value for (_, of), value in networks.items() if of == column]))
        for column in dict.fromkeys(column for _, column in networks)
    }
    best, worst = max(columns, key=columns.__getitem__), min(columns, key=columns.__getitem__)
    layers = [networks[f"{cell}-3", column] - networks[f"{cell}-1", column] for cell in CELLS for column in columns]
    return (
        f"Mean of the {len(CELLS) * len(LAYERS)} recurrent networks: most by {best} ({columns[best]:.1f}), least by "
        f"{worst} ({columns[worst]:.1f}). Best recurrent: {_leaders(networks)}; best classical: "
        f"{_leaders({pair: value for pair, value in means.items() if pair[0] in CLASSICAL})}. Three layers against "
        f"one: {np.mean(layers):+.1f} points on average, more in {sum(step > 1e-9 for step in layers)} and less in "
        f"{sum(step < -1e-9 for step in layers)} of {len(layers)} pairs of cell and column."
    )


def _leaders(means: Mapping[tuple[str, str], float]) -> str:
    top = max(means.values())
    named_ = [f"{model} with {column}" for (model, column), value in means.items() if value > top - 1e-9]
    return f"{' and '.join(named_) if len(named_) < 4 else f'{len(named_)} of {len(means)} alike'} ({top:.1f})"


def _on_the_edge(outcomes: Sequence[Outcome]) -> list[Part]:
    """How often tuning took the most components that PLS-DA may try."""
    tuned = [o for o in outcomes if o.cell.name == "PLS-DA" and "components" in o.settings]
    if not tuned:
        return []
    most = max(PlsDaWords().components)
    at_most = [o.cell.set for o in tuned if o.settings["components"] == most]
    by_set = ", ".join(f"{at_most.count(name)} of {name}" for name in SETS)
    return [
        Text(
            f"PLS-DA was tuned to {most} components, the most that it may try, in {len(at_most)} of {len(tuned)} cells "
            f"({by_set}): with more it might have done better there."
        )
    ]


def _drawn(name: str, outcomes: Sequence[Outcome]) -> Picture:
    """Mean accuracy of each model behind each preprocessing, held-out block and stress side by side."""
    models = list(dict.fromkeys(o.cell.name for o in outcomes))
    columns = list(dict.fromkeys(o.chosen for o in outcomes))
    panels = {}
    for title, read in (("held-out block", accuracy), ("stress", stressed_accuracy)):
        values = np.full((len(models), len(columns)), np.nan)
        for row, model in enumerate(models):
            for column, prepared in enumerate(columns):
                found = [read(o) for o in outcomes if (o.cell.name, o.chosen) == (model, prepared)]
                known = [value for value in found if value is not None]
                if known:
                    values[row, column] = 100 * float(np.mean(known))
        panels[title] = values
    return Picture(f"grid-{name}.png", f"{name}: accuracy, percent", heat(panels, models, columns, low=50.0))


def _by_preparation(outcomes: Sequence[Outcome], read: Figure, *, bold: bool) -> Part:
    columns = [
        (prepared, (lambda o, prepared=prepared: o.chosen == prepared), read)
        for prepared in dict.fromkeys(o.chosen for o in outcomes)
    ]
    return table(outcomes, first="model", row=lambda outcome: outcome.cell.name, columns=columns, bold=bold)
