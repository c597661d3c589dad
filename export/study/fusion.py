"""Two techniques on the same tablets: each alone, their spectra in one row (early), and their log-odds added (late).

Late fusion adds what each source's own model says, log p(class) over a temperature, and leaves a source out when its
spectrum is none that the model knows: the validity bit. Sums of independent log-odds: Hinton, Neural Comput. 14,
1771 (2002), products of experts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.optimize import minimize_scalar
from scipy.signal import savgol_filter
from scipy.special import log_softmax
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits

from export.data.catalogue import load_set
from export.data.sets.tablets import pairs
from export.data.split import grouped_parts
from export.page import Heading, Part, Picture, Table, Text
from export.plots import bars
from export.study.study import Study
from export.words import Words

Values = NDArray[np.float64]
Rows = NDArray[np.int64]

NAME = "fusion"
DEALS, PARTS = 10, 3
COMPONENTS = (4, 6, 8, 10, 12, 16, 20)
HEATS = (0.0, 8.0)  # logarithms of the temperatures that are tried: a source that says nothing wants the hottest
UNNAMED = -1
KNOWN = 0.99  # of held-out training spectra are nearer to their model than its limit
Way = Literal["NIR", "Raman", "early", "late", "late with validity"]
Spoilt = Literal["nothing", "Raman", "NIR"]
WAYS: tuple[Way, ...] = get_args(Way)
SPOILT: tuple[Spoilt, ...] = get_args(Spoilt)
QUESTION = f"""
The 120 pilot-scale tablets that both techniques have seen (`tablets`, `tablets-raman`: Dyrby et al. 2002), four types,
three batches of ten each. One batch of each type is left out, {DEALS} deals of {PARTS} parts. Every model is a linear
discriminant on principal components, their number chosen inside the training batches: absorbance as it is for NIR,
first derivative and SNV for Raman. *Early*: both spectra side by side, each scaled to one mean variance. *Late*:
log-odds of the two added, each divided by a temperature from batches left out inside, at least 1. *With validity*: a
source counts only where its spectrum is near the model's components. *Spoilt*: at the test one source is replaced by
what it says of nothing: Raman by fluorescence and shot noise, NIR by an empty holder with its noise; a tablet of which
no source counts is not named, which is wrong. Mean ± standard deviation over the deals."""
AFTERWORD = """
B, C and D hold the same 8 % of the drug and differ in size, which NIR transmission sees and Raman does not: Raman tells
A from the rest. Late fusion is as good as NIR alone because its temperature all but silences Raman, and early fusion is
worse because nothing does: that is what fusion must be able to do, and no evidence that two techniques are better than
one. The literature's order (Raman before both, both before NIR) is that of its own samples, ground powders of many
compounds, and cannot be tested here. The compounds of mixtures, by networks and on SYNTHETIC spectra alone, since no
public set has mixtures that both have measured: [fusion-components](fusion-components.md)."""


class FusionCell(Words):
    """One way on one deal, with one source spoilt at the test."""

    name: Way
    spoilt: Spoilt
    deal: Annotated[int, Field(ge=0)]


class FusionOutcome(Words):
    """The share of tablets named rightly, each tested once; of A against the rest; how often a source was left out; and
    the mean temperature of each source that was asked by itself."""

    cell: FusionCell
    accuracy: float
    active: float
    left_out: float
    temperatures: dict[str, float]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A discriminant on principal components of one source, its temperature, and how far spectra may be from it."""

    mean: Values
    loadings: Values
    model: LinearDiscriminantAnalysis
    temperature: float
    limit: float

    def says(self, spectra: Values) -> Values:
        """Return log-probabilities [n, classes]."""
        scores = (spectra - self.mean) @ self.loadings.T
        return np.asarray(log_softmax(self.model.decision_function(scores) / self.temperature, axis=1))

    def knows(self, spectra: Values) -> NDArray[np.bool_]:
        """Return whether each spectrum is near the components, [n]."""
        return _residual(spectra - self.mean, self.loadings) <= self.limit


def study() -> Study[FusionCell, FusionOutcome]:
    """Return the study."""
    cells = tuple(
        FusionCell(name=name, spoilt=spoilt, deal=deal) for deal in range(DEALS) for name in WAYS for spoilt in SPOILT
    )
    return Study(
        name=NAME,
        title="NIR, Raman and both on the same tablets",
        question=(QUESTION,),
        cells=cells,
        measure=measure,
        kind=FusionOutcome,
        parts=parts,
    )


def measure(cell: FusionCell, data: Path) -> FusionOutcome:
    """Return what the cell gives. Deterministic; one thread."""
    started = time.process_time()
    with threadpool_limits(1):
        raman = load_set("tablets-raman", data)
        whole = load_set("tablets", data)
        nir = whole.values[pairs(data)]
        seen = {"NIR": nir, "Raman": of_raman(raman.values)}
        shown = seen | ({cell.spoilt: nothing(cell.spoilt, seen, raman.axis)} if cell.spoilt != "nothing" else {})
        part = grouped_parts(raman.targets, raman.groups, parts=PARTS, seed=cell.deal)
        named = np.empty(len(part), dtype=np.int64)
        out, heats = 0, []
        for test in range(PARTS):
            train, held = np.flatnonzero(part != test), np.flatnonzero(part == test)
            named[held], left, heat = _named(cell.name, seen, shown, train, held, raman.targets, raman.groups)
            out += left
            heats.append(heat)
    right, first = named == raman.targets, raman.classes.index("A")
    as_active = ((named == first) == (raman.targets == first)) & (named != UNNAMED)
    return FusionOutcome(
        cell=cell,
        accuracy=float(right.mean()),
        active=float(as_active.mean()),
        left_out=out / len(part),
        temperatures={name: round(float(np.mean([heat[name] for heat in heats])), 3) for name in heats[0]},
        seconds=round(time.process_time() - started, 2),
    )


def of_raman(values: Values) -> Values:
    """First derivative and SNV, as the data's own baselines have it."""
    slope = savgol_filter(values, 15, 2, deriv=1, axis=1)
    return np.asarray((slope - slope.mean(axis=1, keepdims=True)) / slope.std(axis=1, keepdims=True))


def nothing(source: str, seen: dict[str, Values], shift: Values) -> Values:
    """What a source says where there is no tablet, one row each, by a fixed seed."""
    rng = np.random.default_rng(11)
    n = len(seen[source])
    if source == "NIR":
        return np.asarray(1e-3 * rng.normal(size=seen["NIR"].shape))
    light = np.exp(-(shift - shift[0]) / 1500.0) * 1e4
    return of_raman(light * rng.uniform(0.5, 2.0, size=(n, 1)) + np.sqrt(light) * rng.normal(size=(n, len(shift))))


def _named(
    way: str,
    seen: dict[str, Values],
    shown: dict[str, Values],
    train: Rows,
    held: Rows,
    targets: Rows,
    groups: Rows,
) -> tuple[Rows, int, dict[str, float]]:
    """Return the class of each held-out tablet, how many sources were left out, and the temperature of each."""
    if way == "early":
        scales = {name: np.sqrt(rows[train].var(axis=0).mean()) for name, rows in seen.items()}
        learnt = np.concatenate([rows[train] / scales[name] for name, rows in seen.items()], axis=1)
        asked = np.concatenate([shown[name][held] / scales[name] for name in seen], axis=1)
        return fitted(learnt, targets[train], groups[train]).says(asked).argmax(axis=1), 0, {}
    sources = {
        name: fitted(rows[train], targets[train], groups[train])
        for name, rows in seen.items()
        if way in (name, "late", "late with validity")
    }
    heats = {name: source.temperature for name, source in sources.items()}
    said, counts = np.zeros((len(held), int(targets.max()) + 1)), np.zeros(len(held), dtype=np.int64)
    for name, source in sources.items():
        valid = source.knows(shown[name][held]) if way == "late with validity" else np.ones(len(held), dtype=bool)
        counts += valid
        said += np.where(valid[:, None], source.says(shown[name][held]), 0.0)
    left = int((len(sources) - counts).sum())
    return np.where(counts > 0, said.argmax(axis=1), UNNAMED), left, heats


def fitted(values: Values, targets: Rows, groups: Rows) -> Source:
    """Fit a source. Its number of components, temperature and limit come from batches left out of the training ones."""
    folds = list(GroupKFold(2).split(values, targets, _turns(targets, groups)))
    inside: dict[int, tuple[Values, Values]] = {}
    for count in COMPONENTS:
        scores, far = np.zeros((len(values), int(targets.max()) + 1)), np.zeros(len(values))
        for train, held in folds:
            mean, loadings, model = _discriminant(values[train], targets[train], count)
            scores[held] = model.decision_function((values[held] - mean) @ loadings.T)
            far[held] = _residual(values[held] - mean, loadings)
        inside[count] = scores, far
    best = max(COMPONENTS, key=lambda count: ((inside[count][0].argmax(axis=1) == targets).mean(), -count))
    scores, far = inside[best]

    def loss(log_t: float) -> float:
        return -float(log_softmax(scores / np.exp(log_t), axis=1)[np.arange(len(targets)), targets].mean())

    mean, loadings, model = _discriminant(values, targets, best)
    return Source(
        mean=mean,
        loadings=loadings,
        model=model,
        temperature=float(np.exp(minimize_scalar(loss, bounds=HEATS, method="bounded").x)),
        limit=float(np.quantile(far, KNOWN, method="higher")),
    )


def _discriminant(values: Values, targets: Rows, count: int) -> tuple[Values, Values, LinearDiscriminantAnalysis]:
    pca = PCA(count, svd_solver="full").fit(values)
    return pca.mean_, pca.components_, LinearDiscriminantAnalysis().fit(pca.transform(values), targets)


def _residual(centred: Values, loadings: Values) -> Values:
    """How far each row is from the components."""
    return np.asarray(np.linalg.norm(centred - (centred @ loadings.T) @ loadings, axis=1))


def _turns(targets: Rows, groups: Rows) -> Rows:
    """Batches by their place within their class, so that each inner part has one of every class."""
    turns = np.zeros(len(targets), dtype=np.int64)
    for target in np.unique(targets):
        for place, group in enumerate(np.unique(groups[targets == target])):
            turns[groups == group] = place
    return turns


def parts(outcomes: Sequence[FusionOutcome], data: Path) -> Sequence[Part]:
    """Return the tables."""
    shown: list[Part] = []
    for title, read in (
        ("Four types, percent named rightly", "accuracy"),
        ("A against the rest, percent", "active"),
        ("Sources left out, a tablet", "left_out"),
    ):
        rows = []
        for way in WAYS:
            cells = [
                [float(getattr(o, read)) for o in outcomes if (o.cell.name, o.cell.spoilt) == (way, spoilt)]
                for spoilt in SPOILT
            ]
            scale, digits = (1.0, 2) if read == "left_out" else (100.0, 1)
            rows.append([way, *(_shown(values, scale, digits) for values in cells)])
        shown += [Heading(title), Table(["", *(f"spoilt: {spoilt}" for spoilt in SPOILT)], rows)]
        if read == "accuracy":
            shown += _drawn(outcomes)
    return [*shown, *_temperatures(outcomes), Text(" ".join(AFTERWORD.split()))]


def _drawn(outcomes: Sequence[FusionOutcome]) -> Sequence[Part]:
    """Accuracy by way, one colour for what is spoilt."""
    series: dict[str, dict[str, tuple[float, float]]] = {}
    for spoilt in SPOILT:
        for way in WAYS:
            found = [100 * o.accuracy for o in outcomes if (o.cell.name, o.cell.spoilt) == (way, spoilt)]
            if len(found) > 1:
                series.setdefault(f"spoilt: {spoilt}", {})[way] = (float(np.mean(found)), float(np.std(found, ddof=1)))
    if not series:
        return []
    return [Picture("fusion.png", "four types, percent named rightly", bars(series, label="named rightly, percent"))]


def _temperatures(outcomes: Sequence[FusionOutcome]) -> Sequence[Part]:
    """How loud each source may be: mean over the parts, of each deal."""
    deals = sorted(
        (o for o in outcomes if o.cell.name == "late" and o.cell.spoilt == "nothing"), key=lambda o: o.cell.deal
    )
    rows = [[name, *(f"{o.temperatures[name]:.3g}" for o in deals)] for name in ("NIR", "Raman")]
    return [Heading("Temperatures"), Table(["", *(f"deal {o.cell.deal}" for o in deals)], rows)] if deals else []


def _shown(values: Sequence[float], scale: float, digits: int) -> str:
    if len(values) < 2:
        return "–"
    return f"{scale * np.mean(values):.{digits}f} ± {scale * np.std(values, ddof=1):.{digits}f}"
