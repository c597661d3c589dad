"""SPC of Galactic and Thermo GRAMS, little-endian 0x4B, and the older 0x4D of Lab Calc. One file, one or many traces.

new  FF 4B EE XX | PPPP first8 last8 SSSS | XT YT | ...        512 bytes, then each trace behind its own 32
old  FF 4D EEEE PPPP first4 last4 XT YT | ...                  224 bytes, likewise; integers are swapped by halves
    F   flags: 1 values of 16 bits, 4 many traces, 20 own labels, 40 each trace with its own axis, 80 axis stored
    E,X experiment; exponent of the values, 80 for float32
    P   points (old: as float32); with an axis a trace: where the directory begins
    S   traces: read to the end of the file when old
    XT  unit of the axis, YT quantity
Integers stand for value * 2 ** (exponent - 32), or - 16 for those of 16 bits.
Source: Galactic Industries, "Universal Data Format Specification" (SPC.H), 1997.
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
from edged.spectra.formats.words import axis_named, values_named
from edged.spectra.rows import FileError, Lost, Row, clean_title
from edged.spectra.spectrum import MAX_POINTS, SpectrumError

NEW, NEW_BIG_ENDIAN, OLD = 0x4B, 0x4C, 0x4D
MAX_TRACES = 100_000  # m_xyxy.spc of a chromatograph has 512
SHORT, MANY, LABELLED, AXIS_EACH, AXIS_STORED = 0x01, 0x04, 0x20, 0x40, 0x80
FLOATS = -128  # as an exponent
_MAX_EXPONENT = 64  # of integers; beyond it no measured value
_HEADER = struct.Struct("<BBBbiddiBB")
_HEADER_BYTES, _COMMENT, _LABELS = 512, slice(88, 218), slice(218, 248)
_OLD_HEADER = struct.Struct("<BBhfffBB")
_OLD_HEADER_BYTES, _OLD_COMMENT, _OLD_LABELS = 224, slice(64, 194), slice(194, 224)
_TRACE = struct.Struct("<BbHfffiif4x")
X_NAMES = {1: "cm-1", 2: "micrometers", 3: "nm", 13: "raman shift"}
X_OTHERS = {
    0: "arbitrary units", 4: "seconds", 5: "minutes", 6: "Hz", 7: "kHz", 8: "MHz", 9: "m/z", 10: "ppm", 11: "days",
    14: "eV", 16: "diodes", 17: "channels", 18: "degrees", 22: "points",
}  # fmt: skip
Y_NAMES = {
    0: "arbitrary", 1: "interferogram", 2: "absorbance", 3: "Kubelka-Munk", 4: "counts", 5: "volts", 8: "millimeters",
    9: "millivolts", 10: "log(1/R)", 11: "percent", 12: "intensity", 13: "relative intensity", 14: "energy",
    128: "transmission", 129: "reflectance", 130: "single beam", 131: "emission",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the file says of all its traces. `points`: of each, unless `flags` has AXIS_EACH; `traces` None: unknown."""

    flags: int
    exponent: int
    points: int
    first: float
    last: float
    traces: int | None
    x_name: str
    y_name: str
    title: str
    size_bytes: int
    swapped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One trace with its numbers as they stand there. x, y: float64, in the file's order."""

    row: int
    x: NDArray[np.float64]
    y: NDArray[np.float64]


def is_spc(head: bytes) -> bool:
    """Whether a file that begins so is SPC: its version, and zeros that no text has."""
    return len(head) > 1 and head[1] in (NEW, NEW_BIG_ENDIAN, OLD) and b"\0\0" in head[2:_HEADER_BYTES]


def read_spc(data: bytes, path: Path, asked: Asked) -> Iterator[Row]:
    """Yield one row a trace. Raises FileError where the file ends too early or contradicts itself."""
    header = header_of(data, path)
    units = header.x_name
    axis = axis_named(units)
    for trace in read_traces(data, header, path):
        where = f"{path}: trace {trace.row}"
        try:
            if axis is None and (asked.unit is None or units not in ("", X_OTHERS[0])):
                raise FileError(
                    f"{where}: its axis is in {units or 'no unit'}", hint="only nm and 1/cm are optical axes"
                )
            values = values_named(header.y_name)
            yield compose(
                trace.x * (axis.scale if axis else 1.0),
                trace.y * values.scale,
                row=trace.row,
                title=header.title,
                unit=asked.unit_where_file_says(axis.unit, where) if axis else asked.unit,
                quantity=asked.quantity_named(values, where),
                where=where,
            )
        except SpectrumError as error:
            yield Lost(row=trace.row, title=header.title, error=error)


def header_of(data: bytes, path: Path) -> Header:
    """Return the header of a file. Raises FileError for one that is cut off, or of the big-endian kind."""
    version = data[1] if len(data) > 1 else 0
    if version == NEW_BIG_ENDIAN:
        raise FileError(f"{path}: is SPC in big-endian order", hint="export it as SPC (0x4B) or JCAMP-DX")
    if len(data) < (_HEADER_BYTES if version == NEW else _OLD_HEADER_BYTES):
        raise FileError(f"{path}: its SPC header is cut off", hint=DAMAGED)
    if version == NEW:
        flags, _, _, exponent, points, first, last, traces, x_type, y_type = _HEADER.unpack_from(data)
        comment, labels = data[_COMMENT], data[_LABELS]
        if not 1 <= traces <= MAX_TRACES or (traces > 1 and not flags & MANY):
            raise FileError(f"{path}: its header counts {traces} traces", hint=DAMAGED)
    else:
        flags, _, exponent, count, first, last, x_type, y_type = _OLD_HEADER.unpack_from(data)
        points, traces = int(count) if abs(count) <= MAX_POINTS else -1, None
        comment, labels = data[_OLD_COMMENT], data[_OLD_LABELS]
    if not flags & AXIS_EACH and not 1 <= points <= MAX_POINTS:
        raise FileError(f"{path}: its header counts {points} points a trace", hint=f"up to {MAX_POINTS} are read")
    own = [_text(part) for part in labels.split(b"\0")] if flags & LABELLED else []
    return Header(
        flags=flags,
        exponent=exponent,
        points=points,
        first=first,
        last=last,
        traces=traces,
        x_name=(own[0] if own else "") or X_NAMES.get(x_type) or X_OTHERS.get(x_type) or f"unit {x_type}",
        y_name=(own[1] if len(own) > 1 else "") or Y_NAMES.get(y_type, f"quantity {y_type}"),
        title=_text(comment),
        size_bytes=_HEADER_BYTES if version == NEW else _OLD_HEADER_BYTES,
        swapped=version == OLD,
    )


def read_traces(data: bytes, header: Header, path: Path) -> Iterator[Trace]:
    """Yield the traces of a file, whatever they measure. Raises FileError where the file ends too early."""
    at, row = header.size_bytes, 0
    shared = np.empty(0, dtype=np.float64)
    if header.flags & AXIS_STORED and not header.flags & AXIS_EACH:
        shared = _floats(data, at, header.points, f"{path}: axis")
        at += 4 * header.points
    elif not header.flags & AXIS_EACH:  # the points are then where the directory begins
        with np.errstate(invalid="ignore", over="ignore"):  # ends that are not finite: refused with the spectrum
            shared = np.linspace(header.first, header.last, header.points, dtype=np.float64)
    while row < header.traces if header.traces is not None else row == 0 or _has_another(data, at, header):
        row += 1
        where = f"{path}: trace {row}"
        if at + _TRACE.size > len(data):
            raise FileError(f"{where}: the file ends before it", hint=DAMAGED)
        own_exponent, own_points = _TRACE.unpack_from(data, at)[1], _TRACE.unpack_from(data, at)[6]
        at += _TRACE.size
        x, points = shared, header.points
        if header.flags & AXIS_EACH:
            points = own_points
            if not 1 <= points <= MAX_POINTS:
                raise FileError(f"{where}: counts {points} points", hint=DAMAGED)
            x = _floats(data, at, points, where)
            at += 4 * points
        exponent = own_exponent if header.flags & MANY and header.exponent != FLOATS else header.exponent
        y, size = _values(data, at, points, exponent, header, where)
        at += size
        yield Trace(row=row, x=x, y=y)


def _has_another(data: bytes, at: int, header: Header) -> bool:
    """Whether an old file, which does not count its traces, has room for one more."""
    return bool(header.flags & MANY) and at + _TRACE.size + 4 * header.points <= len(data)


def _values(
    data: bytes, at: int, points: int, exponent: int, header: Header, where: str
) -> tuple[NDArray[np.float64], int]:
    if exponent == FLOATS and not header.swapped:
        return _floats(data, at, points, where), 4 * points
    if abs(exponent) > _MAX_EXPONENT:
        raise FileError(f"{where}: an exponent of {exponent}", hint=DAMAGED)
    bits = 16 if header.flags & SHORT else 32
    size = points * bits // 8
    if at + size > len(data):
        raise FileError(f"{where}: the file ends within its values", hint=DAMAGED)
    if header.swapped and bits == 32:
        halves = np.frombuffer(data, dtype="<u2", count=2 * points, offset=at).reshape(-1, 2).astype(np.uint32)
        integers = ((halves[:, 0] << 16) | halves[:, 1]).astype(np.uint32).view(np.int32)
    else:
        integers = np.frombuffer(data, dtype="<i2" if bits == 16 else "<i4", count=points, offset=at)
    return integers.astype(np.float64) * 2.0 ** (exponent - bits), size


def _floats(data: bytes, at: int, count: int, where: str) -> NDArray[np.float64]:
    if at + 4 * count > len(data):
        raise FileError(f"{where}: the file ends within its values", hint=DAMAGED)
    with np.errstate(invalid="ignore"):  # signalling NaN: refused by whoever makes a spectrum of it
        return np.frombuffer(data, dtype="<f4", count=count, offset=at).astype(np.float64)


def _text(raw: bytes) -> str:
    return clean_title(raw.partition(b"\0")[0].decode("latin-1"))
