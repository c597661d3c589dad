"""Bytes in, frames out. No I/O, no clock.

A `Framer` looks at the front of a buffer and says one of three things: a whole frame is there, more bytes are needed,
or so many bytes in front are not ours. "Not enough yet" is a value, not an exception.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Frame(NamedTuple):  # as Skip, made for every frame: a frozen dataclass takes three times as long
    """A whole frame: its payload, and how many bytes of the buffer it took."""

    payload: bytes
    size_bytes: int


class Skip(NamedTuple):
    """`size_bytes` bytes in front (at least one) belong to no frame; `reason` says why."""

    size_bytes: int
    reason: str


NEED_MORE = None
Found = Frame | Skip | None


class Framer(Protocol):
    """Finds one frame at the front of a buffer."""

    @property
    def limit_bytes(self) -> int:
        """The longest frame; a buffer need not hold more."""

    def find(self, buffer: bytes) -> Found:
        """Return Frame, Skip, or NEED_MORE. Never raises; always gets on: Skip is at least one byte long."""


def skip_to(marker: bytes, buffer: bytes) -> Skip | None:
    """Return what lies before the first `marker`, or None if it is in front. The start of a cut-off marker is kept."""
    at = buffer.find(marker)
    if at == 0:
        return None
    if at < 0:
        at = len(buffer) - _cut_off(marker, buffer)
    return Skip(size_bytes=at, reason="noise before a frame") if at else None


def _cut_off(marker: bytes, buffer: bytes) -> int:
    for size in range(min(len(marker) - 1, len(buffer)), 0, -1):
        if buffer.endswith(marker[:size]):
            return size
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Frames that end with `end` and have no start: text protocols. The payload comes without its end."""

    end: bytes = b"\n"
    limit_bytes: int = 1024  # bounds a line whose end was lost

    def find(self, buffer: bytes) -> Found:
        """Return the first line, or Skip for one that is longer than the limit."""
        at = buffer.find(self.end)
        size = at + len(self.end)
        if at >= 0 and size <= self.limit_bytes:
            return Frame(payload=buffer[:at], size_bytes=size)
        if at >= 0:
            return Skip(size_bytes=size, reason=f"a line of {size} bytes, limit {self.limit_bytes}")
        if len(buffer) >= self.limit_bytes:
            return Skip(size_bytes=len(buffer) - len(self.end) + 1, reason=f"no line end in {len(buffer)} bytes")
        return NEED_MORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactly:
    """A reply of known length on a pipe that carries one reply at a time; more than that is out of step."""

    size_bytes: int
    surplus_bytes: int = 512  # one packet: enough to see that there is more
    limit_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "limit_bytes", self.size_bytes + self.surplus_bytes)

    def find(self, buffer: bytes) -> Found:
        """Return the reply, or Skip for all that has come when it is too long."""
        if len(buffer) == self.size_bytes:
            return Frame(buffer, self.size_bytes)
        if len(buffer) > self.size_bytes:
            return Skip(size_bytes=len(buffer), reason=f"{len(buffer)} bytes, expected {self.size_bytes}")
        return NEED_MORE


class Inbox:
    """Bytes that arrived and were not yet understood. Holds at most what the framer in use needs for one frame.

    `skipped` counts the bytes that belonged to no frame, `noise` keeps the first 64 of them and `reason` the latest
    cause; all three start afresh with `forgive`.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self.forgive()

    def __len__(self) -> int:
        return len(self._buffer)

    def forgive(self) -> None:
        """Start counting skipped bytes afresh."""
        self.skipped, self.noise, self.reason = 0, b"", ""

    def clear(self) -> bytes:
        """Forget what has arrived, and return it."""
        dropped, self._buffer = self._buffer, b""
        return dropped

    def room(self, framer: Framer) -> int:
        """Return how many bytes may be fed before `next` has to be called; at least 1 after `next` returned None."""
        return max(0, framer.limit_bytes - len(self._buffer))

    def feed(self, data: bytes) -> None:
        """Store bytes; understanding them is left to `next`."""
        self._buffer += data

    def next(self, framer: Framer) -> Frame | None:
        """Take the first whole frame out, dropping what lies before it; None if more bytes are needed."""
        while self._buffer:
            match framer.find(self._buffer):
                case Frame() as frame:
                    self._buffer = self._buffer[frame.size_bytes :]
                    return frame
                case Skip(size_bytes=size, reason=reason):
                    self._drop(size, reason)
                case _ if len(self._buffer) >= framer.limit_bytes:
                    self._drop(1, f"no frame within {framer.limit_bytes} bytes")
                case _:
                    return None
        return None

    def _drop(self, size: int, reason: str) -> None:
        self.noise = (self.noise + self._buffer[:size])[:64]
        self._buffer = self._buffer[size:]
        self.skipped += size
        self.reason = reason
