"""What is in the powders: networks, fits and both, taught on made mixtures only, tried on nine binary and four ternary
real ones."""

from __future__ import annotations

from collections.abc import Mapping

from edged.bundle.vocabulary import Axis
from export.components.words import Schooling, Unmixing
from export.data.augment import STILL
from export.data.mixtures.recipes import A0, A1
from export.data.mixtures.words import Composition, Domains, Synthesis
from export.models.catalogue import NetworkWords, named
from export.models.resnet1d import ResNet1dWords
from export.preprocess.words import KubelkaMunkStep, ReflectanceStep, SavgolStep, SnvStep, StepWords
from export.study.components_page import parts
from export.study.components_trial import BASE, BUT, BY_WEIGHT, OFF, REAL
from export.study.elastic_net import ALPHAS, L1_RATIOS, Penalised
from export.study.library.study import AS_PUBLISHED
from export.study.mixtures import ComponentsCell, ComponentsOutcome, Taught, measure
from export.study.study import Study

NAME = "components"
AXIS = Axis(unit="nm", start=930.0, stop=1660.0, points=206)
SEEDS = 3
FALSE_NAMES = 0.04
"""The target of the issue, and what every row's limits are chosen for."""

assert A1.nir is not None
ONE = A1.model_copy(
    update={
        "composition": Composition(components=(1, 3), fractions="log-uniform", least=0.02),
        "nir": A1.nir.model_copy(
            update={
                "domains": Domains(absorbance=0.34, reflectance=0.33, kubelka_munk=0.33),
                "shift": 0.0,
                "stretch": 0.0,
                "grinding": 0.0,
                "optics": STILL.model_copy(
                    update={
                        "gain_au": 0.002,
                        "offset_au": 0.05,
                        "slope_au": 0.03,
                        "path": 0.06,
                        "noise_au": 4e-4,
                        "noise_ends": 1.0,
                        "blend": 0.5,
                    }
                ),
            }
        ),
    }
)
"""A1 without what another instrument or another day would do."""


def _without_scatter(words: Synthesis) -> Synthesis:
    """The same mixtures with nothing drawn that stands for scatter, packing or filling."""
    assert words.nir is not None
    optics = words.nir.optics.model_copy(
        update={"path": 0.0, "offset_au": 0.0, "slope_au": 0.0, "gain_au": 0.0, "refill": 0.0}
    )
    return words.model_copy(update={"nir": words.nir.model_copy(update={"grinding": 0.0, "optics": optics})})


RECIPES = {
    "A0": A0,
    "A1": A1,
    "A1 without grinding": A1.model_copy(update={"nir": A1.nir.model_copy(update={"grinding": 0.0})}),
    f"A1, {OFF}": _without_scatter(A1),
    "A1, one instrument": ONE,
    f"A1, one instrument, {OFF}": _without_scatter(ONE),
}
PAIRS = {
    "acetaminophen + ascorbic acid": ("1090ACAA", "5050ACAA", "9010ACAA"),
    "acetaminophen + lactose": ("1090ACLA", "5050ACLA", "9010ACLA"),
    "ascorbic acid + lactose": ("1090AALA", "5050AALA", "9010AALA"),
}
"""The labels of the binary mixtures of each pair."""

FIRST = SavgolStep(kind="savgol", window=21, order=2, derivative=1)
SECOND = SavgolStep(kind="savgol", window=21, order=2, derivative=2)
PREPARED: Mapping[str, tuple[StepWords, ...]] = {
    "absorbance": (),
    "absorbance, first derivative": (FIRST,),
    "absorbance, second derivative": (SECOND,),
    "reflectance, first derivative": (ReflectanceStep(kind="reflectance"), FIRST),
    "reflectance, second derivative": (ReflectanceStep(kind="reflectance"), SECOND),
    "Kubelka-Munk, first derivative": (KubelkaMunkStep(kind="kubelka-munk"), FIRST),
    "Kubelka-Munk, second derivative": (KubelkaMunkStep(kind="kubelka-munk"), SECOND),
}
OF_NETWORKS: tuple[StepWords, ...] = (FIRST, SnvStep(kind="snv"))
TRUNK = ResNet1dWords(stem=16, widths=(16, 32, 48, 64))
SCHOOL = Schooling(epochs=12, mixtures=5000)
BALANCED = Schooling(epochs=12, mixtures=5000, balanced=True)
FEWER = Schooling(epochs=4, mixtures=5000)
"""Of the pair network: about eight minutes of CPU each."""

WHERE = "absorbance, second derivative"
"""Where claims are confirmed: the preparation whose fit finds most on made mixtures."""

CONTROLS = ("absorbance, second derivative", "reflectance, second derivative")
"""Where least squares without a penalty are ranked as the elastic net is, to tell what its penalty does."""

QUESTION = (
    f"""
Acetaminophen, ascorbic acid and lactose on one handheld NIR (`powders12`, `powders-ternary`). Everything learns from
mixtures *made* of 80 scans of each pure compound: by the literature's recipe (A0); by an optimised one (A1), without
its strangers, since no sample of the trial holds a fourth compound and what one would do is not asked here; or by A1 of
one instrument, without what another instrument or day would change, look-alikes and blanks, and with the three laws of
mixing equally likely. The trial is real: nine binary mixtures of 10, 50 and 90 %, 100 scans each, four ternary ones,
100 each, and the 20 scans of each pure compound that nothing learnt from. Scans are dealt to two halves by filling;
what learns from one half finds its limits on mixtures made of the other by the same recipe, such that each compound is
named in {FALSE_NAMES}/3 of those without it. No code sees a real mixture before the trial, but in the rows that say so,
which are judged only by scans that they did not learn from; its author did: laws of mixing, ways of scatter and recipes
were found with these results in view. Networks: mean, and standard deviation where there is more than one seed, of
{SEEDS} that are planned.""",
    f"""
*NNLS* and *fit with scatter* are the daemon's fit, without and with what is known of how scans of one powder differ;
they rank compounds by how much worse the fit is without each. The *elastic net* (scikit-learn, weights not below zero)
ranks them by their share of the weights; its penalty is the one of {len(ALPHAS) * len(L1_RATIOS)} that names most sets
of made mixtures rightly, other ones of the same scans, and its limits are chosen like all others. *NNLS by weight* is
the same without a penalty. *Shared trunk* is R-X, one network for all compounds.""",
    f"""
**DeepCID is not as published here.** Its layers are; but like every network of this page it reads SNV of the first
derivative from {AXIS.start:g} to {AXIS.stop:g} nm, is taught by AdamW with a one-cycle rate, and sees
{BALANCED.epochs * BALANCED.mixtures:,} made spectra a compound, {AS_PUBLISHED // (BALANCED.epochs * BALANCED.mixtures)}
times fewer than its authors' {AS_PUBLISHED:,}. Its rows say what it does in this schooling, and not what it can do. The
pair network, of which a spectrum costs as much as hundreds of the others', has
{FEWER.epochs * FEWER.mixtures:,}.""",
)


def study() -> Study[ComponentsCell, ComponentsOutcome]:
    """Return the study."""
    return Study(
        name=NAME,
        title="Components of real powders, taught on made mixtures",
        question=QUESTION,
        cells=cells(),
        measure=measure,
        kind=ComponentsOutcome,
        parts=parts,
    )


def cells() -> tuple[ComponentsCell, ...]:
    """Return all cells: fits first, which need no seeds."""
    found = [
        ComponentsCell(
            name=f"{way}, {where}", axis=AXIS, unmixing=words, limits_on=ONE, held_out=2000, false_names=FALSE_NAMES
        )
        for where, steps in PREPARED.items()
        for way, words in (
            ("NNLS", Unmixing(steps=steps, directions=0, noise=1e-3)),
            ("fit with scatter", Unmixing(steps=steps, directions=16)),
        )
    ]
    found += [_penalised(f"elastic net, {where}", where, ALPHAS, L1_RATIOS) for where in PREPARED]
    found += [_penalised(f"{BY_WEIGHT}, {where}", where, ALPHAS[:1], L1_RATIOS[:1]) for where in CONTROLS]
    return (*found, *(cell for seed in range(SEEDS) for cell in networks(seed)))


def _penalised(name: str, where: str, alphas: tuple[float, ...], l1_ratios: tuple[float, ...]) -> ComponentsCell:
    return ComponentsCell(
        name=name,
        axis=AXIS,
        unmixing=Penalised(steps=PREPARED[where], alphas=alphas, l1_ratios=l1_ratios),
        limits_on=ONE,
        held_out=2000,
        false_names=FALSE_NAMES,
    )


def networks(seed: int) -> list[ComponentsCell]:
    """Return what is taught, alone and confirmed."""
    deepcid, resuca, lite, pair = (
        named(name, points=AXIS.points) for name in ("deepcid", "resuca", "resuca-lite", "pair")
    )
    one = "A1, one instrument"
    plans: list[tuple[str, NetworkWords, Schooling, str, bool]] = [
        ("DeepCID", deepcid, BALANCED, "A0", False),
        ("DeepCID", deepcid, BALANCED, "A1", False),
        ("ResUCA", resuca, BALANCED, "A0", False),
        ("ResUCA", resuca, BALANCED, "A1", False),
        ("ResUCA", resuca, BALANCED, one, False),
        ("ResUCA lite", lite, BALANCED, one, False),
        ("pair network", pair, FEWER, one, False),
        *(("shared trunk", TRUNK, SCHOOL, recipe, False) for recipe in RECIPES),
        ("ResUCA", resuca, BALANCED, one, True),
        ("shared trunk", TRUNK, SCHOOL, one, True),
    ]
    found = [
        ComponentsCell(
            name=f"{name}, {recipe}{', confirmed' * confirmed}",
            axis=AXIS,
            taught=Taught(steps=OF_NETWORKS, network=network, schooling=school, synthesis=RECIPES[recipe]),
            unmixing=Unmixing(steps=PREPARED[WHERE], directions=16) if confirmed else None,
            limits_on=RECIPES[recipe],
            held_out=2000 if confirmed else 4000,
            false_names=FALSE_NAMES,
            seed=seed,
        )
        for name, network, school, recipe, confirmed in plans
    ]
    base = next(cell for cell in found if cell.name == BASE)
    assert base.taught is not None
    lessons: dict[str, bool | tuple[str, ...]] = {REAL: True}
    for pair_left in PAIRS:
        others = [labels for pair_kept, labels in PAIRS.items() if pair_kept != pair_left]
        lessons[f"{REAL}{BUT}{pair_left}"] = tuple(label for labels in others for label in labels)
    found += [
        base.model_copy(update={"name": name, "taught": base.taught.model_copy(update={"real": real})})
        for name, real in lessons.items()
    ]
    return found
