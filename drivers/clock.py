"""Time, injected. `SystemClock` is the real one; `ManualClock` moves only when somebody waits, so tests never sleep."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds, and waiting that can be cut short."""

    def now_s(self) -> float:
        """Seconds since an arbitrary start; never goes back."""

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Wait so long, or until `stop` is set; return whether it is set."""


class SystemClock:
    """The computer's own monotonic clock."""

    now_s = staticmethod(time.monotonic)

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Block the calling thread."""
        return stop.wait(max(0.0, seconds))


class ManualClock:
    """A clock for one thread: waiting returns at once and moves the time."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now_s(self) -> float:
        """Return the seconds that were waited so far."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_s += max(0.0, seconds)

    def wait(self, stop: threading.Event, seconds: float) -> bool:
        """Let time pass unless `stop` is set already."""
        if not stop.is_set():
            self.advance(seconds)
        return stop.is_set()
