"""A part of a journal, as `Stretch` is one of a file of text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Results of a journal: those whose `seq` is in this range, both ends included."""

    first_seq: int
    last_seq: int
