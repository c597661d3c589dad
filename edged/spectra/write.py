"""A spectrum to a file, whole or not at all, in a format that other programs read. Any thread.

csv  column-wise, all digits; its corner says quantity and unit: `absorbance by nm`
jdx  JCAMP-DX 4.24, pairs as numbers (AFFN), all digits
spc  Galactic SPC (0x4B): values as float32; an uneven axis too, which rounds it to 7 digits; a title of 129 characters
"""

from __future__ import annotations

import csv
import io
import os
import secrets
import struct
from contextlib import suppress
from pathlib import Path
from typing import Literal

import numpy as np

from edged.spectra.formats.words import corner_of
from edged.spectra.rows import clean_title
from edged.spectra.spectrum import AxisUnit, Quantity, Spectrum, SpectrumError

Format = Literal["csv", "jdx", "spc"]

SUFFIXES: dict[str, Format] = {".csv": "csv", ".jdx": "jdx", ".dx": "jdx", ".spc": "spc"}
EVEN_STEPS = 1e-6  # of a step: an axis that deviates less is stored by its ends
_JCAMP_X: dict[AxisUnit, str] = {"nm": "NANOMETERS", "cm-1": "1/CM"}
_JCAMP_Y: dict[Quantity, str] = {
    "absorbance": "ABSORBANCE",
    "reflectance": "REFLECTANCE",
    "intensity": "ARBITRARY UNITS",
    "counts": "COUNTS",
}
_SPC_Y: dict[Quantity, int] = {"absorbance": 2, "reflectance": 129, "intensity": 12, "counts": 4}
_SPC_CM1, _SPC_NM, _SPC_RAMAN = 1, 3, 13
_SPC_FLOATS, _SPC_AXIS_STORED, _SPC_NEW = 0x80, 0x80, 0x4B
_SPC_HEADER = struct.Struct("<BBBBiddiBB 58x 130s 30x 264x")  # 512 bytes
_SPC_TRACE = struct.Struct("<BBHfffiif4x")


class WriteError(SpectrumError):
    """The spectrum was not written; what stood at its place still stands there."""


def write_spectrum(
    path: str | os.PathLike[str],
    spectrum: Spectrum,
    format: Format | None = None,  # noqa: A002 - what callers and the command line call it
    *,
    overwrite: bool = False,
) -> Path:
    """Write one spectrum to `path` and return it. The file appears whole or not at all, also after a power cut.

    format: None takes it from the suffix: .csv, .jdx, .dx or .spc.
    Raises WriteError when the suffix names no format, the file exists and `overwrite` is not set, or the disk refuses.
    """
    place = Path(path)
    chosen = format or SUFFIXES.get(place.suffix.lower())
    if chosen is None:
        raise WriteError(f"{place}: {place.suffix or 'no suffix'} names no format", hint="use .csv, .jdx or .spc")
    if not place.name or "\0" in str(place):
        raise WriteError(f"{str(place)!a}: is not a path", hint="check the name")
    if not overwrite and os.path.lexists(place):
        raise WriteError(f"{place}: exists already", hint="choose another name, or remove it first")
    data = {"csv": _csv, "jdx": _jcamp, "spc": _spc}[chosen](spectrum)
    temporary = place.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise WriteError(f"{place}: {reason}", hint="check the folder, its owner and the free space") from error
    finally:
        with suppress(OSError):
            temporary.unlink()
    return place


def _csv(spectrum: Spectrum) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow([corner_of(spectrum.quantity, spectrum.axis_unit), clean_title(spectrum.title)])
    rows.writerows(zip(spectrum.axis.tolist(), map(str, spectrum.values), strict=True))
    return text.getvalue().encode()


def _jcamp(spectrum: Spectrum) -> bytes:
    axis, values = spectrum.axis, spectrum.values
    labels = {
        "TITLE": clean_title(spectrum.title).replace("$$", "$ $"),  # two begin a comment
        "JCAMP-DX": "4.24",
        "DATA TYPE": "RAMAN SPECTRUM" if _is_raman(spectrum) else "INFRARED SPECTRUM",
        "ORIGIN": "edged",
        "OWNER": "",
        "XUNITS": _JCAMP_X[spectrum.axis_unit],
        "YUNITS": _JCAMP_Y[spectrum.quantity],
        "XFACTOR": "1.0",
        "YFACTOR": "1.0",
        "FIRSTX": f"{float(axis[0])!r}",
        "LASTX": f"{float(axis[-1])!r}",
        "MAXY": str(values.max()),
        "MINY": str(values.min()),
        "NPOINTS": f"{len(axis)}",
        "FIRSTY": str(values[0]),
        "XYPOINTS": "(XY..XY)",
    }
    head = "".join(f"##{label}= {value}\n" for label, value in labels.items())
    pairs = "".join(f"{x!r}, {y}\n" for x, y in zip(axis.tolist(), map(str, values), strict=True))
    return f"{head}{pairs}##END=\n".encode()


def _spc(spectrum: Spectrum) -> bytes:
    axis, values = spectrum.axis, spectrum.values
    first, last, points = float(axis[0]), float(axis[-1]), len(axis)
    step = (last - first) / (points - 1)
    even = float(np.abs(axis - np.linspace(first, last, points)).max()) <= EVEN_STEPS * step
    stored = axis.astype("<f4")
    if not even and not (np.diff(stored) > 0).all():
        raise WriteError(
            f"points {step:.2g} {spectrum.axis_unit} apart are too close for the seven digits of an SPC axis",
            hint="write it as .jdx or .csv",
        )
    header = _SPC_HEADER.pack(
        0 if even else _SPC_AXIS_STORED,
        _SPC_NEW,
        0,
        _SPC_FLOATS,
        points,
        first,
        last,
        1,
        _SPC_RAMAN if _is_raman(spectrum) else _SPC_NM if spectrum.axis_unit == "nm" else _SPC_CM1,
        _SPC_Y[spectrum.quantity],
        clean_title(spectrum.title).encode("latin-1", "replace")[:129],
    )
    trace = _SPC_TRACE.pack(0, _SPC_FLOATS, 0, 0.0, 0.0, 0.0, points, 0, 0.0)
    return b"".join((header, b"" if even else stored.tobytes(), trace, values.astype("<f4").tobytes()))


def _is_raman(spectrum: Spectrum) -> bool:
    return spectrum.axis_unit == "cm-1" and spectrum.quantity in ("intensity", "counts")
