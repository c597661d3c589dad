"""310 tablets of four strengths in NIR transmission: the public set of the InvertResNet and SpectraTr papers.

May be measured, not given away: neither the data nor weights trained on them leave this machine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.data.files import numbers, read_rows
from export.data.origin import DataSet, on_github
from export.data.spectra import Spectra, group_numbers, scans_of
from export.errors import DataUnusable

FOLDER = "nir_raman_tablets_dyrby"


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
