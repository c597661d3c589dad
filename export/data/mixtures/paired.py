"""Mixtures of one composition each, seen by two techniques: drawn once, rendered twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from export.data.mixtures.library import Library
from export.data.mixtures.synthesise import Mixtures, bench_of, drawn_for
from export.data.mixtures.words import Synthesis
from export.errors import DataUnusable

Grids = tuple[NDArray[np.float64], NDArray[np.float64]]


def synthesise_pairs(
    libraries: tuple[Library, Library],
    words: Synthesis,
    n: int,
    rng: np.random.Generator,
    *,
    grids: Grids,
    target: str | None = None,
    workers: int = 1,
) -> tuple[Mixtures, Mixtures]:
    """Return n mixtures as each library's technique sees them, each on its grid: row for row the same shares.

    How strongly a compound shows, its scan, filling, instrument and noise are drawn for each technique by itself.
    Look-alikes are those of either library. There are no strangers. target: as in `synthesise`.
    Raises DataUnusable for libraries of other compounds, and as `synthesise` does.
    """
    first, second = libraries
    if first.names != second.names:
        odd = sorted(set(first.names) ^ set(second.names)) or ["their order"]
        raise DataUnusable(
            f"the two libraries do not hold the same compounds: {', '.join(odd[:4])}",
            hint="the same compounds in the same order: Library.of brings them into one",
        )
    benches = [bench_of(library, words, grid, None, None) for library, grid in zip(libraries, grids, strict=True)]
    neighbours = np.concatenate([library.nearest(words.composition.nearest) for library in libraries], axis=1)
    seen = drawn_for(benches, words.composition, neighbours, n, rng, target=target, workers=workers)
    return seen[0], seen[1]
