"""A CSV file of recorded absorbance spectra, for replay.

Wide: the first row is the axis, each further row a spectrum; a leading text cell in the first row names the unit, and
then a leading cell in the others names the spectrum. Column-wise: the first column is the axis, each further column a
spectrum, its header the name. Axis in nm, or in 1/cm where the header says `cm`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAX_FILE_BYTES = 64 * 1024 * 1024  # a hundred thousand scans of the family as text; more is not a spectra file
MIN_POINTS = 8
MIN_AXIS = 100.0  # no optical axis in nm or 1/cm begins lower, so a rising row of small numbers is a row of names
FAMILY_NM = (900.0, 1700.0)


class SpectraFileError(ValueError):
    """The file holds no spectra that can be replayed; the message names file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSpectra:
    """Absorbance: one row a spectrum, on a strictly ascending axis in nm."""

    wavelength_nm: NDArray[np.float64]
    values: NDArray[np.float64]
    titles: tuple[str, ...]


def read_spectra(path: Path) -> RecordedSpectra:
    """Read a wide or a column-wise file. Raises SpectraFileError, and OSError when it cannot be opened."""
    if path.stat().st_size > MAX_FILE_BYTES:
        raise SpectraFileError(f"{path}: {path.stat().st_size} bytes is more than a spectra file holds")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [
                (number, [cell.strip() for cell in row])
                for number, row in enumerate(csv.reader(file), 1)
                if any(cell.strip() for cell in row)
            ]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SpectraFileError(f"{path}: not a text file of comma-separated values ({error})") from error
    if len(rows) < 2:
        raise SpectraFileError(f"{path}: no spectra; the file has {len(rows)} rows that are not empty")
    head = rows[0][1]
    spectra = _wide(path, rows) if _is_axis(head[0 if _is_number(head[0]) else 1 :]) else _column_wise(path, rows)
    return _ascending_nm(path, head[0], spectra)


def _wide(path: Path, rows: list[tuple[int, list[str]]]) -> RecordedSpectra:
    head = rows[0][1]
    axis = _numbers(path, rows[0][0], head[0 if _is_number(head[0]) else 1 :])
    titles, values = [], []
    for index, (line, cells) in enumerate(rows[1:]):
        titled = len(cells) == len(axis) + 1
        if not titled and len(cells) != len(axis):
            raise SpectraFileError(f"{path}, line {line}: {len(cells)} cells for an axis of {len(axis)} points")
        titles.append(cells[0] if titled and cells[0] else f"row {index}")
        values.append(_numbers(path, line, cells[1:] if titled else cells))
    return RecordedSpectra(wavelength_nm=axis, values=np.array(values), titles=tuple(titles))


def _column_wise(path: Path, rows: list[tuple[int, list[str]]]) -> RecordedSpectra:
    head = rows[0][1]
    headed = not _is_number(head[0])
    width = len(head)
    if width < 2:
        raise SpectraFileError(
            f"{path}, line {rows[0][0]}: one column only; an axis and at least one spectrum are needed"
        )
    table = []
    for line, cells in rows[1 if headed else 0 :]:
        if len(cells) != width:
            raise SpectraFileError(f"{path}, line {line}: {len(cells)} cells where the first row has {width}")
        table.append(_numbers(path, line, cells))
    columns = np.array(table).T
    titles = tuple(head[1:]) if headed else tuple(f"column {number}" for number in range(1, width))
    return RecordedSpectra(wavelength_nm=columns[0], values=columns[1:], titles=titles)


def _ascending_nm(path: Path, head: str, spectra: RecordedSpectra) -> RecordedSpectra:
    axis = spectra.wavelength_nm
    if len(axis) < MIN_POINTS:
        raise SpectraFileError(f"{path}: an axis of {len(axis)} points; a spectrum has at least {MIN_POINTS}")
    steps = np.diff(axis)
    if not ((steps > 0).all() or (steps < 0).all()) or axis.min() < MIN_AXIS:
        raise SpectraFileError(f"{path}: the axis neither rises nor falls all the way, or begins below {MIN_AXIS:g}")
    nm = 1e7 / axis if "cm" in head.lower() else axis
    order = np.argsort(nm)
    low, high = FAMILY_NM
    if nm.max() < low or nm.min() > high:
        raise SpectraFileError(
            f"{path}: axis from {nm.min():g} to {nm.max():g} nm; the instrument sees {low:g} to {high:g} nm"
        )
    return RecordedSpectra(wavelength_nm=nm[order], values=spectra.values[:, order], titles=spectra.titles)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _is_axis(cells: list[str]) -> bool:
    if len(cells) < MIN_POINTS or not all(_is_number(cell) for cell in cells):
        return False
    steps = np.diff([float(cell) for cell in cells])
    return float(cells[0]) >= MIN_AXIS and float(cells[-1]) >= MIN_AXIS and bool((steps > 0).all() or (steps < 0).all())


def _numbers(path: Path, line: int, cells: list[str]) -> NDArray[np.float64]:
    try:
        numbers = np.array([float(cell) for cell in cells])
    except ValueError:
        wrong = next(cell for cell in cells if not _is_number(cell))
        raise SpectraFileError(f"{path}, line {line}: {wrong!r} is not a number") from None
    if not np.isfinite(numbers).all():
        raise SpectraFileError(f"{path}, line {line}: {cells[int(np.argmin(np.isfinite(numbers)))]!r} is not finite")
    return numbers
