"""From the signals of the first readings to centre and spread: what the charts measure against. numpy only.

Successive readings are alike (one filling, one warm-up), so charts for independent values would cry wolf. They are fed
means of so many successive readings that neighbouring ones are not noticeably alike any more (Runger and Willemain
1996, IIE Transactions 28, 117; chosen as by Fishman 1978, Management Science 24, 510). Where the readings are too few
for that, the long-run variance of neighbours widens the spread instead. And since a spread from few means may be too
small, its upper 95 % confidence limit is taken: with that probability false alarms are no more frequent than stated
(after Albers and Kallenberg 2005, Statistica Sinica 15, 433).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BATCHES: Final = (1, 2, 5, 10, 20)  # readings averaged
MEMORY: Final = 20  # readings; what is alike for longer is taken for a change
LEAST_BATCHES: Final = 20  # from which a spread is taken
_STRETCHES: Final = ((400, 20, 3), (200, 10, 5))  # from so many readings on: means of so many, so many a stretch
_LOTS_Z: Final = 2.33  # normal deviate: seven signals that come in no lots are held up once in fifteen times
_ONCE_SEEN_Z: Final = 1.64  # where they once did; then once in three
_Z90, _Z95 = 1.2816, 1.6449  # of the normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """batch: readings averaged. centre, spread [k]: of their means, in the signals' units. readings: learned from."""

    batch: int
    centre: Array
    spread: Array
    readings: int

    @property
    def means(self) -> int:
        """How many taught."""
        return self.readings // self.batch

    @property
    def doubt(self) -> float:
        """How far the centre may be off, in spreads, at 95 % confidence: no change of that size is one."""
        return _Z95 * math.sqrt(self.batch / self.readings)

    def standardised(self, means: Array) -> Array:
        """Return means [..., k] in units of their own spread."""
        return np.asarray((means - self.centre) / self.spread, dtype=np.float64)


def baseline(signals: Array, least_sd: Array) -> Baseline:
    """Return what signals [n, k] of undisturbed readings, in order, show. least_sd [k]: of single readings.

    n is at least LEAST_BATCHES.
    """
    for size in (size for size in BATCHES if len(signals) // size >= LEAST_BATCHES):
        means = batch_means(signals, size)
        variance, freedom = means.var(axis=0, ddof=1), len(means) - 1.0
        if not neighbours_are_alike(means):
            break
    else:
        variance = np.maximum(variance, long_run_variance(signals) / size)
        freedom = 1.5 * len(signals) / MEMORY  # of Bartlett's window
    spread = np.sqrt(variance) * upper_share(freedom)
    return Baseline(
        batch=size,
        centre=signals.mean(axis=0),
        spread=np.maximum(spread, least_sd / math.sqrt(size)),
        readings=len(signals),
    )


def neighbours_are_alike(means: Array) -> bool:
    """Whether in any signal the correlation of means [n, k] with their neighbours is above its own 90 % limit.

    Of independent values it is normal with a spread of 1 / sqrt(n) (Anderson 1942, Ann. Math. Statist. 13, 1). Any one
    may object, so of seven independent signals one does in nearly half of all cases, and means are taken that nobody
    needed. That costs delay; means that are alike would cost false alarms.
    """
    off = means - means.mean(axis=0)
    together = np.sum(off[1:] * off[:-1], axis=0)
    return bool((together > _Z90 / math.sqrt(len(means)) * np.sum(off**2, axis=0)).any())


def come_in_lots(signals: Array, *, once_seen: bool = False) -> bool:
    """Whether in any signal of readings [n, k], in order, stretches differ by more than their own parts do.

    The ratio of variances of Fisher, made normal after Paulson 1942, Ann. Math. Statist. 13, 233. Of fewer than 200
    readings nothing can be told. Of the first 200, fillings of twenty readings may look like lots; of 400 they do not.
    once_seen: earlier readings did, so the doubt is theirs.
    """
    size, many = next(((size, many) for least, size, many in _STRETCHES if len(signals) >= least), (0, 0))
    if not size:
        return False
    means = batch_means(signals, size)
    stretches = len(means) // many
    parts = means[: stretches * many].reshape(stretches, many, -1)
    most = _ONCE_SEEN_Z if once_seen else _LOTS_Z
    within = parts.var(axis=1, ddof=1).mean(axis=0)
    between = many * parts.mean(axis=1).var(axis=0, ddof=1)
    root = np.cbrt(between / np.where(within > 0.0, within, np.inf))
    a, b = 2.0 / (9.0 * (stretches - 1)), 2.0 / (9.0 * stretches * (many - 1))
    return bool((((1.0 - b) * root - (1.0 - a)) / np.sqrt(b * root**2 + a) > most).any())


def long_run_variance(signals: Array) -> Array:
    """Return n times the variance of the mean of n readings [k], n large, if they forget within MEMORY.

    Bartlett's window; Newey and West 1987, Econometrica 55, 703.
    """
    off = signals - signals.mean(axis=0)
    total = np.mean(off**2, axis=0)
    for lag in range(1, min(MEMORY, len(signals) - 1) + 1):
        total = total + 2.0 * (1.0 - lag / (MEMORY + 1.0)) * np.sum(off[lag:] * off[:-lag], axis=0) / len(signals)
    return np.asarray(np.maximum(total, 0.0), dtype=np.float64)


def batch_means(signals: Array, size: int) -> Array:
    """Return [n // size, k]: means of successive readings; what is left over at the end is dropped."""
    count = len(signals) // size
    means: Array = signals[: count * size].reshape(count, size, -1).mean(axis=1)
    return means


def upper_share(freedom: float) -> float:
    """Return by how much the true spread may exceed one with so many degrees of freedom, at 95 % confidence.

    Wilson and Hilferty 1931, PNAS 17, 684: the lower twentieth of chi squared.
    """
    ninth = 2.0 / (9.0 * freedom)
    return math.pow(1.0 - ninth - _Z95 * math.sqrt(ninth), -1.5)
