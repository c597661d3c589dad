"""A line of a table as cells, and cells as numbers: delimiters, decimal commas, and errors that name the column."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass

from edged.spectra.spectrum import SpectrumError

DELIMITERS = ("\t", ";", ",")
MAX_MAGNITUDE = 1e30  # beyond any instrument; float32 still holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How the cells of one file are told apart. `decimal_comma`: 1,5 is one and a half."""

    delimiter: str
    decimal_comma: bool

    def split(self, line: str) -> list[str]:
        """Return the cells of one line, stripped. Quotes are honoured; a quoted cell ends with its line."""
        if '"' not in line:
            return list(map(str.strip, line.split(self.delimiter)))
        try:
            return [cell.strip() for cell in next(csv.reader([line], delimiter=self.delimiter), [])]
        except csv.Error:
            return [line[:100]]

    def number(self, cell: str) -> float | None:
        """Return the number a cell holds, which may be infinite or NaN, or None for a text or empty cell."""
        if self.decimal_comma and "," in cell and "." not in cell:
            cell = cell.replace(",", ".", 1)
        try:
            return float(cell) if "_" not in cell else None
        except ValueError:
            return None

    def value(self, cell: str, where: str) -> float:
        """Return the finite number a cell holds. Raises SpectrumError that begins with `where`."""
        number = self.number(cell)
        if number is None and not cell:
            raise SpectrumError(f"{where} is empty", hint="fill the cell, or remove this spectrum")
        if number is None:
            raise SpectrumError(
                f"{where}: {_shown(cell)} is not a number", hint="correct the cell, or remove this spectrum"
            )
        if not math.isfinite(number) or abs(number) > MAX_MAGNITUDE:
            kind = "beyond any measurement" if math.isfinite(number) else "not a finite number"
            raise SpectrumError(f"{where}: {_shown(cell)} is {kind}", hint="re-measure this spectrum, or remove it")
        return number

    def values(self, cells: Sequence[str], where: str, first_column: int) -> list[float]:
        """Return the finite numbers of many cells; the error names the first bad column, counted from one."""
        text = "\n".join(cells)
        plain = text.replace(",", ".").split("\n") if self.decimal_comma and "." not in text else cells
        try:
            numbers = list(map(float, plain))
        except ValueError:
            numbers = []
        if numbers and _all_measured(numbers) and "_" not in text:
            return numbers
        return [self.value(cell, f"{where}, column {first_column + i}") for i, cell in enumerate(cells)]


def dialect_of(lines: Sequence[str]) -> Dialect:
    """Return the dialect under which these lines hold the most numbers, then the most cells."""
    dialects = [Dialect(delimiter=d, decimal_comma=d != ",") for d in DELIMITERS]
    return max(dialects, key=lambda dialect: _yield(dialect, lines))


def _yield(dialect: Dialect, lines: Sequence[str]) -> tuple[int, int]:
    return sum(numbers_in(dialect, line) for line in lines), sum(len(dialect.split(line)) for line in lines)


def numbers_in(dialect: Dialect, line: str) -> int:
    """Return how many cells of a line are numbers."""
    return sum(dialect.number(cell) is not None for cell in dialect.split(line))


def _all_measured(numbers: Sequence[float]) -> bool:
    """Whether all are finite and within MAX_MAGNITUDE. One NaN makes the sum NaN; min and max may pass it over."""
    return not math.isnan(sum(numbers)) and min(numbers) >= -MAX_MAGNITUDE and max(numbers) <= MAX_MAGNITUDE


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 40 else cell[:40] + "…")
