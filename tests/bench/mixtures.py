"""Mixtures made per second: a real library of three powders, a synthetic one of 368 compounds, two recipes each.

The peer of A0 is the loop that one writes from the paper, a mixture at a time in numpy; that of A1 our own functions
called for one mixture at a time, since nobody else's do the same. Two threads stand next to the limit twice: by the
clock, which counts whatever else the machine does, and by CPU time, as two cores that do nothing else would take. BLAS
has one thread, as wherever networks learn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from export.data.catalogue import load_set
from export.data.mixtures.laws import draw
from export.data.mixtures.library import Library, library_of
from export.data.mixtures.recipes import A0, A1
from export.data.mixtures.synthesise import bench_of, synthesise
from export.data.mixtures.synthetic import synthetic_library
from export.data.mixtures.words import Synthesis
from export.errors import DataUnusable
from tests.bench.subject import Subject, Unavailable
from tests.bench.table import Row
from tests.bench.timing import quartile, turns

LEAST_A_SECOND = 20_000.0
MANY, FEW = 8192, 128  # mixtures at once, and one at a time
MOST_ROUNDS = 7
THREADS = 2
LITERATURE, SINGLY = "numpy, the paper's loop", "the same functions, singly"


def mixtures(subject: Subject) -> Iterator[Row]:
    """Rates by CPU time of one thread next to the peer's, then of two threads next to the limit."""
    many = MANY if subject.scale.spectra is None else FEW
    few = FEW if subject.scale.spectra is None else subject.scale.spectra
    rounds = min(subject.scale.rounds, MOST_ROUNDS)
    for name, (library, grid) in _libraries(subject).items():
        strangers = _strangers(library)
        for recipe, words in (("A0", A0), ("A1", A1)):
            ours = partial(_ours, library, words, grid, strangers, many)
            peer, against = (
                (partial(_literature, library, grid, few), LITERATURE)
                if recipe == "A0"
                else (_singly(library, words, grid, strangers, few), SINGLY)
            )
            of_both_us: list[float] = []
            with threadpool_limits(1):
                found = turns(
                    {
                        "ours": partial(_us, time.process_time, ours, many),
                        "peer": partial(_us, time.process_time, peer, few),
                        "threads": partial(_shared_us, partial(ours, workers=THREADS), many, of_both_us),
                    },
                    rounds=rounds,
                )
            rate = {which: 1e6 / quartile(times) for which, times in found.items()}
            of_both = THREADS * 1e6 / quartile(of_both_us)
            row = partial(Row, bench="mixtures", unit="1/s", more_is_better=True)
            yield row(what=f"{name}, {recipe}", ours=rate["ours"], other=rate["peer"], against=against)
            for clock, each in (("CPU", of_both), ("clock", rate["threads"])):
                what = f"{name}, {recipe}, {THREADS} threads, {clock}"
                yield row(what=what, ours=each, other=LEAST_A_SECOND, against="limit")


def _libraries(subject: Subject) -> dict[str, tuple[Library, np.ndarray]]:
    try:
        powders = library_of(load_set("powders12", subject.data))
    except DataUnusable as error:
        raise Unavailable(error.message) from error
    thesis = synthetic_library(368, 1024, seed=0).library
    return {
        "3 powders, 224 points": (powders, np.linspace(904.0, 1698.0, 224)),
        "368 synthetic compounds, 512 points": (thesis, np.linspace(210.0, 1990.0, 512)),
    }


def _strangers(library: Library) -> Library:
    """Some of the library's own spectra by other names: what they show does not matter to the time it takes."""
    names = tuple(f"stranger {name}" for name in library.names)
    return replace(library, names=names, holds=frozenset(names))


def _us(clock: Callable[[], float], made: Callable[[], object], n: int) -> float:
    began_s = clock()
    made()
    return (clock() - began_s) / n * 1e6


def _shared_us(made: Callable[[], object], n: int, of_all: list[float]) -> float:
    """Return the clock's time a mixture; add the CPU time of all threads to `of_all`."""
    began_s = time.process_time()
    took_us = _us(time.perf_counter, made, n)
    of_all.append((time.process_time() - began_s) / n * 1e6)
    return took_us


def _ours(
    library: Library, words: Synthesis, grid: np.ndarray, strangers: Library, n: int, *, workers: int = 1
) -> object:
    rng = np.random.default_rng(0)
    return synthesise(library, words, n, rng, grid=grid, outsiders=strangers, workers=workers)


def _literature(library: Library, grid: np.ndarray, n: int) -> np.ndarray:
    """One to four compounds, any division, white noise of 1 % of the highest band."""
    rng = np.random.default_rng(0)
    rows_of = [np.flatnonzero(library.compound == column) for column in range(len(library.names))]
    made = []
    for _ in range(n):
        count = rng.integers(1, min(4, len(rows_of)) + 1)
        chosen = rng.choice(len(rows_of), count, replace=False)
        shares = rng.dirichlet(np.ones(count))
        pure = [np.interp(grid, library.axis, library.values[rng.choice(rows_of[column])]) for column in chosen]
        mixed = shares @ np.array(pure)
        made.append(mixed + 0.01 * mixed.max() * rng.normal(size=len(grid)))
    return np.array(made)


def _singly(
    library: Library, words: Synthesis, grid: np.ndarray, strangers: Library, n: int
) -> Callable[[], list[object]]:
    bench = bench_of(library, words, grid, strangers, None)
    neighbours = library.nearest(words.composition.nearest)

    def loop() -> list[object]:
        rng = np.random.default_rng(0)
        return [bench.spectra(draw(words.composition, neighbours, 1, rng), rng) for _ in range(n)]

    return loop
