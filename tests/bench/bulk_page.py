"""The page docs/results/bulk.md from what `tests.bench.bulk_archive` measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from export.page import Code, Heading, Page, Part, Table, Text

GROWTH: Final = 1.02  # of memory, from the first half of a run to the second, that still counts as flat
QUESTION = """
Spectra in one wide table, real powders under another lamp, another level and new noise each, judged by `edged analyze
--out` with a worker process a core. Each bundle judges all of its table twice: undisturbed; then killed at half of its
results, command and workers at once, and given again."""
HOW = """
Memory is the resident set of the command and its workers together, looked at five times a second; what they share
counts in each. A second of CPU is one of any of the processes; by the clock other work on the machine counts too. *Kept
at the kill*: spectra whose results the second command did not make again. *One by one*: the first spectra through
`edged analyze --json`, each compared in verdict and probabilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An archive through one bundle, on `processor`. wall_s, cpu_s, peaks_mb (the most in each tenth): of the
    undisturbed run.

    kept_at_kill: spectra; lost_at_kill_s: by the clock, killed and resumed run together against the undisturbed one.
    same_singly: of the first `singly` spectra, how many were answered alike one by one.
    """

    bundle: str
    procedure: str
    processor: str
    workers: int
    spectra: int
    in_bytes: int
    out_bytes: int
    wall_s: float
    cpu_s: float
    peaks_mb: tuple[float, ...]
    kept_at_kill: int
    lost_at_kill_s: float
    same_bytes: bool
    singly: int
    same_singly: int
    outcomes: Mapping[str, int]

    @property
    def flat(self) -> bool:
        """Whether the second half of the run took no more memory than the first, in which everything is loaded."""
        return max(self.peaks_mb[5:]) <= GROWTH * max(self.peaks_mb[:5])


ROWS: Final[Sequence[tuple[str, Callable[[Judged], str]]]] = (
    ("on", lambda each: each.processor),
    ("worker processes", lambda each: f"{each.workers}"),
    ("spectra", lambda each: f"{each.spectra:,}"),
    ("spectra a second, clock", lambda each: f"{each.spectra / each.wall_s:,.0f}"),
    ("spectra a second of CPU", lambda each: f"{each.spectra / each.cpu_s:,.0f}"),
    ("in, out, MB", lambda each: f"{each.in_bytes / 1e6:,.0f}, {each.out_bytes / 1e6:,.0f}"),
    ("memory, most in the first half, MB", lambda each: f"{max(each.peaks_mb[:5]):.0f}"),
    ("memory, most in the second half, MB", lambda each: f"{max(each.peaks_mb[5:]):.0f}"),
    (f"memory is flat (within {100 * GROWTH - 100:.0f} %)", lambda each: _yes(each.flat)),
    ("killed; kept at the kill", lambda each: f"{each.kept_at_kill:,}"),
    ("killed and resumed against undisturbed, s", lambda each: f"{each.lost_at_kill_s:+.0f}"),
    ("killed and resumed: the same bytes", lambda each: _yes(each.same_bytes)),
    ("one by one: the same answers", lambda each: f"{each.same_singly} of {each.singly}"),
    ("outcomes", lambda each: ", ".join(f"{name} {count:,}" for name, count in sorted(each.outcomes.items()))),
)


def page(found: Sequence[Judged]) -> str:
    """Return the page as Markdown."""
    sizes = {"components" if each.procedure == "components" else "spectra": each.spectra for each in found}
    options = "".join(f" --{name} {many}" for name, many in sizes.items())
    rows = [[what, *(show(each) for each in found)] for what, show in ROWS]
    parts: list[Part] = [
        Text(" ".join(QUESTION.split())),
        Text(" ".join(HOW.split())),
        Text("Written by"),
        Code(f"python -m tests.bench.bulk_archive{options}"),
        Heading("What came of it"),
        Table(["", *(f"{each.bundle}, {each.procedure}" for each in found)], rows),
    ]
    return Page(
        title="An archive judged again: how fast, in what memory, and after a kill", parts=tuple(parts)
    ).markdown()


def _yes(it_is: bool) -> str:
    return "yes" if it_is else "**no**"
