"""What is in the powders: networks, fits and both, taught on made mixtures only, tried on nine binary and four ternary
real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edged.bundle.vocabulary import Axis
from export.components.evidence import rates
from export.components.words import Schooling, Unmixing
from export.data.augment import STILL
from export.data.mixtures.recipes import A0, A1
from export.data.mixtures.words import Composition, Domains
from export.models.catalogue import NetworkWords, named
from export.models.resnet1d import ResNet1dWords
from export.page import Heading, Part, Table, Text
from export.preprocess.words import KubelkaMunkStep, ReflectanceStep, SavgolStep, SnvStep, StepWords
from export.study.mixtures import ComponentsCell, ComponentsOutcome, RealScans, Taught, measure, real_scans
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

RECIPES = {
    "A0": A0,
    "A1": A1,
    "A1 without grinding": A1.model_copy(update={"nir": A1.nir.model_copy(update={"grinding": 0.0})}),
    "A1, one instrument": ONE,
}
OVERALL = {
    "exact": "exact",
    "precision": "precision",
    "recall": "recall",
    "F1": "f1",
    "false names a scan": "false_names",
}
SHOWN = (
    "NNLS, absorbance, second derivative",
    "fit with scatter, absorbance, second derivative",
    "DeepCID, A0",
    "ResUCA, A0",
    "ResUCA, A1, one instrument",
    "shared trunk, A1, one instrument, confirmed",
)
"""What the table of single mixtures shows: the plain fit, ours, and the literature's step by step."""

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
"""Of the pair network: half a minute of CPU each."""

WHERE = "absorbance, second derivative"
"""Where claims are confirmed: the preparation whose fit finds most on made mixtures."""

QUESTION = f"""
Acetaminophen, ascorbic acid and lactose on one handheld NIR (`powders12`, `powders-ternary`). Everything learns from
mixtures *made* of 80 scans of each pure compound: by the literature's recipe (A0); by an optimised one (A1), without
strangers, since none are at hand; or by A1 of one instrument, without what another instrument or day would change,
look-alikes and blanks, and with the three laws of mixing equally likely. The trial is real: nine binary mixtures of 10,
50 and 90 %, 100 scans each, four ternary ones, 100 each, and the 20 scans of each pure compound that nothing learnt
from. Scans are dealt to two halves by filling; what learns from one half finds its limits on mixtures made of the other
by the same recipe, such that each compound is named in {FALSE_NAMES}/3 of those without it. No code sees a real mixture
before the trial, but in the row that says so, which is judged only by scans that it did not learn from; its author did:
laws of mixing, ways of scatter and recipes were found with these results in view. Networks: mean, and standard
deviation where there is more than one seed, of {SEEDS} that are planned; the pair network, of which a spectrum costs as
much as hundreds of the others', with a third of their epochs."""
AFTERWORD = """
*Exact* is the share of scans with just the right set. *Made* is each row's own recipe, so that it compares rows of one
recipe only. Nothing here finds a tenth of ascorbic acid in lactose reliably: lactose scatters so well that it hides the
other's bands (the fit sees 50:50 as 8:92). A detector that has learnt that very mixture does find it
([unknowns](unknowns.md)): something of it is in the spectrum, though not where mixtures of pure spectra have it."""


def study() -> Study[ComponentsCell, ComponentsOutcome]:
    """Return the study."""
    return Study(
        name=NAME,
        title="Components of real powders, taught on made mixtures",
        question=(QUESTION,),
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
    return (*found, *(cell for seed in range(SEEDS) for cell in networks(seed)))


def networks(seed: int) -> list[ComponentsCell]:
    """Return what is taught, alone and confirmed."""
    deepcid, resuca, lite, pair = (
        named(name, points=AXIS.points) for name in ("deepcid", "resuca", "resuca-lite", "pair")
    )
    plans: list[tuple[str, NetworkWords, Schooling, str, bool, bool]] = [
        ("DeepCID", deepcid, BALANCED, "A0", False, False),
        ("DeepCID", deepcid, BALANCED, "A1", False, False),
        ("ResUCA", resuca, BALANCED, "A0", False, False),
        ("ResUCA", resuca, BALANCED, "A1", False, False),
        ("ResUCA", resuca, BALANCED, "A1, one instrument", False, False),
        ("ResUCA lite", lite, BALANCED, "A1, one instrument", False, False),
        ("pair network", pair, FEWER, "A1, one instrument", False, False),
        ("shared trunk", TRUNK, SCHOOL, "A0", False, False),
        ("shared trunk", TRUNK, SCHOOL, "A1", False, False),
        ("shared trunk", TRUNK, SCHOOL, "A1 without grinding", False, False),
        ("shared trunk", TRUNK, SCHOOL, "A1, one instrument", False, False),
        ("ResUCA", resuca, BALANCED, "A1, one instrument", True, False),
        ("shared trunk", TRUNK, SCHOOL, "A1, one instrument", True, False),
        ("shared trunk", TRUNK, SCHOOL, "A1, one instrument", False, True),
    ]
    return [
        ComponentsCell(
            name=f"{name}, {recipe}{', confirmed' * confirmed}{', and real binaries' * real}",
            axis=AXIS,
            taught=Taught(steps=OF_NETWORKS, network=network, schooling=school, synthesis=RECIPES[recipe], real=real),
            unmixing=Unmixing(steps=PREPARED[WHERE], directions=16) if confirmed else None,
            limits_on=RECIPES[recipe],
            held_out=2000 if confirmed else 4000,
            false_names=FALSE_NAMES,
            seed=seed,
        )
        for name, network, school, recipe, confirmed, real in plans
    ]


def parts(outcomes: Sequence[ComponentsOutcome], data: Path) -> Sequence[Part]:
    """Return the tables."""
    scans = real_scans(data)
    anything = np.ones(len(scans.labels), dtype=bool)
    columns = [(name, anything, what) for name, what in OVERALL.items()] + [
        ("exact, last 20 scans of binaries", (scans.present.sum(axis=1) == 2) & ~scans.may_teach, "exact"),
        ("exact, ternaries", scans.present.sum(axis=1) == 3, "exact"),
    ]
    names = list(dict.fromkeys(outcome.cell.name for outcome in outcomes))
    rows = []
    for name in names:
        of_name = [outcome for outcome in outcomes if outcome.cell.name == name]
        learnt = _learnt(of_name[0], scans)
        cells = [
            "–"
            if (among & learnt).any()
            else _shown(
                [rates(found_of(o)[among], scans.present[among])[what] for o in of_name], percent=what != "false_names"
            )
            for _, among, what in columns
        ]
        made = [
            _shown([o.on_made[what] for o in of_name], percent=what == "exact") for what in ("exact", "false_names")
        ]
        rows.append([name, *cells, *made])
    header = ["", *(name for name, _, _ in columns), "exact, made mixtures", "false names, made"]
    return [
        Heading("All real scans, percent"),
        Table(header, rows),
        Text(" ".join(AFTERWORD.split())),
        Heading("Found, by mixture"),
        *_by_mixture(outcomes, scans, names),
    ]


def _learnt(outcome: ComponentsOutcome, scans: RealScans) -> NDArray[np.bool_]:
    """The real scans that a cell learnt from, which do not judge it."""
    taught = outcome.cell.taught
    return scans.may_teach & (taught is not None and taught.real)


def found_of(outcome: ComponentsOutcome) -> NDArray[np.bool_]:
    """Return which compounds were found in each real scan, [n, compounds]."""
    return (np.array(outcome.found)[:, None] >> np.arange(len(outcome.compounds)) & 1).astype(bool)


def _by_mixture(outcomes: Sequence[ComponentsOutcome], scans: RealScans, names: Sequence[str]) -> Sequence[Part]:
    """One row a mixture; of each way in SHOWN, how often it names each compound."""
    compounds = outcomes[0].compounds
    shown = [name for name in SHOWN if name in names]
    means = {name: np.mean([found_of(o) for o in outcomes if o.cell.name == name], axis=0) for name in shown}
    rows = []
    for label in dict.fromkeys(scans.labels):
        of_label = np.array(scans.labels) == label
        holds = scans.present[of_label][0]
        cells = [
            " / ".join(
                f"**{100 * share:.0f}**" if there else f"{100 * share:.0f}"
                for share, there in zip(mean[of_label].mean(axis=0), holds, strict=True)
            )
            for mean in means.values()
        ]
        rows.append([label, *cells])
    return [
        Text(f"Percent of scans in which {', '.join(compounds)} are named, in this order; bold: it is there."),
        Table(["mixture", *shown], rows),
    ]


def _shown(values: Sequence[float], *, percent: bool) -> str:
    scale, digits = (100.0, 1) if percent else (1.0, 3)
    text = f"{scale * float(np.mean(values)):.{digits}f}"
    return text + (f" ± {scale * float(np.std(values, ddof=1)):.{digits}f}" if len(values) > 1 else "")
