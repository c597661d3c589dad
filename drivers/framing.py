"""Bytes in, frames out. No I/O, no clock.

A `Framer` looks at the front of a buffer and says one of three things: a whole frame is there, more bytes are needed,
or so many bytes in front are not ours. "Not enough yet" is a value, not an exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A whole frame: its payload, and how many bytes of the buffer it took."""

    payload: bytes
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """`size_bytes` bytes in front (at least one) belong to no frame; `reason` says why."""

    size_bytes: int
    reason: str


NEED_MORE = None
Found = Frame | Skip | None


class Framer(Protocol):
    """Finds one frame at the front of a buffer."""

    limit_bytes: int

    def find(self, buffer: bytes) -> Found:
        """Return Frame, Skip, or NEED_MORE. Never raises; always gets on: Skip is at least one byte long."""
