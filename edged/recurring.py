"""A fault that comes again and again: counted every time, told at the 1st, 10th, 100th ... Of one thread."""

from __future__ import annotations

import logging


class Recurring:
    """One fault."""

    def __init__(self, log: logging.Logger) -> None:
        self._count = 0
        self._log = log

    @property
    def count(self) -> int:
        """How often it has come since it was last over; 0 before it came."""
        return self._count

    @property
    def is_told(self) -> bool:
        """Whether the latest time is one that is worth a line in the log."""
        text = str(self._count)
        return text[0] == "1" and not text[1:].strip("0")

    def again(self, level: int, text: str, *values: object, exc_info: BaseException | None = None) -> None:
        """Count it, and log it if it is to be told: `text % values` and the count."""
        self._count += 1
        if self.is_told:
            self._log.log(level, f"{text} (time %d)", *values, self._count, exc_info=exc_info, stacklevel=2)

    def told_otherwise(self) -> None:
        """It has come, and is told as something else: it counts as come at least once, without a line of its own."""
        self._count = max(1, self._count)

    def over(self) -> None:
        """It went well: the next time is the first."""
        self._count = 0
