"""The words between a simulated instrument and the line it hangs on.

A `Firmware` is fed bytes with the time and answers with outputs that have a time; it never waits, opens or prints.
A host (`firmware_sim.host`) owns the clock and the line: a pty, or memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

Event = dict[str, object]  # one JSON object for whoever watches the simulator; "event" names it


class OperatorError(ValueError):
    """What the operator asked for makes no sense; the message says what would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliver:
    """These bytes are on the line at `at_s`."""

    at_s: float
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """The line is lost at `at_s`, and is there again `seconds` later. What was still to come is gone."""

    at_s: float
    seconds: float


Output = Deliver | HangUp


class Firmware(Protocol):
    """One simulated instrument. Times are seconds on the host's monotonic clock; they never go back."""

    serial_number: str

    def line_opened(self, now_s: float) -> None:
        """Somebody is at the other end, newly or again. An unfinished request is forgotten."""

    def receive(self, data: bytes, now_s: float) -> list[Output]:
        """Take what arrived and return what leaves, in order of time."""

    def wake_at(self) -> float | None:
        """Return when `wake` has something to do, or None."""

    def wake(self, now_s: float) -> None:
        """Let happen what time alone brings about, such as the end of a scan."""

    def take_events(self) -> list[Event]:
        """Return what happened since the last call."""

    def operate(self, line: str) -> None:
        """Do what the operator says, such as `white`. Raises OperatorError."""
