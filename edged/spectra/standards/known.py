"""Every standard that a self test can be asked for by name, and what each one tells: its subject.

Bands that ASTM, NIST's database and Ph. Eur. publish are here, and the curves of NIST's glasses. What only a
certificate states comes from a file of the user's: `edged.spectra.standards.certified`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edged.spectra.standards.certificates import GLASSES, Certificate, WavelengthStandard
from edged.spectra.standards.materials import NEON, RAMAN_MATERIALS, Material
from edged.spectra.standards.outcome import Subject

CALCITE, DARK = "calcite", "dark"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """What lies before the instrument. values: what it is compared with; None for calcite and for the dark."""

    name: str
    title: str
    subject: Subject
    values: Material | Certificate | WavelengthStandard | None = None


def _short(glass: Certificate) -> str:
    return glass.name.removeprefix("NIST ").lower().replace(" ", "-")


BUILT_IN: Mapping[str, Standard] = {
    standard.name: standard
    for standard in (
        *(Standard(name=m.name, title=m.title, subject="axis", values=m) for m in RAMAN_MATERIALS),
        Standard(name=NEON.name, title=NEON.title, subject="lamp", values=NEON),
        Standard(name=CALCITE, title="calcite", subject="resolution"),
        *(Standard(name=_short(g), title=g.name, subject="intensity", values=g) for g in GLASSES),
        Standard(name=DARK, title="no light", subject="dark"),
    )
}


def standards(certificates: str | os.PathLike[str] | None = None) -> Mapping[str, Standard]:
    """Return all standards by name, those of a file too. Raises StandardsUnusable for a file that cannot be used."""
    if certificates is None:
        return BUILT_IN
    from edged.spectra.standards.certified import StandardsUnusable, load_certified

    known = dict(BUILT_IN)
    for name, values in load_certified(Path(certificates)).items():
        subject: Subject = "wavelength" if isinstance(values, WavelengthStandard) else "intensity"
        if name in BUILT_IN and BUILT_IN[name].subject != subject:
            raise StandardsUnusable(
                f"{certificates}: {name} is a name of ours for something else", hint="choose another name"
            )
        known[name] = Standard(name=name, title=values.name, subject=subject, values=values)
    return known
