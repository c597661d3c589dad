"""The one table of all benches: what was measured, next to a peer or a limit of the same run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

HEADS = ("what", "ours", "unit", "next to", "value", "times better")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line. `other` is the value of what `against` names, in the same unit and from the same run."""

    bench: str
    what: str
    ours: float
    other: float
    against: str
    unit: str
    more_is_better: bool = False

    @property
    def times_better(self) -> float:
        """Above 1: better than the peer, or within the limit. Infinite where the better of two amounts is nothing."""
        good, bad = (self.ours, self.other) if self.more_is_better else (self.other, self.ours)
        return good / bad if bad else math.inf

    def document(self) -> dict[str, Any]:
        """Return the row for a program; an infinite ratio is null."""
        ratio = self.times_better
        return {
            "bench": self.bench,
            "what": self.what,
            "ours": self.ours,
            "unit": self.unit,
            "against": self.against,
            "other": self.other,
            "more_is_better": self.more_is_better,
            "times_better": ratio if math.isfinite(ratio) else None,
        }


def shown(rows: Sequence[Row]) -> str:
    """Return the table as Markdown, which a terminal shows as well as a page does."""
    lines = [HEADS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADS))]
    rule = "|" + "|".join("-" * (width + 1) + (":" if _is_number(i) else "-") for i, width in enumerate(widths)) + "|"
    out = [_line(line, widths) for line in lines]
    return "\n".join([out[0], rule, *out[1:]])


def _cells(row: Row) -> tuple[str, ...]:
    ratio = row.times_better
    times = f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}" if ratio < 1000 else "> 1000"
    return (f"{row.bench}: {row.what}", _number(row.ours), row.unit, row.against, _number(row.other), times)


def _number(value: float) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        digits = max(0, 3 - math.floor(math.log10(abs(value))) - 1) if value else 0
        return f"{value:,.{digits}f}"
    return f"{value:.1e}"


def _is_number(column: int) -> bool:
    return column in (1, 4, 5)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    aligned = [c.rjust(w) if _is_number(i) else c.ljust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "| " + " | ".join(aligned) + " |"
