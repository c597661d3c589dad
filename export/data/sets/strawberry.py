"""Fruit purees in the mid infrared: strawberry, or anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.data.files import read_arrays
from export.data.origin import CHEMOMETRICS_DATA, DataSet
from export.data.spectra import Spectra, group_numbers, scans_of

FOLDER = "mir_strawberry_puree"
FILE = "fruit_purees_original.npz"


def load(data: Path) -> Spectra:
    """Return 981 of the 983 purees in the order of the file: the one that occurs twice bears both labels, and is left
    out. A group is a puree.
    """
    digests: dict[str, str] = {}
    arrays = read_arrays(data / FOLDER / FILE, digests)
    values = arrays["X"].astype(np.float64)
    _, first, times = np.unique(values, axis=0, return_inverse=True, return_counts=True)
    once = np.flatnonzero(times[first.ravel()] == 1)
    labels = tuple(str(label) for label in arrays["label"][once])
    return Spectra(
        axis=arrays["wavenumber_cm1"].astype(np.float64),
        axis_unit="cm-1",
        values=values[once],
        labels=labels,
        groups=group_numbers(range(len(labels))),
        scan=scans_of(labels),
        digests=digests,
    )


SET = DataSet(
    name="strawberry",
    title="purees of strawberry and of other or mixed fruit, mid infrared",
    folder=FOLDER,
    files={FILE: ""},
    licence="free to analyse and redistribute if the original source is cited (BBSRC policy on data sharing)",
    copyright="Quadram Institute Bioscience",
    origin=f"{CHEMOMETRICS_DATA}, data/Fruit_Puree_Adulteration, its table put into one npz",
    paper="J.K. Holland, E.K. Kemsley, R.H. Wilson, J. Sci. Food Agric. 76, 263-269 (1998)",
    instruments=("FTIR-ATR, 899 to 1803 cm-1, 235 points",),
    conditions="one laboratory instrument",
    grouping="a puree",
    ships=True,
    load=load,
)
