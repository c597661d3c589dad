"""Which numbers of rows a graph may be given at a time: those for which each row gets what it gets alone, to the bit.

One call for many rows is two to four times as fast as a call a row. It is safe where rows do not meet, and where the
kernels add up a row in the same order whatever stands beside it. Neither is known from outside: a graph that quantises
its activations scales them by all rows of a batch, and a matrix product may take another path for one row than for
many. So it is tried, here, on this processor: float sums of unlike numbers differ in their last bits as soon as their
order does, and no row of a batch of other spectra keeps all of its bits where one scale serves them all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.infer.engine import OUTPUTS, Engine, Outputs
from edged.infer.errors import EngineFault

SIZES: Final = (
    32,
    8,
)  # beyond 32 the shipped graphs get no faster; from 128 on their rows leave the cache
_SEED = 20261125
_GAINS = 0.8, 1.25  # of the trial rows: as unlike as two presentations of a sample


def safe_sizes(engine: Engine, golden: NDArray[np.float32]) -> tuple[int, ...]:
    """Return those of SIZES that are safe, the largest first. `golden`: float32 [n, points], spectra that the graph
    knows; a few hundred rows are run.
    """
    rows = _trial_rows(golden)
    try:
        alone = engine.run(rows)
    except EngineFault:
        return ()
    return tuple(size for size in SIZES if _agrees(engine, rows, alone, size))


def parts(count: int, sizes: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """Yield (start, size) of the calls that `count` rows take: the largest that is safe and filled, else one."""
    start = 0
    while start < count:
        size = next((size for size in sizes if size <= count - start), 1)
        yield start, size
        start += size


def _agrees(engine: Engine, rows: NDArray[np.float32], alone: Outputs, size: int) -> bool:
    """Whether the rows get the same in batches of this size, each at more than one place among other neighbours."""
    for order in (np.arange(len(rows)), np.arange(len(rows))[::-1]):
        for start in range(0, len(rows), size):
            chosen = order[start : start + size]
            try:
                together = engine.run_together(rows[chosen])
            except EngineFault:
                return False
            for name in OUTPUTS:
                if getattr(together, name).tobytes() != getattr(alone, name)[chosen].tobytes():
                    return False
    return True


def _trial_rows(golden: NDArray[np.float32]) -> NDArray[np.float32]:
    count = 2 * max(SIZES)
    gains = np.random.default_rng(_SEED).uniform(*_GAINS, size=(count, 1)).astype(np.float32)
    return np.resize(golden, (count, golden.shape[1])) * gains
