"""What a study is: cells to measure, and how their outcomes become one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from export.page import Code, Page, Part, Table, Text
from export.study.cell import Outcome, Score


class Question(Protocol):
    """A cell: one measurement, and all that its outcome depends on."""

    @property
    def name(self) -> str:
        """What tables call it."""

    def digest(self) -> str:
        """Return the SHA-256 of what the cell says, in hex."""


class Result(Protocol):
    """The outcome of a cell, as frozen words."""

    @property
    def cell(self) -> Any:
        """The cell."""

    @property
    def seconds(self) -> float:
        """What it took, of CPU."""

    def model_dump_json(self) -> str:
        """Return it as JSON."""

    @classmethod
    def model_validate_json(cls, json_data: str | bytes) -> Self:
        """Read it again."""


CellT = TypeVar("CellT", bound=Question)
OutcomeT = TypeVar("OutcomeT", bound=Result)
Figure = Callable[[Outcome], float | None]
"""One number of an outcome; None where it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Study(Generic[CellT, OutcomeT]):
    """A question, the cells that answer it, how one is measured, and the page.

    question: paragraphs that open the page. measure: a plain function of a cell and the data folder, which gives an
    outcome of `kind`. parts: from all outcomes, in the order of the cells, and the data folder, to what follows.
    """

    name: str
    title: str
    question: tuple[str, ...]
    cells: tuple[CellT, ...]
    measure: Callable[[CellT, Path], OutcomeT]
    kind: type[OutcomeT]
    parts: Callable[[Sequence[OutcomeT], Path], Sequence[Part]]

    def page(self, outcomes: Sequence[OutcomeT], data: Path) -> Page:
        """Return the page of what is measured of a study, which is at least one cell."""
        seconds = sum(outcome.seconds for outcome in outcomes)
        cost = f"{len(outcomes):,} cells, {seconds / 60:.0f} minutes of CPU on one core each. Written by"
        if left := len(self.cells) - len(outcomes):
            cost = (
                f"**{left:,} of {len(self.cells):,} cells are not measured yet: figures stand on fewer splits than is "
            )
            cost += f"said, or on none (–).** {len(outcomes):,} took {seconds / 60:.0f} minutes of CPU. Continued by"
        opening: list[Part] = [Text(" ".join(text.split())) for text in self.question]
        opening += [Text(cost), Code(f"edged-export evaluate {self.name}")]
        return Page(title=self.title, parts=(*opening, *self.parts(outcomes, data)))


def accuracy(outcome: Outcome) -> float | None:
    """The share of test spectra that were named rightly."""
    return outcome.score.accuracy


def stressed_accuracy(outcome: Outcome) -> float | None:
    """The same after changes of session."""
    return outcome.stress.accuracy if outcome.stress else None


def figure(name: str, *, stress: bool = False) -> Figure:
    """Return what reads one figure of a score by its name."""

    def read(outcome: Outcome) -> float | None:
        found: Score | None = outcome.stress if stress else outcome.score
        return None if found is None else float(getattr(found, name))

    return read


def without_a_row(cells: Sequence[Question], outcomes: Sequence[Result]) -> list[Part]:
    """Return a paragraph with the names of which no cell is measured, so that nobody takes a table for whole."""
    known = {outcome.cell.name for outcome in outcomes}
    names = dict.fromkeys(cell.name for cell in cells if cell.name not in known)
    return [Text(f"Not measured yet, and so without a row: {'; '.join(names)}.")] if names else []


def table(
    outcomes: Sequence[Outcome],
    *,
    first: str,
    row: Callable[[Outcome], str],
    columns: Sequence[tuple[str, Callable[[Outcome], bool], Figure]],
    bold: bool = True,
) -> Table:
    """Return rows in the order of their first outcome: mean and standard deviation in percent, the best column bold.

    columns: title, which outcomes belong to it, and what is read from them. A cell that stands on fewer outcomes than
    another of its column says on how many. bold: False while cells are missing, since the best of some is not the best.
    """
    names = list(dict.fromkeys(row(outcome) for outcome in outcomes))
    values = [[_values(outcomes, name, row, of, read) for _, of, read in columns] for name in names]
    best = [max((float(np.mean(line[c])) for line in values if line[c]), default=0.0) for c in range(len(columns))]
    most = [max((len(line[c]) for line in values), default=0) for c in range(len(columns))]
    rows = [
        [
            name,
            *(
                _shown(cell, most=most[c], strong=bold and bool(cell) and float(np.mean(cell)) >= best[c] - 1e-9)
                for c, cell in enumerate(line)
            ),
        ]
        for name, line in zip(names, values, strict=True)
    ]
    return Table([first, *(title for title, _, _ in columns)], rows)


def _values(
    outcomes: Sequence[Outcome], name: str, row: Callable[[Outcome], str], of: Callable[[Outcome], bool], read: Figure
) -> list[float]:
    found = [read(outcome) for outcome in outcomes if row(outcome) == name and of(outcome)]
    return [value for value in found if value is not None]


def _shown(values: Sequence[float], *, most: int, strong: bool) -> str:
    if not values:
        return "–"
    text = f"{100 * float(np.mean(values)):.1f}"
    if len(values) > 1:
        text += f" ± {100 * float(np.std(values, ddof=1)):.1f}"
    text = f"**{text}**" if strong else text
    return text if len(values) == most else f"{text} (of {len(values)})"
