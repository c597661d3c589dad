"""What went over the wire, as lines: into the log at DEBUG, or into a file that `drivers.links.replay` can play back.

A line of a recording is `> 41 42 43` for bytes that we sent, `< 41 42 43` for bytes that came, `# text` for a remark.
"""

from __future__ import annotations

import logging
from typing import Protocol, TextIO

LINE_BYTES = 32  # bytes on one line of a recording
SHOWN_BYTES = 1024  # longest frame that the log shows whole; every frame of a supported device is shorter

log = logging.getLogger(__name__)


class Trace(Protocol):
    """Hears every byte, on the session's thread."""

    def sent(self, data: bytes) -> None:
        """Before the bytes are written."""

    def received(self, data: bytes) -> None:
        """After the bytes were read, in the pieces in which they came."""

    def flush(self) -> None:
        """The frame is whole, or the wait for it over."""

    def note(self, text: str) -> None:
        """What the session did with the bytes."""


class LogTrace:
    """DEBUG lines in hex, both directions, one line a frame."""

    def __init__(self, name: str, logger: logging.Logger = log) -> None:
        self._name = name
        self._log = logger
        self._pending = b""

    def sent(self, data: bytes) -> None:
        """Log the frame."""
        if self._log.isEnabledFor(logging.DEBUG):
            self.flush()
            self._line(">", data)

    def received(self, data: bytes) -> None:
        """Keep the piece until the frame is over."""
        if self._log.isEnabledFor(logging.DEBUG):
            self._pending += data
            if len(self._pending) >= SHOWN_BYTES:
                self.flush()

    def note(self, text: str) -> None:
        """Log the remark."""
        self.flush()
        self._log.debug("%s # %s", self._name, text)

    def flush(self) -> None:
        """Log what came since the last line."""
        if self._pending:
            self._line("<", self._pending)
            self._pending = b""

    def _line(self, direction: str, data: bytes) -> None:
        if self._log.isEnabledFor(logging.DEBUG):
            self._log.debug("%s %s %s", self._name, direction, data.hex(" "))


def log_trace(name: str) -> LogTrace | None:
    """Return a trace into the log, None where nobody reads it there."""
    return LogTrace(name) if log.isEnabledFor(logging.DEBUG) else None


class RecordTrace:
    """Writes a recording to an open text file, which stays the caller's."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._pending = b""

    def sent(self, data: bytes) -> None:
        """Write the frame."""
        self.flush()
        self._lines(">", data)

    def received(self, data: bytes) -> None:
        """Keep the piece until the frame is over."""
        self._pending += data

    def note(self, text: str) -> None:
        """Write a remark."""
        self.flush()
        self._file.write(f"# {' '.join(text.split())}\n")

    def flush(self) -> None:
        """Write what came since the last line."""
        if self._pending:
            self._lines("<", self._pending)
            self._pending = b""
        self._file.flush()

    def _lines(self, direction: str, data: bytes) -> None:
        for start in range(0, len(data), LINE_BYTES):
            self._file.write(f"{direction} {data[start : start + LINE_BYTES].hex(' ')}\n")
