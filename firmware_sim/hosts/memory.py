"""A line in memory with a clock of its own: it never waits, and is for tests."""

from __future__ import annotations

from collections import deque

from firmware_sim.contract import Deliver, Event, Firmware, HangUp, Output, SpeaksUnasked


class Memory:
    """A line in memory: bytes in, bytes out; time passes only in `advance`."""

    def __init__(self, device: Firmware) -> None:
        self.device = device
        self.now_s = 0.0
        self._due: deque[Output] = deque()
        self._back_at_s: float | None = None
        device.line_opened(self.now_s)

    @property
    def hung_up(self) -> bool:
        """The line is lost for now; `feed` has no effect."""
        return self._back_at_s is not None

    def feed(self, data: bytes) -> bytes:
        """Send bytes to the instrument; return those that are on the line by now."""
        if self.hung_up:
            return b""
        self._due.extend(self.device.receive(data, self.now_s))
        return self._arrived()

    def advance(self, seconds: float) -> bytes:
        """Let time pass; return the bytes that came meanwhile."""
        self.now_s += seconds
        self.device.wake(self.now_s)
        if isinstance(self.device, SpeaksUnasked) and (said := self.device.unasked(self.now_s)) and not self.hung_up:
            self._due.extend(said)
        return self._arrived()

    def hang_up(self, seconds: float) -> None:
        """Lose the line for so long."""
        self._lost(self.now_s + seconds)

    def events(self) -> list[Event]:
        """Return what the instrument told since the last call."""
        return self.device.take_events()

    def _arrived(self) -> bytes:
        arrived = b""
        while self._due and self._due[0].at_s <= self.now_s:
            match self._due.popleft():
                case Deliver(data=data):
                    arrived += data
                case HangUp(at_s=at_s, seconds=seconds):
                    self._lost(at_s + seconds)
        if self._back_at_s is not None and self.now_s >= self._back_at_s:
            self._back_at_s = None
            self.device.line_opened(self.now_s)
        return arrived

    def _lost(self, back_at_s: float) -> None:
        self._due.clear()
        self._back_at_s = back_at_s
