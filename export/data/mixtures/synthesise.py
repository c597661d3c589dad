"""Draw mixtures of a library: what each holds, and its spectrum on the grid that a network reads.

Made in chunks, each from a seed of its own: memory stays bounded, and the same seed gives the same mixtures to the bit
whatever the number of threads. Threads share the work: numpy lets go of the interpreter in all that takes long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.mixtures.laws import Drawn, draw
from export.data.mixtures.library import Library
from export.data.mixtures.nir import NirBench, nir_bench
from export.data.mixtures.raman import RamanBench, raman_bench
from export.data.mixtures.synthetic import glass
from export.data.mixtures.words import Composition, Synthesis
from export.errors import DataUnusable

CHUNK = 256  # mixtures made at once: with six compounds of 512 points some 20 MB. Even: halves stay halves
MOST_POINTS, MOST_MIXTURES = 16_384, 10_000_000
EVEN = 1e-3  # of a step: widths are broadened by points
Bench = NirBench | RamanBench


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixtures:
    """n mixtures. Arrays are float32.

    values [n, points] on `grid`, in the library's quantity. shares [n, compounds]: what was weighed in; with `outsider`
    [n], the share of what is not in the library, 1 together, or 0 for a blank. effective [n, compounds]: the shares as
    they show, after each compound's visibility: what a detection limit is about.
    """

    grid: NDArray[np.float64]
    names: tuple[str, ...]
    values: NDArray[np.float32]
    shares: NDArray[np.float32]
    outsider: NDArray[np.float32]
    effective: NDArray[np.float32]

    @property
    def present(self) -> NDArray[np.bool_]:
        """Which compounds each mixture holds, [n, compounds]."""
        return self.shares > 0


def synthesise(
    library: Library,
    words: Synthesis,
    n: int,
    rng: np.random.Generator,
    *,
    grid: NDArray[np.float64],
    target: str | None = None,
    outsiders: Library | None = None,
    containers: Library | None = None,
    workers: int = 1,
) -> Mixtures:
    """Return n mixtures. target: a compound that every second one holds, from the first on, and no other does.

    outsiders: spectra that stand for what the library does not hold, drawn as often as the words say; without them,
    never. containers: of empty ones, in Raman scattering; without them a synthetic glass. Both are on the library's
    axis.
    Raises DataUnusable for a grid outside the axis, outsiders that hold a compound of the library, and words that these
    spectra cannot follow.
    """
    bench = bench_of(library, words, grid, outsiders, containers)
    neighbours = library.nearest(words.composition.nearest)
    (made,) = drawn_for([bench], words.composition, neighbours, n, rng, target=target, workers=workers)
    return made


def bench_of(
    library: Library,
    words: Synthesis,
    grid: NDArray[np.float64],
    outsiders: Library | None,
    containers: Library | None,
) -> Bench:
    """Make a library ready for mixing on the grid. Raises DataUnusable as `synthesise` does."""
    _check_grid(library, grid)
    for what, other in (("outsiders", outsiders), ("containers", containers)):
        if other is not None:
            _check_beside(library, other, what)
    if library.technique == "NIR":
        if words.nir is None:
            raise DataUnusable("the recipe has no words for NIR mixtures", hint="add [mixtures.nir]")
        if words.composition.blanks and library.quantity == "intensity":
            raise DataUnusable("blanks of counts", hint="without a white reference nobody knows how bright: blanks = 0")
        return nir_bench(library, words.nir, grid, outsiders)
    if words.raman is None:
        raise DataUnusable("the recipe has no words for Raman mixtures", hint="add [mixtures.raman]")
    return raman_bench(library, words.raman, grid, outsiders, containers or glass(library.axis))


def _check_grid(library: Library, grid: NDArray[np.float64]) -> None:
    if grid.ndim != 1 or not 2 <= len(grid) <= MOST_POINTS or not (np.diff(grid) > 0).all():
        raise DataUnusable(f"a grid of shape {grid.shape}", hint=f"2 to {MOST_POINTS} points that ascend")
    steps = np.diff(grid)
    if np.ptp(steps) > EVEN * steps.mean():
        raise DataUnusable(
            f"a grid with steps from {steps.min():g} to {steps.max():g}", hint="even, as the axis of a bundle is"
        )
    if grid[0] < library.axis[0] or grid[-1] > library.axis[-1]:
        raise DataUnusable(
            f"the grid, {grid[0]:g} to {grid[-1]:g}, leaves the library's axis, "
            f"{library.axis[0]:g} to {library.axis[-1]:g} {library.axis_unit}",
            hint="nothing is extrapolated: a shorter grid",
        )


def _check_beside(library: Library, other: Library, what: str) -> None:
    """Spectra that are to be added up must be of one kind, and a stranger must be one."""
    if not np.array_equal(library.axis, other.axis) or library.technique != other.technique:
        raise DataUnusable(
            f"the {what} are not on the library's axis ({other.technique}, {len(other.axis)} points; "
            f"the library: {library.technique}, {len(library.axis)})",
            hint="Library.on brings them onto it",
        )
    if (library.quantity == "intensity") != (other.quantity == "intensity"):
        raise DataUnusable(f"{what} of {other.quantity} beside a library of {library.quantity}", hint="of one quantity")
    ours = {name.casefold() for name in library.names}
    if known := sorted(name for name in other.holds if name.casefold() in ours):
        raise DataUnusable(
            f"the {what} hold {', '.join(known)}, which the library holds too",
            hint="leave their spectra out: they would be taught as not being there",
        )


def drawn_for(
    benches: Sequence[Bench],
    words: Composition,
    neighbours: NDArray[np.int64],
    n: int,
    rng: np.random.Generator,
    *,
    target: str | None = None,
    workers: int = 1,
) -> tuple[Mixtures, ...]:
    """Draw n compositions once and return what each bench sees of them. The benches' libraries have the same names.

    neighbours: as in `draw`; target: as in `synthesise`. What the first bench adds, noise among it, goes on with the
    stream that drew; each further bench has a stream of its own. Raises DataUnusable for a number or a target that
    cannot be.
    """
    names = benches[0].library.names
    if not 1 <= n <= MOST_MIXTURES:
        raise DataUnusable(f"{n} mixtures", hint=f"1 to {MOST_MIXTURES}; more in several calls")
    if target is not None and target not in names:
        raise DataUnusable(f"the library has no {target!r}", hint=f"it holds {', '.join(names[:8])}")
    column = None if target is None else names.index(target)
    strangers = all(bench.strangers > 0 for bench in benches)
    made = tuple(_empty(bench, n) for bench in benches)
    starts = range(0, n, CHUNK)
    seeds = rng.integers(2**63 - 1, size=len(starts))

    def make(start: int, seed: int) -> None:
        own = np.random.default_rng(seed)
        streams = [own, *own.spawn(len(benches) - 1)]
        size = min(CHUNK, n - start)
        drawn = draw(words, neighbours, size, own, target=column, strangers=strangers)
        for bench, out, stream in zip(benches, made, streams, strict=True):
            render(bench, drawn, stream, out, slice(start, start + size))

    _each(make, list(zip(starts, seeds.tolist(), strict=True)), workers)
    return made


def render(bench: Bench, drawn: Drawn, rng: np.random.Generator, out: Mixtures, rows: slice) -> None:
    """Write what a bench sees of drawn compositions to these rows of `out`."""
    out.values[rows], out.effective[rows] = bench.spectra(drawn, rng)
    out.shares[rows], out.outsider[rows] = drawn.dense(len(bench.library.names)), drawn.outsider


def _empty(bench: Bench, n: int) -> Mixtures:
    many = len(bench.library.names)
    return Mixtures(
        grid=bench.grid,
        names=bench.library.names,
        values=np.empty((n, len(bench.grid)), dtype=np.float32),
        shares=np.empty((n, many), dtype=np.float32),
        outsider=np.empty(n, dtype=np.float32),
        effective=np.empty((n, many), dtype=np.float32),
    )


def _each(make: Callable[[int, int], None], chunks: Sequence[tuple[int, int]], workers: int) -> None:
    if workers == 1:
        for start, seed in chunks:
            make(start, seed)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="mixtures") as pool:
        for done in [pool.submit(make, start, seed) for start, seed in chunks]:
            done.result()
