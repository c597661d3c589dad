"""What changes slowly is asked for now and then, and not anew for each scan of a burst."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

from drivers.clock import Clock

T = TypeVar("T")

RECENT_S = 1.0
"""How old such an answer may be when a scan begins. A cooled block of metal follows its cooler within tens of seconds,
and drivers look after one that is cooling as often as this; scans for a human come seconds apart, and each asks."""


class Recent(Generic[T]):
    """The latest answer to one question of one session; `value` is what there was to begin with until one came."""

    __slots__ = ("_clock", "_old_at_s", "value")

    def __init__(self, clock: Clock, value: T) -> None:
        self._clock = clock
        self._old_at_s = -math.inf
        self.value = value

    def is_old(self) -> bool:
        """Say whether the question has to be asked again."""
        return self._clock.now_s() >= self._old_at_s

    def keep(self, value: T) -> T:
        """Take an answer that has just come, and return it."""
        self.value = value
        self._old_at_s = self._clock.now_s() + RECENT_S
        return value

    def forget(self) -> None:
        """Ask again the next time: something has happened."""
        self._old_at_s = -math.inf
