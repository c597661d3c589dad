"""Renishaw WiRE .wdf: a header of 512 bytes, then blocks; the axis is in one, all spectra in another.

"WDF1" | version 4 | size 8 | FLAGS 8 | ... | at 60 POINTS 4 | SPECTRA 8 | TAKEN 8 | ... | at 152 QUANTITY 4
       | ... | at 240 title 160
block  KIND 4 | uid 4 | size 8, these 16 bytes included | ...
XLST   type 4 | UNIT 4 | float32 a point            DATA   float32 a point, a spectrum after the other
Source: the layout as Renishaw's package renishaw-wdf reads it.
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
from edged.spectra.formats.words import Axis, values_named
from edged.spectra.rows import FileError, Lost, Row, clean_title
from edged.spectra.spectrum import MAX_POINTS, SpectrumError

MAGIC = b"WDF1"
MAX_BLOCKS = 10_000  # a file holds some ten, and one more an image
OWN_AXES = 0x01 | 0x08  # flags: an axis a spectrum
_HEADER_BYTES = 512
_HEADER = struct.Struct("<4sIQQ36xIQQ72xI84x160s")
_BLOCK = struct.Struct("<4sIQ")
_AXES = {1: Axis(unit="cm-1"), 2: Axis(unit="cm-1"), 3: Axis(unit="nm"), 5: Axis(unit="nm", scale=1000.0)}
_QUANTITIES = {6: "counts"}  # the others are arbitrary units


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the file says of all its spectra. `spectra`: those that were measured, of all with room in the file."""

    points: int
    spectra: int
    quantity: int
    title: str


def is_wdf(head: bytes) -> bool:
    """Whether a file that begins so is one of these."""
    return head.startswith(MAGIC)


def read_wdf(data: bytes, path: Path, asked: Asked) -> Iterator[Row]:
    """Yield one row a spectrum. Raises FileError where the file ends too early or contradicts itself."""
    where = str(path)
    header = header_of(data, path)
    blocks = _blocks(data, path)
    x, unit = _axis(data, blocks, header, where)
    axis = _AXES.get(unit)
    if axis is None:
        raise FileError(f"{where}: its axis is in unit {unit} of WiRE", hint="only nm and 1/cm are optical axes")
    quantity = asked.quantity_named(values_named(_QUANTITIES.get(header.quantity, "arbitrary")), where)
    chosen = asked.unit_where_file_says(axis.unit, where)
    at, end = _block(blocks, b"DATA", where)
    for index in range(header.spectra):
        row, place = index + 1, f"{where}: spectrum {index + 1}"
        start = at + 4 * header.points * index
        if start + 4 * header.points > end:
            yield Lost(row=row, title=header.title, error=SpectrumError(f"{place}: is cut off", hint=DAMAGED))
            return
        yield compose(
            x * axis.scale,
            _floats(data, start, header.points),
            row=row,
            title=header.title,
            unit=chosen,
            quantity=quantity,
            where=place,
        )


def header_of(data: bytes, path: Path) -> Header:
    """Return the header of a file. Raises FileError for one that is cut off or holds nothing that is read."""
    if len(data) < _HEADER_BYTES:
        raise FileError(f"{path}: its WiRE header is cut off", hint=DAMAGED)
    _, _, _, flags, points, spectra, taken, quantity, title = _HEADER.unpack_from(data)
    spectra = min(spectra, taken)
    if not 1 <= points <= MAX_POINTS or not spectra:
        raise FileError(f"{path}: its header counts {spectra} spectra of {points} points", hint=DAMAGED)
    if flags & OWN_AXES:
        raise FileError(f"{path}: has an axis for each spectrum", hint="export the spectra as text with WiRE")
    name = clean_title(title.partition(b"\0")[0].decode("utf-8", "replace"))
    return Header(points=points, spectra=spectra, quantity=quantity, title=name)


def _blocks(data: bytes, path: Path) -> dict[bytes, tuple[int, int]]:
    """Return where each kind of block begins, behind its head, and where it ends; the first of each."""
    found: dict[bytes, tuple[int, int]] = {}
    at = _HEADER_BYTES
    for _ in range(MAX_BLOCKS):
        if at + _BLOCK.size > len(data):
            return found
        kind, _, size = _BLOCK.unpack_from(data, at)
        if not _BLOCK.size <= size <= len(data) - at:
            raise FileError(f"{path}: the file ends within its block {kind!r}", hint=DAMAGED)
        found.setdefault(kind, (at + _BLOCK.size, at + size))
        at += size
    raise FileError(f"{path}: more than {MAX_BLOCKS} blocks", hint=DAMAGED)


def _block(blocks: dict[bytes, tuple[int, int]], kind: bytes, where: str) -> tuple[int, int]:
    if kind not in blocks:
        raise FileError(f"{where}: has no block {kind.decode()}", hint=DAMAGED)
    return blocks[kind]


def _axis(
    data: bytes, blocks: dict[bytes, tuple[int, int]], header: Header, where: str
) -> tuple[NDArray[np.float64], int]:
    at, end = _block(blocks, b"XLST", where)
    if at + 8 + 4 * header.points > end:
        raise FileError(f"{where}: its axis has fewer than {header.points} points", hint=DAMAGED)
    return _floats(data, at + 8, header.points), int.from_bytes(data[at + 4 : at + 8], "little")


def _floats(data: bytes, at: int, count: int) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # signalling NaN: refused by whoever makes a spectrum of it
        return np.frombuffer(data, dtype="<f4", count=count, offset=at).astype(np.float64)
