"""Why a run does not begin, or does not go on, sorted by cure.

BulkError
    NotThisRun      what lies there is another run's, or what is judged has changed since: begin another
    WorkersMissing  nobody to do the work: start them, or install what they need; the run goes on later
    RunBroken       a worker or the disk failed: see to it; the run goes on later
"""

from __future__ import annotations


class BulkError(Exception):
    """Root of everything this room raises. `hint` tells a human what to do, and may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class NotThisRun(BulkError, ValueError):
    """The results that lie there do not belong to what is asked now. Cure: begin another run, elsewhere."""


class WorkersMissing(BulkError, RuntimeError):
    """There is nobody to do the work. Cure: start a scheduler, or install a package."""


class RunBroken(BulkError, RuntimeError):
    """The run cannot go on now. Cure: a human; the same command then goes on."""
