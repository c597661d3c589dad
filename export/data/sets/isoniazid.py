"""Isoniazid through capsule walls on a handheld NIR: 1,031 scans at four doses."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.data.files import read_arrays
from export.data.origin import DataSet
from export.data.spectra import Spectra, group_numbers, scans_of

FOLDER = "nir_isoniazid_capsules_notredame"
SCANS_A_BLOCK = 10


def load(data: Path) -> Spectra:
    """Return the scans in the order of the file; the label is the dose, `amounts` says it in mg.

    Which scans repeat one capsule is not stated. A group is a run of ten contiguous scans of one dose: a guess at what
    was not moved in between.
    """
    path = data / FOLDER / "isoniazid_capsules.npz"
    digests: dict[str, str] = {}
    arrays = read_arrays(path, digests)
    dose = arrays["dose_mg"].astype(np.float64)
    labels = tuple(f"isoniazid {mg:g} mg" for mg in dose)
    scan = scans_of(labels)
    return Spectra(
        axis=arrays["wavelength_nm"].astype(np.float64),
        values=arrays["X"].astype(np.float64),
        labels=labels,
        groups=group_numbers(list(zip(labels, (scan // SCANS_A_BLOCK).tolist(), strict=True))),
        scan=scan,
        amounts=dose,
        amount_unit="mg",
        digests=digests,
    )


SET = DataSet(
    name="isoniazid",
    title="isoniazid capsules at 100, 200, 300 and 500 mg, through the wall",
    folder=FOLDER,
    files={"isoniazid_capsules.npz": ""},
    licence="MIT",
    copyright="Copyright (c) 2022 Olatunde",
    origin="github.com/aawotund, repository Handling-the-interference-effects-of-gelatin-capsule-composition-and-"
    "excipient-concentration-on-dete..., commit 17c4ca8",
    paper="O. Awotunde et al., handling the interference effects of gelatin capsule composition and excipient "
    "concentration (the title of the repository, cut short there)",
    instruments=("InnoSpectra NIR-M-R2 (TI DLP NIRscan Nano family), 228 points",),
    conditions="one instrument; which scans are of one capsule is not stated",
    grouping="ten contiguous scans of one dose",
    ships=True,
    load=load,
)
