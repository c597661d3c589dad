"""A file descriptor as a stream link, never blocking for longer than asked; `interrupt` wakes a waiting read at once.

Serial ports, sockets and hidraw nodes are all of this; each has its own way to open and to release.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Callable

from drivers.errors import LinkLost

LOST_HINT = "is the instrument still plugged in and switched on?"


class HandleLink:
    """Owns a non-blocking descriptor, which `release` gives back. `name` is what was asked for."""

    def __init__(self, fd: int, name: str, release: Callable[[], object]) -> None:
        self.name = name
        self._fd = fd
        self._release = release
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._open = True
        self._closing = threading.Lock()  # an interrupt must not write to a descriptor that has a new owner

    def read(self, limit: int, within_s: float) -> bytes:
        """Return what has arrived, or b"" after `within_s` or an interrupt. Raises LinkLost."""
        if not self._ready(select.POLLIN, within_s):
            return b""
        try:
            data = os.read(self._fd, limit)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost(str(error)) from error
        if not data:
            raise self._lost("hung up")
        return data

    def write(self, data: bytes, within_s: float) -> None:
        """Write all of it, in one piece if the system takes it. Raises LinkLost, also when nobody takes the bytes."""
        deadline_s = time.monotonic() + within_s
        while data:
            try:
                written = os.write(self._fd, data)
            except BlockingIOError:
                written = 0
            except OSError as error:
                raise self._lost(str(error)) from error
            data = data[written:]
            left_s = deadline_s - time.monotonic()
            if data and (left_s <= 0 or not self._ready(select.POLLOUT, left_s)) and time.monotonic() >= deadline_s:
                raise self._lost(f"{len(data)} bytes were not taken within {within_s:g} s")

    def interrupt(self) -> None:
        """Make the read under way, or the next one, return. Any thread."""
        with self._closing, contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            if self._open:
                os.write(self._wake_write, b"!")

    def close(self) -> None:
        """Release the descriptor. Never raises; closing twice is fine."""
        with self._closing:
            if not self._open:
                return
            self._open = False
            os.close(self._wake_read)
            os.close(self._wake_write)
        self._release()

    def _ready(self, event: int, within_s: float) -> bool:
        """Wait for the event or a hang-up; False after `within_s` or an interrupt."""
        if not self._open:
            raise self._lost("closed")
        poll = select.poll()
        poll.register(self._fd, event)
        if event == select.POLLIN:
            poll.register(self._wake_read, select.POLLIN)
        happened = dict(poll.poll(max(0.0, within_s) * 1000))
        if happened.pop(self._wake_read, 0):
            os.read(self._wake_read, 4096)
        return bool(happened)

    def _lost(self, why: str) -> LinkLost:
        return LinkLost(f"{self.name}: {why}", hint=LOST_HINT)
