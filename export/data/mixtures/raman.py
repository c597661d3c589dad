"""Mixtures in Raman scattering: bands add up, then come container, fluorescence, detector, noise and accidents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import trapezoid

from export.data.augment import broadened
from export.data.mixtures.ingredients import Displacement, ingredients, joined, refilled, scanned
from export.data.mixtures.laws import Drawn
from export.data.mixtures.library import Library
from export.data.mixtures.nir import numbered
from export.data.mixtures.shelf import Entries, Scans, Shelf, scans_on, shelf_of
from export.data.mixtures.words import Raman
from export.errors import DataUnusable

GAIN_ORDERS = np.arange(1, 6)  # of Legendre: a response has no narrow features
DECAY = (0.2, 2.0)  # lengths of the axis over which fluorescence falls to 1/e
ETALON_CM1 = (30.0, 150.0)  # a silicon wafer of 15 to 50 um in the near infrared, where back-thinned detectors fringe
MOST_SPIKES, WIDEST_SPIKE = 3, 2  # in one spectrum; points
SPIKE_HEIGHTS = (0.2, 3.0)  # of the highest band
CLIPPED_AT = (0.6, 0.95)  # of the highest point
Spectra = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RamanBench:
    """A library, strangers and containers ready for mixing; containers' rows are the last of the shelf. height: that of
    the highest band of a usual pure spectrum, which stands for a mixture's where there is no sample."""

    words: Raman
    library: Library
    grid: NDArray[np.float64]
    shelf: Shelf
    scans: Scans
    rows: int
    strangers: int
    containers: int
    displacement: Displacement
    height: float

    def spectra(self, drawn: Drawn, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return spectra [n, points], and the effective shares [n, compounds]."""
        n, words, many = len(drawn), self.words, len(self.library.names)
        found = ingredients(drawn, many, self.strangers, words.visibility, self.displacement, rng)
        entries = scanned(found, self.scans, words.blend, rng)
        if words.refill:
            entries = joined(entries, refilled(found, self.scans, words.refill, n, rng))
        seen = self.shelf.sums(entries, n).astype(np.float64)
        height = np.ptp(seen, axis=1, keepdims=True)
        height[height == 0] = self.height
        if words.broadening_cm1:
            seen = broadened(seen, self.grid, rng.uniform(0.0, words.broadening_cm1, size=(n, 1)))
        if words.container:
            seen += self.shelf.sums(self._containers(height, rng), n)
        if words.fluorescence:
            seen += rng.uniform(0.0, words.fluorescence, size=(n, 1)) * height * fluorescence(n, self.shelf.along, rng)
        if words.gain:
            seen *= response(n, self.shelf.along, words.gain, rng)
        if words.etalon:
            seen *= fringes(n, self.grid, words.etalon, rng)
        if words.noise[1]:
            seen += noise(seen, height, words, rng)
        if words.spikes:
            _add_spikes(seen, height, np.flatnonzero(rng.random(n) < words.spikes), rng)
        if words.clip:
            clipped = np.flatnonzero(rng.random(n) < words.clip)
            ceiling = seen[clipped].max(axis=1, keepdims=True) * rng.uniform(*CLIPPED_AT, size=(len(clipped), 1))
            seen[clipped] = np.minimum(seen[clipped], ceiling)
        return seen.astype(np.float32), found.dense(n, many)

    def _containers(self, height: Spectra, rng: np.random.Generator) -> Entries:
        n = len(height)
        return Entries(
            mixture=np.arange(n),
            row=self.rows - self.containers + rng.integers(self.containers, size=n),
            weight=rng.uniform(0.0, self.words.container, size=n) * height[:, 0],
        )


def raman_bench(
    library: Library, words: Raman, grid: NDArray[np.float64], outsiders: Library | None, containers: Library
) -> RamanBench:
    """Make a library ready. Raises DataUnusable for a spectrum without any light, where it is to be
    normalised."""
    others = [outsiders] if outsiders else []
    tables = [_normalised(each.values, each.axis, words.normalised) for each in (library, *others)]
    tables.append(_normalised(containers.values, containers.axis, "peak"))
    displacement = Displacement(
        shift=words.shift_cm1,
        stretch=words.stretch_cm1,
        own_shift=words.component_shift_cm1,
        own_stretch=words.component_stretch_cm1,
    )
    return RamanBench(
        words=words,
        library=library,
        grid=grid,
        shelf=shelf_of(tables, library.axis, grid, moves=displacement.moves),
        scans=scans_on(*numbered([library, *others])),
        rows=sum(len(table) for table in tables),
        strangers=len(outsiders.names) if outsiders else 0,
        containers=len(containers.compound),
        displacement=displacement,
        height=float(np.median(np.ptp(tables[0], axis=1))),
    )


def fluorescence(n: int, along: NDArray[np.float32], rng: np.random.Generator) -> Spectra:
    """Return smooth positive curves [n, points] of height 1, as many exponential decays as cubics."""
    x = (along.astype(np.float64) + 1.0) / 2.0
    lengths = _log_uniform(DECAY, (n, 1), rng)
    # a cubic of positive Bernstein coefficients is positive everywhere
    basis = np.stack([(1.0 - x) ** 3, 3.0 * x * (1.0 - x) ** 2, 3.0 * x**2 * (1.0 - x), x**3])
    cubic = rng.random((n, 4)) @ basis
    cubic /= cubic.max(axis=1, keepdims=True)
    decays = rng.random(n) < 0.5
    cubic[decays] = np.exp(-x / lengths[decays])
    return cubic


def response(n: int, along: NDArray[np.float32], spread: float, rng: np.random.Generator) -> Spectra:
    """Return smooth factors [n, points] whose logarithm varies by `spread` in the middle of the axis or more."""
    curves = np.stack([np.polynomial.legendre.Legendre.basis(order)(along) for order in GAIN_ORDERS])
    return np.exp(rng.normal(size=(n, len(GAIN_ORDERS))) * (spread / GAIN_ORDERS) @ curves)


def fringes(n: int, grid: NDArray[np.float64], most: float, rng: np.random.Generator) -> Spectra:
    """Return 1 and a sine of at most `most`, [n, points]."""
    period = _log_uniform(ETALON_CM1, (n, 1), rng)
    phase, amplitude = rng.uniform(0.0, 2.0 * np.pi, size=(n, 1)), rng.uniform(0.0, most, size=(n, 1))
    out = 2.0 * np.pi * grid / period
    out += phase
    np.sin(out, out=out)
    out *= amplitude
    out += 1.0
    return np.asarray(out)


def noise(seen: Spectra, height: Spectra, words: Raman, rng: np.random.Generator) -> Spectra:
    """Return shot and read noise. At a point as bright as the highest band, its deviation is that which was drawn."""
    relative = _log_uniform(words.noise, (len(seen), 1), rng)
    out = np.maximum(seen, 0.0)
    out /= height
    out *= 1.0 - words.read_noise
    out += words.read_noise
    np.sqrt(out, out=out)
    out *= height * relative
    out *= rng.standard_normal(seen.shape)
    return out


def _add_spikes(seen: Spectra, height: Spectra, rows: NDArray[np.int64], rng: np.random.Generator) -> None:
    rows = np.repeat(rows, rng.integers(1, MOST_SPIKES + 1, size=len(rows)))
    place = rng.integers(seen.shape[1] - WIDEST_SPIKE + 1, size=len(rows))
    tall = height[rows, 0] * _log_uniform(SPIKE_HEIGHTS, (len(rows),), rng)
    np.add.at(seen, (rows, place), tall)
    wide = np.flatnonzero(rng.random(len(rows)) < 0.5)
    np.add.at(seen, (rows[wide], place[wide] + 1), tall[wide] * rng.random(len(wide)))


def _log_uniform(limits: tuple[float, float], shape: tuple[int, ...], rng: np.random.Generator) -> Spectra:
    least, most = np.log(limits)
    return np.exp(rng.uniform(least, most, size=shape))


def _normalised(values: Spectra, axis: NDArray[np.float64], by: Literal["nothing", "area", "peak"]) -> Spectra:
    if by == "nothing":
        return values
    area = trapezoid(values, axis, axis=1) / (axis[-1] - axis[0])
    divisor = area if by == "area" else values.max(axis=1)
    if (divisor <= 0).any():
        raise DataUnusable(
            f"{int((divisor <= 0).sum())} of {len(values)} spectra have no light to be normalised by",
            hint="leave them out, or subtract less of a baseline",
        )
    return np.asarray(values / divisor[:, None])
