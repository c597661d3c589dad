"""Two columns of a text table as numbers: the axis and the values of one spectrum."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edged.spectra.formats.cells import Dialect
from edged.spectra.formats.compose import DAMAGED
from edged.spectra.spectrum import MAX_POINTS, SpectrumError

NO_VALUE = frozenset({"", "NA"})  # what programs write for pixels outside the range that was chosen

Columns = tuple[NDArray[np.float64], NDArray[np.float64]]


def picked(
    lines: Iterator[tuple[int, str]], dialect: Dialect, *, axis: int, values: int, where: str, only: int | None = None
) -> Columns:
    """Return two columns, counted from nought, as float64, without the rows at the ends that hold no value.

    only: how many columns a row may have. Raises SpectrumError that names line and column.
    """
    positions: list[float] = []
    numbers: list[float] = []
    ended_at = 0
    for line_number, line in lines:
        if not line.strip():
            continue
        cells = dialect.split(line)
        place = f"{where}: line {line_number}"
        if only is not None and len(cells) > only:
            raise SpectrumError(
                f"{place} has {len(cells)} cells, not {only}: a map or a series", hint="export one scan"
            )
        x, y = (cells[column] if column < len(cells) else "" for column in (axis, values))
        if x in NO_VALUE or y in NO_VALUE:
            ended_at = ended_at or (line_number if positions else 0)
            continue
        if ended_at:
            raise SpectrumError(f"{where}: line {ended_at} holds no value between others", hint=DAMAGED)
        if len(positions) == MAX_POINTS:
            raise SpectrumError(f"{where}: more than {MAX_POINTS} points", hint="this is no scan of one sample")
        positions.append(dialect.value(x, f"{place}, column {axis + 1}"))
        numbers.append(dialect.value(y, f"{place}, column {values + 1}"))
    if not positions:
        raise SpectrumError(f"{where}: no spectrum after its header", hint="the scan was not saved completely")
    return np.array(positions, dtype=np.float64), np.array(numbers, dtype=np.float64)
