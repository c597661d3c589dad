"""What acquisition hands on: one scan, with who asked, when the light was measured, and how long each part took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from drivers.contract import RawScan

Purpose = Literal["sample", "reference"]
Source = Literal["human", "interval"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A point in time as well as this board knows it. `wall_s`: seconds since 1970, UTC; trust it only when synced."""

    wall_s: float
    monotonic_s: float
    boot_id: str
    synced: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A wish for one measurement. The texts are the asker's own and go into the record; None where nothing was said."""

    purpose: Purpose = "sample"
    source: Source = "human"
    claimed: str | None = None
    operator: str | None = None
    lot: str | None = None
    barcode: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One scan and its circumstances. `arrived_s`: monotonic time at which its last byte was parsed."""

    station: str
    trigger: Trigger
    scan: RawScan
    moment: Moment
    arrived_s: float
    timing_ms: Mapping[str, float] = field(default_factory=dict)
