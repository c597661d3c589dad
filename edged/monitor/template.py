"""What a product looks like at an instrument, learned from its first readings, and how one more differs. numpy only.

A reading is mean + offset + path * (mean - its level) + lamp * colour + shift * slope + natural variation + noise. The
natural variation is what the first readings do from one to the next: their principal components. The amplitudes are the
generalised least squares with that covariance, which sees each of the four patterns as far as it differs from what the
product does anyway; for the shift this is one Newton step to the largest correlation with the mean. What neither
patterns nor components explain is the residual.

Lamp: the light of a filament that cools by a share of its temperature T falls, by Planck's law, by that share of
x / (1 - exp(-x)), x = c2 / (wavelength T). As a colour it is told from a mere loss of light, which looks like a sample
farther away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from edged.monitor.words import FITTED

Array = NDArray[np.float64]

COMPONENTS: Final = 6  # of the natural variation: more explain little of ten handheld products
FOLDS: Final = 5  # of the first readings, each measured by what the others teach
LEAST_LEFT: Final = 6  # points more than components: four patterns, and something to see a residual in
MAX_POINTS: Final = 512  # of a grid; a spectrum of more is interpolated
RUN: Final = 10  # readings averaged to see what a mean is off by chance
FILAMENT_K: Final = 2_900.0  # of a halogen lamp
_C2_NM_K: Final = 1.4388e7  # second radiation constant
_LEAST_NOISE: Final = 0.3  # of the median point's: the quietest points are not trusted beyond that


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where readings are compared: m positions. has_lamp: its colour may change; a laser has none to lose."""

    axis: Array
    unit: Literal["nm", "cm-1"]
    has_lamp: bool

    @property
    def wavelength_nm(self) -> Array:
        """The same positions as wavelengths; of no meaning for Raman shifts."""
        return self.axis if self.unit == "nm" else 1e7 / self.axis


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What is kept of n readings of m points; all else follows from it.

    mean, scale [m]: scale is the noise of each point. components [q, m], spread [q]: of the natural variation, over
    scale, orthonormal, and their variances. left: variance of a point beside them, over scale squared.
    """

    mean: Array
    scale: Array
    components: Array
    spread: Array
    left: float


class Template:
    """`measure` one reading, or ask what `explains` a change."""

    def __init__(self, learnt: Learnt, grid: Grid) -> None:
        self.learnt = learnt
        self.grid = grid
        self._patterns = _patterns(learnt.mean, grid) / learnt.scale[:, None]
        seen = self._patterns.any(axis=0)
        weighted = self._weighted(self._patterns[:, seen])
        self._filters = np.zeros((self._patterns.shape[1], len(learnt.mean)))
        self._filters[seen] = np.linalg.pinv(self._patterns[:, seen].T @ weighted) @ weighted.T
        self._known = np.linalg.qr(np.hstack([learnt.components.T, self._patterns[:, seen]]))[0]

    def measure(self, rows: Array) -> Array:
        """Return the FITTED signals [n, 5] of readings [n, m]: offset, path (%), lamp (%), shift (axis units), and the
        residual as log10 of its RMS in units of noise.
        """
        off = self._off(np.atleast_2d(rows))
        rest = off - (off @ self._known) @ self._known.T
        rms = np.sqrt(np.mean(rest**2, axis=1))
        return np.column_stack([off @ self._filters.T, np.log10(np.maximum(rms, 1e-6))])

    def change(self, row: Array) -> float:
        """Return the size of a change, chi squared by the natural variation. row [m]: a mean of readings."""
        off = self._off(row)
        return float(off @ self._weighted(off[:, None])[:, 0])

    def explained(self, row: Array, columns: Sequence[int]) -> float:
        """Return how much of `change` these patterns explain at their best amplitudes. columns: places in FITTED."""
        patterns = self._patterns[:, list(columns)]
        weighted = self._weighted(patterns)
        along = weighted.T @ self._off(row)
        return float(along @ np.linalg.pinv(patterns.T @ weighted) @ along)

    def _off(self, rows: Array) -> Array:
        return np.asarray((rows - self.learnt.mean) / self.learnt.scale, dtype=np.float64)

    def _weighted(self, columns: Array) -> Array:
        """Return the inverse of the covariance, left * 1 + components * (spread - left) * components, times columns."""
        known, left = self.learnt.components, self.learnt.left
        shrunk = 1.0 - left / np.maximum(self.learnt.spread, left)
        return np.asarray((columns - known.T @ (shrunk[:, None] * (known @ columns))) / left, dtype=np.float64)


def learn(rows: Array, grid: Grid) -> Template:
    """Learn from readings [n, m], n at least 10."""
    mean = rows.mean(axis=0)
    off = rows - mean
    kept = min(COMPONENTS, len(rows) // 5, max(rows.shape[1] - LEAST_LEFT, 1))
    _, components = _principal(off, kept)
    noise = np.std(off - (off @ components.T) @ components, axis=0)
    floor = max(_LEAST_NOISE * float(np.median(noise)), 1e-6 * float(np.ptp(mean)), 1e-9)
    scale = np.maximum(noise, floor)
    spread, components = _principal(off / scale, kept)
    total = float(np.sum((off / scale) ** 2)) / (len(rows) - 1)
    left = max((total - float(np.sum(spread))) / (rows.shape[1] - kept), 1e-3)
    return Template(Learnt(mean=mean, scale=scale, components=components, spread=spread, left=left), grid)


def learn_by_folds(rows: Array, grid: Grid) -> tuple[Template, Array, float]:
    """Return what all readings teach; the signals [n, 5] of each run of them by what the others teach; and the mean
    `change` of that many readings in a row: what the mean of a run is off by chance.

    Runs are contiguous: neighbours are alike, and a reading must not be measured by its own neighbour.
    """
    signals, changes = np.empty((len(rows), len(FITTED))), []
    for run in np.array_split(np.arange(len(rows)), FOLDS):
        others = learn(np.delete(rows, run, axis=0), grid)
        signals[run] = others.measure(rows[run])
        parts = np.array_split(rows[run], max(len(run) // RUN, 1))
        changes += [others.change(part.mean(axis=0)) * len(part) / RUN for part in parts]
    return learn(rows, grid), signals, float(np.mean(changes))


def _principal(off: Array, kept: int) -> tuple[Array, Array]:
    """Return variances [kept], the largest first, and orthonormal rows [kept, m], from n centred readings.

    By the products n x n or m x m, whichever are fewer: several times as fast as the decomposition of n x m. Rows
    without variance are 0.
    """
    n, m = off.shape
    power, along = np.linalg.eigh(off.T @ off if m < n else off @ off.T)
    power, along = np.maximum(power[::-1][:kept], 0.0), along[:, ::-1][:, :kept]
    norm = np.sqrt(power)
    real = norm > 1e-9 * max(float(norm.max(initial=0.0)), 1e-300)
    rows = along.T if m < n else along.T @ off / np.where(real, norm, 1.0)[:, None]
    return power / (n - 1), np.where(real[:, None], rows, 0.0)


def _patterns(mean: Array, grid: Grid) -> Array:
    """Return [m, 4] in the order of FITTED: an offset of 1, 1 % of path, 1 % of filament temperature, one axis unit."""
    colour = np.zeros_like(mean)
    if grid.has_lamp:
        ratio = _C2_NM_K / (grid.wavelength_nm * FILAMENT_K)
        colour = 0.01 * np.log10(np.e) * ratio / -np.expm1(-ratio)
    slope = np.gradient(mean, grid.axis)
    return np.stack([np.ones_like(mean), 0.01 * (mean - mean.mean()), -colour, -slope], axis=1)
