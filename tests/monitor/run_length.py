"""Average run lengths of control charts on independent normal values: the judge of the limits that the daemon uses, and
of the peers that the bench of charts compares them with.

Integral equations by Gauss-Legendre quadrature (Crowder 1987, Technometrics 29, 401 for the EWMA; Page 1954, Biometrika
41, 100 for the CUSUM), and an absorbing Markov chain for run rules (Champ and Woodall 1987, Technometrics 29, 393).
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

NODES = 120


def ewma(weight: float, limit: float, shift: float = 0.0) -> float:
    """Of a two-sided EWMA from its centre. limit: in its own standard deviations; shift: in those of a value."""
    edge = limit * math.sqrt(weight / (2.0 - weight))
    at, dx = _nodes(-edge, edge)
    kernel = norm.pdf((at[None, :] - (1.0 - weight) * at[:, None]) / weight - shift) / weight * dx
    lengths = np.linalg.solve(np.eye(len(at)) - kernel, np.ones(len(at)))
    return float(1.0 + (norm.pdf(at / weight - shift) / weight * dx) @ lengths)


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


def run_rules(limits: dict[tuple[int, int], float], shift: float = 0.0) -> float:
    """Of rules "so many of so many successive values beyond the limit, on one side".

    limits: {(1, 1): 3, (2, 3): 2} are rules 1 and 2 of Western Electric (1956).
    """
    window = max(of for _, of in limits)
    edges = sorted({0.0, *limits.values()})
    zones = [(sign, rank) for sign in (1, -1) for rank in range(len(edges))]
    chance = {zone: _chance(edges, zone, shift) for zone in zones}
    alarms = {
        (*past, now): _signals((*past, now), limits, edges)
        for past in itertools.product(zones, repeat=window - 1)
        for now in zones
    }
    start = tuple((sign, 0) for sign in itertools.islice(itertools.cycle((1, -1)), window - 1))  # what no rule counts
    known, queue = {start: 0}, [start]
    moves: list[tuple[int, int, float]] = []
    while queue:
        past = queue.pop()
        for now in zones:
            if alarms[(*past, now)]:
                continue
            then = (*past, now)[1:]
            if then not in known:
                known[then] = len(known)
                queue.append(then)
            moves.append((known[past], known[then], chance[now]))
    matrix = np.eye(len(known))
    for row, column, p in moves:
        matrix[row, column] -= p
    return float(np.linalg.solve(matrix, np.ones(len(known)))[0])


def _nodes(low: float, high: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    at, dx = np.polynomial.legendre.leggauss(NODES)
    return low + (high - low) * (at + 1.0) / 2.0, dx * (high - low) / 2.0


def _chance(edges: list[float], zone: tuple[int, int], shift: float) -> float:
    sign, rank = zone
    high = edges[rank + 1] if rank + 1 < len(edges) else math.inf
    return float(norm.sf(edges[rank] - sign * shift) - norm.sf(high - sign * shift))


def _signals(window: tuple[tuple[int, int], ...], limits: dict[tuple[int, int], float], edges: list[float]) -> bool:
    return any(
        sum(s == sign and edges[rank] >= limit for s, rank in window[-of:]) >= wanted
        for (wanted, of), limit in limits.items()
        for sign in (1, -1)
    )
