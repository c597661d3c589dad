"""Sentences under the tables of drift: what was wanted of alarms and of names, met or missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MISSED = "**missed**"
HALF = 0.5  # of its runs: a drift that is named rightly in fewer is told by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A row of drifts. runs: in which nothing alarmed before the change; seen: with an alarm; right: rightly named."""

    row: str
    runs: int
    seen: int
    right: int


def of_alarms(rows: Mapping[str, tuple[int, int]], every: float) -> str:
    """Say which rows keep to one false alarm in `every` readings.

    rows: alarms and readings, by what a row is called. A row of fewer readings without an alarm tells nothing.
    """
    over = [f"{row} (one in {of / alarms:,.0f})" for row, (alarms, of) in rows.items() if alarms * every > of]
    short = [row for row, (alarms, of) in rows.items() if not alarms and of < every]
    met = len(rows) - len(over) - len(short)
    said = [f"One false alarm in {every:,.0f} readings was wanted, at most: met by {met} of {len(rows)} rows"]
    said += [f"{MISSED} by {', '.join(over)}"] if over else []
    said += [f"too few readings to tell in {', '.join(short)}"] if short else []
    return f"\n{'; '.join(said)}.\n"


def of_names(rows: Sequence[Named]) -> str:
    """Say in how many rows a drift is seen and rightly named in every run, and in which it is named in few."""
    whole = [each for each in rows if each.right == each.runs]
    unseen = [each for each in rows if each.seen < each.runs]
    few = [f"{each.row} ({each.right} of {each.runs})" for each in rows if each.right < HALF * each.runs]
    runs, right, seen = (sum(getattr(each, what) for each in rows) for what in ("runs", "right", "seen"))
    said = [
        f"Each drift was to be seen and rightly named: in every run met by {len(whole)} of {len(rows)} rows",
        *([f"{MISSED} by the other {len(rows) - len(whole)}"] if len(whole) < len(rows) else []),
    ]
    all_runs = f"Of all {runs:,} runs {seen / runs:.0%} are seen and {right / runs:.0%} rightly named"
    rows_have = "1 row has" if len(unseen) == 1 else f"{len(unseen)} rows have"
    not_seen = f"; {rows_have} runs in which nothing is seen" if unseen else ""
    least = f" Named in fewer than half of the runs: {', '.join(few)}." if few else ""
    return f"\n{', '.join(said)}. {all_runs}{not_seen}.{least}\n"
