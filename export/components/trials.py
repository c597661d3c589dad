"""Real spectra that a model of components is tried on, with what they hold where somebody tells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.spectra import Spectra
from export.errors import DataUnusable


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Some spectra of one set, and what they hold.

    values [n, points] in the model's quantity on `axis`. labels: [n]. present [n, compounds]: what of the library each
    holds; told [n]: whether that is known. fractions [n, compounds]: by mass, nan where nobody tells.
    """

    name: str
    spectra: Spectra
    rows: NDArray[np.int64]
    present: NDArray[np.bool_]
    told: NDArray[np.bool_]
    fractions: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> NDArray[np.str_]:
        """Label of each spectrum."""
        return np.array([self.spectra.labels[row] for row in self.rows], dtype=np.str_)

    @property
    def values(self) -> NDArray[np.float64]:
        """The spectra themselves, on the axis of their set."""
        return self.spectra.values[self.rows]


def trial_of(
    name: str,
    spectra: Spectra,
    compounds: tuple[str, ...],
    *,
    seen: NDArray[np.bool_],
    most: int | None = None,
) -> Trial:
    """Return what may be tried of a set: all but pure compounds of the library in rows that were `seen` [n].

    most: of each label. Raises DataUnusable for a mixture that holds what is not in the library.
    """
    for label in spectra.classes:
        if strange := [held for held in spectra.compounds_in(label) if held not in compounds]:
            raise DataUnusable(
                f"{name}: {label} holds {strange[0]}, which is not in the library", hint="leave the set out of trials"
            )
    pure = np.array([len(spectra.compounds_in(label)) == 1 for label in spectra.labels])
    rows = _few(spectra, np.flatnonzero(~(pure & seen)), most)
    held = np.array(
        [[compound in spectra.compounds_in(spectra.labels[row]) for compound in compounds] for row in rows],
        dtype=np.bool_,
    ).reshape(len(rows), len(compounds))
    fractions = np.full(held.shape, np.nan)
    for place, row in enumerate(rows):
        if (parts := spectra.contents.get(spectra.labels[row])) is not None:
            fractions[place] = [parts.get(compound, 0.0) for compound in compounds]
    return Trial(
        name=name, spectra=spectra, rows=rows, present=held, told=np.asarray(held.any(axis=1)), fractions=fractions
    )


def foreign(name: str, spectra: Spectra, compounds: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the rows of a set that hold nothing of the library, as far as their labels tell. Raises DataUnusable where
    none is left."""
    ours = {compound.casefold() for compound in compounds}
    strange = {
        label
        for label in spectra.classes
        if not ours & {held.casefold() for held in (spectra.compounds_in(label) or (label,))}
    }
    if not strange:
        raise DataUnusable(f"{name}: every label holds a compound of the library", hint="another set of other things")
    return np.flatnonzero([label in strange for label in spectra.labels])


def outsiders_in(name: str, spectra: Spectra, compounds: tuple[str, ...], *, most: int | None = None) -> Trial:
    """Return the spectra of a set that hold nothing of the library. Raises DataUnusable where none is left."""
    rows = _few(spectra, foreign(name, spectra, compounds), most)
    n, c = len(rows), len(compounds)
    return Trial(
        name=name,
        spectra=spectra,
        rows=rows,
        present=np.zeros((n, c), dtype=np.bool_),
        told=np.ones(n, dtype=np.bool_),
        fractions=np.zeros((n, c)),
    )


def _few(spectra: Spectra, rows: NDArray[np.int64], most: int | None) -> NDArray[np.int64]:
    """Of each label at most so many rows, evenly taken."""
    if most is None:
        return rows
    labels = np.array([spectra.labels[row] for row in rows])
    kept = []
    for label in dict.fromkeys(labels.tolist()):
        own = rows[labels == label]
        kept.append(own[:: -(-len(own) // most)])
    return np.sort(np.concatenate(kept)) if kept else rows
