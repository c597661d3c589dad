"""The pure spectra that mixtures are made of, and who in it looks like whom.

Enters: the spectra of a set, and which of them may be used. Leaves: those of pure compounds, compound by compound.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.data.spectra import AxisUnit, Quantity, Spectra
from export.errors import DataUnusable

Technique = Literal["NIR", "Raman"]
LEAST_POINTS = 8  # fewer show no band, and the neighbours are found by slopes


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Spectra [n, points] of pure compounds on one ascending axis, float64, finite, read-only.

    names: the compounds, in the order of the columns of every array of shares. compound: [n] each spectrum's place in
    `names`. groups: [n] number of the preparation or filling, as in the set it is from. holds: every compound that the
    spectra contain: `names`, but for spectra that stand for what is *not* in a library. Another instrument's spectra of
    the same compounds are another library with the same names. synthetic: no instrument has seen these spectra.
    """

    axis: NDArray[np.float64]
    axis_unit: AxisUnit
    quantity: Quantity
    values: NDArray[np.float64]
    compound: NDArray[np.int64]
    groups: NDArray[np.int64]
    names: tuple[str, ...]
    holds: frozenset[str]
    synthetic: bool = False

    def __post_init__(self) -> None:
        n, points = len(self.compound), len(self.axis)
        if self.values.shape != (n, points) or self.groups.shape != (n,) or not np.isfinite(self.values).all():
            raise DataUnusable(f"{self.values.shape} values for {n} spectra of {points} points, all finite")
        if points < LEAST_POINTS or not (np.diff(self.axis) > 0).all():
            raise DataUnusable(f"an axis of {points} points, which must be at least {LEAST_POINTS} and ascend")
        if not self.names or len(set(self.names)) != len(self.names):
            raise DataUnusable(
                f"{len(self.names)} names, of which {len(set(self.names))} differ", hint="one a compound"
            )
        if not np.array_equal(np.unique(self.compound), np.arange(len(self.names))):
            bare = sorted(set(range(len(self.names))) - set(self.compound.tolist()))
            raise DataUnusable(
                f"no spectrum of {', '.join(self.names[column] for column in bare) or 'the compounds named'}",
                hint="a library has a spectrum of each of its compounds",
            )
        for array in (self.axis, self.values, self.compound, self.groups):
            array.flags.writeable = False

    @property
    def technique(self) -> Technique:
        """Raman scattering, or absorption in the near infrared, told by what was measured and on which axis."""
        return "Raman" if self.quantity == "intensity" and self.axis_unit == "cm-1" else "NIR"

    def of(self, names: Iterable[str]) -> Library:
        """Return the spectra of these compounds, in this order. Raises DataUnusable for one that is not there."""
        wanted = tuple(names)
        if missing := [name for name in wanted if name not in self.names]:
            raise DataUnusable(f"the library has no {', '.join(missing)}", hint=f"it holds {', '.join(self.names[:8])}")
        rows = [np.flatnonzero(self.compound == self.names.index(name)) for name in wanted]
        taken = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
        return replace(
            self,
            values=self.values[taken],
            compound=np.repeat(np.arange(len(wanted)), [len(each) for each in rows]),
            groups=self.groups[taken],
            names=wanted,
            holds=frozenset(wanted) if self.holds == frozenset(self.names) else self.holds,
        )

    def on(self, axis: NDArray[np.float64]) -> Library:
        """Return the library interpolated onto another axis, which may end a point beyond its own and no further.

        Raises DataUnusable.
        """
        slack_low, slack_high = self.axis[1] - self.axis[0], self.axis[-1] - self.axis[-2]
        if axis[0] < self.axis[0] - slack_low or axis[-1] > self.axis[-1] + slack_high:
            raise DataUnusable(
                f"spectra from {self.axis[0]:g} to {self.axis[-1]:g} {self.axis_unit} do not cover "
                f"{axis[0]:g} to {axis[-1]:g}",
                hint="nothing is extrapolated: cut the other axis, or leave these spectra out",
            )
        values = np.array([np.interp(axis, self.axis, row) for row in self.values])
        return replace(self, axis=np.array(axis, dtype=np.float64), values=values)

    def means(self) -> NDArray[np.float64]:
        """Return the mean spectrum of each compound, [compounds, points]."""
        return np.stack([self.values[self.compound == column].mean(axis=0) for column in range(len(self.names))])

    def nearest(self, count: int) -> NDArray[np.int64]:
        """Return each compound's `count` nearest others, nearest first, [compounds, count or as many as there are].

        Near is a high correlation of the slopes of the mean spectra: slopes see bands, values mostly baseline.
        """
        slopes = np.gradient(self.means(), self.axis, axis=1)
        slopes -= slopes.mean(axis=1, keepdims=True)
        slopes /= np.maximum(np.linalg.norm(slopes, axis=1, keepdims=True), np.finfo(np.float64).tiny)
        alike = slopes @ slopes.T
        np.fill_diagonal(alike, -np.inf)
        return np.argsort(-alike, axis=1, kind="stable")[:, : min(count, len(self.names) - 1)]


def library_of(spectra: Spectra, rows: NDArray[np.int64] | None = None) -> Library:
    """Return the pure spectra among `rows` (default: all), compounds in the order of their first label.

    Pure is a label whose composition says so. Groups are not divided here: `rows` is one side of a split that kept them
    together. Raises DataUnusable where nothing pure is left, or a compound of the set has pure spectra only elsewhere.
    """
    pure = {label: name for label in spectra.classes if (name := _only(spectra, label)) is not None}
    taken = _taken(spectra, rows)
    taken = taken[[spectra.labels[row] in pure for row in taken]]
    present = {pure[spectra.labels[row]] for row in taken}
    names = tuple(dict.fromkeys(pure.values()))
    if lacking := [name for name in names if name not in present]:
        raise DataUnusable(
            f"no pure spectrum of {', '.join(lacking)} among the {len(taken)} that may be used",
            hint="split so that each side has some of every compound",
        )
    if not names:
        raise DataUnusable(
            "no label of these spectra is of a pure compound", hint="a set tells what its labels hold in `contents`"
        )
    return _library(spectra, taken, [pure[spectra.labels[row]] for row in taken], names, frozenset(names))


def is_pure(spectra: Spectra, label: str) -> bool:
    """Whether the spectra of a label are some of a library."""
    return _only(spectra, label) is not None


def outsiders_of(spectra: Spectra, rows: NDArray[np.int64] | None = None) -> Library:
    """Return spectra that stand for what no library holds: each label counts as one, whatever it is made of.

    What a label is known to hold is kept in `holds`, so that a library's own compound is never taken for a stranger.
    """
    taken = _taken(spectra, rows)
    labels = [spectra.labels[row] for row in taken]
    names = tuple(dict.fromkeys(labels))
    holds = {name for label in names for name in (spectra.compounds_in(label) or (label,))}
    return _library(spectra, taken, labels, names, frozenset(holds))


def beside(library: Library, others: Mapping[str, Library]) -> tuple[Library, Library]:
    """Return a library and, as one, others that are to be mixed with it, on those points of its axis that all cover.

    others: at least one, by name; what stands in two of them stays two. As `Library.on`, an axis may end a point
    beyond. Raises DataUnusable for another quantity.
    """
    axis = library.axis
    for name, other in others.items():
        if (other.axis_unit, other.quantity) != (library.axis_unit, library.quantity):
            raise DataUnusable(
                f"{name}: {other.quantity} over {other.axis_unit} beside {library.quantity} over {library.axis_unit}",
                hint="only like is mixed with like",
            )
        low, high = 2 * other.axis[0] - other.axis[1], 2 * other.axis[-1] - other.axis[-2]
        axis = axis[(axis >= low) & (axis <= high)]
    moved = {name: other.on(axis) for name, other in others.items()}
    first = np.cumsum([0, *(len(other.names) for other in moved.values())])
    groups = np.cumsum([0, *(int(other.groups.max()) + 1 for other in moved.values())])
    together = Library(
        axis=axis.copy(),
        axis_unit=library.axis_unit,
        quantity=library.quantity,
        values=np.concatenate([other.values for other in moved.values()]),
        compound=np.concatenate([other.compound + n for other, n in zip(moved.values(), first, strict=False)]),
        groups=np.concatenate([other.groups + n for other, n in zip(moved.values(), groups, strict=False)]),
        names=tuple(f"{name}: {one}" for name, other in moved.items() for one in other.names),
        holds=frozenset().union(*(other.holds for other in moved.values())),
        synthetic=all(other.synthetic for other in moved.values()),
    )
    return (library if len(axis) == len(library.axis) else library.on(axis)), together


def _only(spectra: Spectra, label: str) -> str | None:
    """The one compound of a label that has no other."""
    compounds = spectra.compounds_in(label) if label in spectra.contents else ()
    return compounds[0] if len(compounds) == 1 else None


def _taken(spectra: Spectra, rows: NDArray[np.int64] | None) -> NDArray[np.int64]:
    return np.arange(len(spectra.labels)) if rows is None else np.asarray(rows, dtype=np.int64)


def _library(
    spectra: Spectra, taken: NDArray[np.int64], compounds: list[str], names: tuple[str, ...], holds: frozenset[str]
) -> Library:
    columns = {name: column for column, name in enumerate(names)}
    return Library(
        axis=spectra.axis.copy(),
        axis_unit=spectra.axis_unit,
        quantity=spectra.quantity,
        values=spectra.values[taken].copy(),
        compound=np.array([columns[name] for name in compounds], dtype=np.int64),
        groups=spectra.groups[taken].copy(),
        names=names,
        holds=holds,
    )
