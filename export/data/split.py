"""Splits that keep together what belongs together. Neighbouring scans share a filling of the cup, tablets of a batch
share its mixing: a split that puts them on both sides measures memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from export.data.spectra import Spectra
from export.errors import DataUnusable
from export.words import Words

USUAL_PARTS = 5
LEAST_PARTS = 3  # one to test, and at least two of which each calibrates what the other trained


class Blocks(Words):
    """Parts are blocks of `scans` contiguous scans within each class, counted from 0; the block `test` is held out."""

    kind: Literal["blocks"]
    scans: Annotated[int, Field(ge=1, le=10_000)]
    test: Annotated[int, Field(ge=0)]


class Groups(Words):
    """Whole groups of the set are dealt to `parts` parts, classes in like shares; the part `test` is held out."""

    kind: Literal["groups"]
    parts: Annotated[int, Field(ge=LEAST_PARTS, le=50)]
    test: Annotated[int, Field(ge=0)]
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0


SplitWords = Annotated[Blocks | Groups, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One left-out part: `train` is what a member learns from, `held` calibrates it. Row numbers, ascending."""

    part: int
    train: NDArray[np.int64]
    held: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """`test` is touched by nothing but the evaluation. `folds` rotate over the other parts: each is held out once.

    part: number of the part that each spectrum belongs to.
    """

    part: NDArray[np.int64]
    development: NDArray[np.int64]
    test: NDArray[np.int64]
    folds: tuple[Fold, ...]

    def digests(self, spectra: Spectra) -> dict[str, str]:
        """Return the SHA-256 of the values (float64, little-endian) of each side, as the data sheet states them."""
        sides = {"development": self.development, "test": self.test}
        return {name: values_digest(spectra, rows) for name, rows in sides.items()}


def split_of(spectra: Spectra, words: Blocks | Groups, *, test: int | None = None) -> Split:
    """Split as the recipe says, or with another part held out. Raises DataUnusable where there are too few parts."""
    part = parts_of(spectra, words)
    parts, held = int(part.max()) + 1, words.test if test is None else test
    if parts < LEAST_PARTS or not held < parts:
        raise DataUnusable(
            f"part {held} is to be held out of {parts}, counted from 0",
            hint=f"at least {LEAST_PARTS} parts: smaller blocks, or more groups",
        )
    folds = tuple(
        Fold(
            part=other,
            train=np.flatnonzero((part != held) & (part != other)),
            held=np.flatnonzero(part == other),
        )
        for other in range(parts)
        if other != held
    )
    return Split(part=part, development=np.flatnonzero(part != held), test=np.flatnonzero(part == held), folds=folds)


def parts_of(spectra: Spectra, words: Blocks | Groups) -> NDArray[np.int64]:
    """Return the number of the part of each spectrum."""
    match words:
        case Blocks():
            return np.asarray(spectra.scan // words.scans, dtype=np.int64)
        case Groups():
            return grouped_parts(
                spectra.targets, spectra.groups, parts=words.parts, seed=words.seed, names=spectra.classes
            )


def default_split(spectra: Spectra) -> Blocks | Groups:
    """Return how spectra are divided where nobody says: by whole groups where every class has enough of them.

    Else by five blocks of contiguous scans, where all classes are of like size; else spectrum by spectrum.
    """
    classes = [np.flatnonzero(spectra.targets == target) for target in range(len(spectra.classes))]
    fewest = min(len(np.unique(spectra.groups[rows])) for rows in classes)
    grouped = len(np.unique(spectra.groups)) < len(spectra.labels)
    if grouped and fewest >= LEAST_PARTS:
        parts = min(USUAL_PARTS, fewest)
        return Groups(kind="groups", parts=parts, test=parts - 1)
    sizes = [len(rows) for rows in classes]
    scans = -(-max(sizes) // USUAL_PARTS)
    parts = -(-max(sizes) // scans)
    if parts >= LEAST_PARTS and min(sizes) > scans * (parts - 1):
        return Blocks(kind="blocks", scans=scans, test=parts - 1)
    return Groups(kind="groups", parts=USUAL_PARTS, test=USUAL_PARTS - 1)


def grouped_parts(
    targets: NDArray[np.int64], groups: NDArray[np.int64], *, parts: int, seed: int, names: Sequence[str] = ()
) -> NDArray[np.int64]:
    """Deal whole groups to parts so that each has a like share of every class. Raises DataUnusable for too few groups.

    names: of the classes, for messages. Groups of one class go round in shuffled order, each class starting where the
    last ended: sizes differ by one group.
    """
    fewest, scarce = min((len(np.unique(groups[targets == target])), int(target)) for target in np.unique(targets))
    if fewest < parts:
        raise DataUnusable(
            f"{repr(names[scarce]) if names else 'a class'} has {fewest} groups, {parts} parts are asked for",
            hint="fewer parts, or more preparations of that class",
        )
    rng, part, turn = np.random.default_rng(seed), np.full(len(targets), -1), 0
    for target in np.unique(targets):
        for group in rng.permutation(np.unique(groups[targets == target])):
            rows = groups == group
            if part[rows][0] < 0:  # a group of several classes has been dealt with the first of them
                part[rows] = turn % parts
                turn += 1
    return part.astype(np.int64)


def random_parts(targets: NDArray[np.int64], *, parts: int, seed: int) -> NDArray[np.int64]:
    """Deal spectra to parts at random, class by class, groups ignored: what optimistic figures are made of."""
    rng, part = np.random.default_rng(seed), np.empty(len(targets), dtype=np.int64)
    for target in np.unique(targets):
        rows = rng.permutation(np.flatnonzero(targets == target))
        part[rows] = np.arange(len(rows)) % parts
    return part


def values_digest(spectra: Spectra, rows: NDArray[np.int64]) -> str:
    """Return the SHA-256 of the values of some spectra: float64, little-endian, row after row."""
    return hashlib.sha256(np.ascontiguousarray(spectra.values[rows], dtype="<f8").tobytes()).hexdigest()
