"""The page docs/results/tablets.md: what was wanted, accuracies beside published ones, and what is still confused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from export.data.catalogue import load_set
from export.page import Heading, Part, Picture, Table, Text
from export.plots import spreads
from export.study.cell import GroupPart, Outcome, RandomShare
from export.study.study import accuracy, figure, table, without_a_row
from export.study.tablets.cells import (
    CHOSEN_GRU,
    CLASSICAL,
    CLOSEST,
    GROUPED,
    GROUPINGS,
    MORE_GROUPINGS,
    NETWORKS,
    PAIR,
    PARTS,
    SHARES,
    TABLETS,
    cells,
)

TARGET, GRU_TARGET = 95.0, 88.0  # percent, with batches kept together: what was aimed at
CLASSICAL_BAR, BEST_BEFORE = 92.0, 94.0  # and what stood before
MOST_PARAMETERS = 100_000
LITERATURE: Mapping[str, tuple[str, str]] = {  # as printed: low training share, high training share
    "invertresnet": ("95.97", "100"),
    "spectratr-lite": ("96.97 (SpectraTr, 31.6 M)", ""),
    "cnn": ("91.94", "98.39"),
    "swin": ("92.74", "98.38"),
    "ghostnet": ("89.91", "98.39"),
    "PLS-DA as published": ("79.39", ""),
    "SVM as published": ("68.44", ""),
    "RF as published": ("67.74", ""),
}


SOURCES = (
    "Published: InvertResNet, CNN, SwinTR, GhostNetV2, PLS-DA, SVM and RF from Huang, Yang, Li, Spectrosc. Spectr. "
    "Anal. 45(8) 2218 (2025), its low and high share of training spectra, taken for 60:40 and 80:20; SpectraTr from Fu "
    "et al., JIOHS 15(3) 2250021 (2022), 211 to train and 99 to test. All on random splits. *As published* are the "
    "classical models with the settings of the papers' code (OpenSA): untuned, on raw spectra."
)

OURS = f"""
*{CHOSEN_GRU}* is no row like the others. A bidirectional GRU of one layer reads three views of each point: its z-score,
what is left of the spectrum without its level (the first principal component of the training spectra), and the same of
the square root. It has its own epochs, and each training part chooses among three candidates inside itself. Views,
sizes and augmentation were designed in sight of all 310 tablets, so that its lead is no blind result; the others'
settings followed earlier readings of the set, too, but nobody tuned them. *{PAIR}* is two of these with other seeds."""
NOT_RUN = """
The networks of the table are reconstructions of at most a few hundred thousand numbers, with one setting for all.
SpectraTr itself, with 31.6 million numbers, was never run here: the row is of a small one, and says nothing of the
large."""
TRIED = f"""
For the target of {TARGET:g} a mean of its logits with those of a PCA-LDA was tried, too, over ten deals, by a script
that is not in the tree: it gained less than the deals differ, missed the target, and is not in the table."""
ALIKE = ("C", "D")
WHY = """
B, C and D hold the same 8 % of the drug, A holds 5.6 %, and they differ in size: the spectrum of one of the three is
that of another with more powder in the way of the light. So C and D are told apart by level, and the level of a batch
moves as much as that step: the batches of C that let least light through lie among those of D. Batches of both types by
their level, and the share of wrong answers, percent, in the first three deals, of models that have been through all of
them. Where the types overlap nearly every model errs, and what is left to know the type by is what else a larger tablet
changes, which a model sees only if a batch like that is among those that it learns from."""


def parts(outcomes: Sequence[Outcome], data: Path) -> Sequence[Part]:
    """Return what the page shows under the question."""
    columns: list[tuple[str, Callable[[Outcome], bool], Callable[[Outcome], float | None]]] = [
        (GROUPED, in_first_deals, accuracy),
        *((title, _of_share(share), accuracy) for share, title in SHARES.items()),
        ("macro-F1, batches", in_first_deals, figure("macro_f1")),
        ("MCC, batches", in_first_deals, figure("mcc")),
        ("kappa, batches", in_first_deals, figure("kappa")),
    ]
    asked = cells()
    whole = len(outcomes) == len(asked)
    found = table(outcomes, first="model", row=lambda outcome: outcome.cell.name, columns=columns, bold=whole)
    sizes = {outcome.cell.name: f"{outcome.parameters:,}" for outcome in outcomes}
    rows = [[*row, sizes[row[0]], *LITERATURE.get(row[0], ("", ""))] for row in found.rows]
    header = [*found.header, "numbers held", "published, low share", "published, high share"]
    return [
        *_target(outcomes),
        Heading("Accuracy, percent"),
        _drawn(outcomes),
        Table(header, rows),
        *without_a_row(asked, outcomes),
        Text(SOURCES),
        *_not_reproduced(outcomes),
        Text(" ".join(OURS.split())),
        Text(" ".join(TRIED.split())),
        Heading(f"The closest, over {MORE_GROUPINGS} deals of the batches"),
        *_deals(outcomes, bold=whole),
        *_one_graph(outcomes),
        Heading("What is still confused"),
        *_errors(outcomes, data),
        Heading("Why"),
        *_levels(outcomes, data),
    ]


def _target(outcomes: Sequence[Outcome]) -> Sequence[Part]:
    """What was wanted with batches kept together, and whether it was reached."""
    means = {name: mean for name, (mean, _) in _means(outcomes, in_first_deals).items()}
    sizes = {outcome.cell.name: outcome.parameters for outcome in outcomes}
    allowed = {
        name: mean
        for name, mean in means.items()
        if name == PAIR or (name in (*NETWORKS, CHOSEN_GRU) and sizes[name] <= MOST_PARAMETERS)
    }
    classical = {name: mean for name, mean in means.items() if name in CLASSICAL}
    grus = {name: mean for name, mean in means.items() if name in NETWORKS and name.startswith("gru")}
    if not allowed or not classical or not grus or CHOSEN_GRU not in means:
        return []
    best, bar, plain = (max(of, key=of.__getitem__) for of in (allowed, classical, grus))
    reached = allowed[best] >= TARGET
    pair = f", the pair as its int8 graph ({means[PAIR]:.1f})" if PAIR in means else ""
    rows = [
        [
            f"one int8 network of at most {MOST_PARAMETERS:,} numbers, or a pair in one graph",
            f"{TARGET:g}",
            *_reached(allowed, TARGET),
        ],
        ["a GRU, by level and shape", f"{GRU_TARGET:g}", *_reached({CHOSEN_GRU: means[CHOSEN_GRU]}, GRU_TARGET)],
        ["a GRU as the others, z-scored", f"{GRU_TARGET:g}", *_reached(grus, GRU_TARGET)],
        ["the classical bar", f"{CLASSICAL_BAR:g}", f"{bar} {classical[bar]:.1f}", "–"],
    ]
    return [
        Heading("What was wanted"),
        Text(
            f"With batches kept together, percent. Before this study the honest classical bar stood at "
            f"{CLASSICAL_BAR:g}, and the best that anything had reached was {BEST_BEFORE:g}. "
            + (
                f"The target is reached by {best} ({allowed[best]:.1f}). "
                if reached
                else f"**The target of {TARGET:g} is not reached**: {best} comes closest ({allowed[best]:.1f}), "
                f"{TARGET - allowed[best]:.1f} points short; over {MORE_GROUPINGS} deals see below. "
            )
            + f"A single network is judged in float{pair}. "
            f"That a GRU reaches {GRU_TARGET:g} holds of *{CHOSEN_GRU}* alone: of those with the setting that is "
            f"common to all, {plain} is best ({grus[plain]:.1f})."
        ),
        Table(["wanted of", "at least", "best", "so"], rows),
    ]


def _reached(of: Mapping[str, float], wanted: float) -> tuple[str, str]:
    best = max(of, key=of.__getitem__)
    return f"{best} {of[best]:.1f}", "met" if of[best] >= wanted else "**missed**"


def _means(outcomes: Sequence[Outcome], of: Callable[[Outcome], bool]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of the accuracy by model, percent."""
    found: dict[str, list[float]] = {}
    for outcome in outcomes:
        if of(outcome):
            found.setdefault(outcome.cell.name, []).append(100 * outcome.score.accuracy)
    return {
        name: (float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
        for name, values in found.items()
    }


def _drawn(outcomes: Sequence[Outcome]) -> Picture:
    """Each model's accuracy on either split, and what was published of it."""
    names = list(dict.fromkeys(outcome.cell.name for outcome in outcomes))
    series = {GROUPED: _means(outcomes, in_first_deals), "60:40 random": _means(outcomes, _of_share(min(SHARES)))}
    marks = {name: float(low.split()[0]) for name, (low, _) in LITERATURE.items() if name in names}
    drawn = spreads(
        {title: of for title, of in series.items() if of},
        marks,
        label="accuracy, percent: mean and standard deviation; published ones are of random splits",
        limits={f"target with batches kept together, {TARGET:g}": TARGET},
    )
    return Picture("tablets.png", "accuracy of each model, with published figures", drawn)


def _not_reproduced(outcomes: Sequence[Outcome]) -> Sequence[Part]:
    """Which printed figures lie far above ours on random splits, and what was never run."""
    rows = []
    for place, (share, title) in enumerate(SHARES.items()):
        for name, (mean, spread) in _means(outcomes, _of_share(share)).items():
            printed = LITERATURE.get(name, ("", ""))[place].split()
            if printed and float(printed[0]) > mean + 2 * spread:
                rows.append(f"{name} {mean:.1f} ± {spread:.1f} where {printed[0]} is printed ({title})")
    if not rows:
        return []
    return [
        Text(
            "**Not reproduced**, printed figures that lie more than two standard deviations above ours: "
            f"{'; '.join(rows)}. {' '.join(NOT_RUN.split())}"
        )
    ]


def in_first_deals(outcome: Outcome) -> bool:
    """Whether whole batches were left out, in a deal that every model has seen."""
    return isinstance(outcome.cell.split, GroupPart) and outcome.cell.split.seed < GROUPINGS


def _deals(outcomes: Sequence[Outcome], *, bold: bool) -> Sequence[Part]:
    """Of the models that were dealt more often: the share of all tablets named rightly, deal by deal."""
    rows = []
    for name in CLOSEST:
        right: Counter[int] = Counter()
        judged: Counter[int] = Counter()
        for outcome in outcomes:
            if outcome.cell.name == name and isinstance(outcome.cell.split, GroupPart):
                right[outcome.cell.split.seed] += round(outcome.score.accuracy * len(outcome.tested))
                judged[outcome.cell.split.seed] += len(outcome.tested)
        whole = [deal for deal in range(MORE_GROUPINGS) if judged[deal] == TABLETS]
        shares = {deal: 100.0 * right[deal] / TABLETS for deal in whole}
        found = list(shares.values())
        summary = f"{np.mean(found):.1f} ± {np.std(found, ddof=1):.1f}" if len(found) > 1 else "–"
        summary = f"**{summary}**" if bold else summary
        shown = (f"{shares[deal]:.1f}" if deal in shares else "–" for deal in range(MORE_GROUPINGS))
        rows.append([name, *shown, summary])
    return [
        Text("All 310 tablets, each tested once a deal; mean and standard deviation over the deals:"),
        Table(["model", *(f"deal {deal}" for deal in range(MORE_GROUPINGS)), "all"], rows),
    ]


def _one_graph(outcomes: Sequence[Outcome]) -> Sequence[Part]:
    """What became of the pair: one file, and whether rounding changed an answer."""
    found = [outcome for outcome in outcomes if outcome.alike is not None and outcome.size_bytes is not None]
    if not found:
        return []
    spectra = sum(len(outcome.tested) for outcome in found)
    same = sum(round((outcome.alike or 0.0) * len(outcome.tested)) for outcome in found)
    size = max(outcome.size_bytes or 0 for outcome in found) / 1024
    return [
        Text(
            f"{found[0].cell.name[:1].upper()}{found[0].cell.name[1:]}: what is judged is the ONNX graph of both, "
            f"with weights of 8 bits, run by onnxruntime; {size:.0f} KiB with preprocessing. It names "
            f"{same:,} of {spectra:,} test spectra as torch does."
        )
    ]


def _of_share(share: float) -> Callable[[Outcome], bool]:
    return lambda outcome: isinstance(outcome.cell.split, RandomShare) and outcome.cell.split.train == share


def _errors(outcomes: Sequence[Outcome], data: Path) -> Sequence[Part]:
    """Of each model, which strengths it takes for which, and in which batches."""
    spectra = load_set("tablets", data)
    names, targets = spectra.classes, spectra.targets
    rows = []
    for name in dict.fromkeys(outcome.cell.name for outcome in outcomes):
        pairs: Counter[str] = Counter()
        batches: Counter[int] = Counter()
        judged = 0
        for outcome in outcomes:
            if outcome.cell.name != name or not in_first_deals(outcome):
                continue
            judged += len(outcome.tested)
            for row, said in zip(outcome.tested, outcome.predicted, strict=True):
                if said != targets[row]:
                    pairs["-".join(sorted((names[targets[row]], names[said])))] += 1
                    batches[int(spectra.groups[row]) + 1] += 1
        if judged:
            wrong = sum(pairs.values())
            worst = ", ".join(f"{batch} ({count})" for batch, count in batches.most_common(3))
            confused = ", ".join(f"{pair} {count}" for pair, count in pairs.most_common(3))
            rows.append([name, f"{wrong} of {judged}", confused, worst])
    return [
        Text(
            "With batches kept together: errors, the pairs of types most often taken for each other, and the batches, "
            "numbered from 1 in the order of the file, with most errors."
        ),
        Table(["model", "errors", "pairs", "batches"], rows),
    ]


def _levels(outcomes: Sequence[Outcome], data: Path) -> Sequence[Part]:
    """Of each batch of the two types that are most confused: how much light it lets through, and who knows it."""
    spectra = load_set("tablets", data)
    names, targets = spectra.classes, spectra.targets
    level = spectra.values.mean(axis=1)
    counts = {name: np.zeros((2, len(targets))) for name in ("", *CLOSEST, PAIR)}  # wrong and judged; "": by all models
    dealt = [outcome for outcome in outcomes if in_first_deals(outcome)]
    parts_of = Counter(outcome.cell.name for outcome in dealt)
    for outcome in (outcome for outcome in dealt if parts_of[outcome.cell.name] == GROUPINGS * PARTS):
        tested = np.array(outcome.tested)
        missed = np.array(outcome.predicted) != targets[tested]
        for name in {"", outcome.cell.name} & counts.keys():
            counts[name][:, tested] += np.stack([missed, np.ones(len(tested))])
    rows = []
    alike = [names.index(name) for name in ALIKE]
    batches = [batch for batch in np.unique(spectra.groups) if targets[spectra.groups == batch][0] in alike]
    for batch in sorted(batches, key=lambda batch: float(level[spectra.groups == batch].mean())):
        of_batch = spectra.groups == batch
        shares = []
        for missed, judged in (counts[name][:, of_batch].sum(axis=1) for name in counts):
            shares.append(f"{100 * missed / judged:.0f}" if judged else "–")
        mean, spread = float(level[of_batch].mean()), float(level[of_batch].std(ddof=1))
        rows.append([str(int(batch) + 1), names[targets[of_batch][0]], f"{mean:.3f} ± {spread:.3f}", *shares])
    header = ["batch", "type", "mean absorbance", "all models", *CLOSEST, PAIR]
    return [Text(" ".join(WHY.split())), Table(header, rows)]
