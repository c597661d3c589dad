"""Mixtures with something that no library holds, and what tells them from mixtures of the library alone.

Strangers are compounds of a SYNTHETIC library of another seed. A statistic is a number a spectrum, larger where more is
strange; its limit is chosen on made mixtures of the library, and tried on others of the same scans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import median_abs_deviation
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from edged.bundle.components import MAX_CLAIMED, Components
from edged.infer.confirm import Confirmed, Confirmer
from export.components.gate import MixtureGate
from export.components.operate import PRESET
from export.components.recipe import GateWords
from export.data.mixtures.laws import draw
from export.data.mixtures.library import Library
from export.data.mixtures.synthesise import bench_of
from export.data.mixtures.synthetic import synthetic_library
from export.data.mixtures.words import Raman, Synthesis
from export.preprocess.words import SavgolStep, SnvStep
from export.study.unknowns.measure import auroc
from export.words import Words

LIBRARY = "library alone"
KINDS: Mapping[str, float] = {"all of it": 1.0, "half of it": 0.5, "30 %": 0.3, "10 %": 0.1}
"""The stranger's share of a mixture, by what tables call it."""
WRONGLY = 0.05  # of mixtures of the library alone, that a limit may refuse
STRANGERS = 100
TAUGHT_BY, TRIED_BY = 2000, 1000  # added to the library's seed: strangers that teach, and those that are refused
GATE = GateWords(
    steps=(SavgolStep(kind="savgol", window=9, order=2, derivative=1), SnvStep(kind="snv")),
    slack={"confirm": 1.0},
)
FLAT = 1e-6  # of a spectrum of length one: what rounding leaves
BAND_CM1 = 10.0  # full width at half maximum of what a residual is searched for
PLANE = "distance from the plane of mixtures (Q)"
REST = "rest of the compounds named at confirm, in the library's noise"
LENIENT = "rest of all that is claimed at screen"
OWN = "the same, against the spectrum's own noise"
FORETOLD = "the same, beyond what its noise foretells"
PEAKED = "the same, against the residual's own median"
BANDWISE = "largest residual as wide as a band, against its own median"
WEIGHED = "all of these, weighed by what other strangers teach"
NOTHING = "nothing is named at confirm"
EITHER = "nothing is named, or that rest"
NOISE, NAMED = "noise", "named"
_AXIS = ("component_shift_cm1", "component_stretch_cm1", "shift_cm1", "stretch_cm1", "broadening_cm1")
_EACH: Mapping[str, tuple[str, ...]] = {
    "no fluorescence": ("fluorescence",),
    "no shift, stretch or broadening": _AXIS,
    "no gain curve": ("gain",),
    "no container": ("container",),
    "no fringes, spikes or clipping": ("etalon", "spikes", "clip"),
}
EFFECTS: Mapping[str, Mapping[str, float]] = {
    "as made": {},
    **{effect: dict.fromkeys(words, 0.0) for effect, words in _EACH.items()},
    "none of these, noise alone": dict.fromkeys((word for words in _EACH.values() for word in words), 0.0),
}
Rows = NDArray[np.float64]
Spectra = NDArray[np.float32]
Kinds = Mapping[str, list[Spectra]]


class Refusal(Words):
    """What one statistic refuses, as shares: `wrongly` of mixtures of the library alone, `refused` of each kind with a
    stranger, lot by lot. auroc: the chance that a mixture with a stranger has the larger statistic, by kind."""

    statistic: str
    wrongly: tuple[float, ...]
    refused: dict[str, tuple[float, ...]]
    auroc: dict[str, float]


class Hidden(Words):
    """What a fit that is told what is there refuses of each kind, as shares, lot by lot; its limit is each lot's own.

    effect: which of the instrument's is taken away.
    """

    effect: str
    refused: dict[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A preset that confirms, one that keeps all that is claimed at screen, their library, and what gives scores and
    prepared spectra. made: mixtures of what is learnt, [n, points] on `grid`, that the plane is laid through."""

    table: Components
    lenient: Components
    library: dict[str, NDArray[np.float32]]
    scores: Callable[[Spectra], NDArray[np.float32]]
    prepare: Callable[[Spectra], Rows]
    grid: Rows
    made: Spectra


def strangers(points: int, seed: int) -> Library:
    """Return SYNTHETIC compounds that no library of another seed holds."""
    made = synthetic_library(STRANGERS, points, seed).library
    names = tuple(f"{name}, a stranger" for name in made.names)
    return replace(made, names=names, holds=frozenset(names))


def kinds_of(
    library: Library, others: Library, lots: Sequence[Synthesis], n: int, rng: np.random.Generator, *, grid: Rows
) -> Kinds:
    """Return spectra of n mixtures of each kind, lot by lot; of the library alone twice as many."""
    shares = {LIBRARY: 0.0, **KINDS}
    return {
        kind: [
            _mixed(library, others, words, share, -(-n * (1 + (kind == LIBRARY)) // len(lots)), rng, grid=grid)[0]
            for words in lots
        ]
        for kind, share in shares.items()
    }


def hiding(
    confirmer: Confirmer,
    prepare: Callable[[Spectra], Rows],
    library: Library,
    others: Library,
    lots: Sequence[Synthesis],
    n: int,
    seed: int,
    *,
    grid: Rows,
) -> tuple[Hidden, ...]:
    """Return what a fit that is told what is there refuses, with each effect of the instrument taken away in turn."""
    found = []
    for effect, words in EFFECTS.items():
        rng = np.random.default_rng(seed)
        without = [lot.model_copy(update={"raman": _without(lot, words)}) for lot in lots]
        refused: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for lot in without:
            known = _rests(confirmer, prepare, *_mixed(library, others, lot, 0.0, 2 * n // len(lots), rng, grid=grid))
            limit = float(np.quantile(known, 1.0 - WRONGLY, method="higher"))
            for kind, share in KINDS.items():
                strange = _mixed(library, others, lot, share, n // len(lots), rng, grid=grid)
                refused[kind].append(round(float((_rests(confirmer, prepare, *strange) > limit).mean()), 4))
        found.append(Hidden(effect=effect, refused={kind: tuple(shares) for kind, shares in refused.items()}))
    return tuple(found)


def _without(words: Synthesis, effects: Mapping[str, float]) -> Raman:
    assert words.raman is not None
    return words.raman.model_copy(update=dict(effects))


def _rests(
    confirmer: Confirmer, prepare: Callable[[Spectra], Rows], spectra: Spectra, present: NDArray[np.bool_]
) -> Rows:
    rows = zip(prepare(spectra), present, strict=True)
    return np.array([confirmer.confirm(row, np.flatnonzero(there).tolist(), PRESET).rest for row, there in rows])


def refusals(asked: Asked, tried: Kinds, taught: Kinds) -> tuple[Refusal, ...]:
    """Return what each statistic refuses at a limit of 5 % wrong refusals.

    Limits are chosen on every second mixture of the library alone; the others say what they refuse. taught: mixtures
    of both kinds with other strangers, which teach how to weigh.
    """
    statistics = _Statistics(asked)
    of_tried = {kind: [statistics.of(lot) for lot in lots] for kind, lots in tried.items()}
    of_taught = {kind: [statistics.of(lot) for lot in lots] for kind, lots in taught.items()}
    foretell, weigh = _foretelling(of_taught[LIBRARY]), _weighing(of_taught)
    rest = _limit(REST, of_tried)
    for lot in (lot for lots in of_tried.values() for lot in lots):
        lot[FORETOLD], lot[WEIGHED] = foretell(lot), weigh(lot)
        lot[EITHER] = np.where(lot[NOTHING] > 0.5, np.inf, lot[REST])
    limits = {name: _limit(name, of_tried) for name in (PLANE, LENIENT, OWN, FORETOLD, PEAKED, BANDWISE, WEIGHED)}
    limits = {NOTHING: 0.5, REST: rest, EITHER: rest} | limits
    return tuple(_refusal(name, of_tried, limit) for name, limit in limits.items())


class _Statistics:
    """The numbers of spectra, by name."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._gate = MixtureGate(GATE, asked.grid, asked.made)
        self._band = _band(float(asked.grid[1] - asked.grid[0]))
        self._confirmers = [
            (Confirmer(table, asked.library), table.presets[PRESET].thresholds)
            for table in (asked.table, asked.lenient)
        ]

    def of(self, spectra: Spectra) -> dict[str, Rows]:
        """Return every statistic, [n] each."""
        scores, prepared = self._asked.scores(spectra), self._asked.prepare(spectra)
        strict, lenient = (
            [_confirmed(confirmer, row, said, limits) for row, said in zip(prepared, scores, strict=True)]
            for confirmer, limits in self._confirmers
        )
        left = np.array([each.residual for each in lenient], dtype=np.float64)
        size = np.sqrt((left**2).mean(axis=1))
        noise = _middle(np.diff(prepared, n=2, axis=1))
        filtered = np.array([np.convolve(row, self._band, mode="valid") for row in left])
        named = np.array([len(each.kept) for each in strict], dtype=np.float64)
        return {
            PLANE: self._gate.distances(spectra),
            REST: np.array([each.rest for each in strict]),
            LENIENT: np.array([each.rest for each in lenient]),
            OWN: size / noise,
            PEAKED: size / _middle(left),
            BANDWISE: np.abs(filtered).max(axis=1) / _middle(filtered),
            NOTHING: (named == 0).astype(np.float64),
            NOISE: noise,
            NAMED: named,
        }


def _middle(rows: Rows) -> Rows:
    """A standard deviation of each row that bands do not move. Most of a saturated spectrum is its ceiling, flat."""
    return np.maximum(median_abs_deviation(rows, axis=1, scale="normal"), FLAT)


def _confirmed(
    confirmer: Confirmer, prepared: Rows, scores: NDArray[np.float32], limits: Sequence[float | None]
) -> Confirmed:
    """Confirm what is claimed; of more than the daemon would fit, the best."""
    claimed = np.flatnonzero(scores >= np.array(limits, dtype=np.float64))
    if len(claimed) > MAX_CLAIMED:
        claimed = np.argsort(-scores)[:MAX_CLAIMED]
    return confirmer.confirm(prepared, claimed.tolist(), PRESET)


def _mixed(
    library: Library,
    others: Library,
    words: Synthesis,
    share: float,
    n: int,
    rng: np.random.Generator,
    *,
    grid: Rows,
) -> tuple[Spectra, NDArray[np.bool_]]:
    """Mixtures of the library of which a stranger takes a share, none of them blank; and which compounds they hold."""
    composition = words.composition.model_copy(update={"blanks": 0.0})
    bench = bench_of(library, words, grid, others, None)
    drawn = draw(composition, library.nearest(composition.nearest), n, rng, strangers=False)
    drawn = replace(drawn, shares=drawn.shares * (1.0 - share), outsider=np.full(n, share))
    return bench.spectra(drawn, rng)[0], drawn.dense(len(library.names)) > 0.0


def _foretelling(known: list[dict[str, Rows]]) -> Callable[[dict[str, Rows]], Rows]:
    """By how much a rest exceeds that of mixtures of the library alone of the same noise, as a logarithm."""
    noise, rest = (np.log(np.concatenate([lot[name] for lot in known])) for name in (NOISE, LENIENT))
    curve = np.polynomial.Polynomial.fit(noise, rest, 3)
    return lambda lot: np.asarray(np.log(lot[LENIENT]) - curve(np.clip(np.log(lot[NOISE]), *curve.domain)))


def _weighing(taught: Mapping[str, list[dict[str, Rows]]]) -> Callable[[dict[str, Rows]], Rows]:
    """What tells kinds with strangers from the library alone: a logistic regression on all numbers of a spectrum and
    their products."""
    rows = {kind: np.concatenate([_features(lot) for lot in lots]) for kind, lots in taught.items()}
    strange = np.concatenate([np.full(len(of), kind != LIBRARY) for kind, of in rows.items()])
    model = make_pipeline(
        StandardScaler(),
        PolynomialFeatures(2, include_bias=False),
        StandardScaler(),
        LogisticRegression(max_iter=2000, class_weight="balanced"),
    )
    model.fit(np.concatenate(list(rows.values())), strange)
    return lambda lot: np.asarray(model.decision_function(_features(lot)))


def _features(lot: dict[str, Rows]) -> Rows:
    lengths = [np.log(lot[name]) for name in (PLANE, REST, LENIENT, OWN, PEAKED, BANDWISE, NOISE)]
    return np.column_stack([*lengths, lot[NAMED], lot[NOTHING]])


def _limit(name: str, tried: Mapping[str, list[dict[str, Rows]]]) -> float:
    chosen = np.concatenate([lot[name][::2] for lot in tried[LIBRARY]])
    return float(np.quantile(chosen, 1.0 - WRONGLY, method="higher"))


def _refusal(name: str, tried: Mapping[str, list[dict[str, Rows]]], limit: float) -> Refusal:
    known = [lot[name][1::2] for lot in tried[LIBRARY]]
    return Refusal(
        statistic=name,
        wrongly=tuple(round(float((of > limit).mean()), 4) for of in known),
        refused={kind: tuple(round(float((lot[name] > limit).mean()), 4) for lot in tried[kind]) for kind in KINDS},
        auroc={
            kind: round(auroc(np.concatenate(known), np.concatenate([lot[name] for lot in tried[kind]])), 4)
            for kind in KINDS
        },
    )


def _band(step_cm1: float) -> Rows:
    """The slope of a Gaussian band, of length one, as a residual of first derivatives shows it."""
    sigma = BAND_CM1 / 2.3548
    reach = np.arange(-round(2.5 * sigma / step_cm1) - 1, round(2.5 * sigma / step_cm1) + 2) * step_cm1
    slope = -reach * np.exp(-0.5 * (reach / sigma) ** 2)
    return np.asarray(slope / np.linalg.norm(slope))
