"""Two link ends in one process: what one writes, the other reads. For tests and for simulators beside a driver."""

from __future__ import annotations

import threading

from drivers.errors import LinkLost


class _Pipe:
    """Bytes one way, between two threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._buffer = bytearray()
        self._closed = False
        self._interrupted = False

    def put(self, data: bytes) -> bool:
        with self._changed:
            if self._closed:
                return False
            self._buffer += data
            self._changed.notify_all()
            return True

    def take(self, limit: int, within_s: float) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._buffer or self._closed or self._interrupted, within_s)
            self._interrupted = False
            if not self._buffer and self._closed:
                return None
            taken = bytes(self._buffer[:limit])
            del self._buffer[:limit]
            return taken

    def interrupt(self) -> None:
        with self._changed:
            self._interrupted = True
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class MemoryLink:
    """One end of a pair. When either end closes, the other gets LinkLost after what was still under way."""

    def __init__(self, name: str, inward: _Pipe, outward: _Pipe) -> None:
        self.name = name
        self._inward = inward
        self._outward = outward

    @staticmethod
    def pair(name: str = "memory") -> tuple[MemoryLink, MemoryLink]:
        """Return the two ends: ours and the instrument's."""
        there, back = _Pipe(), _Pipe()
        return MemoryLink(name, back, there), MemoryLink(f"{name} far end", there, back)

    def read(self, limit: int, within_s: float) -> bytes:
        """Return what has arrived, or b"" after `within_s`. Raises LinkLost."""
        data = self._inward.take(limit, within_s)
        if data is None:
            raise LinkLost(f"{self.name}: the other end hung up")
        return data

    def write(self, data: bytes, within_s: float) -> None:
        """Hand over all of it; never blocks. Raises LinkLost."""
        if not self._outward.put(data):
            raise LinkLost(f"{self.name}: the other end hung up")

    def interrupt(self) -> None:
        """Make the read under way, or the next one, return."""
        self._inward.interrupt()

    def close(self) -> None:
        """Hang up both ways."""
        self._inward.close()
        self._outward.close()
