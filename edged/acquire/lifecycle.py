"""The states of a station and what follows a failure: plain functions, no clock, no I/O.

absent --port exists--> opening --identified--> ready <--> measuring
  ^                        |                      |            |
  +---- link gone ---------+---------<------------+------------+
parked: only a human can help; looked at again slowly, or at once on command
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from drivers.errors import DriverError, LinkMissing, Park


class State(StrEnum):
    """Where an instrument stands in its life."""

    ABSENT = "absent"
    OPENING = "opening"
    READY = "ready"
    MEASURING = "measuring"
    PARKED = "parked"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryPlan:
    """How often to try again, in seconds.

    A station must be ready within 3 s of the return of its instrument: keep_alive_s (until a loss is noticed),
    missing_s (until a port is seen) and one opening, about 0.5 s, add up to less.
    """

    missing_s: float = 0.5  # looking for a port costs one system call
    reopen_first_s: float = 0.1
    reopen_most_s: float = 1.0
    park_after: int = 4  # openings in a row at which something is there but makes no sense
    parked_s: float = 30.0
    keep_alive_s: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """What a failed opening leads to: the next state, and when to try again."""

    state: State
    retry_s: float


def after_failed_opening(error: DriverError, *, failures: int, plan: RecoveryPlan) -> Setback:
    """Sort by cure. `failures`: openings that failed in a row, this one included."""
    if isinstance(error, LinkMissing):
        return Setback(state=State.ABSENT, retry_s=plan.missing_s)
    if isinstance(error, Park):
        return Setback(state=State.PARKED, retry_s=plan.parked_s)
    if failures >= plan.park_after:
        return Setback(state=State.PARKED, retry_s=plan.parked_s)
    return Setback(state=State.ABSENT, retry_s=reopen_delay_s(failures, plan))


def reopen_delay_s(failures: int, plan: RecoveryPlan) -> float:
    """Doubling from the first delay to the most."""
    return float(min(plan.reopen_first_s * 2 ** min(failures - 1, 16), plan.reopen_most_s))
