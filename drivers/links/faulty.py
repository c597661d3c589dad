"""A bad cable around a good link: seeded, so that a run which failed can be repeated byte by byte.

Faults touch what is read, and what is written if `both_ways`. Time comes from the clock that is passed in.
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass

from drivers.clock import Clock, SystemClock
from drivers.contract import Control, Link, UsbLink
from drivers.errors import LinkLost


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What the cable does. Probabilities are per byte; hang_up_after_bytes counts both directions; None is never.

    noise: bytes that come before anything else, such as the rest of a former session.
    """

    seed: int = 0
    one_byte_at_a_time: bool = False
    delay_s: float = 0.0
    loss: float = 0.0
    corruption: float = 0.0
    hang_up_after_bytes: int | None = None
    noise: bytes = b""
    both_ways: bool = False


class FaultyLink:
    """Wraps `link` and owns it: closing this closes that."""

    def __init__(self, link: Link, faults: Faults, *, clock: Clock | None = None) -> None:
        self.name = f"faulty {link.name}"
        self._link = link
        self._faults = faults
        self._clock: Clock = clock or SystemClock()
        self._random = random.Random(faults.seed)  # noqa: S311 - repeatable, not secret
        self._interrupted = threading.Event()
        self._arrived = faults.noise
        self._left = faults.hang_up_after_bytes
        self.passed_bytes = 0

    def read(self, limit: int, within_s: float) -> bytes:
        """Return what survives. Loss of everything that came looks like silence."""
        faults = self._faults
        if not self._arrived:
            if faults.delay_s and self._clock.wait(self._interrupted, min(faults.delay_s, within_s)):
                self._interrupted.clear()
                return b""
            self._arrived = self._spoil(self._link.read(limit, within_s))
        size = 1 if faults.one_byte_at_a_time else limit
        taken, self._arrived = self._arrived[:size], self._arrived[size:]
        self._count(len(taken))
        return taken

    def write(self, data: bytes, within_s: float) -> None:
        """Pass on what survives. A hang-up in the middle passes on the first part."""
        sent = self._spoil(data) if self._faults.both_ways else data
        room = len(sent) if self._left is None else min(len(sent), self._left)
        self._link.write(sent[:room], within_s)
        self._count(len(sent))

    def interrupt(self) -> None:
        """Pass on the interrupt and cut a delay short."""
        self._interrupted.set()
        self._link.interrupt()

    def close(self) -> None:
        """Close the link beneath."""
        self._link.close()

    def _count(self, size: int) -> None:
        self.passed_bytes += size
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                self._link.close()
                raise LinkLost(f"{self.name}: hung up after {self._faults.hang_up_after_bytes} bytes")

    def _spoil(self, data: bytes) -> bytes:
        faults, chance = self._faults, self._random.random
        if not faults.loss and not faults.corruption:
            return data
        kept = (byte for byte in data if chance() >= faults.loss)
        return bytes(byte ^ 1 << self._random.randrange(8) if chance() < faults.corruption else byte for byte in kept)


class FaultyPipes:
    """The same around USB pipes, whose bytes the bus itself checks: transfers are lost, late, cut up, or the last ones.

    loss is for each transfer inward, noise comes first on every pipe inward, corruption has no meaning.
    """

    def __init__(self, link: UsbLink, faults: Faults, *, clock: Clock | None = None) -> None:
        self.name = f"faulty {link.name}"
        self._link = link
        self._faults = faults
        self._clock: Clock = clock or SystemClock()
        self._random = random.Random(faults.seed)  # noqa: S311 - repeatable, not secret
        self._interrupted = threading.Event()
        self._arrived = dict.fromkeys(link.in_endpoints, faults.noise)
        self._left = faults.hang_up_after_bytes
        self.passed_bytes = 0
        self.passed_transfers = 0

    @property
    def in_endpoints(self) -> tuple[int, ...]:
        """The addresses of the pipes inward."""
        return self._link.in_endpoints

    def read_from(self, endpoint: int, limit: int, within_s: float) -> bytes:
        """Return what survives. A transfer that is lost looks like silence."""
        faults = self._faults
        if not self._arrived.get(endpoint):
            if faults.delay_s and self._clock.wait(self._interrupted, min(faults.delay_s, within_s)):
                self._interrupted.clear()
                return b""
            data = self._link.read_from(endpoint, limit, within_s)
            self._arrived[endpoint] = b"" if data and self._random.random() < faults.loss else data
        size = min(limit, 1 if faults.one_byte_at_a_time else limit)
        taken, self._arrived[endpoint] = self._arrived[endpoint][:size], self._arrived[endpoint][size:]
        self._count(len(taken))
        return taken

    def write_to(self, endpoint: int, data: bytes, within_s: float) -> None:
        """Pass it on, or a first part of it and hang up."""
        room = len(data) if self._left is None else min(len(data), self._left)
        if room == len(data):
            self._link.write_to(endpoint, data, within_s)
        self._count(len(data))

    def control(self, transfer: Control) -> bytes:
        """Perform it; its eight bytes of setup count too."""
        self._count(8)
        answer = self._link.control(transfer)
        self._count(len(answer) or len(transfer.data))
        return answer

    def clear_halts(self) -> None:
        """Pass it on."""
        self._link.clear_halts()

    def interrupt(self) -> None:
        """Pass on the interrupt and cut a delay short."""
        self._interrupted.set()
        self._link.interrupt()

    def close(self) -> None:
        """Close the link beneath."""
        self._link.close()

    def _count(self, size: int) -> None:
        self.passed_bytes += size
        self.passed_transfers += 1
        if self._left is not None:
            self._left -= size
            if self._left < 0:
                self._link.close()
                raise LinkLost(f"{self.name}: hung up after {self._faults.hang_up_after_bytes} bytes")
