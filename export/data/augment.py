"""What another day, filling or unit does to an absorbance spectrum, as drawn from a seeded generator.

`augment` is for training: each spectrum has its own draw. `session` is for stress tests: one draw for all, of another
make (a sine, a fixed shift), so that a model is not only tested on what it was trained with.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from export.data.spectra import AxisUnit, Quantity
from export.words import Words

Sigma = Annotated[float, Field(ge=0, le=10)]
NOISE_SPREAD = 0.7  # log-normal spread of the noise between fillings
NOISE_FLOOR_AU = 1.2  # above this absorbance less light comes back and the noise grows with it
NOISE_END_POWER = 8  # lamp and detector fade in the last tenth of the axis at each end, not before
WATER_NM = (1430.0, 1460.0)  # first overtone of the O-H stretch: about 1440 in crystals, 1450 in liquid water
WATER_FWHM_NM = (60.0, 110.0)
LEAST = 1e-6  # stands for reflectance or counts of zero or less, where their logarithm is taken
FWHM_TO_SIGMA = 1.0 / (2.0 * np.sqrt(2.0 * np.log(2.0)))


class Augmentation(Words):
    """Standard deviations of the drawn changes, at strength 1. Absorbance units (AU), and units of the axis.

    shift, stretch: the axis of another unit, at its middle and at its ends. resolution: full width at half maximum by
    which lines are broadened, or sharpened. gain_au: a smooth curve, as from another white reference. lamp_au: a lamp
    of another colour temperature, absorbance at one end of the axis against the other. stray: light that has not
    passed the sample, share of all. offset_au, slope_au: scatter and packing. path: effective path length, relative.
    water_au: height of the O-H band of moisture, gained or lost; the overtones at 970 and 1190 nm are some thirty times
    weaker and left out. noise_au: of a typical scan, in the middle of the axis; noise_ends: how much more there is at
    its ends, relative. blend: chance that a spectrum is mixed with another of its class. refill: how much of the
    difference between two scans of one class, any class, is added: fillings of all powders vary in like ways.
    """

    shift: Annotated[float, Field(ge=0, le=100)]
    stretch: Annotated[float, Field(ge=0, le=100)]
    resolution: Annotated[float, Field(ge=0, le=100)] = 0.0
    gain_au: Sigma
    lamp_au: Sigma = 0.0
    stray: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    offset_au: Sigma
    slope_au: Sigma
    path: Sigma
    water_au: Sigma
    noise_au: Sigma
    noise_ends: Sigma
    blend: Annotated[float, Field(ge=0, le=1)]
    refill: Sigma


STILL = Augmentation(
    shift=0.0,
    stretch=0.0,
    gain_au=0.0,
    offset_au=0.0,
    slope_au=0.0,
    path=0.0,
    water_au=0.0,
    noise_au=0.0,
    noise_ends=0.0,
    blend=0.0,
    refill=0.0,
)
"""Nothing changes: what a few changes are added to."""

HANDHELD_NIR = Augmentation(
    shift=1.8,
    stretch=1.0,
    gain_au=0.006,
    offset_au=0.05,
    slope_au=0.03,
    path=0.06,
    water_au=0.012,
    noise_au=8e-4,
    noise_ends=2.0,
    blend=0.5,
    refill=0.5,
)
"""Another unit, day or filling of a handheld NIR, in nm: the spreads with which powders12 is trained."""


class Session(Words):
    """A simulated change of session: the axis moves by `shift`, the gain waves by `gain` (relative), and so on."""

    shift: Annotated[float, Field(ge=0, le=100)]
    gain: Annotated[float, Field(ge=0, lt=1)]
    offset_au: Sigma
    slope_au: Sigma
    noise_au: Sigma


def resample(values: NDArray[np.float64], axis: NDArray[np.float64], at_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values [n, points] linearly interpolated at `at_nm`, [m] or [n, m]; positions outside take the end
    value."""
    place = np.interp(at_nm, axis, np.arange(len(axis), dtype=np.float64))
    place = np.broadcast_to(place, (len(values), place.shape[-1]))
    left = np.minimum(place.astype(np.int64), len(axis) - 2)
    share = place - left
    low = np.take_along_axis(values, left, axis=1)
    return np.asarray(low + share * (np.take_along_axis(values, left + 1, axis=1) - low), dtype=np.float64)


def water_band(
    grid: NDArray[np.float64], centre_nm: float | NDArray[np.float64], fwhm_nm: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a Gaussian of height 1 on the grid; centres and widths [n, 1] give [n, points]."""
    return np.asarray(np.exp(-4.0 * np.log(2.0) * ((grid - centre_nm) / fwhm_nm) ** 2))


def as_absorbance(values: NDArray[np.float64], quantity: Quantity) -> NDArray[np.float64]:
    """Return what changes are made to: absorbance as it is, -log10 of reflectance or counts."""
    return values if quantity == "absorbance" else -np.log10(np.maximum(values, LEAST))


def from_absorbance(values: NDArray[np.float64], quantity: Quantity) -> NDArray[np.float64]:
    """Undo `as_absorbance`."""
    return values if quantity == "absorbance" else 10.0**-values


def lamp_curve(grid: NDArray[np.float64], axis_unit: AxisUnit) -> NDArray[np.float64]:
    """Return how absorbance changes with the lamp's colour temperature: by Wien's law in proportion to the wave number.

    Zero in the middle of the grid in that measure, one between its ends.
    """
    wavenumber = 1.0 / grid if axis_unit == "nm" else grid
    return np.asarray((wavenumber - wavenumber.mean()) / abs(wavenumber[0] - wavenumber[-1]))


def with_stray_light(values: NDArray[np.float64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return absorbance as seen with `share` [n, 1] of the light going past sample and reference alike."""
    return np.asarray(-np.log10((10.0**-values + share) / (1.0 + share)))


def broadened(values: NDArray[np.float64], grid: NDArray[np.float64], fwhm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return spectra as a line wider by `fwhm` [n, 1], in units of the grid, would show them; negative sharpens.

    To first order in the line's variance: half of it times the second derivative. Good while the added width is under
    that of the bands.
    """
    step = float(grid[1] - grid[0])
    curvature = np.gradient(np.gradient(values, step, axis=1), step, axis=1)
    variance = np.sign(fwhm) * (fwhm * FWHM_TO_SIGMA) ** 2
    return np.asarray(values + 0.5 * variance * curvature)


def augment(
    values: NDArray[np.float64],
    axis: NDArray[np.float64],
    grid: NDArray[np.float64],
    change: Augmentation,
    rng: np.random.Generator,
    *,
    strength: float = 1.0,
    axis_unit: AxisUnit = "nm",
) -> NDArray[np.float64]:
    """Return a changed copy of each absorbance spectrum, on the grid. Strength 0 only resamples."""
    n, along = len(values), np.linspace(-1.0, 1.0, len(grid))

    def draw(sigma: float) -> NDArray[np.float64]:
        return strength * sigma * rng.normal(size=(n, 1))

    moved = grid + draw(change.shift) + draw(change.stretch) * along
    out = resample(values, axis, np.clip(moved, axis[0], axis[-1]))
    orders = np.arange(2, 8)
    curves = np.stack([np.polynomial.legendre.Legendre.basis(k)(along) for k in orders])
    gain = strength * change.gain_au * rng.normal(size=(n, len(orders))) / np.sqrt(orders / 2)
    if change.resolution:
        out = broadened(out, grid, draw(change.resolution))
    out = out * np.exp(draw(change.path)) + draw(change.offset_au) + draw(change.slope_au) * along + gain @ curves
    if change.water_au:
        centre, width = rng.uniform(*WATER_NM, size=(n, 1)), rng.uniform(*WATER_FWHM_NM, size=(n, 1))
        out = out + draw(change.water_au) * water_band(grid, centre, width)
    if change.lamp_au:
        out = out + draw(change.lamp_au) * lamp_curve(grid, axis_unit)
    if change.stray:
        out = with_stray_light(out, np.abs(draw(change.stray)))
    ends = 1.0 + change.noise_ends * along**NOISE_END_POWER
    noise = strength * change.noise_au * ends * np.exp(NOISE_SPREAD * rng.normal(size=(n, 1)))
    return np.asarray(out + noise * 10.0 ** np.clip(out - NOISE_FLOOR_AU, -1.0, 1.0) * rng.normal(size=out.shape))


def refill(
    values: NDArray[np.float64], targets: NDArray[np.int64], change: Augmentation, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a copy as other fillings of the same powders might look, on the instrument's own axis.

    By the chance `blend` a spectrum is mixed with up to one half of another of its class; then `refill` times the
    difference of two scans of one randomly chosen class is added.
    """
    out = values.copy()
    rows_of = [np.flatnonzero(targets == target) for target in np.unique(targets)]
    for rows in rows_of:
        share = 0.5 * rng.random((len(rows), 1)) * (rng.random((len(rows), 1)) < change.blend)
        out[rows] = values[rows] * (1.0 - share) + values[rng.permutation(rows)] * share
    donors = np.array([rng.choice(rows_of[c], 2) for c in rng.integers(len(rows_of), size=len(values))])
    amount = change.refill * rng.normal(size=(len(values), 1))
    return np.asarray(out + amount * (values[donors[:, 0]] - values[donors[:, 1]]))


def session(
    values: NDArray[np.float64],
    axis: NDArray[np.float64],
    grid: NDArray[np.float64],
    change: Session,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return all spectra as one other session would have given them, on the grid."""
    shift = float(rng.choice([-1.0, 1.0])) * change.shift
    out = resample(values, axis, np.clip(grid + shift, axis[0], axis[-1]))
    along = np.linspace(0.0, 1.0, len(grid))
    waves, phase = rng.uniform(0.5, 2.5), rng.uniform(0.0, 2.0 * np.pi)
    out = out + np.log10(1.0 + change.gain * np.sin(2.0 * np.pi * waves * along + phase))
    out = out + rng.uniform(-change.offset_au, change.offset_au) + rng.uniform(-1, 1) * change.slope_au * along
    return np.asarray(out + change.noise_au * rng.normal(size=out.shape))
