"""Peaks of a spectrum: where, how wide, how far above the noise. A spectrum in, peaks out; any thread.

Found on an even grid (averaged, lightly smoothed) as maxima that stand out by a multiple of the noise; placed on the
measured points themselves by a least-squares Gaussian through the top, after the line between the feet is taken off.
Measured (docs/selftest.md): a centroid and a parabola err by a pixel's share and by the slope, this one by neither;
and the top alone, because bands of real samples have shoulders that draw a wider window.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.spectra.spectrum import Spectrum

SMOOTH_CM1 = 3.0  # FWHM; the sharpest bands of the standards are wider, so that nothing is lost but noise
MIN_PROMINENCE = 8.0  # in noise: the highest of 1,000 to 4,000 points of white noise stays below in 19 of 20 spectra
MAX_PEAKS = 200  # more are noise, whatever the limit; the strongest are kept
NOISE_WINDOW = 201  # grid points: long enough for a median, short enough to follow shot noise
FWHM_PER_SIGMA = 2.354820
_MAD_TO_SIGMA = 1.482602
TOP = 0.35  # half of the fitted window, in widths
LEAST_POINTS = 5  # two more than the fit has parameters
_ROUNDING = 1e-9  # a share of a step: what is equal but for rounding is equal
FEET = 1.5  # widths from the top to look for the lowest point of each side
_PARAMETERS = 3
_FIT_ROUNDS = 40
_STUCK = 1e9  # damping that allows no further step
_LEAST_NOISE = 1e-7  # of the largest value: what a float32 cannot tell apart
_MIN_GRID = 16  # points; fewer show no peak
_MAX_GRID = 16_384  # points; four times the largest detector array bounds the memory (26 MB), whatever the axis

Row = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """One peak, in the unit of the axis.

    error: standard error of the position, from the misfit, never less than the noise gives. snr: prominence in units
    of the noise after smoothing. points: measured points a FWHM. saturated: a point of it was beyond the range.
    """

    position: float
    error: float
    height: float
    fwhm: float
    snr: float
    points: float
    saturated: bool


def find_peaks(
    spectrum: Spectrum, *, smooth: float = SMOOTH_CM1, min_prominence: float = MIN_PROMINENCE
) -> tuple[Peak, ...]:
    """Return the peaks of a spectrum by ascending position; none of a flat or too short one.

    smooth: FWHM of the smoothing before the search, in the unit of the axis; the fit sees unsmoothed values.
    min_prominence: in units of the noise that remains.
    """
    axis, values = spectrum.axis, spectrum.values.astype(np.float64)
    step = max(float(np.median(np.diff(axis))), smooth / 3.0, float(axis[-1] - axis[0]) / (_MAX_GRID - 1))
    grid, level = _even(axis, values, step)
    if len(grid) < _MIN_GRID:
        return ()
    kernel = _gaussian(smooth / step)
    point_noise = np.maximum(local_noise(level), _LEAST_NOISE * float(np.max(np.abs(level))))
    noise = point_noise * float(np.sqrt(np.sum(kernel**2)))
    pad = len(kernel) // 2
    level = np.convolve(np.pad(level, pad, mode="edge"), kernel, mode="valid")
    tops, prominences = _prominent(level)
    strength = prominences / noise[tops]  # a spectrum of zeros has no tops
    order = np.flatnonzero((prominences > 0) & (strength >= min_prominence))
    order = np.sort(order[np.argsort(-strength[order], kind="stable")][:MAX_PEAKS])
    tops = tops[order]
    valleys = _valleys(level, tops)
    peaks = []
    for number, which in enumerate(order):
        start = _half_width(grid, level, int(tops[number]), float(prominences[which]))
        base = _feet(grid, level, int(tops[number]), start, (valleys[number], valleys[number + 1]))
        peak = _placed(
            spectrum,
            values,
            top=float(grid[tops[number]]),
            fwhm=start,
            base=base,
            between=(float(grid[valleys[number]]), float(grid[valleys[number + 1]])),
            noise=float(point_noise[tops[number]]),
            snr=float(strength[which]),
        )
        if peak is not None:
            peaks.append(peak)
    return tuple(sorted(peaks, key=lambda peak: peak.position))


def local_noise(values: Row) -> Row:
    """Return the standard deviation of the noise at each point, from second differences of lag two.

    A running median, because photon noise grows with the light. At least a thousandth of the global one.
    """
    curvature = np.abs(2.0 * values[2:-2] - values[:-4] - values[4:]) * (_MAD_TO_SIGMA / np.sqrt(6.0))
    window = min(NOISE_WINDOW, len(curvature) // 2 * 2 - 1)
    half = window // 2
    rows = np.lib.stride_tricks.sliding_window_view(np.pad(curvature, half, mode="reflect"), window)
    local = np.median(rows, axis=1)
    floor = 1e-3 * float(np.median(curvature))
    return np.asarray(np.maximum(np.pad(local, 2, mode="edge"), floor), dtype=np.float64)


def _even(axis: Row, values: Row, step: float) -> tuple[Row, Row]:
    """Return grid and values on even steps: the mean of the points of a cell, interpolated where there is none."""
    cells = int((axis[-1] - axis[0]) / step) + 1
    grid = axis[0] + step * np.arange(cells)
    if np.median(np.diff(axis)) > (0.75 - _ROUNDING) * step:
        return grid, np.interp(grid, axis, values)
    cell = np.minimum(np.rint((axis - axis[0]) / step).astype(np.intp), cells - 1)
    count = np.bincount(cell, minlength=cells)
    total = np.bincount(cell, weights=values, minlength=cells)
    filled = count > 0
    return grid, np.interp(grid, grid[filled], total[filled] / count[filled])


def _gaussian(fwhm_points: float) -> Row:
    """Return a kernel of sum one; a single one where smoothing would be narrower than a point."""
    if fwhm_points <= 1.0 + _ROUNDING:
        return np.ones(1)
    reach = int(np.ceil(1.5 * fwhm_points))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * FWHM_PER_SIGMA / fwhm_points) ** 2)
    return np.asarray(kernel / kernel.sum(), dtype=np.float64)


def _prominent(level: Row) -> tuple[NDArray[np.intp], Row]:
    """Return the maxima, each with its height over the higher of the two saddles that part it from higher ground."""
    rising = np.diff(level)
    tops = np.flatnonzero((rising[:-1] > 0) & (rising[1:] <= 0)) + 1
    prominences = np.empty(len(tops))
    for number, top in enumerate(tops):
        higher = np.flatnonzero(level[:top] > level[top])
        begin = int(higher[-1]) if len(higher) else 0
        higher = np.flatnonzero(level[top + 1 :] > level[top])
        end = int(higher[0]) + top + 1 if len(higher) else len(level) - 1
        prominences[number] = level[top] - max(level[begin : top + 1].min(), level[top : end + 1].min())
    return tops, prominences


def _valleys(level: Row, tops: NDArray[np.intp]) -> list[int]:
    """Return the lowest index before, between and after the tops: one more than there are tops."""
    inner = [int(a + np.argmin(level[a : b + 1])) for a, b in itertools.pairwise(tops)]
    return [0, *inner, len(level) - 1]


def _half_width(grid: Row, level: Row, top: int, prominence: float) -> float:
    """Return the width where the smoothed peak has lost half of its prominence."""
    half = level[top] - 0.5 * prominence
    below = np.flatnonzero(level[:top] < half)
    begin = int(below[-1]) if len(below) else 0
    below = np.flatnonzero(level[top:] < half)
    end = top + int(below[0]) if len(below) else len(level) - 1
    return float(grid[end] - grid[begin])


def _feet(grid: Row, level: Row, top: int, width: float, between: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return position and level of the lowest point of each side, not beyond the valleys: what the peak stands on."""
    cells = round(width / float(grid[1] - grid[0]))  # a whole number but for rounding, which must not decide a cell
    reach = max(int(FEET * cells), 2)
    begin, end = max(top - reach, between[0]), min(top + reach, between[1])
    left, right = begin + int(np.argmin(level[begin:top])), top + 1 + int(np.argmin(level[top + 1 : end + 1]))
    return float(grid[left]), float(level[left]), float(grid[right]), float(level[right])


def _placed(
    spectrum: Spectrum,
    values: Row,
    *,
    top: float,
    fwhm: float,
    base: tuple[float, float, float, float],
    between: tuple[float, float],
    noise: float,
    snr: float,
) -> Peak | None:
    """Fit the top of one peak twice: the second window is as wide as the first fit says. None if there is no fit.

    base: position and level of the two feet; the line through them is taken off. between: the valleys.
    """
    axis = spectrum.axis
    slope = (base[3] - base[1]) / (base[2] - base[0])
    position, width, fitted = top, fwhm, None
    for _ in range(2):
        inside = np.flatnonzero((np.abs(axis - position) <= TOP * width) & (axis >= between[0]) & (axis <= between[1]))
        if len(inside) < LEAST_POINTS:
            middle = int(np.argmin(np.abs(axis - position)))
            inside = np.arange(max(middle - LEAST_POINTS // 2, 0), min(middle + LEAST_POINTS // 2 + 1, len(axis)))
        x = axis[inside]
        fitted = fit_gaussian(
            x, values[inside] - base[1] - slope * (x - base[0]), position=position, fwhm=width, noise=noise
        )
        if fitted is None or abs(fitted.position - top) > fwhm:
            return None
        position, width = fitted.position, fitted.fwhm
    if fitted is None:
        return None
    near = axis[np.abs(axis - position) <= 2.0 * width]
    saturated = spectrum.saturated is not None and bool(spectrum.saturated[np.abs(axis - position) <= width].any())
    return Peak(
        position=position,
        error=fitted.error,
        height=fitted.height,
        fwhm=width,
        snr=snr,
        points=width / float(np.median(np.diff(near))) if len(near) > 1 else 0.0,
        saturated=saturated,
    )


def flanks(x: Row, over: Row, top: int) -> tuple[float, float] | None:
    """Return where straight lines between points cross zero on both sides of `top`; None where a side does not.

    over: values less the level of interest, positive at `top`.
    """
    if over[top] <= 0 or not (over[:top] <= 0).any() or not (over[top:] <= 0).any():
        return None
    begin, end = top - int(np.argmax(over[top::-1] <= 0)), top + int(np.argmax(over[top:] <= 0))
    low = x[begin] - over[begin] * (x[begin + 1] - x[begin]) / (over[begin + 1] - over[begin])
    high = x[end - 1] - over[end - 1] * (x[end] - x[end - 1]) / (over[end] - over[end - 1])
    return float(low), float(high)


def over_feet(x: Row, y: Row, top: int) -> Row | None:
    """Return y less the line between the lowest points of both sides of `top`; None where top is at an end."""
    left, right = int(np.argmin(y[: top + 1])), top + int(np.argmin(y[top:]))
    if left == top or right == top:
        return None
    return np.asarray(y - np.interp(x, [x[left], x[right]], [y[left], y[right]]), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A Gaussian: where, how sure (standard error), how high, how wide."""

    position: float
    error: float
    height: float
    fwhm: float


def fit_gaussian(axis: Row, values: Row, *, position: float, fwhm: float, noise: float) -> Fit | None:
    """Return the least-squares Gaussian on no background (Levenberg-Marquardt), None where there is none.

    position, fwhm: where to start. noise: of one value, the least that the misfit is taken for.
    """
    scale = float(np.max(np.abs(values), initial=0.0))
    if len(axis) < _PARAMETERS or scale == 0.0:
        return None
    x, y = (axis - position) / fwhm, values / scale
    at = np.array([0.0, 1.0 / FWHM_PER_SIGMA])
    height, jacobian, residual = _state(x, y, at)
    damping = 1e-3
    for _ in range(_FIT_ROUNDS):
        normal = jacobian.T @ jacobian
        downhill = np.linalg.lstsq(normal + damping * np.diag(np.diag(normal)), jacobian.T @ residual, rcond=None)[0]
        tried = at + downhill[:2]
        tried_state = _state(x, y, tried) if 0.05 <= tried[1] <= 5.0 and abs(tried[0]) <= 3.0 else None
        if tried_state is not None and np.sum(tried_state[2] ** 2) < np.sum(residual**2):
            moved = float(np.max(np.abs(tried - at)))
            at, (height, jacobian, residual), damping = tried, tried_state, damping / 10.0
            if moved < 1e-7:
                break
        else:
            damping *= 10.0
            if damping > _STUCK:
                break
    if height <= 0:
        return None
    freedom = max(len(x) - _PARAMETERS, 1)
    variance = max(float(np.sum(residual**2)) / freedom, (noise / scale) ** 2)
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * variance
    return Fit(
        position=position + fwhm * float(at[0]),
        error=fwhm * float(np.sqrt(max(covariance[0, 0], 0.0))),
        height=scale * height,
        fwhm=fwhm * float(at[1]) * FWHM_PER_SIGMA,
    )


def _state(x: Row, y: Row, at: Row) -> tuple[float, Row, Row]:
    """Return the best height for a place and sigma, the Jacobian (place, sigma, height), and the residual."""
    place, sigma = at
    z = (x - place) / sigma
    bell = np.exp(-0.5 * z**2)
    height = float(bell @ y / max(bell @ bell, np.finfo(float).tiny))
    jacobian = np.column_stack((height * bell * z / sigma, height * bell * z**2 / sigma, bell))
    return height, jacobian, y - height * bell
