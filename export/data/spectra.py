"""What a loader gives: labelled spectra on one axis, and what must stay together when they are split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from export.errors import DataUnusable

AxisUnit = Literal["nm", "cm-1"]
Quantity = Literal["absorbance", "reflectance", "intensity"]
FRACTIONS_ROUNDED = 1e-6  # thirds and percentages do not add up to 1 to the last bit


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectra:
    """Spectra [n, points] on one ascending axis, both float64, finite and read-only.

    labels: the source's own class name of each spectrum. groups: number of the preparation, filling or batch that it
    belongs to; no group is ever on both sides of a split. scan: its number within its class, from 0, in the order in
    which they were taken. titles: what a label means to people, where that differs. amounts: [n] in `amount_unit`, of
    sets that state a dose. instruments: which one took each spectrum, empty where the source does not tell. places:
    where each spectrum was read, for messages, or empty. remarks: what was done to the numbers while they were read,
    that a user should know of. digests: SHA-256 of each file read, by name.

    contents: what a label's samples are made of: compound -> fraction of the mass (of the volume, for liquids),
    together 1; a label whose composition nobody tells is absent. holds: the compounds of labels that tell which, but
    not how much. Two mappings and not one with gaps, so that whoever needs fractions can meet no label that has none.
    """

    axis: NDArray[np.float64]
    axis_unit: AxisUnit = "nm"
    quantity: Quantity = "absorbance"
    values: NDArray[np.float64]
    labels: tuple[str, ...]
    groups: NDArray[np.int64]
    scan: NDArray[np.int64]
    titles: Mapping[str, str] = field(default_factory=dict)
    amounts: NDArray[np.float64] | None = None
    amount_unit: str = ""
    instruments: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    holds: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.values.shape != (n, len(self.axis)) or not np.isfinite(self.values).all():
            raise DataUnusable(
                f"{self.values.shape} values for {n} labels and {len(self.axis)} points, all finite",
                hint="one row a spectrum, one column a point of the axis",
            )
        if not (np.diff(self.axis) > 0).all():
            raise DataUnusable("the axis does not ascend", hint="sort the points, and leave each out but once")
        for name in ("groups", "scan", "amounts"):
            array = getattr(self, name)
            if array is not None and array.shape != (n,):
                raise DataUnusable(f"{array.shape} {name} for {n} spectra", hint=f"one of {name} for each spectrum")
        for name in ("instruments", "places"):
            if getattr(self, name) and len(getattr(self, name)) != n:
                raise DataUnusable(f"{len(getattr(self, name))} {name} for {n} spectra", hint="one for each, or none")
        self._check_compositions()
        for array in (self.axis, self.values, self.groups, self.scan, self.amounts):
            if array is not None:
                array.flags.writeable = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in the order of their first spectrum."""
        return tuple(dict.fromkeys(self.labels))

    @property
    def targets(self) -> NDArray[np.int64]:
        """The column of each spectrum's class in `classes`."""
        columns = {label: column for column, label in enumerate(self.classes)}
        return np.array([columns[label] for label in self.labels], dtype=np.int64)

    @property
    def compounds(self) -> tuple[str, ...]:
        """Every compound that some label is known to hold, in the order of their first mention."""
        told = [name for label in self.classes for name in self.compounds_in(label)]
        return tuple(dict.fromkeys(told))

    def compounds_in(self, label: str) -> tuple[str, ...]:
        """Return what a label's samples are known to hold, a fraction of 0 left out; nothing where nobody tells."""
        if label in self.contents:
            return tuple(name for name, fraction in self.contents[label].items() if fraction > 0)
        return self.holds.get(label, ())

    def title(self, label: str) -> str:
        """What a label means to people."""
        return self.titles.get(label, label)

    def place(self, row: int) -> str:
        """What to call a spectrum in a message: where it was read, else which scan of its class it is."""
        return self.places[row] if self.places else f"{self.labels[row]}, scan {self.scan[row] + 1}"

    def of_instrument(self, name: str) -> NDArray[np.int64]:
        """Return the rows that one instrument took, ascending."""
        return np.flatnonzero(np.array(self.instruments) == name)

    def _check_compositions(self) -> None:
        known = set(self.labels)
        for label in (*self.contents, *self.holds):
            if label not in known:
                raise DataUnusable(f"a composition is told for {label!r}, which no spectrum has", hint="name a label")
            if label in self.contents and label in self.holds:
                raise DataUnusable(f"{label!r} has fractions and a bare list of compounds", hint="tell one of them")
            if not all(self.compounds_in(label)):
                raise DataUnusable(f"{label!r} holds a compound without a name", hint="name every compound")
        for label, parts in self.contents.items():
            fractions = np.array(list(parts.values()), dtype=np.float64)
            if not ((fractions >= 0) & (fractions <= 1)).all() or abs(fractions.sum() - 1.0) > FRACTIONS_ROUNDED:
                shown = ", ".join(f"{name} {fraction:g}" for name, fraction in parts.items())
                raise DataUnusable(
                    f"the fractions of {label!r} are not those of a whole: {shown}",
                    hint="each from 0 to 1, together 1; leave the label out where the composition is not known",
                )


def scans_of(labels: Sequence[str]) -> NDArray[np.int64]:
    """Return each spectrum's number within its class, from 0, in the order given."""
    seen: dict[str, int] = {}
    numbers = []
    for label in labels:
        numbers.append(seen.get(label, 0))
        seen[label] = numbers[-1] + 1
    return np.array(numbers, dtype=np.int64)


def group_numbers(keys: Sequence[object]) -> NDArray[np.int64]:
    """Return a number for each key, equal for equal keys, counted in the order of their first place."""
    known = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([known[key] for key in keys], dtype=np.int64)
