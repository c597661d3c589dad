"""Average run lengths of a CUSUM on independent normal values: the judge of the intervals that the daemon uses.

The integral equation of Page 1954, Biometrika 41, 100, by Gauss-Legendre quadrature.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

NODES = 120


def cusum(allowance: float, interval: float, shift: float = 0.0) -> float:
    """Of a two-sided CUSUM that starts at zero on both sides."""
    return 1.0 / sum(1.0 / one_sided_cusum(allowance, interval, sign * shift) for sign in (1, -1))


def one_sided_cusum(allowance: float, interval: float, shift: float = 0.0) -> float:
    """Of the upper side alone."""
    at, dx = _nodes(0.0, interval)
    start = np.concatenate([[0.0], at])
    matrix = np.empty((len(start), len(start)))
    matrix[:, 0] = norm.cdf(allowance - start - shift)
    matrix[:, 1:] = norm.pdf(at[None, :] + allowance - start[:, None] - shift) * dx
    return float(np.linalg.solve(np.eye(len(start)) - matrix, np.ones(len(start)))[0])


def _nodes(low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at, dx = np.polynomial.legendre.leggauss(NODES)
    return low + (high - low) * (at + 1.0) / 2.0, dx * (high - low) / 2.0
