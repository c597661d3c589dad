"""Every set of spectra by name."""

from __future__ import annotations

from pathlib import Path

from export.data.fetch import place_of
from export.data.origin import DataSet
from export.data.sets import (
    api20,
    charisma,
    corn,
    drugs,
    idrc,
    isoniazid,
    powders12,
    solvents,
    strawberry,
    tablets,
)
from export.data.spectra import Spectra
from export.errors import DataUnusable

SETS: dict[str, DataSet] = {
    found.name: found
    for found in (
        powders12.SET,
        powders12.TERNARIES,
        api20.SET,
        api20.RATIOS,
        api20.LOG_COUNTS,
        isoniazid.SET,
        tablets.SET,
        tablets.RAMAN_SET,
        idrc.SET,
        corn.SET,
        *corn.OTHERS,
        *drugs.SETS,
        charisma.SET,
        solvents.SET,
        solvents.POWDERS,
        strawberry.SET,
    )
}


def known_set(name: str) -> DataSet:
    """Return what is known of a set. Raises DataUnusable for a name that no file here bears."""
    if name not in SETS:
        raise DataUnusable(f"no set of spectra is named {name!r}", hint=f"one of: {', '.join(SETS)}")
    return SETS[name]


def load_set(name: str, data: Path) -> Spectra:
    """Read a set from the folder of public spectra, or from the cache where that lacks it. Raises DataUnusable."""
    found = known_set(name)
    return found.load(place_of(found, data))
