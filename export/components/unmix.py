"""The library that mixtures are taken apart with: references, and in which ways scans of one compound differ.

Enters: a library of pure spectra, and the words. Leaves: what `library.npz` of a bundle holds, float32.

The ways are the first principal directions of a compound's own scans around their mean, each scan first brought to the
mean's height; what is left of their variance is the noise of every point (Tipping and Bishop, J. R. Stat. Soc. B 61,
611 (1999)). Then what an error of the axis and of the resolution do to it, which is all that one scan can tell.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from export.components.words import Unmixing
from export.data.augment import FWHM_TO_SIGMA, resample
from export.data.mixtures.library import Library
from export.errors import DataUnusable
from export.preprocess.pipeline import axis_after, build

Rows = NDArray[np.float64]
DRAWS = 32  # of noise on each pure spectrum, to see what becomes of it
FEWEST_SCANS = 4  # fewer tell no directions
LEAST_SHARE = 1e-6  # of the mean square of the references: noise under it would only divide by rounding


class Unmixer:
    """A library in the space where mixtures are taken apart.

    steps: from spectra on the grid to that space, as a torch module. references: [compounds, m], the mean of each
    compound's scans. scatter: [ways, m], scaled to one standard deviation where the compound has its reference's
    height; scatter_of: [ways] whose. floor: standard deviation of every point besides. axis: [m] positions.
    """

    def __init__(self, library: Library, words: Unmixing, grid: NDArray[np.float64]) -> None:
        self.names, self.axis_unit = library.names, library.axis_unit
        self.steps = build(words.steps, grid)
        self.axis = axis_after(words.steps, grid)
        scaled = library.values
        if library.quantity == "intensity":  # counts have no unit
            scaled = scaled / np.abs(scaled).max(axis=1, keepdims=True)
        on_grid = resample(scaled, library.axis, grid)
        prepared = self.prepare(on_grid)
        self.references = np.stack([prepared[library.compound == c].mean(axis=0) for c in range(len(self.names))])
        ways, whose, left = [], [], []
        for column, reference in enumerate(self.references):
            rows = library.compound == column
            found = self._of_the_instrument(on_grid[rows].mean(axis=0), words, grid)
            if rows.sum() >= FEWEST_SCANS and words.directions:
                own, rest = _directions(prepared[rows], reference, words.directions)
                found = np.concatenate([found, own])
                left.append(rest)
            ways.append(found)
            whose += [column] * len(found)
        self.scatter = np.concatenate(ways) if ways else np.empty((0, prepared.shape[1]))
        self.scatter_of = tuple(whose)
        means = np.stack([on_grid[library.compound == c].mean(axis=0) for c in range(len(self.names))])
        self.floor = self._floor(left, words, means)

    def prepare(self, spectra: NDArray[np.floating]) -> Rows:
        """Return spectra on the grid in the space of the references, [n, m]."""
        rows = torch.from_numpy(np.ascontiguousarray(spectra, dtype=np.float32))
        with torch.no_grad():
            return np.asarray(self.steps(rows).numpy(), dtype=np.float64)

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Return what `library.npz` holds."""
        found = {
            "references": self.references,
            "whitener": np.full((1, self.references.shape[1]), 1.0 / self.floor),
            "scatter": self.scatter,
        }
        return {name: rows.astype(np.float32) for name, rows in found.items() if len(rows)}

    def _of_the_instrument(self, spectrum: NDArray[np.float64], words: Unmixing, grid: NDArray[np.float64]) -> Rows:
        """What another instrument adds: a displaced axis and another resolution, by the first and second derivative."""
        slope = np.gradient(spectrum, grid)
        curvature = np.gradient(slope, grid)
        changed = [words.shift * slope, 0.5 * (words.broadening * FWHM_TO_SIGMA) ** 2 * curvature]
        shown = [row for row in changed if row.any()]
        if not shown:
            return np.empty((0, len(self.axis)))
        before = self.prepare(spectrum[None])
        ways = self.prepare(spectrum + np.stack(shown)) - before
        unit = before[0] / np.linalg.norm(before)
        return ways - (ways @ unit)[:, None] * unit  # more or less of the compound is no noise of it

    def _floor(self, left: list[float], words: Unmixing, pure: Rows) -> float:
        """The noise of every point: what the directions leave, or what white noise on the pure spectra becomes here."""
        variance = float(np.mean(left)) if left else 0.0
        if words.noise:
            drawn = np.random.default_rng(0).normal(scale=words.noise, size=(DRAWS, *pure.shape))
            noisy = self.prepare((pure + drawn).reshape(-1, pure.shape[1])).reshape(DRAWS, len(pure), -1)
            variance = max(variance, float(np.var(noisy - self.prepare(pure))))
        variance = max(variance, LEAST_SHARE * float(np.mean(self.references**2)))
        if not variance > 0.0:
            raise DataUnusable("the library's spectra are flat where mixtures are taken apart", hint="other steps")
        return float(np.sqrt(variance))


def _directions(scans: Rows, reference: NDArray[np.float64], most: int) -> tuple[Rows, float]:
    """Return the ways in which scans differ [ways, m], and the mean variance of a point that they leave."""
    unit = reference / np.linalg.norm(reference)
    heights = scans @ unit
    off = scans * (np.linalg.norm(reference) / heights)[:, None] - reference
    _, sizes, rows = np.linalg.svd(off / np.sqrt(len(off) - 1), full_matrices=False)
    kept = min(most, len(scans) // 2)
    rest = float((sizes[kept:] ** 2).sum() / (scans.shape[1] - kept))
    return sizes[:kept, None] * rows[:kept], rest
