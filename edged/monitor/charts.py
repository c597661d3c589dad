"""Control charts on standardised means: a two-sided CUSUM for each signal of a product. numpy only.

Page 1954, Biometrika 41, 100, also for its last zero as the time of the change. One mean counts for so much that it
takes `fewest` to cross, and more with usual ones between: how far out an odd filling lies proves nothing, that the next
ones do so does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edged.monitor.limits import ALLOWANCE, decision_interval, fewest_means

Array = NDArray[np.float64]

WEIGHT: Final = 0.2  # of the latest mean in the level by which an alarm is over
_ROUNDING: Final = 1e-9  # it must not decide whether `fewest` are enough


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The CUSUM that went farthest over its limit. value, limit: in standard deviations of a mean.

    means: how many went by since the change, by the last zero; the one that crossed counts.
    """

    signal: int
    value: float
    limit: float
    means: int


class Charts:
    """Of k signals. `rises_only` [k]: no crossing downward. State is plain arrays, for whoever keeps it.

    values_between: means from one false alarm of a chart to the next. learned_from: means that taught centre and
    spread. doubt: how far the centre may be from where it is taken to be; no change of that size is one.
    """

    def __init__(
        self, *, values_between: float, learned_from: int, rises_only: NDArray[np.bool_], doubt: float
    ) -> None:
        self.limit = decision_interval(values_between)
        self.allowed = ALLOWANCE + doubt
        self.most = self.limit * (1.0 + _ROUNDING) / fewest_means(values_between, learned_from) + self.allowed
        self._falls = ~rises_only
        self.restart()

    def restart(self) -> None:
        """Begin at the centre."""
        k = len(self._falls)
        self.cusum = np.zeros((2, k))  # upward, downward
        self.since = np.zeros((2, k), dtype=np.int64)  # means since the CUSUM was last at zero
        self.level = np.zeros(k)  # of the latest means, exponentially weighted

    def take(self, mean: Array) -> Crossing | None:
        """Take one standardised mean [k]; return the farthest crossing, None when all are within the limit."""
        mean = np.clip(mean, -self.most, self.most)
        self.level = WEIGHT * mean + (1.0 - WEIGHT) * self.level
        self.cusum = np.maximum(self.cusum + np.stack([mean, -mean]) - self.allowed, 0.0)
        self.since = np.where(self.cusum > 0.0, self.since + 1, 0)
        counted = np.where(np.stack([np.ones_like(self._falls), self._falls]), self.cusum, 0.0)
        side, signal = (int(place) for place in np.unravel_index(np.argmax(counted), counted.shape))
        if counted[side, signal] <= self.limit:
            return None
        value, means = float(counted[side, signal]), int(self.since[side, signal])
        return Crossing(signal=signal, value=value, limit=self.limit, means=means)

    @property
    def is_calm(self) -> bool:
        """Whether every level is within what no CUSUM takes for a change."""
        risen = np.where(self._falls, np.abs(self.level), self.level)
        return bool((risen <= self.allowed).all())
