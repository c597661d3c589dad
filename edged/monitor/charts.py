"""Control charts on standardised means: EWMA, two-sided CUSUM and run rules, for all signals of a product at once.

Roberts 1959, Technometrics 1, 239 (EWMA); Page 1954, Biometrika 41, 100 (CUSUM, and its last zero as the time of the
change); Western Electric 1956, Statistical Quality Control Handbook (zones). numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.monitor.limits import ALLOWANCE, WEIGHT, WINDOW, ZONES, Limits
from edged.monitor.words import ChartName

Array = NDArray[np.float64]
KINDS: Final = 3  # charts a signal
MOST: Final = 5.0  # standard deviations that one mean counts for: a single odd filling is no drift


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The chart that went farthest over its limit. value, limit: of that chart, in standard deviations of a mean.

    means: how many went by since the change as the CUSUM dates it; the one that crossed counts.
    """

    signal: int
    chart: ChartName
    value: float
    limit: float
    means: int


class Charts:
    """Of k signals. `rises_only` [k]: no crossing downward. State is plain arrays, for whoever keeps it.

    doubt: how far the centre may be from where it is taken to be; every limit lies farther out by so much.
    """

    def __init__(self, limits: Limits, rises_only: NDArray[np.bool_], doubt: float = 0.0) -> None:
        self._limits = limits
        self._doubt = doubt
        self._falls = ~rises_only
        self.restart()

    def restart(self) -> None:
        """Begin at the centre."""
        k = len(self._falls)
        self.ewma = np.zeros(k)
        self.cusum = np.zeros((2, k))  # upward, downward
        self.since = np.zeros((2, k), dtype=np.int64)  # means since the CUSUM was last at zero
        self.recent = np.zeros((0, k))  # the last ones, for the zones

    def take(self, mean: Array) -> Crossing | None:
        """Take one standardised mean [k]; return the farthest crossing, None when all are within limits."""
        mean = np.clip(mean, -MOST, MOST)
        self.ewma = WEIGHT * mean + (1.0 - WEIGHT) * self.ewma
        self.cusum = np.maximum(self.cusum + np.stack([mean, -mean]) - ALLOWANCE - self._doubt, 0.0)
        self.since = np.where(self.cusum > 0.0, self.since + 1, 0)
        self.recent = np.vstack([self.recent, mean])[-WINDOW:]
        sides = np.stack([np.ones(len(mean), dtype=bool), self._falls])
        found = [
            *self._over("ewma", np.stack([self.ewma, -self.ewma]), self._limits.ewma + self._doubt, sides),
            *self._over("cusum", self.cusum, self._limits.cusum, sides),
            *self._over_zones(sides),
        ]
        return max(found, key=lambda crossing: crossing.value / crossing.limit, default=None)

    @property
    def is_calm(self) -> bool:
        """Whether every EWMA is within half its limit: what alarmed is over."""
        risen = np.where(self._falls, np.abs(self.ewma), self.ewma)
        return bool((risen <= self._limits.ewma / 2.0).all())

    def _over(self, chart: ChartName, values: Array, limit: float, sides: NDArray[np.bool_]) -> list[Crossing]:
        return [
            self._crossing(chart, int(side), int(signal), float(values[side, signal]), limit)
            for side, signal in np.argwhere((values > limit) & sides)
        ]

    def _over_zones(self, sides: NDArray[np.bool_]) -> list[Crossing]:
        found = []
        for wanted, of, sds in ZONES:
            limit = sds * self._limits.zones + self._doubt
            last = self.recent[-of:]
            for side, sign in enumerate((1.0, -1.0)):
                beyond = np.count_nonzero(sign * last > limit, axis=0) >= wanted
                for signal in np.flatnonzero(beyond & sides[side]):
                    value = float(np.sort(sign * last[:, signal])[-wanted])
                    found.append(self._crossing("zones", side, int(signal), value, limit))
        return found

    def _crossing(self, chart: ChartName, side: int, signal: int, value: float, limit: float) -> Crossing:
        means = max(int(self.since[side, signal]), 1)
        return Crossing(signal=signal, chart=chart, value=value, limit=limit, means=means)
