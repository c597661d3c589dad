"""What can go wrong with the store, sorted by cure.

StoreError
    StoreBusy       another process holds the database: ask again
    StoreFull       no room left: make room, then ask again; nothing was written
    StoreDenied     the operating system refuses: permissions, read-only disk, missing directory; only a human can help
    StoreForeign    the file is not a journal, or one of a later edition: only a human can help
    StoreDamaged    the file is a journal but its pages or contents make no sense: restore, or keep it as evidence
    StoreRejected   the caller asked for what no journal may hold, such as one id twice with different contents
"""

from __future__ import annotations


class StoreError(Exception):
    """Root of everything the store raises. `hint` tells a human what to do, and may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class StoreBusy(StoreError, TimeoutError):
    """Another process held the database for longer than the time allowed."""


class StoreFull(StoreError, OSError):
    """The disk is full, or filled down to its reserve. Nothing was written."""


class StoreDenied(StoreError, PermissionError):
    """The operating system refuses to open, read or write the file."""


class StoreForeign(StoreError, ValueError):
    """The file is not a journal that this edition can read."""


class StoreDamaged(StoreError, ValueError):
    """The file is a journal, but broken."""


class StoreRejected(StoreError, ValueError):
    """What the caller asked for may not be in a journal."""
