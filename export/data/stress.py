"""Influence quantities one by one, as far off as is asked: packing and filling, and an instrument of other properties.

`augment` draws many small changes at a time for training, `session` some of them for trials. Here each is stated, so
that what a model bears can be read by kind and size; kinds that no training drew are among them.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from export.data.augment import (
    Sigma,
    as_absorbance,
    broadened,
    from_absorbance,
    lamp_curve,
    resample,
    water_band,
    with_stray_light,
)
from export.data.spectra import AxisUnit, Spectra
from export.errors import DataUnusable
from export.words import Words

Rows = NDArray[np.float64]
Numbers = NDArray[np.int64]
Nanometres = Annotated[float, Field(ge=0, le=100)]
WATER_NM, WATER_FWHM_NM = 1440.0, 90.0  # the moisture band that is added or taken away
LAMP_K = 2800.0  # colour temperature of a halogen lamp
RADIATION_CM_K = 1.438777  # second radiation constant, CODATA 2018
OVER = 0.1  # of a step: so far past its end an axis may be asked, and is read at the end
SIGNED = ("shift", "stretch", "lamp_k")  # of an instrument; which way is drawn


class Influence(Words):
    """How far off each quantity is; nothing is by default. Where either way is possible the sign is drawn.

    Of a filling, drawn for each anew: path, effective path length or packing density, the factor is 1 + path or its
    reciprocal; refill, how much is added of the difference of two scans of another class; offset_au, slope_au, scatter,
    the latter at the ends of the axis; water_au, the O-H band of moisture.

    Of an instrument, one draw for all spectra: shift, stretch, the axis at its middle and at its ends; broader,
    narrower, full width at half maximum that lines gain or lose; gain, a sine in the white reference, relative; lamp_k,
    colour temperature since the reference; stray, light past the sample, share of all; noise_au, white. Lengths in nm.
    """

    path: Annotated[float, Field(ge=0, le=10)] = 0.0
    refill: Sigma = 0.0
    offset_au: Sigma = 0.0
    slope_au: Sigma = 0.0
    water_au: Sigma = 0.0
    shift: Nanometres = 0.0
    stretch: Nanometres = 0.0
    broader: Nanometres = 0.0
    narrower: Nanometres = 0.0
    gain: Annotated[float, Field(ge=0, lt=1)] = 0.0
    lamp_k: Annotated[float, Field(ge=0, le=1000)] = 0.0
    stray: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    noise_au: Sigma = 0.0

    def times(self, factor: float) -> Influence:
        """Return all of it so many times as far off."""
        return Influence(**{word: factor * size for word, size in self if size})


def drawn(
    spectra: Spectra, rows: Numbers, grid: Rows, influence: Influence, rng: np.random.Generator, *, draws: int
) -> list[NDArray[np.float32]]:
    """Return the rows [n] as changed on the grid, `draws` times, in the set's own quantity.

    Of an even number of draws half have each property of the instrument off to either side. Counts are changed as the
    absorbance that they stand for; they hold the lamp, and so a path length multiplies its curve too, as in training.
    Raises DataUnusable where a shifted or stretched grid leaves the measured axis by more than a tenth of a step; less
    than that is read at the end.
    """
    values = as_absorbance(spectra.values, spectra.quantity)
    white = 0.0 if spectra.quantity == "absorbance" else float(values.min())  # of counts the brightest stands for it
    signs = {word: rng.permutation(np.resize([1.0, -1.0], draws)) for word in SIGNED}
    along = 2.0 * (spectra.axis - grid[0]) / (grid[-1] - grid[0]) - 1.0
    found = []
    for draw in range(draws):
        sample = _filled(values, spectra, rows, along, influence, rng)
        turned = {word: float(sign[draw]) * getattr(influence, word) for word, sign in signs.items()}
        moved = grid + turned["shift"] + turned["stretch"] * np.linspace(-1.0, 1.0, len(grid))
        seen = resample(sample, spectra.axis, _measured(moved, spectra))
        seen = _detected(seen, grid, influence, turned["lamp_k"], white, spectra.axis_unit, rng)
        found.append(from_absorbance(seen, spectra.quantity).astype(np.float32))
    return found


def lamp_au(kelvin: float, grid: Rows, axis_unit: AxisUnit) -> float:
    """Return the absorbance at one end of the grid against the other of a lamp hotter by `kelvin`, by Wien's law."""
    wavenumber_cm1 = 1e7 / grid if axis_unit == "nm" else grid
    span = abs(float(wavenumber_cm1[0] - wavenumber_cm1[-1]))
    return RADIATION_CM_K / np.log(10.0) * (1.0 / (LAMP_K + kelvin) - 1.0 / LAMP_K) * span


def _measured(positions: Rows, spectra: Spectra) -> Rows:
    """The positions, none past the ends of the axis. Raises DataUnusable."""
    first, last = float(positions.min()), float(positions.max())
    axis, steps = spectra.axis, OVER * np.diff(spectra.axis)
    if first < axis[0] - steps[0] or last > axis[-1] + steps[-1]:
        raise DataUnusable(
            f"an axis shifted or stretched to {first:g} to {last:g} {spectra.axis_unit} of spectra from {axis[0]:g} to "
            f"{axis[-1]:g}",
            hint="a smaller shift or stretch, or a model's axis further inside",
        )
    return np.clip(positions, axis[0], axis[-1])


def _filled(
    values: Rows, spectra: Spectra, rows: Numbers, along: Rows, influence: Influence, rng: np.random.Generator
) -> Rows:
    """The samples filled anew, on the instrument's axis: what belongs to a filling is the same for all its scans."""
    fillings, place = np.unique(spectra.groups[rows], return_inverse=True)

    def either() -> Rows:
        return np.asarray(rng.choice([-1.0, 1.0], (len(fillings), 1))[place])

    out = values[rows]
    if influence.refill:
        first = [int(rows[place == number][0]) for number in range(len(fillings))]
        donors = np.array([_donors(spectra, rows, row, rng) for row in first])[place]
        out = out + influence.refill * either() * (values[donors[:, 0]] - values[donors[:, 1]])
    out = out * (1.0 + influence.path) ** either()
    out = out + influence.offset_au * either() + influence.slope_au * either() * along
    return np.asarray(out + influence.water_au * either() * water_band(spectra.axis, WATER_NM, WATER_FWHM_NM))


def _donors(spectra: Spectra, rows: Numbers, of: int, rng: np.random.Generator) -> tuple[int, int]:
    """One of the rows, of another class than spectrum `of`, and any other filling of that class: a difference that
    nothing which has not seen the rows can know."""
    targets = spectra.targets
    first = int(rng.choice(rows[targets[rows] != targets[of]]))
    others = np.flatnonzero((targets == targets[first]) & (spectra.groups != spectra.groups[first]))
    return first, int(rng.choice(others))


def _detected(
    values: Rows,
    grid: Rows,
    influence: Influence,
    lamp_k: float,
    white: float,
    axis_unit: AxisUnit,
    rng: np.random.Generator,
) -> Rows:
    """What a spectrometer of another resolution, reference, lamp, stray light and noise makes of absorbance."""
    out = values
    for width in (influence.broader, -influence.narrower):
        if width:
            out = broadened(out, grid, np.full((len(out), 1), width))
    if influence.gain:
        waves, phase = rng.uniform(0.5, 2.5), rng.uniform(0.0, 2.0 * np.pi)
        bent = np.sin(2.0 * np.pi * waves * np.linspace(0.0, 1.0, len(grid)) + phase)
        out = out + np.log10(1.0 + influence.gain * bent)
    if lamp_k:
        out = out + lamp_au(lamp_k, grid, axis_unit) * lamp_curve(grid, axis_unit)
    if influence.stray:
        out = with_stray_light(out - white, np.full((len(out), 1), influence.stray)) + white
    return np.asarray(out + influence.noise_au * rng.normal(size=out.shape))
