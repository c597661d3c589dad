"""Raman spectra of pure solvents and powders, and of mixtures whose shares are not told.

Of the 92 mixtures of solvents nothing is told. Of the six others their publisher's notebook finds which compounds are
in them: that is a result, not a statement of what was weighed in, and no fractions come with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
HOLDS = {
    "mixture of liquids": ("Acetonitrile", "Ethanol", "Methanol"),
    "mixture of two powders": ("Polyacrylamide", "Sodium Acetate Trihydrate"),
    "mixture of three powders": ("Polyacrylamide", "Sodium Acetate Trihydrate", "Sodium Carbonate"),
}
MIXTURES = {"mixture of liquids": 3, "mixture of two powders": 1, "mixture of three powders": 2}  # in the file's order
FOUND_NOT_STATED = "what the mixtures hold is what their publisher's notebook finds in them, not a stated composition"
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
    return _spectra(values, (*PURE, *[MIXTURE] * (len(values) - len(PURE))), PURE, digests)


def load_powders(data: Path) -> Spectra:
    """Return six pure liquids and powders, and six mixtures of them, in the order of the files."""
    folder = data / FOLDER
    digests: dict[str, str] = {}
    values = np.concatenate([read_array(folder / name, digests) for name in (_POWDERS, _UNKNOWN)])
    names = [row[0].split("_")[0].strip() for row in read_rows(folder / _POWDER_NAMES, digests)]
    labels = (*names, *[label for label, count in MIXTURES.items() for _ in range(count)])
    return _spectra(values, labels, names, digests, holds=HOLDS, remarks=(FOUND_NOT_STATED,))


def _spectra(
    values: NDArray[Any],
    labels: tuple[str, ...],
    pure: Sequence[str],
    digests: dict[str, str],
    *,
    holds: Mapping[str, tuple[str, ...]] | None = None,
    remarks: tuple[str, ...] = (),
) -> Spectra:
    """A mixture is a group of its own; so is a pure compound."""
    return Spectra(
        axis=FIRST_CM1 + STEP_CM1 * np.arange(values.shape[1], dtype=np.float64),
        axis_unit="cm-1",
        quantity="intensity",
        values=values.astype(np.float64),
        labels=labels,
        groups=group_numbers(range(len(labels))),
        scan=scans_of(labels),
        remarks=remarks,
        digests=digests,
        contents={name: {name: 1.0} for name in pure},
        holds=holds or {},
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
