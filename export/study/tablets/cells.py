"""The cells: which models are built in which way, on which splits of the tablets."""

from __future__ import annotations

from collections.abc import Mapping

from edged.bundle.manifest import Axis
from export.baselines.catalogue import PUBLISHED
from export.baselines.forest import ForestWords
from export.baselines.lda import LdaWords, PcaLdaWords
from export.baselines.library import LibraryWords
from export.baselines.logistic import LogisticWords
from export.baselines.neighbours import NeighboursWords
from export.baselines.plsda import PlsDaWords
from export.baselines.plslda import PlsLdaWords
from export.baselines.svm import SvmWords
from export.data.augment import STILL, Augmentation
from export.learning import Learning
from export.models.any import ModelWords
from export.models.catalogue import named
from export.models.gru import GruWords
from export.preprocess.words import LevelAndShapeStep, SavgolStep, SnvStep, StandardiseStep, StepWords
from export.study.cell import BlockPart, Candidate, Cell, GroupPart, RandomShare

POINTS, TABLETS = 404, 310
SEEDS, GROUPINGS, PARTS = 10, 3, 5
MORE_GROUPINGS = 10
"""Of the models that come closest: with seven or eight batches a type, the deal alone decides three points."""

SHARES = {0.6: "60:40 random", 0.8: "80:20 random"}
GROUPED = "batches kept together"
CHANGES = Augmentation(  # of tablets in one holder of one instrument; axis in cm-1
    shift=8.0,
    stretch=4.0,
    gain_au=0.004,
    offset_au=0.01,
    slope_au=0.005,
    path=0.0,
    water_au=0.0,
    noise_au=5e-4,
    noise_ends=1.0,
    blend=0.5,
    refill=0.3,
)
LEARNING = Learning(
    epochs=50,
    batch=32,
    learning_rate=3e-3,
    weight_decay=1e-4,
    label_smoothing=0.05,
    ema=0.98,
    strength=1.0,
    augmentation=CHANGES,
)
Z_SCORE: tuple[StepWords, ...] = (StandardiseStep(kind="standardise"),)
PREPARED: Mapping[str, tuple[StepWords, ...]] = {
    "raw": (),
    "first derivative": (SavgolStep(kind="savgol", window=15, order=2, derivative=1),),
    "SNV": (SnvStep(kind="snv"),),
}
CLASSICAL: Mapping[str, ModelWords] = {
    "PLS-DA": PlsDaWords(),
    "SVM": SvmWords(),
    "RF": ForestWords(trees=(200,), leaves=(2, 1)),
    "logistic regression": LogisticWords(),
    "shrinkage LDA": LdaWords(),
    "PCA-LDA": PcaLdaWords(),
    "PLS-LDA": PlsLdaWords(),
    "k-NN": NeighboursWords(),
    "library search": LibraryWords(),
}
STRIP = Axis(unit="cm-1", start=7398.337, stop=10476.477, points=400)
"""The first 400 of the 404 points, which patches of 25 divide."""

REFILLED = STILL.model_copy(update={"offset_au": 0.02, "noise_au": 2e-3, "refill": 0.8})
LEVEL_AND_SHAPE: tuple[StepWords, ...] = (LevelAndShapeStep(kind="level-and-shape"),)
CHOSEN_GRU, PAIR = "gru, level and shape", "two of them in one int8 graph"
CLOSEST = (CHOSEN_GRU, "PCA-LDA", "PLS-LDA", "SVM")
NETWORKS = (
    *(f"{cell}-{layers}" for cell in ("lstm", "bilstm", "gru") for layers in (1, 2, 3)),
    "invertresnet",
    "resnet1d-lite",
    "cnn",
    "sae",
    "spectratr-lite",
    "ghostnet",
    "swin",
)


def cells() -> tuple[Cell, ...]:
    """Return all cells, split by split."""
    models: dict[str, tuple[Candidate, ...]] = {name: (network(name),) for name in NETWORKS}
    models |= {name: tuned(words) for name, words in CLASSICAL.items()}
    for name, words in PUBLISHED.items():
        models[f"{name} as published"] = (Candidate(name="raw", steps=(), network=words, learning=LEARNING),)
    measured = [
        Cell(set="tablets", split=split, name=name, candidates=candidates, seed=split.seed)
        for name, candidates in models.items()
        for split in splits(name)
    ]
    for name, members in ((CHOSEN_GRU, 1), (PAIR, 2)):
        measured += [
            Cell(
                set="tablets",
                axis=STRIP,
                split=split,
                name=name,
                candidates=level_and_shape_grus(),
                members=members,
                scheme="weights" if members > 1 else None,
                seed=split.seed,
            )
            for split in splits(name)
        ]
    return tuple(sorted(measured, key=lambda cell: _turn(cell.split)))


def _turn(split: RandomShare | GroupPart | BlockPart) -> tuple[bool, int]:
    """The headline comes first in a study that may be stopped, then the further deals, then random splits."""
    return isinstance(split, RandomShare), getattr(split, "seed", 0)


def splits(name: str) -> tuple[RandomShare | GroupPart, ...]:
    """Return the splits of a model: whole batches first; of the pair these alone, where what it adds can show."""
    groupings = MORE_GROUPINGS if name in CLOSEST else GROUPINGS
    grouped = [GroupPart(parts=PARTS, test=test, seed=seed) for seed in range(groupings) for test in range(PARTS)]
    if name == PAIR:
        return tuple(grouped)
    return (*grouped, *(RandomShare(train=share, seed=seed) for share in SHARES for seed in range(SEEDS)))


def level_and_shape_grus() -> tuple[Candidate, ...]:
    """Return the candidates among which each training part chooses: more or less of other batches' ways, and time."""
    gru = GruWords(patch=75, hidden=48, layers=1, bidirectional=True, features=0, dropout=0.2)
    learning = LEARNING.model_copy(update={"epochs": 150, "batch": 64, "ema": 0.9, "augmentation": REFILLED})
    less = REFILLED.model_copy(update={"refill": 0.4})
    plans = {
        "refill 0.8": learning,
        "refill 0.4": learning.model_copy(update={"augmentation": less}),
        "75 epochs": learning.model_copy(update={"epochs": 75}),
    }
    return tuple(
        Candidate(name=name, steps=LEVEL_AND_SHAPE, network=gru, learning=words) for name, words in plans.items()
    )


def network(name: str) -> Candidate:
    """Return a named network with the setting that is common to all."""
    return Candidate(name="z-score", steps=Z_SCORE, network=named(name, points=POINTS), learning=LEARNING)


def tuned(words: ModelWords) -> tuple[Candidate, ...]:
    """Return a classical model behind each preprocessing that it may choose."""
    return tuple(
        Candidate(name=name, steps=steps, network=words, learning=LEARNING) for name, steps in PREPARED.items()
    )
