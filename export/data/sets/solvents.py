"""Raman spectra of pure solvents and powders, and of mixtures whose shares are not told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.data.files import read_array, read_rows
from export.data.origin import DataSet, on_github
from export.data.spectra import Spectra, group_numbers, scans_of

FOLDER = "raman_solvent_mixtures_deepraman"
FIRST_CM1, STEP_CM1 = 240.0, 2.0  # not stored: inferred from bands of cyclohexane, acetonitrile, toluene and ethanol
MIXTURE = "mixture"
PURE = (  # the order of the first rows, as the source's paper lists them
    "Toluene",
    "Diethylene glycol dimethyl ether",
    "n-Nonane",
    "Dichloromethane",
    "n-Heptanol",
    "Cyclohexane",
    "Dichloroethane",
    "Acetonitrile",
    "1-Butanol",
    "n-Heptane",
    "Isopropyl alcohol",
    "Ethanol",
    "Methanol",
)
_REPOSITORY, _COMMIT = "XiaqiongFan/DeepRaman", "d4daba9a757fce665b7569c01595266950df4ae2"
_SOLVENTS = "Multi_component_mixture_Dataset.npy"
_POWDERS, _POWDER_NAMES = (f"database_for_Liquid_and_powder_mixture.{suffix}" for suffix in ("npy", "csv"))
_UNKNOWN = "unknown_Liquid_and_powder_mixture.npy"


def load(data: Path) -> Spectra:
    """Return 13 pure solvents and 92 mixtures of them, in the order of the file."""
    digests: dict[str, str] = {}
    values = read_array(data / FOLDER / _SOLVENTS, digests)
    return _spectra(values, PURE, digests)


def load_powders(data: Path) -> Spectra:
    """Return six pure liquids and powders, and six mixtures of them, in the order of the files."""
    folder = data / FOLDER
    digests: dict[str, str] = {}
    values = np.concatenate([read_array(folder / name, digests) for name in (_POWDERS, _UNKNOWN)])
    names = [row[0].split("_")[0].strip() for row in read_rows(folder / _POWDER_NAMES, digests)]
    return _spectra(values, names, digests)


def _spectra(values: NDArray[Any], pure: Sequence[str], digests: dict[str, str]) -> Spectra:
    """A mixture is a group of its own; so is a pure compound."""
    labels = (*pure, *[MIXTURE] * (len(values) - len(pure)))
    return Spectra(
        axis=FIRST_CM1 + STEP_CM1 * np.arange(values.shape[1], dtype=np.float64),
        axis_unit="cm-1",
        quantity="intensity",
        values=values.astype(np.float64),
        labels=labels,
        groups=group_numbers(range(len(labels))),
        scan=scans_of(labels),
        digests=digests,
    )


SET = DataSet(
    name="raman-solvents",
    title="13 solvents and 92 mixtures of them in Raman scattering",
    folder=FOLDER,
    files={_SOLVENTS: on_github(_REPOSITORY, _COMMIT, f"data/{_SOLVENTS}")},
    licence="MIT",
    copyright="Copyright (c) 2025 Central South University",
    origin="github.com/XiaqiongFan/DeepRaman, commit 01a0530, folder data",
    paper="DeepRaman, https://github.com/XiaqiongFan/DeepRaman",
    instruments=("Raman, 240 to 3000 cm-1 in steps of 2, inferred",),
    conditions="one instrument; what a mixture holds is not told",
    grouping="one spectrum",
    ships=True,
    load=load,
)
POWDERS = SET.other(
    name="raman-powders",
    title="six liquids and powders and six mixtures of them in Raman scattering",
    load=load_powders,
    files={name: on_github(_REPOSITORY, _COMMIT, f"data/{name}") for name in (_POWDERS, _POWDER_NAMES)}
    | {_UNKNOWN: ""},
)
