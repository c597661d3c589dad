"""UUIDs of version 7 (RFC 9562): they sort by the time of their making. Safe from any thread."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable

COUNTER_BITS = 12  # rand_a; holds 4096 ids a millisecond, then borrows from the next one


class Uuid7:
    """Makes ids that rise strictly within this process, even when the clock stands still or steps back.

    wall_ms: milliseconds since 1970, UTC. random_bits: as `secrets.randbits`.
    """

    def __init__(
        self,
        *,
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random_bits: Callable[[int], int] = secrets.randbits,
    ) -> None:
        self._wall_ms = wall_ms
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._last = 0  # milliseconds and counter of the last id, as one number

    def __call__(self) -> str:
        """Return the next id in the usual form of 36 characters."""
        with self._lock:
            fresh = self._wall_ms() << COUNTER_BITS | self._random_bits(COUNTER_BITS - 1)  # upper half stays free
            self._last = stamp = max(fresh, self._last + 1)
        ms, counter = stamp >> COUNTER_BITS, stamp & (1 << COUNTER_BITS) - 1
        number = ms << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | self._random_bits(62)
        text = f"{number:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
