"""What can be wrong with a bundle or with the place where bundles are installed, sorted by cure.

BundleError
    BundleDamaged       the bytes are not what the builder wrote: copy the file again
    BundleUnfit         whole and sealed, but this program cannot use it: build it again
    BundleMissing       no such file, or nothing installed under that name: name another
    StoreUnusable       the folder of installed bundles cannot be read or written: a human, once
"""

from __future__ import annotations


class BundleError(Exception):
    """Root of everything this room raises. `hint` tells a human what to do, and may be empty."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class BundleDamaged(BundleError, ValueError):
    """The bytes are not what the builder wrote. Cure: copy or download the file again."""


class BundleUnfit(BundleError, ValueError):
    """The archive is whole but its contents break the format. Cure: build it again, with a matching version."""


class BundleMissing(BundleError, FileNotFoundError):
    """There is no such bundle. Cure: name another, or install it."""

    def __str__(self) -> str:
        return BundleError.__str__(self)


class StoreUnusable(BundleError, OSError):
    """The folder of installed bundles cannot be read or written. Cure: permissions or disk, by a human."""

    def __str__(self) -> str:
        return BundleError.__str__(self)
