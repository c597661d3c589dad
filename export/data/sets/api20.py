"""Twenty pure drugs and other compounds, five scans of one vial each, as files of a handheld NIR's own program."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.data.files import known_sums, numbers, read_rows
from export.data.origin import NOTRE_DAME_PAPER, DataSet, on_github
from export.data.spectra import Quantity, Spectra, group_numbers, scans_of
from export.errors import DataUnusable

FOLDER = "nir_api20_nirmr2"
POINTS = 228
COMPOUNDS = {  # number in a file's name -> what the source's .docx says it is
    9: "Antipyrine",
    18: "Cefuroxime axetil",
    19: "Chloramphenicol",
    20: "Chloroquine",
    22: "Dapsone",
    23: "Digoxin",
    32: "Hydrochlorothiazide",
    33: "Isatin",
    37: "Levofloxacin",
    39: "Lovastatin",
    42: "Metformin hydrochloride",
    47: "Pravastatin",
    53: "Simvastatin",
    54: "Spironolactone",
    57: "Sulfamethoxazole",
    59: "Verapamil hydrochloride",
    70: "L-citrulline",
    77: "Tetracycline hydrochloride",
    84: "D-penicillamine",
    94: "Uric acid",
}
_NUMBER = re.compile(r"sample(\d+)_", re.IGNORECASE)
_REPOSITORY = "aawotund/Combined-machine-learning-and-linear-regression-analysis-of-NIR-spectra-..."
_COMMIT, _UPSTREAM = "8912ea5fa2e8cc60146a7c727a07a50859a77445", "RandomPharmaceuticals_20APIExcipientsandOthers"
ABSORBANCE, SAMPLE_SIGNAL = 1, 3  # columns of the vendor's file


def load(data: Path) -> Spectra:
    """Return the sample's counts, which no reference has touched. A group is one scan number of every compound."""
    return _load(data, lambda table: table[:, SAMPLE_SIGNAL], "intensity")


def load_ratios(data: Path) -> Spectra:
    """Return absorbance as the vendor's program exported it, against a reference that is itself a drug."""
    return _load(data, lambda table: table[:, ABSORBANCE], "absorbance")


def load_log_counts(data: Path) -> Spectra:
    """Return -log10 of the sample's counts: what passes for absorbance where no reference was measured."""
    return _load(data, lambda table: -np.log10(table[:, SAMPLE_SIGNAL]), "absorbance")


def scans() -> list[str]:
    """Return the names of the hundred files below the set's folder, ascending."""
    prefix = f"{FOLDER}/"
    return sorted(path.removeprefix(prefix) for path in known_sums() if path.startswith(f"{prefix}scans/"))


def compound(name: str) -> str:
    """Return which compound a file holds, by the number in its name."""
    found = _NUMBER.search(name)
    assert found is not None
    return COMPOUNDS[int(found[1])]


def _load(data: Path, column: Callable[[NDArray[np.float64]], NDArray[np.float64]], quantity: Quantity) -> Spectra:
    folder = data / FOLDER
    digests: dict[str, str] = {}
    axis: NDArray[np.float64] | None = None
    values, labels = [], []
    for name in scans():
        path = folder / name
        rows = read_rows(path, digests)
        start = next((i for i, row in enumerate(rows) if row and row[0].startswith("Wavelength (nm)")), None)
        if start is None:
            raise DataUnusable(f"{path}: no column 'Wavelength (nm)'")
        table = numbers([row[:4] for row in rows[start + 1 : start + 1 + POINTS]], path)
        if axis is None:
            axis = table[:, 0].copy()
        values.append(np.interp(axis, table[:, 0], column(table)))
        labels.append(compound(name))
    assert axis is not None
    scan = scans_of(labels)
    return Spectra(
        axis=axis,
        quantity=quantity,
        values=np.array(values),
        labels=tuple(labels),
        groups=group_numbers(list(zip(labels, scan.tolist(), strict=True))),
        scan=scan,
        digests=digests,
        contents={name: {name: 1.0} for name in dict.fromkeys(labels)},
    )


SET = DataSet(
    name="api20",
    title="twenty pure drugs and other compounds, five scans each",
    folder=FOLDER,
    files={name: on_github(_REPOSITORY, _COMMIT, f"{_UPSTREAM}/{name.removeprefix('scans/')}") for name in scans()},
    licence="MIT",
    copyright="Copyright (c) 2021 Olatunde",
    origin="github.com/aawotund, repository Combined-machine-learning-and-linear-regression-analysis-of-NIR-spectra-"
    "..., commit ae6c6de, folder RandomPharmaceuticals_20APIExcipientsandOthers",
    paper=NOTRE_DAME_PAPER,
    instruments=("InnoSpectra NIR-M-R2-OB, serial 818R045 (TI DLP NIRscan Nano family), 228 points",),
    conditions="one vial a compound, two days; no white reference: the stored reference is the day's first sample",
    grouping="one scan: the five of a compound are of one vial and one day, so that no split here is an honest one",
    ships=True,
    load=load,
)
RATIOS = SET.other(
    name="api20-ratios",
    title="the scans of api20 as exported absorbance, against another drug",
    load=load_ratios,
)
LOG_COUNTS = SET.other(
    name="api20-log-counts", title="the scans of api20 as -log10 of the counts", load=load_log_counts
)
