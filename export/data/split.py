"""The split that keeps contiguous scans together. Neighbouring scans share a filling of the cup, and a random split
would put fillings on both sides: what it measures then is memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.powders import Spectra


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One left-out block: `train` is what a member learns from, `held` calibrates it. Row numbers, ascending."""

    block: int
    train: NDArray[np.int64]
    held: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """`test` is touched by nothing but the evaluation. `folds` rotate over the other blocks: each is held out once.

    group: the block of contiguous scans within its class that each spectrum belongs to.
    """

    group: NDArray[np.int64]
    development: NDArray[np.int64]
    test: NDArray[np.int64]
    folds: tuple[Fold, ...]

    def digests(self, spectra: Spectra) -> dict[str, str]:
        """Return the SHA-256 of the values (float64, little-endian) of each part, as the data sheet states them."""
        parts = {"development": self.development, "test": self.test}
        return {
            name: hashlib.sha256(np.ascontiguousarray(spectra.values[rows], dtype="<f8").tobytes()).hexdigest()
            for name, rows in parts.items()
        }


def block_split(spectra: Spectra, *, block_scans: int, test_block: int) -> Split:
    """Split by blocks of `block_scans` contiguous scans within each class; the block `test_block`, from 0, is held
    out."""
    group = spectra.scan // block_scans
    blocks = int(group.max()) + 1
    if not 0 <= test_block < blocks or blocks < 3:
        raise ValueError(f"test block {test_block} of {blocks}: at least three blocks, numbered from 0")
    development = np.flatnonzero(group != test_block)
    folds = tuple(
        Fold(
            block=block,
            train=np.flatnonzero((group != test_block) & (group != block)),
            held=np.flatnonzero(group == block),
        )
        for block in range(blocks)
        if block != test_block
    )
    return Split(group=group, development=development, test=np.flatnonzero(group == test_block), folds=folds)
