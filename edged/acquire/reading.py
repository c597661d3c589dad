"""What acquisition hands on: one scan, when the light was measured, and how long each part took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from drivers.contract import RawScan


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A point in time as well as this board knows it. `wall_s`: seconds since 1970, UTC; trust it only when synced."""

    wall_s: float
    monotonic_s: float
    boot_id: str
    synced: bool

    def age_s(self, now: Moment) -> float | None:
        """Seconds from then to `now`, or None when nobody knows: another boot, and a clock that was not synced."""
        if now.boot_id == self.boot_id:
            return max(0.0, now.monotonic_s - self.monotonic_s)
        if now.synced and self.synced:
            return max(0.0, now.wall_s - self.wall_s)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One scan and its circumstances. `arrived_s`: monotonic time at which its last byte was parsed."""

    station: str
    scan: RawScan
    moment: Moment
    arrived_s: float
    timing_ms: Mapping[str, float] = field(default_factory=dict)
