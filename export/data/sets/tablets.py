"""310 tablets of four strengths in NIR transmission: the public set of the InvertResNet and SpectraTr papers; and 120
of them in Raman scattering, the one public set in which both techniques have seen the same samples.

May be measured, not given away: neither the data nor weights trained on them leave this machine.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from export.data.files import numbers, read_bytes, read_rows
from export.data.origin import DataSet, on_github
from export.data.spectra import Spectra, group_numbers, scans_of
from export.errors import DataUnusable

FOLDER = "nir_raman_tablets_dyrby"
RAMAN = "raman_Ramandata_tablets.mat"


def load(data: Path) -> Spectra:
    """Return the tablets in the order of the file, absorbance over cm-1. A group is a production batch of ten."""
    folder = data / FOLDER
    digests: dict[str, str] = {}
    meta = read_rows(folder / "tablets_meta.csv", digests)
    column = {name: place for place, name in enumerate(meta[0])}
    table = numbers(read_rows(folder / "nir_opensa_table.csv", digests), folder / "nir_opensa_table.csv")
    axis = numbers(read_rows(folder / "nir_axis_cm-1.txt", digests), folder / "nir_axis_cm-1.txt")[:, 0]
    rows = meta[1:]
    if table.shape != (len(rows), len(axis) + 1):
        raise DataUnusable(f"{folder}: {table.shape} numbers for {len(rows)} tablets and {len(axis)} points")
    labels = tuple(row[column["type"]] for row in rows)
    return Spectra(
        axis=axis,
        axis_unit="cm-1",
        values=table[:, :-1].copy(),
        labels=labels,
        groups=group_numbers([row[column["batch"]] for row in rows]),
        scan=scans_of(labels),
        amounts=np.array([float(row[column["active_pct_ww"]]) for row in rows]),
        amount_unit="% w/w",
        digests=digests,
    )


def load_raman(data: Path) -> Spectra:
    """Return the Raman spectra of the pilot-scale tablets, over ascending shift, in the order of the NIR file.

    Type and batch are those of the NIR file: the Raman file calls three tablets C that batch and assay show to be B.
    """
    folder = data / FOLDER
    digests: dict[str, str] = {}
    meta = read_rows(folder / "tablets_meta.csv", digests)
    column = {name: place for place, name in enumerate(meta[0])}
    rows = [row for row in meta[1:] if int(row[column["raman_row"]]) >= 0]
    content = loadmat(io.BytesIO(read_bytes(folder / RAMAN, digests)))
    table, names = np.asarray(content["Matrix"], dtype=np.float64), content["VarLabels"]
    order = [int(row[column["raman_row"]]) for row in rows]
    labels = tuple(row[column["type"]] for row in rows)
    return Spectra(
        axis=np.array([float(name) for name in names[:1:-1]]),
        axis_unit="cm-1",
        quantity="intensity",
        values=table[order, :1:-1].copy(),
        labels=labels,
        groups=group_numbers([row[column["batch"]] for row in rows]),
        scan=scans_of(labels),
        amounts=np.array([float(row[column["active_pct_ww"]]) for row in rows]),
        amount_unit="% w/w",
        places=tuple(row[column["tablet_id"]] for row in rows),
        digests=digests,
    )


def pairs(data: Path) -> NDArray[np.int64]:
    """Return the row of each Raman spectrum's tablet in the NIR set."""
    meta = read_rows(data / FOLDER / "tablets_meta.csv", {})
    column = meta[0].index("raman_row")
    return np.array([row for row, fields in enumerate(meta[1:]) if int(fields[column]) >= 0], dtype=np.int64)


SET = DataSet(
    name="tablets",
    title="310 escitalopram tablets of four strengths, NIR transmission",
    folder=FOLDER,
    files={
        "tablets_meta.csv": "",
        "nir_axis_cm-1.txt": "",
        "nir_opensa_table.csv": on_github(
            "FuSiry/OpenSA", "31d73554f2a55b13d4a724e56c6b41cabf1b24f7", "OpenSA/Data/Cls/table.csv"
        ),
    },
    licence="Apache-2.0 by the mirror, whose README limits the data to academic use",
    copyright="University of Copenhagen",
    origin="github.com/FuSiry/OpenSA, OpenSA/Data/Cls/table.csv, commit 083805ca; batches and assay from "
    "github.com/ryuzakyl/data-bloodhound, commit ae0413e",
    paper="M. Dyrby, S.B. Engelsen, L. Norgaard, M. Bruhn, L. Lundsberg-Nielsen, Appl. Spectrosc. 56(5) 579-585 (2002)",
    instruments=("FT-NIR, transmission, 7398 to 10507 cm-1, 404 points",),
    conditions="31 batches of ten tablets, laboratory, pilot and full scale",
    grouping="a production batch of ten tablets",
    ships=False,
    load=load,
)
RAMAN_SET = SET.other(
    name="tablets-raman",
    title="120 of the tablets in Raman scattering",
    load=load_raman,
    files={
        "tablets_meta.csv": "",
        RAMAN: on_github(
            "ryuzakyl/data-bloodhound",
            "ae0413e748e55a0d2dbae35bbe96a672f313a64b",
            "datasets/raman_tablets/data/Ramandata_tablets.mat",
        ),
    },
)
