"""What is found wrong with spectra before anything is trained on them: reasons to stop, and reasons to think twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from export.errors import DataUnusable

SHOWN = 5  # names in one message
LISTED = 20  # findings in one error


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """refuse: no model of this can be right. warn: the model may be worse, or its figures better, than they look."""

    level: Literal["refuse", "warn"]
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


def refuse(message: str, hint: str = "") -> Finding:
    """Return a reason to stop."""
    return Finding(level="refuse", message=message, hint=hint)


def warn(message: str, hint: str = "") -> Finding:
    """Return a reason to think twice."""
    return Finding(level="warn", message=message, hint=hint)


def raise_refusals(what: str, findings: Iterable[Finding]) -> None:
    """Raise DataUnusable that lists every reason to stop, if there is one."""
    found = [finding for finding in findings if finding.level == "refuse"]
    if not found:
        return
    lines = [f"  {finding}" for finding in found[:LISTED]]
    lines += [f"  and {len(found) - LISTED} more"] if len(found) > LISTED else []
    count = "1 reason" if len(found) == 1 else f"{len(found)} reasons"
    raise DataUnusable("\n".join([f"{what} cannot be learned from, for {count}:", *lines]))


def some(names: Sequence[str]) -> str:
    """Return the first few of many names, and how many there are more."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
