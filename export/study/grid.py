"""The grid of the first paper: seven preprocessings, three recurrent cells, one to three layers, on two public sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edged.bundle.manifest import Axis
from export.baselines.lda import LdaWords
from export.baselines.logistic import LogisticWords
from export.baselines.plsda import PlsDaWords
from export.baselines.svm import SvmWords
from export.data.augment import HANDHELD_NIR, Session
from export.learning import Learning
from export.models.any import ModelWords
from export.models.catalogue import named
from export.page import Heading, Part, Text
from export.preprocess.named import NAMED, UNIT
from export.preprocess.words import LogStep, SavgolStep, SnvStep, StandardiseStep, StepWords
from export.study.cell import BlockPart, Candidate, Cell, Outcome, Stress
from export.study.measure import measure
from export.study.study import Study, accuracy, figure, stressed_accuracy, table, without_a_row

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
LOGS: dict[str, tuple[StepWords, ...]] = {"powders12": (), "api20": (LogStep(kind="negative-log"),)}


QUESTION = f"""
The grid of the first paper (J. Innov. Opt. Health Sci. 15(4) 2250022, 2022) on two public sets: `powders12`,
twelve formulations, blocks of twenty contiguous scans of each class held out; `api20`, twenty compounds, one of
five scans of each held out. Mean ± standard deviation over the blocks that were held out in turn:
{len(SETS["powders12"])} of the five of powders12, all {len(SETS["api20"])} scans of api20; a standard deviation of
so few says little. *Stress* is the held-out block after four simulated changes of session: axis by
half a point, gain curve of 1.5 %, offset, slope, noise. It is of another make than the augmentation, but of
like kind. Patches of eight points, 64 hidden units, 600 steps of descent: one setting for all. Behind each of the seven
stands a change of unit, no more (but z-score is its own). The classical rows see the same augmented copies."""


def study() -> Study[Cell, Outcome]:
    """Return the study."""
    return Study(
        name="grid",
        title="Seven preprocessings, three recurrent cells, one to three layers",
        question=(QUESTION,),
        cells=cells(),
        measure=measure,
        kind=Outcome,
        parts=parts,
    )


def cells() -> tuple[Cell, ...]:
    """Return all cells."""
    steps = {name: (*words, UNIT) for name, words in NAMED.items() if name != "none"} | DERIVATIVES
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
        for title, stress in (("held-out block", False), ("stress", True)):
            shown += [
                Text(f"**{name}, {title}**: accuracy, percent"),
                _by_preparation(of_set, stress=stress, bold=whole),
            ]
        shown += without_a_row(asked, of_set)
        best = [o for o in of_set if o.chosen in (*DERIVATIVES, "z-score")]
        columns = [
            (f"{what}{', stress' if stress else ''}", lambda _: True, figure(what, stress=stress))
            for stress in (False, True)
            for what in ("accuracy", "macro_f1", "mcc", "kappa")
        ]
        shown += [
            Text("All figures, for z-score and the two derivatives:"),
            table(best, first="model", row=lambda o: f"{o.cell.name}, {o.chosen}", columns=columns, bold=whole),
        ]
    return shown


def _by_preparation(outcomes: Sequence[Outcome], *, stress: bool, bold: bool) -> Part:
    read = stressed_accuracy if stress else accuracy
    columns = [
        (prepared, (lambda o, prepared=prepared: o.chosen == prepared), read)
        for prepared in dict.fromkeys(o.chosen for o in outcomes)
    ]
    return table(outcomes, first="model", row=lambda outcome: outcome.cell.name, columns=columns, bold=bold)
