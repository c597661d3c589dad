"""Why a station gives no reading, sorted by cure.

AcquireError
    NotReady        the instrument is absent, opening or parked: look at the station's message and hint
    TooMany         as many triggers wait as the queue holds: ask later
    MeasurementLost the instrument was lost, or refused, during the measurement: nothing was recorded, ask again
    Unfit           a white reference that cannot serve as one: look at the tile, ask again
"""

from __future__ import annotations


class AcquireError(Exception):
    """Root of what a station answers instead of a reading. `hint` tells a human what to do, and may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class NotReady(AcquireError):
    """No instrument is ready to measure."""


class TooMany(AcquireError):
    """The queue of triggers is full."""


class MeasurementLost(AcquireError):
    """The measurement began and gave no scan. Nothing was recorded."""


class Unfit(AcquireError):
    """The scan cannot serve as a white reference. The one before stays in use."""
