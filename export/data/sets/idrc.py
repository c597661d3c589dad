"""The tablets of the IDRC shoot-out of 2002: 655 of one product, each on two transmission instruments, with assay."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.data.files import read_arrays
from export.data.origin import CHEMOMETRICS_DATA, DataSet
from export.data.spectra import Spectra, scans_of

FOLDER = "nir_tablets_idrc2002"
FILE = "idrc2002_tablets.npz"
INSTRUMENTS = ("1", "2")


def load(data: Path) -> Spectra:
    """Return 1,310 spectra, instrument after instrument, tablets in the order of the file; `amounts`: assay in mg.

    A group is a tablet. Above some 1,800 nm there is only noise.
    """
    digests: dict[str, str] = {}
    arrays = read_arrays(data / FOLDER / FILE, digests)
    one, two = (arrays[name].astype(np.float64) for name in ("inst1", "inst2"))
    labels = ("tablet",) * (len(one) + len(two))
    return Spectra(
        axis=arrays["wavelength_nm"].astype(np.float64),
        values=np.concatenate([one, two]),
        labels=labels,
        groups=np.tile(np.arange(len(one)), 2),
        scan=scans_of(labels),
        amounts=np.tile(arrays["assay_mg"].astype(np.float64), 2),
        amount_unit="mg",
        instruments=tuple(name for name in INSTRUMENTS for _ in range(len(one))),
        digests=digests,
    )


def parts(data: Path) -> tuple[str, ...]:
    """Return what the shoot-out used each tablet for, in the order of `load`: Train, Validate or Test."""
    arrays = read_arrays(data / FOLDER / FILE, {})
    return tuple(str(part) for part in arrays["split"]) * 2


SET = DataSet(
    name="tablets-assay",
    title="655 tablets of one product on two instruments in NIR transmission, assay",
    folder=FOLDER,
    files={FILE: ""},
    licence="public domain; permission to redistribute given to Casey Kneale in 2018, says the repository",
    copyright="IDRC Chambersburg",
    origin=f"{CHEMOMETRICS_DATA}, data/IDRC_2002_Pharma_Shootout, its tables put into one npz",
    paper="IDRC shoot-out 2002, http://www.idrc-chambersburg.org/shootout_2002.htm",
    instruments=("Foss NIRSystems Multitab 1, transmission, 600 to 1898 nm in steps of 2", "Multitab 2, the same"),
    conditions="two laboratory instruments, the same tablets on each",
    grouping="a tablet, on both instruments",
    ships=True,
    load=load,
)
