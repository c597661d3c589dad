"""Bruker OPUS: a directory of blocks; a spectrum is one block of numbers and one of parameters that describes it.

0A 0A FE FE | version 8 | DDDD | MMMM | NNNN         directory at D, room for M entries, N of them used
entry    KKKK LLLL OOOO                              kind, length in words of 4 bytes, offset
parameter  N N N 0 | TT | LL | value                 name or "END"; 0 int32, 1 float64, 2..4 text; words of 2 bytes
kind, from the lowest bit: 2 complex part, 2 sample (1), reference (2) or their ratio (3), 6 parameters (0: the numbers
themselves, 1: their description, 10: the sample), 7 quantity, 2 derivative, 3 layout
Source: the layout as the brukeropus package reads it, checked against its values; docs/decisions/0005.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edged.spectra.formats.asked import Asked
from edged.spectra.formats.compose import DAMAGED, compose
from edged.spectra.formats.words import Values
from edged.spectra.rows import FileError, Lost, Row, clean_title
from edged.spectra.spectrum import MAX_POINTS, SpectrumError

MAGIC = b"\n\n\xfe\xfe"
MAX_BLOCKS = 1_000  # files hold some 20 to 40
MAX_PARAMETERS = 1_000  # of one block; the largest have some hundred
_HEADER = struct.Struct("<4sdiii")
_ENTRY = struct.Struct("<Iii")
_PARAMETER = struct.Struct("<3sxHH")
_NUMBERS, _DESCRIPTION, _SAMPLE = 0, 1, 10
_SINGLE_CHANNEL, _OF_SAMPLE = 1, 1
_QUANTITIES = {
    4: Values(offers=("absorbance",)),
    5: Values(foreign="transmittance"),
    6: Values(foreign="Kubelka-Munk"),
    10: Values(offers=("intensity",)),
    11: Values(foreign="emission"),
    12: Values(offers=("reflectance",)),
    15: Values(offers=("absorbance",)),
    16: Values(offers=("absorbance",)),
}  # log reflectance and ATR are absorbance over another path
_BEAM = Values(offers=("intensity",))


@dataclass(frozen=True, slots=True)
class Entry:
    """One block of the file: what it is, and where."""

    complex_part: int
    ratio: int
    parameters: int
    quantity: int
    derivative: int
    layout: int
    offset: int
    size_bytes: int

    def describes(self, other: Entry) -> bool:
        """Whether this block holds the parameters of the other's numbers."""
        return self.parameters == _DESCRIPTION and (
            (self.complex_part, self.ratio, self.quantity, self.derivative, self.layout)
            == (other.complex_part, other.ratio, other.quantity, other.derivative, other.layout)
        )


def is_opus(head: bytes) -> bool:
    """Whether a file that begins so is OPUS."""
    return head.startswith(MAGIC)


def read_opus(data: bytes, path: Path, asked: Asked) -> Iterator[Row]:
    """Yield one row a result (absorbance, reflectance, Raman ...); without any, or asked, the sample's single beam.

    Raises FileError for a damaged directory and for a file without a spectrum.
    """
    entries = entries_of(data, path)
    title = _title(data, entries, path)
    numbers = [entry for entry in entries if entry.parameters == _NUMBERS and not entry.derivative and not entry.layout]
    results = [(entry, _QUANTITIES[entry.quantity]) for entry in numbers if entry.quantity in _QUANTITIES]
    beams = [(entry, _BEAM) for entry in numbers if (entry.quantity, entry.ratio) == (_SINGLE_CHANNEL, _OF_SAMPLE)]
    if asked.quantity == "intensity" and not any("intensity" in values.offers for _, values in results):
        results = beams
    row = 0
    for entry, values in results or beams:
        row += 1
        where = f"{path}: spectrum {row}"
        try:
            x, y = spectrum_at(data, entry, entries, where)
            unit = asked.unit_where_file_says("cm-1", where)
            quantity = asked.quantity_named(values, where)
        except SpectrumError as error:
            yield Lost(row=row, title=title, error=error)
            continue
        yield compose(x, y, row=row, title=title, unit=unit, quantity=quantity, where=where)
    if not row:
        raise FileError(f"{path}: OPUS without a spectrum", hint="save the spectrum block with the file")


def entries_of(data: bytes, path: Path) -> list[Entry]:
    """Return the directory of a file. Raises FileError where it leads out of the file."""
    if len(data) < _HEADER.size:
        raise FileError(f"{path}: its OPUS header is cut off", hint=DAMAGED)
    _, _, at, _, count = _HEADER.unpack_from(data)
    if not 0 < count <= MAX_BLOCKS or not 0 <= at <= len(data) - count * _ENTRY.size:
        raise FileError(f"{path}: its directory of {count} blocks at {at} is not in the file", hint=DAMAGED)
    found = []
    for kind, words, offset in _ENTRY.iter_unpack(data[at : at + count * _ENTRY.size]):
        if not (0 <= words <= len(data) and 0 <= offset <= len(data) - 4 * words):
            raise FileError(f"{path}: a block of {words} words at {offset} is not in the file", hint=DAMAGED)
        found.append(
            Entry(
                kind & 3,
                kind >> 2 & 3,
                kind >> 4 & 63,
                kind >> 10 & 127,
                kind >> 17 & 3,
                kind >> 19 & 7,
                offset,
                4 * words,
            )
        )
    return found


def spectrum_at(
    data: bytes, entry: Entry, entries: list[Entry], where: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return x in 1/cm and y of a block of numbers. Raises SpectrumError for what is not described or contradicts."""
    described = next((other for other in entries if other.describes(entry)), None)
    if described is None:
        raise SpectrumError(f"{where}: nothing in the file describes it", hint=DAMAGED)
    told = parameters_at(data, described, where)
    unit, form = told.get("DXU"), told.get("DPF", 1)
    if unit != "WN":
        raise SpectrumError(f"{where}: its axis is in {clean_title(str(unit))[:20]}", hint="save it in wavenumbers")
    points, first, last, factor = (told.get(name) for name in ("NPT", "FXV", "LXV", "CSF"))
    factor = 1.0 if factor is None else factor
    if not (isinstance(points, int) and isinstance(first, float) and isinstance(last, float)):
        raise SpectrumError(f"{where}: its number of points or its ends are missing", hint=DAMAGED)
    if not isinstance(factor, float) or form not in (1, 2):
        raise SpectrumError(f"{where}: its numbers are stored in a form that is not known", hint=DAMAGED)
    if not 1 <= points <= MAX_POINTS or 4 * points > entry.size_bytes:
        raise SpectrumError(f"{where}: counts {points} points in {entry.size_bytes} bytes", hint=DAMAGED)
    numbers = np.frombuffer(data, dtype="<f4" if form == 1 else "<i4", count=points, offset=entry.offset)
    with np.errstate(
        invalid="ignore", over="ignore"
    ):  # what is not finite is refused by whoever makes a spectrum of it
        return np.linspace(first, last, points, dtype=np.float64), numbers.astype(np.float64) * factor


def parameters_at(data: bytes, entry: Entry, where: str) -> dict[str, int | float | str]:
    """Return the parameters of a block. Raises SpectrumError where they lead out of it."""
    found: dict[str, int | float | str] = {}
    at, end = entry.offset, entry.offset + entry.size_bytes
    while len(found) < MAX_PARAMETERS and at + _PARAMETER.size <= end:
        raw, kind, words = _PARAMETER.unpack_from(data, at)
        name = raw.decode("latin-1")
        if name == "END":
            break
        at += _PARAMETER.size
        if at + 2 * words > end:
            raise SpectrumError(f"{where}: its parameter {clean_title(name)} is cut off", hint=DAMAGED)
        value = data[at : at + 2 * words]
        at += 2 * words
        if kind == 0 and len(value) == 4:
            found[name] = int.from_bytes(value, "little", signed=True)
        elif kind == 1 and len(value) == 8:
            found[name] = float(struct.unpack("<d", value)[0])
        else:
            found[name] = value.partition(b"\0")[0].decode("latin-1")
    return found


def _title(data: bytes, entries: list[Entry], path: Path) -> str:
    for entry in entries:
        if entry.parameters == _SAMPLE:
            try:
                name = parameters_at(data, entry, str(path)).get("SNM", "")
            except SpectrumError:
                continue  # a title is not worth a spectrum
            if isinstance(name, str) and name.strip():
                return clean_title(name)
    return clean_title(path.stem)
