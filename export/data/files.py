"""Files of public spectra: rows of text, tables of numbers. A file is read whole, and only if its SHA-256 is the known.

The known sums are those of SHA256SUMS beside this file, by the path below the data folder.
"""

from __future__ import annotations

import csv
import hashlib
import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import DataUnusable

SUMS = Path(__file__).parent / "SHA256SUMS"
DEPTHS = (2, 3)  # parts of a path below the data folder: set/file, or set/scans/file


@cache
def known_sums() -> dict[str, str]:
    """Return the SHA-256 of every file of the public sets, in hex, by its path below the data folder."""
    lines = SUMS.read_text(encoding="utf-8").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


def read_bytes(path: Path, digests: dict[str, str]) -> bytes:
    """Return a file's bytes; note its digest under its name.

    Raises DataUnusable where it cannot be read, or is not the file that it was when its set was described.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataUnusable(
            f"{path}: {(error.strerror or str(error)).lower()}",
            hint="name the folder of public spectra with --data or EDGED_DATA, or fetch them: edged-export data list",
        ) from error
    digest = hashlib.sha256(raw).hexdigest()
    known = known_sums()
    for place in ("/".join(path.parts[-depth:]) for depth in DEPTHS):
        if known.get(place, digest) != digest:
            raise DataUnusable(
                f"{path}: its SHA-256 is {digest[:12]}..., that of the published file {known[place][:12]}...",
                hint="the file was changed or cut: get it again, edged-export data list says which can be fetched",
            )
    digests[path.name] = digest
    return raw


def read_rows(path: Path, digests: dict[str, str]) -> list[list[str]]:
    """Return the rows of a CSV file whose first cell is not empty; note its digest. Raises DataUnusable."""
    text = _text(read_bytes(path, digests), path)
    return [row for row in csv.reader(io.StringIO(text, newline="")) if row and row[0].strip()]


def read_arrays(path: Path, digests: dict[str, str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file, pickles refused; note its digest. Raises DataUnusable."""
    with np.load(io.BytesIO(read_bytes(path, digests)), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def read_array(path: Path, digests: dict[str, str]) -> NDArray[Any]:
    """Return the array of an npy file, pickles refused; note its digest. Raises DataUnusable."""
    return np.asarray(np.load(io.BytesIO(read_bytes(path, digests)), allow_pickle=False))


def numbers(rows: list[list[str]], path: Path) -> NDArray[np.float64]:
    """Return rows of text as float64. Raises DataUnusable, naming the file."""
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise DataUnusable(f"{path}: {error}", hint="get the file again and compare it with SHA256SUMS") from error


def _text(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataUnusable(f"{path}: not UTF-8 text", hint="get the file again") from error
