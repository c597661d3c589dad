"""Reader of the public NIR powder spectra, and of the spectra of other things that a model of powders must refuse.

Files enter, `Spectra` leaves: float64 absorbance on the instrument's own axis. Sources, licences and traps of the data
are in the data folder's README.
"""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.errors import DataUnusable

POWDERS = "nir_pharma_powders_notredame"
CAPSULES = "nir_isoniazid_capsules_notredame"
COMPOUNDS = "nir_api20_nirmr2"
LICENCE = "MIT"
COPYRIGHT = "Copyright (c) 2021 Olatunde"
SOURCE = (
    "github.com/aawotund, repository Combined-machine-learning-and-linear-regression-analysis-of-NIR-spectra-..., "
    "commit ae6c6de"
)
PAPER = (
    "O. Awotunde, M. Lieberman et al., Discrimination of Substandard and Falsified Formulations from Genuine "
    "Pharmaceuticals Using NIR Spectra and Machine Learning, Analytical Chemistry (2022)"
)
INSTRUMENT = "InnoSpectra NIR-M-R2 (TI DLP NIRscan Nano family), 228 points, 900.8 to 1701.0 nm"
_NAMES = {"AC": "acetaminophen", "AA": "ascorbic acid", "LA": "lactose"}
_LABEL = re.compile(r"(?P<parts>100|\d{4})(?P<codes>(?:AC|AA|LA){1,2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectra:
    """Absorbance spectra [n, points] on one axis in nm, both float64 and read-only.

    labels: the source's own class name of each spectrum. scan: its number within its class, from 0, in the order in
    which they were taken. digests: SHA-256 of each file read, by name.
    """

    axis_nm: NDArray[np.float64]
    values: NDArray[np.float64]
    labels: tuple[str, ...]
    scan: NDArray[np.int64]
    digests: dict[str, str]

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.labels), len(self.axis_nm)) or not np.isfinite(self.values).all():
            raise DataUnusable(
                f"{self.values.shape} values for {len(self.labels)} labels and {len(self.axis_nm)} points, all finite"
            )
        for array in (self.axis_nm, self.values, self.scan):
            array.flags.writeable = False

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in the order of their first spectrum."""
        return tuple(dict.fromkeys(self.labels))

    @property
    def targets(self) -> NDArray[np.int64]:
        """The column of each spectrum's class in `classes`."""
        columns = {label: column for column, label in enumerate(self.classes)}
        return np.array([columns[label] for label in self.labels], dtype=np.int64)


def load_powders(data: Path) -> Spectra:
    """Return the 1,200 scans of 12 formulations, in the order of the file."""
    folder = data / POWDERS
    digests: dict[str, str] = {}
    rows = _rows(folder / "RawNIRData.csv", digests)
    labels = tuple(row[0].strip() for row in _rows(folder / "ClassRef.csv", digests)[1:])
    table = _numbers(rows[1:], folder / "RawNIRData.csv")
    if table.shape[1] != len(labels) + 1:
        raise DataUnusable(f"{folder}: {table.shape[1] - 1} spectra and {len(labels)} labels")
    return _spectra(table[:, 0].copy(), table[:, 1:].T.copy(), labels, digests)


def load_ternaries(data: Path) -> Spectra:
    """Return the 400 scans of four ternary mixtures of the same three compounds: the hardest thing to refuse."""
    path = data / POWDERS / "ternary_samples.csv"
    digests: dict[str, str] = {}
    rows = _rows(path, digests)
    points = len(rows[0]) - 2  # the last two columns are label and name
    axis = _numbers([rows[0][:points]], path)[0]
    return _spectra(
        axis, _numbers([r[:points] for r in rows[1:]], path), tuple(r[points + 1] for r in rows[1:]), digests
    )


def load_capsules(data: Path) -> Spectra:
    """Return the 1,031 scans of isoniazid through capsule walls; the label is the dose."""
    path = data / CAPSULES / "isoniazid_capsules.npz"
    digests = {path.name: _digest(path)}
    with np.load(path) as file:
        axis, values, dose = (
            file["wavelength_nm"].astype(np.float64),
            file["X"].astype(np.float64),
            file["dose_mg"],
        )
    return _spectra(axis, values, tuple(f"isoniazid {mg:g} mg" for mg in dose), digests)


def load_compounds(data: Path, *, ratio: bool) -> Spectra:
    """Return 100 scans of 20 pure drugs and other compounds, taken with another unit.

    ratio True: absorbance as the vendor's program exported it, against a reference that is itself a drug.
    ratio False: -log10 of the sample's counts, which no reference has touched.
    """
    folder = data / COMPOUNDS
    digests: dict[str, str] = {}
    names = {row[0]: row[2] for row in _rows(folder / "labels.csv", digests)[1:]}
    axis: NDArray[np.float64] | None = None
    values, labels = [], []
    for name in sorted(names):
        path = folder / "scans" / name
        rows = _rows(path, digests)
        start = next((i for i, row in enumerate(rows) if row and row[0].startswith("Wavelength (nm)")), None)
        if start is None:
            raise DataUnusable(f"{path}: no column 'Wavelength (nm)'")
        table = _numbers([row[:4] for row in rows[start + 1 : start + 229]], path)
        if axis is None:
            axis = table[:, 0].copy()
        own = table[:, 1] if ratio else -np.log10(table[:, 3])
        values.append(np.interp(axis, table[:, 0], own))
        labels.append(names[name])
    if axis is None:
        raise DataUnusable(f"{folder}: no scans")
    return _spectra(axis, np.array(values), tuple(labels), digests)


def title(label: str) -> str:
    """Return a title for people: `1090ACAA` is 10 % acetaminophen and 90 % ascorbic acid by weight.

    The order of the shares is that of the compounds: the source's SampleInfo.csv gives 1090ACAA a mole ratio of 0.1148
    acetaminophen, which is 10 % by weight.
    """
    match = _LABEL.fullmatch(label)
    if match is None:
        raise DataUnusable(f"class {label!r} is not of the form 1090ACAA or 100LA")
    parts, codes = match["parts"], [match["codes"][i : i + 2] for i in range(0, len(match["codes"]), 2)]
    if parts == "100":
        return _NAMES[codes[0]].capitalize()
    shares = (int(parts[:2]), int(parts[2:]))
    return ", ".join(f"{_NAMES[code]} {share} %" for code, share in zip(codes, shares, strict=True)).capitalize()


def _spectra(
    axis: NDArray[np.float64], values: NDArray[np.float64], labels: tuple[str, ...], digests: dict[str, str]
) -> Spectra:
    seen: dict[str, int] = {}
    scan = []
    for label in labels:
        scan.append(seen.get(label, 0))
        seen[label] = scan[-1] + 1
    return Spectra(axis_nm=axis, values=values, labels=labels, scan=np.array(scan, dtype=np.int64), digests=digests)


def _rows(path: Path, digests: dict[str, str]) -> list[list[str]]:
    digests[path.name] = _digest(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [row for row in csv.reader(file) if row and row[0].strip()]


def _numbers(rows: list[list[str]], path: Path) -> NDArray[np.float64]:
    try:
        return np.array(rows, dtype=np.float64)
    except ValueError as error:
        raise DataUnusable(f"{path}: {error}", hint="get the file again and compare it with SHA256SUMS") from error


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise DataUnusable(
            f"{path}: {error.strerror}", hint="name the folder of public spectra with --data or EDGED_DATA"
        ) from error
