"""The ways to fit a correction. Each takes the axis [points] and the same samples on master and slave
[samples, points], float64, and returns what `edged.spectra.transfer` applies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.signal import savgol_filter

from edged.spectra.transfer import MAX_RANK, Direct, Piecewise, Shift, SlopeBias, axis_shift, windows

Rows: TypeAlias = NDArray[np.float64]
SHIFT_ROUNDS = 10
SHAPE_WINDOW, SHAPE_ORDER = 11, 2  # Savitzky-Golay; a shorter axis takes the longest odd window that fits


def shape_of(values: Rows) -> Rows:
    """Return the slopes of the scatter-corrected spectra: SNV, then the first derivative a point."""
    return np.asarray(savgol_filter(_snv(values), _shape_window(values), SHAPE_ORDER, deriv=1, axis=-1))


def mean_difference(axis: Rows, master: Rows, slave: Rows) -> SlopeBias:
    """Add what the master's mean spectrum has more."""
    return SlopeBias(slope=np.ones(1), bias=master.mean(axis=0) - slave.mean(axis=0))


def one_slope_bias(axis: Rows, master: Rows, slave: Rows) -> SlopeBias:
    """Fit one line through all points of all samples."""
    slope, bias = np.polyfit(slave.ravel(), master.ravel(), 1)
    return SlopeBias(slope=np.array([slope]), bias=np.array([bias]))


def slope_bias(axis: Rows, master: Rows, slave: Rows) -> SlopeBias:
    """Fit one line a point. A point that all samples share keeps a slope of 1."""
    level, center = master.mean(axis=0), slave.mean(axis=0)
    spread = ((slave - center) ** 2).sum(axis=0)
    flat = spread <= np.finfo(np.float64).eps * (slave**2).sum(axis=0)
    slope = np.where(flat, 1.0, ((master - level) * (slave - center)).sum(axis=0) / np.where(flat, 1.0, spread))
    return SlopeBias(slope=slope, bias=level - slope * center)


def axis_polynomial(degree: int) -> Callable[[Rows, Rows, Rows], Shift]:
    """Return the fit of an axis shift: Gauss-Newton on the slopes of the scatter-corrected spectra."""

    def fit(axis: Rows, master: Rows, slave: Rows) -> Shift:
        target, curves = shape_of(master), CubicSpline(axis, _snv(slave), axis=1)
        step = float(np.mean(np.diff(axis)))
        edge = _shape_window(master)
        inner = slice(edge, len(axis) - edge) if len(axis) > 3 * edge else slice(None)
        x = (2 * axis - axis[0] - axis[-1]) / (axis[-1] - axis[0])
        powers = np.vander(x, degree + 1, increasing=True)
        shift = Shift(coefficients=np.zeros(degree + 1))
        for _ in range(SHIFT_ROUNDS):
            at = np.clip(axis - axis_shift(axis, shift, axis), axis[0], axis[-1])
            now = curves(at)
            slopes = savgol_filter(now, edge, SHAPE_ORDER, deriv=1, axis=1)
            bends = savgol_filter(now, edge, SHAPE_ORDER, deriv=2, axis=1) / step
            design = (-bends[:, inner, None] * powers[inner]).reshape(-1, degree + 1)
            found = np.linalg.lstsq(design, (target - slopes)[:, inner].ravel(), rcond=None)[0]
            shift = Shift(coefficients=shift.coefficients + found)
        return shift

    return fit


def piecewise(width: int, strength: float) -> Callable[[Rows, Rows, Rows], Piecewise]:
    """Return the fit of piecewise standardisation by ridge regression; strength is a share of a window's variance."""

    def fit(axis: Rows, master: Rows, slave: Rows) -> Piecewise:
        level, center = master.mean(axis=0), slave.mean(axis=0)
        around = (slave - center)[:, windows(len(axis), width)]
        square = np.einsum("npi,npj->pij", around, around, optimize=True)
        ridge = strength * np.trace(square, axis1=1, axis2=2) + np.finfo(np.float64).tiny
        across = np.einsum("npi,np->pi", around, master - level)
        weights = np.linalg.solve(square + ridge[:, None, None] * np.eye(width), across[..., None])[..., 0]
        return Piecewise(center=center, level=level, weights=weights)

    return fit


def textbook_piecewise(width: int, tolerance: float) -> Callable[[Rows, Rows, Rows], Piecewise]:
    """Return the fit as first published: principal component regression in each window, with additive background.

    Components whose singular value is under `tolerance` of the window's largest are left out.
    """

    def fit(axis: Rows, master: Rows, slave: Rows) -> Piecewise:
        level, center = master.mean(axis=0), slave.mean(axis=0)
        around = (slave - center)[:, windows(len(axis), width)].transpose(1, 0, 2)
        inverse = np.linalg.pinv(around, rcond=tolerance)
        weights = np.einsum("pwn,np->pw", inverse, master - level)
        return Piecewise(center=center, level=level, weights=weights)

    return fit


def direct(strength: float) -> Callable[[Rows, Rows, Rows], Direct]:
    """Return the fit of the difference between the instruments on the whole slave spectrum, by ridge regression.

    strength is a share of the slave's total variance. A strong ridge leaves the mean difference, no ridge the direct
    standardisation of the textbook, but for what no standard shows: that part passes unchanged instead of being lost.
    """

    def fit(axis: Rows, master: Rows, slave: Rows) -> Direct:
        level, center = master.mean(axis=0), slave.mean(axis=0)
        off, more = slave - center, (master - level) - (slave - center)
        left, size, components = np.linalg.svd(off, full_matrices=False)
        kept = min(len(slave) - 1, MAX_RANK)
        gain = size / (size**2 + strength * (size**2).sum() + np.finfo(np.float64).tiny)
        corrections = gain[:kept, None] * (left[:, :kept].T @ more)
        return Direct(center=center, level=level, components=components[:kept], corrections=corrections)

    return fit


def _snv(values: Rows) -> Rows:
    spread = values.std(axis=-1, keepdims=True)
    return (values - values.mean(axis=-1, keepdims=True)) / np.where(spread > 0, spread, 1.0)


def _shape_window(values: Rows) -> int:
    points = values.shape[-1]
    return min(SHAPE_WINDOW, points - 1 + points % 2)
