"""Streams of real powders, quiet or with a drift of the simulator's optics laid over them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edged.monitor.product import Seen
from edged.monitor.template import Grid
from firmware_sim.drift import Drift

Array = NDArray[np.float64]

GRID = Grid(axis=np.linspace(905.0, 1660.0, 152), unit="nm", has_lamp=True)


def powders(data: Path) -> dict[str, Array]:
    """Return the scans of each of the twelve powders, [100, 152], in the order in which they were taken."""
    folder = data / "nir_pharma_powders_notredame"
    table = np.loadtxt(folder / "RawNIRData.csv", delimiter=",", skiprows=1)
    with (folder / "ClassRef.csv").open(newline="") as file:
        labels = [row[0].strip() for row in csv.reader(file)][1:]
    rows = np.array([np.interp(GRID.axis, table[:, 0], column) for column in table.T[1:]])
    return {label: rows[[own == label for own in labels]] for label in dict.fromkeys(labels)}


def stream(rows: Array, seed: int, drift: Drift | None = None, other: Array | None = None) -> Iterator[Array]:
    """Yield whole fillings of ten scans in random order, without end."""
    chance = np.random.default_rng(seed)
    drift = drift or Drift()
    while True:
        first = 10 * int(chance.integers(10))
        for row in rows[first : first + 10]:
            stranger = None if other is None else other[chance.integers(100)]
            yield drift.absorbance(GRID.axis, row, stranger) - np.log10(drift.light(GRID.axis))


def seen(rows: Iterator[Array], count: int, first: int = 1) -> Iterator[Seen]:
    """Number them as records."""
    for at in range(first, first + count):
        yield Seen(at=at, row=next(rows))
