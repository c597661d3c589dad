"""The laser of a simulated Wasatch unit: when light comes out, and how much.

Enabled, it warns, then fires; opening the interlock stops the light and keeps it off; the watchdog, where there is one,
counts from the moment it was enabled. Light rises to its full power while the laser warms up. All light that ever came
out is written down.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

KEPT_FLASHES = 65_536
COLD_SHARE = 0.4  # of the power is missing when the light comes on
SETTLES = 5.0  # time constants in a warm-up
NEVER_S = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash:
    """Light came out from `start_s` to `end_s` (infinite while it still does), at most `power_mw` of it.

    fired_s: when the laser began to fire, from which it warms up.
    """

    start_s: float
    end_s: float
    power_mw: float
    fired_s: float


class SimLaser:
    """Times are those of the host's clock. `tell` hears of what happens; watchdog_s 0: none."""

    def __init__(
        self,
        *,
        full_mw: float,
        warning_delay_s: float,
        warm_up_s: float,
        watchdog_s: int,
        takes: Callable[[float], float],
        tell: Callable[..., None],
    ) -> None:
        self.full_mw = full_mw
        self.warning_delay_s = warning_delay_s
        self.watchdog_s = watchdog_s
        self.interlock_closed = True
        self.modulated = False
        self.period_us, self.width_us = 1_000, 0
        self.flashes: deque[Flash] = deque(maxlen=KEPT_FLASHES)
        self._warm_up_s = warm_up_s
        self._takes = takes
        self._tell = tell
        self._enabled_s: float | None = None
        self._may_fire_s = NEVER_S
        self._now_s = 0.0

    @property
    def enabled(self) -> bool:
        """What the host is told of the switch."""
        return self._enabled_s is not None

    @property
    def firing(self) -> bool:
        """Whether light comes out now."""
        return bool(self.flashes) and self.flashes[-1].end_s == NEVER_S

    @property
    def power_mw(self) -> float:
        """The mean power when it fires."""
        if not self.modulated:
            return self.full_mw
        return self.full_mw * min(1.0, self.width_us / self.period_us) if self.period_us else 0.0

    def next_s(self) -> float | None:
        """Return when something will happen by itself."""
        moments = [at_s for at_s in (self._fires_at_s(), self._expires_at_s()) if at_s != NEVER_S]
        return min(moments, default=None)

    def advance(self, now_s: float) -> None:
        """Let happen what time alone brings about."""
        while (at_s := min(self._fires_at_s(), self._expires_at_s())) <= now_s:
            if self._expires_at_s() <= at_s:
                self._dark(at_s)
                self._enabled_s = None
                self._tell("watchdog", seconds=self.watchdog_s)
            else:
                self._light(at_s, fired_s=at_s)
        self._now_s = max(self._now_s, now_s)

    def enable(self, on: bool) -> None:
        """Switch it, at the time of the last `advance`."""
        if on and self._enabled_s is None:
            self._enabled_s = self._now_s
            self._may_fire_s = self._now_s + self._takes(self.warning_delay_s)
        elif not on:
            self._enabled_s = None
            self._dark(self._now_s)

    def open_interlock(self) -> None:
        """A lid is opened: no light, and the switch falls back."""
        self.interlock_closed = False
        self.enable(False)

    def close_interlock(self) -> None:
        """The lid is closed; the laser stays off until it is switched on again."""
        self.interlock_closed = True

    def expire(self) -> None:
        """The watchdog runs out at this moment."""
        if self._enabled_s is not None:
            self.enable(False)
            self._tell("watchdog", seconds=self.watchdog_s)

    def change_power(
        self, *, modulated: bool | None = None, period_us: int | None = None, width_us: int | None = None
    ) -> None:
        """Take new pulses, also while it fires."""
        before_mw = self.power_mw
        self.modulated = self.modulated if modulated is None else modulated
        self.period_us = self.period_us if period_us is None else period_us
        self.width_us = self.width_us if width_us is None else width_us
        if self.firing and self.power_mw != before_mw:
            fired_s = self.flashes[-1].fired_s
            self._dark(self._now_s)
            self._light(self._now_s, fired_s=fired_s)

    def mean_mw(self, begin_s: float, end_s: float) -> float:
        """Return the mean power between two moments that are past."""
        if end_s <= begin_s:
            return self._power_of(self.flashes[-1], end_s) if self.firing else 0.0
        return sum(self._energy(flash, begin_s, end_s) for flash in self.flashes if flash.end_s > begin_s) / (
            end_s - begin_s
        )

    def _fires_at_s(self) -> float:
        waiting = self._enabled_s is not None and self.interlock_closed and not self.firing
        return self._may_fire_s if waiting else NEVER_S

    def _expires_at_s(self) -> float:
        if self._enabled_s is None or not self.watchdog_s:
            return NEVER_S
        return self._enabled_s + self._takes(self.watchdog_s)

    def _light(self, at_s: float, *, fired_s: float) -> None:
        self.flashes.append(Flash(start_s=at_s, end_s=NEVER_S, power_mw=self.power_mw, fired_s=fired_s))
        self._tell("light", on=True, power_mw=round(self.power_mw, 3))

    def _dark(self, at_s: float) -> None:
        if self.firing:
            self.flashes[-1] = replace(self.flashes[-1], end_s=at_s)
            self._tell("light", on=False)

    def _constant_s(self) -> float:
        return self._takes(self._warm_up_s) / SETTLES

    def _power_of(self, flash: Flash, at_s: float) -> float:
        constant_s = self._constant_s()
        missing = COLD_SHARE * math.exp((flash.fired_s - at_s) / constant_s) if constant_s else 0.0
        return flash.power_mw * (1 - missing)

    def _energy(self, flash: Flash, begin_s: float, end_s: float) -> float:
        """The integral of the power over the part of the flash that lies between."""
        start_s, stop_s = max(flash.start_s, begin_s), min(flash.end_s, end_s)
        if stop_s <= start_s:
            return 0.0
        constant_s = self._constant_s()
        missing = 0.0
        if constant_s:
            rise = math.exp((flash.fired_s - start_s) / constant_s) - math.exp((flash.fired_s - stop_s) / constant_s)
            missing = COLD_SHARE * constant_s * rise
        return flash.power_mw * (stop_s - start_s - missing)
