"""From what a mixture holds to which scans are added up for it, and how strongly each shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.mixtures.laws import Drawn
from export.data.mixtures.shelf import Entries, Rows, Scans

MOST_BLENDED = 0.5  # of a second scan in a blend, as where whole spectra are blended


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """[e] each. compound: a library column, or beyond them a stranger. weight: the effective share, 1 in a mixture.
    moved, stretched: displacement on the axis, None where nothing moves."""

    mixture: Rows
    compound: Rows
    weight: NDArray[np.float64]
    moved: NDArray[np.float64] | None
    stretched: NDArray[np.float64] | None

    def dense(self, n: int, compounds: int) -> NDArray[np.float32]:
        """Return the effective shares of the library's compounds, [n, compounds]."""
        out = np.zeros((n, compounds), dtype=np.float32)
        known = self.compound < compounds
        out[self.mixture[known], self.compound[known]] = self.weight[known]
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacement:
    """Standard deviations, in units of the axis, at its middle and its ends: of all alike, and of each compound."""

    shift: float
    stretch: float
    own_shift: float
    own_stretch: float

    @property
    def moves(self) -> bool:
        """Whether anything moves."""
        return bool(self.shift or self.stretch or self.own_shift or self.own_stretch)


def ingredients(
    drawn: Drawn,
    compounds: int,
    strangers: int,
    visibility: float,
    displacement: Displacement,
    rng: np.random.Generator,
) -> Ingredients:
    """Weigh what has been drawn by how it shows. Strangers are numbered from `compounds` on."""
    n = len(drawn)
    mixture, slot = np.nonzero(drawn.shares)
    foreign = np.flatnonzero(drawn.outsider)
    compound = np.concatenate(
        [drawn.compounds[mixture, slot], compounds + (drawn.stranger[foreign] * strangers).astype(np.int64)]
    )
    share = np.concatenate([drawn.shares[mixture, slot], drawn.outsider[foreign]])
    mixture = np.concatenate([mixture, foreign])
    seen = share * np.exp(visibility * rng.standard_normal(len(share)))
    weight = seen / np.bincount(mixture, weights=seen, minlength=n)[mixture]
    moved = stretched = None
    if displacement.moves:
        moved = _displaced(displacement.shift, displacement.own_shift, mixture, n, rng)
        stretched = _displaced(displacement.stretch, displacement.own_stretch, mixture, n, rng)
    return Ingredients(mixture=mixture, compound=compound, weight=weight, moved=moved, stretched=stretched)


def scanned(found: Ingredients, scans: Scans, blend: float, rng: np.random.Generator) -> Entries:
    """Take a scan of each ingredient; by the chance `blend` up to half of it is another scan of the same compound."""
    row = scans.one_of(found.compound, rng)
    every = np.arange(len(row))
    if not blend:
        return _entries(found, every, row, found.weight)
    share = MOST_BLENDED * rng.random(len(row)) * (rng.random(len(row)) < blend)
    blended = np.flatnonzero(share)
    return _entries(
        found,
        np.concatenate([every, blended]),
        np.concatenate([row, scans.one_of(found.compound[blended], rng)]),
        np.concatenate([found.weight * (1.0 - share), (found.weight * share)[blended]]),
    )


def refilled(found: Ingredients, scans: Scans, refill: float, n: int, rng: np.random.Generator) -> Entries:
    """Take, for each mixture, `refill` times a normal number of what two scans of one of its ingredients differ by."""
    count = np.bincount(found.mixture, minlength=n)
    start = np.cumsum(count) - count
    filled = np.flatnonzero(count)
    order = np.argsort(found.mixture, kind="stable")
    picked = order[start[filled] + (rng.random(len(filled)) * count[filled]).astype(np.int64)]
    amount = refill * rng.standard_normal(len(filled))
    compound = found.compound[picked]
    return _entries(
        found,
        np.concatenate([picked, picked]),
        np.concatenate([scans.one_of(compound, rng), scans.one_of(compound, rng)]),
        np.concatenate([amount, -amount]),
    )


def joined(first: Entries, second: Entries) -> Entries:
    """Return both, to be added up at once; they are of the same ingredients, so that both move or neither."""
    both = [(first.mixture, second.mixture), (first.row, second.row), (first.weight, second.weight)]
    mixture, row, weight = (np.concatenate(pair) for pair in both)
    if first.moved is None or first.stretched is None:
        return Entries(mixture=mixture, row=row, weight=weight)
    assert second.moved is not None
    assert second.stretched is not None
    return Entries(
        mixture=mixture,
        row=row,
        weight=weight,
        moved=np.concatenate([first.moved, second.moved]),
        stretched=np.concatenate([first.stretched, second.stretched]),
    )


def _displaced(common: float, own: float, mixture: Rows, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    alike = common * rng.standard_normal(n)
    return np.asarray(alike[mixture] + own * rng.standard_normal(len(mixture)))


def _entries(found: Ingredients, which: Rows, row: Rows, weight: NDArray[np.float64]) -> Entries:
    return Entries(
        mixture=found.mixture[which],
        row=row,
        weight=weight,
        moved=None if found.moved is None else found.moved[which],
        stretched=None if found.stretched is None else found.stretched[which],
    )
