"""An instrument on a line of bytes, and an operator at standard input. Lives in the main thread until told to stop."""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from firmware_sim.contract import Deliver, Event, Firmware, HangUp, OperatorError, Output, RateAware, SpeaksUnasked
from firmware_sim.hosts.operator import Operator, seconds_of, wake_on_signals

IDLE_S = 0.5


class Line(Protocol):
    """What the instrument hangs on: one other end at a time."""

    @property
    def told(self) -> Event:
        """How a client finds it: what the `ready` event says of it."""

    @property
    def is_open(self) -> bool:
        """The line is there; somebody may be at its other end."""

    @property
    def patience_s(self) -> float | None:
        """When to read although no handle is ready, None for no need."""

    @property
    def handles(self) -> list[int]:
        """What to wait for."""

    @property
    def baud(self) -> int | None:
        """The rate at which the other end talks, 0 for an odd one; None where there is no such thing."""

    def open(self) -> None:
        """Make it."""

    def close(self) -> None:
        """Take it away."""

    def read(self) -> bytes | None:
        """Return what came, b"" for nothing yet; None when nobody is there."""

    def write(self, data: bytes) -> None:
        """Send; what the other end does not take is lost."""

    def flush(self) -> None:
        """Give the other end a moment to fetch what was sent."""


class StreamHost:
    """One instrument on one line. tell: called with each event, in the main thread."""

    def __init__(self, device: Firmware, line: Line, tell: Callable[[Event], None]) -> None:
        self._device = device
        self._line = line
        self._tell = tell
        self._somebody = False
        self._due: deque[Output] = deque()
        self._back_at_s = 0.0
        self._operator = Operator()
        self._stopping = False

    def serve(self) -> None:
        """Serve until SIGTERM, SIGINT, `quit`, or the end of an operator's pipe; the line is gone afterwards."""
        with wake_on_signals() as (wake, stopped):
            try:
                self._line.open()
                self._tell({"event": "ready", **self._line.told, "serial_number": self._device.serial_number})
                while not (self._stopping or self._operator.left or stopped()):
                    self._turn(wake)
            finally:
                self._line.close()

    def _turn(self, wake: int) -> None:
        now = time.monotonic()
        if not self._line.is_open and now >= self._back_at_s:
            self._line.open()
        self._device.wake(now)
        if isinstance(self._device, SpeaksUnasked) and (said := self._device.unasked(now)) and self._somebody:
            self._due.extend(said)
        self._send_due(now)
        self._report()
        handles, polled = self._line.handles, self._line.patience_s is not None
        typing = [] if self._operator.handle is None else [self._operator.handle]
        ready, _, _ = select.select([*handles, *typing, wake], [], [], self._patience(time.monotonic()))
        if any(handle in ready for handle in typing):
            for line in self._operator.lines():
                self._obey(line)
        if self._line.is_open and (polled or any(handle in ready for handle in handles)):
            self._read()
        self._report()

    def _patience(self, now: float) -> float:
        moments = [now + (IDLE_S if self._line.patience_s is None else self._line.patience_s)]
        if self._due:
            moments.append(self._due[0].at_s)
        if not self._line.is_open:
            moments.append(self._back_at_s)
        if (wake_at := self._device.wake_at()) is not None:
            moments.append(wake_at)
        return max(0.0, min(moments) - now)

    def _read(self) -> None:
        data = self._line.read()
        if data is None:
            self._somebody = False  # what is under way for whoever was there is lost, as on a wire
            self._due.clear()
            return
        now = time.monotonic()
        if not self._somebody:
            self._somebody = True
            self._device.line_opened(now)
        if data:
            if isinstance(self._device, RateAware) and (baud := self._line.baud) is not None:
                self._device.line_speed(baud)
            self._due.extend(self._device.receive(data, now))
            self._send_due(now)

    def _send_due(self, now: float) -> None:
        while self._due and self._due[0].at_s <= now:
            match self._due.popleft():
                case Deliver(data=data):
                    self._line.write(data)
                case HangUp(seconds=seconds):
                    self._hang_up(seconds)

    def _hang_up(self, seconds: float) -> None:
        if self._line.is_open:
            self._line.flush()
            self._line.close()
        self._somebody = False
        self._due.clear()
        self._back_at_s = time.monotonic() + seconds

    def _obey(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        try:
            match verb:
                case "":
                    pass
                case "quit":
                    self._stopping = True
                case "hangup":
                    self._hang_up(seconds_of(rest))
                case _:
                    self._device.operate(line)
        except OperatorError as error:
            self._tell({"event": "error", "serial_number": self._device.serial_number, "message": str(error)})

    def _report(self) -> None:
        for event in self._device.take_events():
            self._tell(event)
