"""A bank of compounds as files that a runtime opens, and what was measured of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from tests.bench.bank_fresh import Fresh


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to run a bank. files: as `bank_runtimes.opened` takes them."""

    name: str
    runtime: str
    files: tuple[Path, ...]

    def sizes_mb(self) -> tuple[float, float]:
        """Return the size of all files in units of 1e6 bytes, then the same deflated, as a bundle holds them."""
        contents = [path.read_bytes() for path in self.files]
        return sum(map(len, contents)) / 1e6, sum(len(zlib.compress(content)) for content in contents) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """ms: CPU of one spectrum. error: of the logits, in their deviation. fresh: what it costs a process of its own.

    files_mb, packed_mb: as `Way.sizes_mb` gives them.
    """

    name: str
    ms: float
    error: float
    fresh: Fresh
    files_mb: float
    packed_mb: float

    @property
    def load_ms(self) -> float:
        """CPU from files to the first answer."""
        return 1e3 * self.fresh.load_s

    @property
    def memory_mb(self) -> float:
        """Growth of the resident set."""
        return self.fresh.memory_mb
