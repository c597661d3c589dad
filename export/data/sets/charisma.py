"""Raman spectra of the same reference materials on five instruments, each with its own axis, uncorrected."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from export.data.files import read_arrays, read_rows
from export.data.origin import DataSet
from export.data.spectra import Spectra, group_numbers, scans_of

FOLDER = "raman_multi_instrument_charisma"
FIRST_CM1, LAST_CM1 = 150.0, 2000.0  # what all instruments cover
TITLES = {"PST": "Polystyrene", "Sil": "Silicon"}


def load(data: Path) -> Spectra:
    """Return the materials' spectra, linearly interpolated at every cm-1 from 150 to 2,000; neon lamps are left out.

    A group is an instrument: maker, provider and laser. The axes err by some cm-1, each in its own way.
    """
    folder = data / FOLDER
    digests: dict[str, str] = {}
    head, *rows = read_rows(folder / "index.csv", digests)
    arrays = read_arrays(folder / "charisma_raman.npz", digests)
    column = {name: place for place, name in enumerate(head)}
    rows = [row for row in rows if row[column["sample"]] != "Neon"]
    axis = np.arange(FIRST_CM1, LAST_CM1 + 0.5)
    keys = [row[column["key"]] for row in rows]
    labels = tuple(row[column["sample"]] for row in rows)
    instruments = tuple(
        " ".join(row[column[name]] for name in ("device", "provider", "laser_nm")) + " nm" for row in rows
    )
    return Spectra(
        axis=axis,
        axis_unit="cm-1",
        quantity="intensity",
        values=np.array([np.interp(axis, arrays[f"{key}_x"], arrays[f"{key}_y"]) for key in keys]),
        labels=labels,
        groups=group_numbers(instruments),
        scan=scans_of(labels),
        titles=TITLES,
        instruments=instruments,
        digests=digests,
    )


SET = DataSet(
    name="raman-references",
    title="eight reference materials on five Raman instruments",
    folder=FOLDER,
    files={"charisma_raman.npz": "", "index.csv": ""},
    licence="MIT",
    copyright="Copyright (c) the CHARISMA project (European Union's Horizon 2020)",
    origin="package ramanchada2 1.5.0 on the Python Package Index, its test spectra put into one npz",
    paper="CHARISMA, Horizon 2020 grant agreement 952921",
    instruments=("BWTek 532 nm, two", "BWTek 785 nm", "Horiba 785 nm", "Horiba 633 nm"),
    conditions="three providers, several objectives; axes as the instruments gave them",
    grouping="an instrument",
    ships=True,
    load=load,
)
