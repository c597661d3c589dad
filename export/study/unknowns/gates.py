"""The gates that are asked: a space or a network, what it sees, and how it is fitted on augmented copies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from export.gates.discriminant import Discriminant
from export.gates.scatter import ClassScatter
from export.gates.subspace import Subspaces
from export.preprocess.pipeline import build
from export.preprocess.words import SavgolStep, SnvStep, StepWords
from export.study.doubting import doubting

Rows = NDArray[np.float64]
Numbers = NDArray[np.int64]
Measure = Callable[[Rows], Rows]
"""Raw spectra on the grid to distances; the smallest counts."""

COPIES = 4  # of each spectrum: what a space is fitted on
WRONG = (0.01, 0.03)  # shares of the known that limits refuse
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


Gate = tuple[Candidate, ...]
"""One candidate, or several of which any may refuse."""

ONE_PCA = Candidate(kind="Q and T2 of one PCA", prepared="SNV + SG1 (21)", strength=0.6)
CANDIDATES = (
    *(Candidate(kind="discriminant", prepared=name, strength=0.6) for name in PREPARED),
    *(Candidate(kind="class scatter", prepared=name, strength=s) for name in PREPARED for s in (0.6, 1.0)),
    *(Candidate(kind="SIMCA-8", prepared=name, strength=0.6) for name in ("SG2 (15) + SNV", "SNV + SG1 (21)")),
    ONE_PCA,
)
PAIR = (
    Candidate(kind="class scatter", prepared="SG2 (15) + SNV", strength=1.0),
    Candidate(kind="class scatter", prepared="SNV + SG1 (21)", strength=0.8),
)
ALONE = (Candidate(kind="discriminant", prepared="SG1 (21) + SNV", strength=0.6),)
ENERGY, FEATURES = "energy of a network's logits", "distance of a network's features"


def name_of(gate: Gate) -> str:
    """Return what tables call a gate."""
    return " or ".join(candidate.name for candidate in gate)


def fitted(gate: Gate, changed: Mapping[float, Rows], rows: Numbers, targets: Numbers) -> Measure:
    """Fit on copies of some rows; what is returned gives one distance a spectrum.

    changed: copies [copies, n, points] by the strength of their changes. targets: [n], counted from 0 without a gap
    among `rows`. Of several candidates each is divided by its own 99 % training quantile.
    """
    copied = {c.strength: np.concatenate(changed[c.strength][:, rows]) for c in gate}
    measures = [_fitted(c, copied[c.strength], np.tile(targets[rows], COPIES)) for c in gate]
    if len(measures) == 1:
        return measures[0]
    limits = [float(np.quantile(measure(copied[c.strength]), 0.99)) for c, measure in zip(gate, measures, strict=True)]
    return lambda spectra: np.max([m(spectra) / limit for m, limit in zip(measures, limits, strict=True)], axis=0)


def _fitted(candidate: Candidate, spectra: Rows, targets: Numbers) -> Measure:
    classes, points = int(targets.max()) + 1, spectra.shape[1]
    prepared = preparing(candidate.prepared, points)
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


def preparing(name: str, points: int) -> Callable[[Rows], torch.Tensor]:
    """Return what makes prepared spectra, float32, of raw ones with so many points."""
    steps = build(PREPARED[name], points)

    @torch.no_grad()
    def prepared(rows: Rows) -> torch.Tensor:
        out: torch.Tensor = steps(torch.from_numpy(rows.astype(np.float32)))
        return out

    return prepared


def without(out: int, targets: Numbers) -> Numbers:
    """Return targets counted anew as if the class `out` were none."""
    return np.where(targets > out, targets - 1, targets)


def limit_of(known: Rows, wrong: float) -> float:
    """The limit that refuses at most the share `wrong` of these."""
    return float(np.sort(known)[min(len(known), int(np.ceil(len(known) * (1.0 - wrong)))) - 1])
