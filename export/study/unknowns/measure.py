"""Distances of what a gate knows and of what it does not: block by block, and with each class left out in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import rankdata

from export.data.augment import HANDHELD_NIR, augment, resample, session
from export.data.catalogue import load_set
from export.data.spectra import Spectra
from export.study.doubting import doubting
from export.study.grid import HALF_A_POINT
from export.study.seen import margins
from export.study.unknowns.gates import (
    ALONE,
    CANDIDATES,
    COPIES,
    ENERGY,
    FEATURES,
    PAIR,
    Candidate,
    Gate,
    Numbers,
    Rows,
    fitted,
    limit_of,
    name_of,
    preparing,
    without,
)

POINTS = 224
MILD = HALF_A_POINT.model_copy(update={"shift": 0.7, "gain": 0.006, "offset_au": 0.024, "slope_au": 0.024})
SESSIONS = 4
LEARNED = Candidate(kind="linear SVM", prepared="SG1 (21) + SNV", strength=0.6)
HIDDEN = ("1090ACLA", "1090AALA", "100LA")
"""Lactose, and it with a tenth of a drug: what tells one from another is small beside what fillings differ by."""
LeftOut = tuple[Rows, Rows, Rows, Rows]
"""Distances of the known ones and of the class left out, as measured and in stress sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A labelled set as absorbance on its own axis, and the other things, on the grid: the axis of the set's recipe.

    network: what a network of that recipe sees. shipped: the gate that the recipe names. near: which of the others are
    no new chemistry but other mixtures of what is known.
    alike: labels of classes that differ from one that stays by little beside what its fillings differ by.
    """

    name: str
    spectra: Spectra
    values: Rows
    block: Numbers
    grid: Rows
    others: dict[str, Rows]
    network: str
    shipped: Gate
    near: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()

    @property
    def asked(self) -> tuple[Gate, ...]:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Refused in percent, at one limit. mild, stress: of what is known, in sessions. others: of each of the other sets.
    left_out: of each class, when it was out, at a limit of its own.
    """

    mild: float
    stress: float
    others: dict[str, float]
    left_out: tuple[float, ...]


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
        near=("powders-ternary",),
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


def measured(known: Known, gate: Gate) -> Found:
    """Return what one gate measures, block by block."""
    targets, axis, values = known.spectra.targets, known.spectra.axis, known.values
    classes = int(targets.max()) + 1
    plain = resample(values, axis, known.grid)
    changed = {s: _copies(known, s) for s in {c.strength for c in gate}}
    sessions = _sessions(known)
    said: dict[str, list[Rows]] = {name: [] for name in ("known", "mild", "stress", *known.others)}
    left: list[list[list[Rows]]] = [[[], [], [], []] for _ in range(classes)]
    for block in np.unique(known.block):
        train, test = np.flatnonzero(known.block != block), np.flatnonzero(known.block == block)
        whole = fitted(gate, changed, train, targets)
        stressed = np.concatenate(sessions["stress"][:, test])
        said["known"].append(whole(plain[test]))
        said["stress"].append(whole(stressed))
        said["mild"].append(whole(np.concatenate(sessions["mild"][:, test])))
        for name, rows in known.others.items():
            said[name].append(whole(rows))
        truth = targets[test]
        for out in range(classes):
            kept = train[targets[train] != out]
            less = fitted(gate, changed, kept, without(out, targets))
            for place, part in zip(left[out], _parted(less(plain[test]), less(stressed), truth, out), strict=True):
                place.append(part)
    joined = {name: np.concatenate(parts) for name, parts in said.items()}
    return Found(
        name=name_of(gate),
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
    shown = preparing(LEARNED.prepared, POINTS)

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


def _parted(measured: Rows, stressed: Rows, truth: Numbers, out: int) -> LeftOut:
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


def accuracy(known: Known) -> float:
    """Share of held-out spectra that the networks behind energy and features name rightly."""
    prepared, targets = preparing(known.network, POINTS), known.spectra.targets
    plain, copies = resample(known.values, known.spectra.axis, known.grid), _copies(known, 0.6)
    right = 0
    for block in np.unique(known.block):
        train, test = np.flatnonzero(known.block != block), np.flatnonzero(known.block == block)
        network = doubting(prepared(np.concatenate(copies[:, train])), np.tile(targets[train], COPIES))
        right += int((network.named(prepared(plain[test])) == targets[test]).sum())
    return right / len(targets)


def auroc(known: Rows, unknown: Rows) -> float:
    """The chance that an unknown lies farther out than a known one."""
    ranks = rankdata(np.concatenate([known, unknown]))
    n, m = len(known), len(unknown)
    return float((ranks[n:].sum() - m * (m + 1) / 2) / (n * m))


def refused(found: Found, wrong: float, *, stressed: bool = False) -> Refused:
    """Return what a gate refuses at limits that refuse the share `wrong` of held-out blocks, or of their sessions."""
    limit = limit_of(found.stress if stressed else found.known, wrong)
    pairs = [parts[2:] if stressed else parts[:2] for parts in found.left_out]
    return Refused(
        mild=100 * float((found.mild > limit).mean()),
        stress=100 * float((found.stress > limit).mean()),
        others={name: 100 * float((d > limit).mean()) for name, d in found.others.items()},
        left_out=tuple(100 * float((unknown > limit_of(known, wrong)).mean()) for known, unknown in pairs),
    )
