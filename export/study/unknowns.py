"""What gates refuse of things that the model does not know, at limits that wrongly refuse 1 % and 3 % of what it does.

Every block is held out in turn: a space is fitted on augmented copies of the other blocks, or a small network learns
them, and measures the block itself, the same block in simulated sessions, and the unknowns.
`edged-export evaluate unknowns`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from threadpoolctl import threadpool_limits

from export.data.augment import HANDHELD_NIR, augment, resample, session
from export.data.catalogue import load_set
from export.data.spectra import Spectra
from export.gates.discriminant import Discriminant
from export.gates.scatter import ClassScatter
from export.gates.subspace import Subspaces
from export.page import Code, Heading, Page, Part, Picture, Table, Text
from export.plots import distances as picture_of
from export.preprocess.pipeline import build
from export.preprocess.words import SavgolStep, SnvStep, StepWords
from export.progress import Report
from export.study.doubting import STEPS, WORDS, doubting
from export.study.grid import HALF_A_POINT
from export.study.seen import margins

Rows = NDArray[np.float64]
Measure = Callable[[Rows], Rows]
"""Raw spectra on the grid to columns [n, models]; the smallest counts."""

POINTS = 224
MILD = HALF_A_POINT.model_copy(update={"shift": 0.7, "gain": 0.006, "offset_au": 0.024, "slope_au": 0.024})
SESSIONS, COPIES = 4, 4
WRONG = (0.01, 0.03)
SNV = SnvStep(kind="snv")


def _savgol(derivative: int, window: int) -> SavgolStep:
    return SavgolStep(kind="savgol", window=window, order=2, derivative=derivative)


PREPARED: dict[str, tuple[StepWords, ...]] = {
    "SG1 (21) + SNV": (_savgol(1, 21), SNV),
    "SG2 (15) + SNV": (_savgol(2, 15), SNV),
    "SG2 (21) + SNV": (_savgol(2, 21), SNV),
    "SNV + SG1 (21)": (SNV, _savgol(1, 21)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A space, what it sees, and how strongly the copies that it is fitted on are changed."""

    kind: str
    prepared: str
    strength: float

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.kind}, {self.prepared}, copies x {self.strength:g}"


CANDIDATES = (
    *(Candidate(kind="discriminant", prepared=name, strength=0.6) for name in PREPARED),
    *(Candidate(kind="class scatter", prepared=name, strength=s) for name in PREPARED for s in (0.6, 1.0)),
    *(Candidate(kind="SIMCA-8", prepared=name, strength=0.6) for name in ("SG2 (15) + SNV", "SNV + SG1 (21)")),
    Candidate(kind="Q and T2 of one PCA", prepared="SNV + SG1 (21)", strength=0.6),
)
PAIR = (
    Candidate(kind="class scatter", prepared="SG2 (15) + SNV", strength=1.0),
    Candidate(kind="class scatter", prepared="SNV + SG1 (21)", strength=0.8),
)
ALONE = (Candidate(kind="discriminant", prepared="SG1 (21) + SNV", strength=0.6),)
ENERGY, FEATURES = "energy of a network's logits", "distance of a network's features"

LEARNED = Candidate(kind="linear SVM", prepared="SG1 (21) + SNV", strength=0.6)
HIDDEN = ("1090ACLA", "1090AALA", "100LA")
"""Lactose, and it with a tenth of a drug: what tells one from another is small beside what fillings differ by."""
LeftOut = tuple[Rows, Rows, Rows, Rows]
"""Distances of the known ones and of the class left out, as measured and in stress sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A labelled set as absorbance on its own axis, and the other things, on the grid: the axis of the set's recipe.

    network: what a network of that recipe sees. shipped: the gate that the recipe names, of which any part may refuse.
    alike: labels of classes that differ from one that stays by little beside what its fillings differ by.
    """

    name: str
    spectra: Spectra
    values: Rows
    block: NDArray[np.int64]
    grid: Rows
    others: dict[str, Rows]
    network: str
    shipped: tuple[Candidate, ...]
    alike: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[tuple[Candidate, ...], ...]:
        """Every gate, each once."""
        own = (Candidate(kind=kind, prepared=self.network, strength=0.6) for kind in (ENERGY, FEATURES))
        return tuple(dict.fromkeys([*((candidate,) for candidate in (*CANDIDATES, *own)), PAIR, self.shipped]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Distances to the nearest class. left_out: class by class."""

    name: str
    known: Rows
    mild: Rows
    stress: Rows
    others: dict[str, Rows]
    left_out: list[LeftOut]


def powders(data: Path) -> Known:
    """The twelve formulations in five blocks of twenty scans."""
    spectra = load_set("powders12", data)
    grid = np.linspace(904.0, 1698.0, POINTS)
    names = ("isoniazid", "api20-ratios", "api20-log-counts", "powders-ternary")
    return Known(
        name="powders12",
        spectra=spectra,
        values=spectra.values,
        block=spectra.scan // 20,
        grid=grid,
        others=_others(names, grid, data),
        network="SG1 (21) + SNV",
        shipped=PAIR,
        alike=HIDDEN,
    )


def drugs(data: Path) -> Known:
    """The twenty drugs, of which each scan number is a block."""
    spectra = load_set("api20", data)
    grid = np.linspace(920.0, 1660.0, POINTS)
    return Known(
        name="api20",
        spectra=spectra,
        values=-np.log10(np.maximum(spectra.values, 1e-6)),
        block=spectra.scan,
        grid=grid,
        others=_others(("powders12", "powders-ternary", "isoniazid"), grid, data),
        network="SG2 (21) + SNV",
        shipped=ALONE,
    )


def _others(names: Sequence[str], grid: Rows, data: Path) -> dict[str, Rows]:
    return {name: resample(of.values, of.axis, grid) for name in names for of in (load_set(name, data),)}


def measured(known: Known, candidates: Sequence[Candidate]) -> Found:
    """Measure one gate, or several of which any may refuse; each is then divided by its own 99 % training quantile."""
    targets, axis, values = known.spectra.targets, known.spectra.axis, known.values
    classes = int(targets.max()) + 1
    plain = resample(values, axis, known.grid)
    changed = {s: _copies(known, s) for s in {c.strength for c in candidates}}
    sessions = _sessions(known)
    said: dict[str, list[Rows]] = {name: [] for name in ("known", "mild", "stress", *known.others)}
    left: list[list[list[Rows]]] = [[[], [], [], []] for _ in range(classes)]
    for block in np.unique(known.block):
        train, test = np.flatnonzero(known.block != block), np.flatnonzero(known.block == block)
        gate = _gate(candidates, changed, train, targets)
        stressed = np.concatenate(sessions["stress"][:, test])
        said["known"].append(gate(plain[test]))
        said["stress"].append(gate(stressed))
        said["mild"].append(gate(np.concatenate(sessions["mild"][:, test])))
        for name, rows in known.others.items():
            said[name].append(gate(rows))
        truth = targets[test]
        for out in range(classes):
            kept = train[targets[train] != out]
            without = _gate(candidates, changed, kept, np.where(targets > out, targets - 1, targets))
            for place, part in zip(
                left[out], _parted(without(plain[test]), without(stressed), truth, out), strict=True
            ):
                place.append(part)
    joined = {name: np.concatenate(parts) for name, parts in said.items()}
    return Found(
        name=" or ".join(c.name for c in candidates),
        known=joined["known"],
        mild=joined["mild"],
        stress=joined["stress"],
        others={name: joined[name] for name in known.others},
        left_out=[tuple(np.concatenate(part) for part in parts) for parts in left],  # type: ignore[misc]
    )


def learned(known: Known) -> list[LeftOut]:
    """The same, class by class, of a detector that has learned all classes: the margin by which it finds that one."""
    targets, plain = known.spectra.targets, resample(known.values, known.spectra.axis, known.grid)
    copies = _copies(known, LEARNED.strength)
    stress = _sessions(known)["stress"]
    shown = _preparing(LEARNED)

    def prepared(rows: Rows) -> Rows:
        return np.asarray(shown(rows).double().numpy())

    found: list[list[list[Rows]]] = [[[], [], [], []] for _ in known.spectra.classes]
    for block in np.unique(known.block):
        train, test = np.flatnonzero(known.block != block), np.flatnonzero(known.block == block)
        rows = [
            prepared(part) for part in (np.concatenate(copies[:, train]), plain[test], np.concatenate(stress[:, test]))
        ]
        one, many = margins(rows[0], np.tile(targets[train], COPIES), rows[1:])
        for out, places in enumerate(found):
            for place, part in zip(places, _parted(one[:, out], many[:, out], targets[test], out), strict=True):
                place.append(part)
    return [tuple(np.concatenate(part) for part in parts) for parts in found]  # type: ignore[misc]


def _parted(measured: Rows, stressed: Rows, truth: NDArray[np.int64], out: int) -> LeftOut:
    """Known ones and those of the class left out, of one block and of its sessions."""
    again = np.tile(truth, SESSIONS)
    return measured[truth != out], measured[truth == out], stressed[again != out], stressed[again == out]


def _sessions(known: Known) -> dict[str, Rows]:
    """Simulated sessions of all spectra: [sessions, n, points]."""
    rng = np.random.default_rng(7)
    return {
        what: np.stack([session(known.values, known.spectra.axis, known.grid, words, rng) for _ in range(SESSIONS)])
        for what, words in (("stress", HALF_A_POINT), ("mild", MILD))
    }


def _copies(known: Known, strength: float) -> Rows:
    rng, axis = np.random.default_rng(6), known.spectra.axis
    return np.stack(
        [augment(known.values, axis, known.grid, HANDHELD_NIR, rng, strength=strength) for _ in range(COPIES)]
    )


def _gate(
    candidates: Sequence[Candidate], changed: dict[float, Rows], rows: NDArray[np.int64], targets: NDArray[np.int64]
) -> Measure:
    """Fit on copies of some rows; what is returned gives one distance a spectrum."""
    measures = [
        _fitted(c, np.concatenate(changed[c.strength][:, rows]), np.tile(targets[rows], COPIES)) for c in candidates
    ]
    if len(measures) == 1:
        return measures[0]
    limits = [
        float(np.quantile(measure(np.concatenate(changed[c.strength][:, rows])), 0.99))
        for c, measure in zip(candidates, measures, strict=True)
    ]
    return lambda spectra: np.max([m(spectra) / limit for m, limit in zip(measures, limits, strict=True)], axis=0)


def _fitted(candidate: Candidate, spectra: Rows, targets: NDArray[np.int64]) -> Measure:
    prepared, classes, points = _preparing(candidate), int(targets.max()) + 1, spectra.shape[1]
    if candidate.kind in (ENERGY, FEATURES):
        network = doubting(prepared(spectra), targets)
        asked = network.energy if candidate.kind == ENERGY else network.distance
        return lambda rows: asked(prepared(rows))
    fit = prepared(spectra).double().numpy()
    space: Discriminant | ClassScatter | Subspaces
    if candidate.kind == "discriminant":
        space = Discriminant(points=points, classes=classes)
        space.fit(fit, targets, shrinkage=1e-3)
    elif candidate.kind == "class scatter":
        space = ClassScatter(points=points, classes=classes)
        space.fit(fit, targets, shrinkage=1e-4, pooled=0.2)
    elif candidate.kind.startswith("SIMCA"):
        space = Subspaces(points=points, models=classes, components=int(candidate.kind.split("-")[1]))
        space.fit(fit, targets)
    else:
        space = Subspaces(points=points, models=1, components=12)
        space.fit(fit, np.zeros_like(targets))

    def measure(rows: Rows) -> Rows:
        with torch.no_grad():
            return space.distance(space(prepared(rows)).numpy())

    return measure


def _preparing(candidate: Candidate) -> Callable[[Rows], torch.Tensor]:
    steps = build(PREPARED[candidate.prepared], POINTS)

    @torch.no_grad()
    def prepared(rows: Rows) -> torch.Tensor:
        out: torch.Tensor = steps(torch.from_numpy(rows.astype(np.float32)))
        return out

    return prepared


def accuracy(known: Known) -> float:
    """Share of held-out spectra that the networks behind energy and features name rightly."""
    prepared, targets = _preparing(Candidate(kind=ENERGY, prepared=known.network, strength=0.6)), known.spectra.targets
    plain, copies = resample(known.values, known.spectra.axis, known.grid), _copies(known, 0.6)
    right = 0
    for block in np.unique(known.block):
        train, test = np.flatnonzero(known.block != block), np.flatnonzero(known.block == block)
        network = doubting(prepared(np.concatenate(copies[:, train])), np.tile(targets[train], COPIES))
        right += int((network.named(prepared(plain[test])) == targets[test]).sum())
    return right / len(targets)


def limit_of(known: Rows, wrong: float) -> float:
    """The limit that refuses at most the share `wrong` of these."""
    return float(np.sort(known)[min(len(known), int(np.ceil(len(known) * (1.0 - wrong)))) - 1])


def auroc(known: Rows, unknown: Rows) -> float:
    """The chance that an unknown lies farther out than a known one."""
    ranks = rankdata(np.concatenate([known, unknown]))
    n, m = len(known), len(unknown)
    return float((ranks[n:].sum() - m * (m + 1) / 2) / (n * m))


def shares(found: Found, wrong: float, *, stressed: bool = False) -> list[float]:
    """Refused in percent: mild, stress, each of the others, classes left out (mean, worst)."""
    limit = limit_of(found.stress if stressed else found.known, wrong)
    refused = [float((d > limit).mean()) for d in (found.mild, found.stress, *found.others.values())]
    pairs = [parts[2:] if stressed else parts[:2] for parts in found.left_out]
    left = [float((unknown > limit_of(known, wrong)).mean()) for known, unknown in pairs]
    return [100.0 * share for share in (*refused, float(np.mean(left)), min(left))]


def _left_out(known: Known, chosen: Found) -> list[Part]:
    """Class by class, beside a detector that has seen the class; then the means."""

    def cells(parts: LeftOut) -> list[float]:
        pairs = (parts[:2], parts[2:])
        return [*(100 * float((y > limit_of(x, w)).mean()) for x, y in pairs for w in WRONG), auroc(*parts[:2])]

    labels = known.spectra.classes
    figures = np.array([[*cells(a), *cells(b)] for a, b in zip(chosen.left_out, learned(known), strict=True)])
    rows = [_row(known.spectra.title(label), row, digits=0) for label, row in zip(labels, figures, strict=True)]
    rows.append(_row("**all, mean**", figures.mean(axis=0), digits=1))
    if known.alike:
        apart = [label not in known.alike for label in labels]
        rows.append(_row(f"**without {', '.join(known.alike)}**", figures[apart].mean(axis=0), digits=1))
    heads = ["1 %", "3 %", "stress, 1 %", "stress, 3 %", "AUROC"]
    return [
        Text(
            f"Each class left out, refused by {chosen.name}; and beside it, *seen*: found by a detector that has "
            f"learned that class too ({LEARNED.name}), at limits that take the same shares of the other classes for it."
        ),
        Table(["class", *heads, *(f"seen: {head}" for head in heads)], rows),
    ]


def _row(name: str, figures: Rows, *, digits: int) -> list[str]:
    """Four shares and an AUROC, of the gate and then of the detector that has seen the class."""
    return [name, *(f"{v:.3f}" if n % 5 == 4 else f"{v:.{digits}f}" for n, v in enumerate(figures))]


def _section(known: Known, founds: Sequence[Found], chosen: Found) -> list[Part]:
    header = ["gate", "mild", "stress", *known.others, "classes left out", "worst class"]
    parts: list[Part] = [Heading(known.name)]
    for stressed in (False, True):
        for wrong in WRONG:
            where = "blocks in stress sessions" if stressed else "blocks"
            parts.append(
                Text(f"**{known.name}**: refused, percent, at limits that refuse {wrong:.0%} of held-out {where}.")
            )
            rows = [[f.name, *(f"{v:.1f}" for v in shares(f, wrong, stressed=stressed))] for f in founds]
            parts.append(Table(header, rows))
    parts.append(Text("AUROC, known blocks against each:"))
    parts.append(
        Table(
            ["gate", *known.others, "classes left out"],
            [
                [
                    f.name,
                    *(f"{auroc(f.known, d):.3f}" for d in f.others.values()),
                    f"{np.mean([auroc(a, b) for a, b, _, _ in f.left_out]):.3f}",
                ]
                for f in founds
            ],
        )
    )
    parts += _left_out(known, chosen)
    return parts


def page_of(data: Path, progress: Report) -> Page:
    """Measure everything, on one thread."""
    torch.set_num_threads(1)
    with threadpool_limits(1):
        return _page_of(data, progress)


def _page_of(data: Path, progress: Report) -> Page:
    started = time.process_time()
    knowns = (powders(data), drugs(data))
    sections: list[Part] = []
    done, total = 0, sum(len(known.asked) for known in knowns)
    for known in knowns:
        founds: dict[tuple[Candidate, ...], Found] = {}
        for gate in known.asked:
            progress(f"gates of {known.name}", done, total)
            founds[gate] = measured(known, gate)
            done += 1
        chosen = founds[known.shipped]
        sections += _section(known, list(founds.values()), chosen)
        sections.append(
            Text(
                f"The networks ({WORDS.hidden} hidden units both ways, {STEPS} steps of descent, {known.network} and "
                f"z-score, one member) name {100 * accuracy(known):.1f} % of the held-out blocks rightly."
            )
        )
        if known is knowns[0]:
            groups = {"known blocks": chosen.known, "stress sessions": chosen.stress, **chosen.others}
            limits = {f"{wrong:.0%}": limit_of(chosen.known, wrong) for wrong in WRONG}
            sections.append(Picture("unknowns.png", "distances of known and unknown", picture_of(groups, limits)))
    progress("gates", total, total)
    minutes = (time.process_time() - started) / 60
    return Page(
        title="Refusing what the model does not know",
        parts=(
            Text(" ".join(OPENING.split())),
            Text(f"{len(knowns[0].asked)} gates on two sets, {minutes:.1f} minutes of one core. Written by"),
            Code("edged-export evaluate unknowns"),
            *sections,
        ),
    )


OPENING = """
Blocks are held out in turn, on the axis of each set's recipe; spaces are fitted on augmented copies of the others,
limits are quantiles of what the held-out blocks themselves (or the same in simulated sessions) show, all blocks
together: wrong refusals are what the limits were set to, not a forecast. With a class left out, space and limit are
made anew from the other classes. The powders were one preparation a class and one instrument: other days are only
simulated, and what is refused of them differs between draws of the sessions by a factor of two. Before this page 162
variants had been tried on powders12 (preprocessing and window, shrinkage, strength and make of the copies, nearest
neighbours, pairs), and the ternary powders were in sight throughout. By classes left out alone, class scatter on SNV +
SG1 is as good as the pair or better; the pair was preferred for its wrong refusals in sessions, by a margin set when
the ternaries' figures were known, so those figures are no blind trial. A tenth of a drug in lactose, and lactose, are
told from each other by no gate that has not seen them: that is why the classes left out stay under 90 % on average. It
is not that their spectra are the same: a detector that has learned the class (*seen*) finds nearly all of it. A gate
does not know where to look, and must be as wide in every direction as fillings differ there. A second line leaves
these three classes out; it stands beside the first and does not replace it. Distances in units of what each class
showed on blocks that an inner rotation held out were tried too, and are worse. `class scatter` is the distance to each
class by its own covariance, four fifths its own and one fifth the mean of all, in the discriminant space. With five
scans a class the plain discriminant is better, and api20's recipe takes it behind the first derivative. Its second,
which the network sees, refuses about as many classes left out where 1 % of the known are refused, fewer where 3 % are,
and less of the worst class. Last, what a network says itself, one small network taught in seconds where bundles have
four larger ones. The energy of its logits lets new chemistry by, most of it on powders12 and a few in a hundred on
api20 in sessions, so bundles cannot have it for a gate. Its features refuse new chemistry on api20, and as many of the
classes left out as the discriminant does, in sessions fewer; on powders12 they let by a third of the capsules where 1 %
of the known are refused, and most of the ternary powders. No network looks at what tells its classes from things that
it was never shown."""
