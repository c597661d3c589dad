"""Control charts of many signals beside each other: the daemon's CUSUM, and peers that it might have been.

Each tells of standardised means [t, n], in their order, when it is beyond its limit. All get what the CUSUM gets: a
limit for so many independent normal values from one false alarm to the next, a centre that may be off by `doubt`, and,
where a limit is on a sum, one mean that counts for so little that it takes `fewest` to cross. Nothing begins anew after
an alarm: who looks here looks for the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.signal import lfilter

from edged.monitor.limits import ALLOWANCE, decision_interval, fewest_means
from tests.monitor.run_length import ewma, run_rules

Array = NDArray[np.float64]
Rules = tuple[tuple[tuple[int, int], float], ...]

ZONES: Final[Rules] = (((2, 3), 2.0), ((4, 5), 1.0))  # rules 2 and 3 of Western Electric 1956, 5 and 6 of Nelson 1984
FOUR_OF_FIVE: Final[Rules] = (((4, 5), 1.0),)
_ROUNDING: Final = 1e-9  # it must not decide whether `fewest` are enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """values_between: means from one false alarm of a chart to the next; learned_from: means that taught; doubt: how
    far the centre may be off.
    """

    values_between: float
    learned_from: int
    doubt: float


Peer = Callable[[Array, Setting], NDArray[np.bool_]]


def cusum_alarms(means: Array, setting: Setting) -> NDArray[np.bool_]:
    """As `edged.monitor.charts`: max(0, S + x - allowed) is the sum less its own least so far."""
    limit, allowed = decision_interval(setting.values_between), ALLOWANCE + setting.doubt
    most = limit * (1.0 + _ROUNDING) / fewest_means(setting.values_between, setting.learned_from) + allowed
    clipped = np.clip(means, -most, most)
    alarms = np.zeros(means.shape, dtype=bool)
    for sign in (1.0, -1.0):
        total = np.cumsum(sign * clipped - allowed, axis=0)
        alarms |= total - np.minimum(np.minimum.accumulate(total, axis=0), 0.0) > limit
    return alarms


def ewma_alarms(weight: float) -> Peer:
    """Roberts 1959, Technometrics 1, 239; limits as Crowder 1987, wider by the doubt of the centre."""

    def alarms(means: Array, setting: Setting) -> NDArray[np.bool_]:
        limit = _ewma_limit(weight, setting.values_between) + setting.doubt
        fewest = fewest_means(setting.values_between, setting.learned_from)
        most = limit * (1.0 + _ROUNDING) / (1.0 - (1.0 - weight) ** fewest)
        level = lfilter([weight], [1.0, weight - 1.0], np.clip(means, -most, most), axis=0)
        return np.asarray(np.abs(level) > limit)

    return alarms


def rules_alarms(rules: Rules) -> Peer:
    """So many of so many successive means beyond so many standard deviations on one side, all of them farther out by
    one factor, and by the doubt of the centre. One mean counts for one however far out it lies.
    """

    def alarms(means: Array, setting: Setting) -> NDArray[np.bool_]:
        factor, found = _zones_factor(rules, setting.values_between), np.zeros(means.shape, dtype=bool)
        for (wanted, of), sds in rules:
            for sign in (1.0, -1.0):
                beyond = (sign * means > sds * factor + setting.doubt).cumsum(axis=0, dtype=np.int32)
                beyond[of:] -= beyond[:-of].copy()
                found |= beyond >= wanted
        return found

    return alarms


def together(*peers: Peer) -> Peer:
    """Several kinds on each signal, each at its share of the false alarms."""

    def alarms(means: Array, setting: Setting) -> NDArray[np.bool_]:
        share = Setting(
            values_between=setting.values_between * len(peers), learned_from=setting.learned_from, doubt=setting.doubt
        )
        return np.asarray(np.any([peer(means, share) for peer in peers], axis=0))

    return alarms


PEERS: Final[dict[str, Peer]] = {
    "CUSUM 0.5": cusum_alarms,
    "EWMA 0.2": ewma_alarms(0.2),
    "EWMA 0.1": ewma_alarms(0.1),
    "2 of 3, 4 of 5": rules_alarms(ZONES),
    "4 of 5": rules_alarms(FOUR_OF_FIVE),
    "all three": together(cusum_alarms, ewma_alarms(0.2), rules_alarms(ZONES)),
}


@lru_cache(maxsize=256)
def _ewma_limit(weight: float, values_between: float) -> float:
    """On the EWMA itself, of values of standard deviation 1."""
    sds = brentq(lambda sds: math.log(ewma(weight, sds) / values_between), 0.3, 7.0, xtol=1e-3)
    return float(sds) * math.sqrt(weight / (2.0 - weight))


@lru_cache(maxsize=4)
def _zones_table(rules: Rules) -> tuple[Array, Array]:
    """Return factors, and the logarithm of how long the rules run with them."""
    factors = np.linspace(0.6, 2.6, 11)
    lengths = [run_rules({rule: sds * factor for rule, sds in rules}) for factor in factors]
    return factors, np.log(np.array(lengths))


def _zones_factor(rules: Rules, values_between: float) -> float:
    factors, lengths = _zones_table(rules)
    return float(np.interp(math.log(values_between), lengths, factors))
