"""What each mixture holds, drawn before any spectrum is looked at: compounds, their shares, strangers, nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.mixtures.words import Composition

FIRST, BARRED = -1.0, 2.0  # keys beside the uniform ones in [0, 1): the lowest are taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """compounds [n, slots]: library columns. shares [n, slots]: their shares, 0 for an empty slot. outsider [n]: the
    share of what is not in the library. stranger [n]: which outsider, as a place from 0 to 1 in any list of them.

    A row of zeros is a blank.
    """

    compounds: NDArray[np.int64]
    shares: NDArray[np.float64]
    outsider: NDArray[np.float64]
    stranger: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.outsider)

    def dense(self, compounds: int) -> NDArray[np.float32]:
        """Return the shares as [n, compounds]."""
        out = np.zeros((len(self), compounds), dtype=np.float32)
        np.put_along_axis(out, self.compounds, self.shares.astype(np.float32), axis=1)
        return out


def draw(
    words: Composition,
    neighbours: NDArray[np.int64],
    n: int,
    rng: np.random.Generator,
    *,
    target: int | None = None,
    strangers: bool = True,
) -> Drawn:
    """Draw the compositions of n mixtures of a library of len(neighbours) compounds.

    neighbours [compounds, nearest]: as `Library.nearest` gives them. target: the column of a compound that every second
    mixture holds, from the first on, and no other does. strangers: whether there are any outsiders to draw.
    """
    held = np.arange(n) % 2 == 0 if target is not None else np.zeros(n, dtype=np.bool_)
    look_alike = (rng.random(n) < words.neighbours) & ~held & (neighbours.shape[1] > 0)
    compounds, count = _choose(words, neighbours, rng, held=held, look_alike=look_alike, target=target)
    shares = _divide(words, compounds.shape[1], count, look_alike, rng)
    outsider = np.zeros(n)
    if strangers and words.outsiders:
        outsider = (rng.random(n) < words.outsiders) * words.least ** rng.random(n)
        outsider = np.where((outsider > 0) & (count == 0), 1.0, outsider)
        room = 1.0 - words.least / np.maximum(shares[:, 0], words.least)
        outsider = np.where(held, np.minimum(outsider, room), outsider)
        outsider[outsider < words.least] = 0.0
    shares *= 1.0 - outsider[:, None]
    _leave_out_traces(shares, outsider, words.least, held)
    blank = (rng.random(n) < words.blanks) & ~held
    shares[blank], outsider[blank] = 0.0, 0.0
    return Drawn(compounds=compounds, shares=shares, outsider=outsider, stranger=rng.random(n))


def _choose(
    words: Composition,
    neighbours: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    held: NDArray[np.bool_],
    look_alike: NDArray[np.bool_],
    target: int | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct compounds of each mixture, whom the mixture is about first, and how many of them it has."""
    n, many = len(held), len(neighbours)
    fewest, most = (min(limit, many) for limit in words.components)
    keys = rng.random((n, many))
    lacking = np.where(look_alike, rng.integers(many, size=n), -1)  # the compound that a look-alike is mistaken for
    if target is not None:
        keys[held, target] = FIRST
        lacking[~held] = target
    without = np.flatnonzero(lacking >= 0)
    keys[without, lacking[without]] = BARRED
    alike = np.flatnonzero(look_alike)
    keys[alike, neighbours[lacking[alike], rng.integers(max(neighbours.shape[1], 1), size=len(alike))]] = FIRST
    chosen = np.argpartition(keys, most - 1, axis=1)[:, :most]
    order = np.argsort(np.take_along_axis(keys, chosen, axis=1), axis=1)
    count = rng.integers(fewest, most + 1, size=n)
    return np.take_along_axis(chosen, order, axis=1), np.minimum(count, many - (lacking >= 0))


def _divide(
    words: Composition,
    slots: int,
    count: NDArray[np.int64],
    look_alike: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return shares [n, slots] that add up to 1, or to 0 where there is no compound."""
    n = len(count)
    parts = rng.standard_gamma(words.concentration, size=(n, slots))
    parts[np.arange(slots) >= count[:, None]] = 0.0
    first = parts[:, 0] / np.maximum(parts.sum(axis=1), np.finfo(np.float64).tiny)
    if words.fractions == "log-uniform":
        first = words.least ** rng.random(n)
    if look_alike.any():
        first = np.where(look_alike, rng.uniform(words.neighbour_share, 1.0, size=n), first)
    first = np.where(count > 1, first, count > 0)
    rest = parts[:, 1:].sum(axis=1)
    shares = np.empty((n, slots))
    shares[:, 0] = first
    shares[:, 1:] = parts[:, 1:] * ((1.0 - first) / np.maximum(rest, np.finfo(np.float64).tiny))[:, None]
    return shares


def _leave_out_traces(
    shares: NDArray[np.float64], outsider: NDArray[np.float64], least: float, held: NDArray[np.bool_]
) -> None:
    """Drop shares under the least; a stranger gets what they had, or else the largest of the others. In place.

    The first compound of a mixture that must hold it stays.
    """
    small = shares < least
    small[held, 0] = False
    freed = np.where(small, shares, 0.0).sum(axis=1)
    shares[small] = 0.0
    strange = outsider > 0
    outsider[strange] += freed[strange]
    rows = np.flatnonzero(~strange)
    shares[rows, shares[rows].argmax(axis=1)] += freed[rows]
