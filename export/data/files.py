"""Files of public spectra: rows of text, tables of numbers, and the SHA-256 of what was read."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.errors import DataUnusable


def read_rows(path: Path, digests: dict[str, str]) -> list[list[str]]:
    """Return the rows of a CSV file whose first cell is not empty; note its digest under its name.

    Raises DataUnusable where the file cannot be read.
    """
    digests[path.name] = digest_of(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.reader(file) if row and row[0].strip()]


def read_arrays(path: Path, digests: dict[str, str]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of an npz file, pickles refused; note its digest. Raises DataUnusable."""
    digests[path.name] = digest_of(path)
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def numbers(rows: list[list[str]], path: Path) -> NDArray[np.float64]:
    """Return rows of text as float64. Raises DataUnusable, naming the file."""
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise DataUnusable(f"{path}: {error}", hint="get the file again and compare it with SHA256SUMS") from error


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex. Raises DataUnusable where it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataUnusable(
            f"{path}: {error.strerror}", hint="name the folder of public spectra with --data or EDGED_DATA"
        ) from error
