"""Eighty samples of corn, each measured on three NIR instruments, with four properties: what transfer is studied on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from export.data.files import numbers, read_rows
from export.data.origin import CHEMOMETRICS_DATA, DataSet, on_github
from export.data.spectra import Spectra, scans_of
from export.errors import DataUnusable

FOLDER = "nir_corn_3instruments"
INSTRUMENTS = ("m5", "mp5", "mp6")
PROPERTIES = ("moisture", "oil", "protein", "starch")
_COMMIT = "3485e80739f5952911ae2a49c65d6ffdd90eadc8"


def load(data: Path, *, amount: str = "moisture") -> Spectra:
    """Return the 240 spectra, instrument after instrument, samples in the order of the file. A group is a sample.

    amount: which property `amounts` tells, in per cent.
    """
    folder = data / FOLDER
    digests: dict[str, str] = {}
    names, *table = read_rows(folder / "property_values.csv", digests)
    properties = numbers(table, folder / "property_values.csv")
    axis, values = np.empty(0), []
    for name in INSTRUMENTS:
        path = folder / f"{name}_spectra.csv"
        rows = numbers(read_rows(path, digests), path)
        if len(rows) != len(properties) + 1:
            raise DataUnusable(f"{path}: {len(rows) - 1} spectra for {len(properties)} samples")
        axis = rows[0].copy()
        values.append(rows[1:])
    samples, times = len(properties), len(INSTRUMENTS)
    labels = ("corn",) * (samples * times)
    return Spectra(
        axis=axis,
        values=np.concatenate(values),
        labels=labels,
        groups=np.tile(np.arange(samples), times),
        scan=scans_of(labels),
        amounts=np.tile(properties[:, [name.lower() for name in names].index(amount)], times),
        amount_unit="%",
        instruments=tuple(name for name in INSTRUMENTS for _ in range(samples)),
        digests=digests,
    )


SET = DataSet(
    name="corn-moisture",
    title="80 samples of corn on three NIR instruments, moisture",
    folder=FOLDER,
    files={
        name: on_github("caseykneale/ChemometricsData.jl", _COMMIT, f"data/Cargill_Corn/{name}")
        for name in ("property_values.csv", *(f"{instrument}_spectra.csv" for instrument in INSTRUMENTS))
    },
    licence="public domain; permission to redistribute granted by Mike Blackburn, 2020-06-03, says the repository",
    copyright="Cargill; Eigenvector Research",
    origin=f"{CHEMOMETRICS_DATA}, data/Cargill_Corn",
    paper="Corn, https://eigenvector.com/resources/data-sets/",
    instruments=("m5, 1100 to 2498 nm in steps of 2", "mp5, the same", "mp6, the same"),
    conditions="three laboratory instruments, the same samples on each",
    grouping="a sample, on all three instruments",
    ships=True,
    load=load,
)
OTHERS = tuple(
    SET.other(
        name=f"corn-{name}",
        title=f"80 samples of corn on three NIR instruments, {name}",
        load=partial(load, amount=name),
    )
    for name in PROPERTIES[1:]
)
