"""What this board knows of the time. Without a battery it wakes in the past, so moments say whether to trust it."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from edged.acquire.reading import Moment
from edged.store.record import TakenAt

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIMESYNC_MARK = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd touches it at its first success
STA_UNSYNC = 0x0040  # linux/timex.h
TIME_ERROR = 5  # linux/timex.h: what adjtimex answers while the clock is not synchronised


class _Timex(ctypes.Structure):
    """struct timex of linux/timex.h as far as `status`; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


class BoardClock:
    """Moments of this board. Safe from any thread; `synced` is asked for each."""

    def __init__(
        self,
        *,
        is_synced: Callable[[], bool] | None = None,
        wall_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_synced = is_synced or is_clock_synced
        self._wall_s = wall_s
        self._monotonic_s = monotonic_s
        self._boot_id = BOOT_ID.read_text("ascii").strip()

    def now(self) -> Moment:
        """Return this moment."""
        return Moment(
            wall_s=self._wall_s(),
            monotonic_s=self._monotonic_s(),
            boot_id=self._boot_id,
            synced=self._is_synced(),
        )


def is_clock_synced() -> bool:
    """Whether the kernel or systemd-timesyncd says that the wall clock follows a time server."""
    if TIMESYNC_MARK.exists():
        return True
    timex = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    return bool(0 <= state < TIME_ERROR and not timex.status & STA_UNSYNC)


def taken_at(moment: Moment) -> TakenAt:
    """Write a moment as it stands in a record."""
    wall = datetime.fromtimestamp(moment.wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return TakenAt(
        wall=wall,
        monotonic_s=round(moment.monotonic_s, 6),
        boot_id=moment.boot_id,
        clock="synced" if moment.synced else "unsynced",
    )


def moment_of(taken: TakenAt) -> Moment:
    """Read back what `taken_at` wrote, to the millisecond."""
    return Moment(
        wall_s=datetime.fromisoformat(taken.wall).timestamp(),
        monotonic_s=taken.monotonic_s,
        boot_id=taken.boot_id,
        synced=taken.clock == "synced",
    )
