"""Every standard that a self test can be asked for by name, and what each one tells: its subject.

Bands that ASTM, NIST's database and Ph. Eur. publish are here, and the curves of NIST's glasses. What only a
certificate states comes from a file of the user's, TOML: centres of gravity of a wavelength standard, or the curve of
another glass.

    [wavelength.glass-7]                  # edged selftest STATION --material glass-7
    certificate = "NIST SRM 2036, no. 7"
    bands_nm = [975.9, 1075.4, 1151.3]
    fraction = 0.7                        # of a band's height above which its centre of gravity counts

    [intensity.srm-2245]                  # a name of ours is replaced
    certificate = "NIST SRM 2245, no. 12"
    laser_nm = 633.0
    form = "log-gaussian"                 # or "polynomial"
    parameters = [0.95071, 1657.7, 0.95207, 1960.0, 1.8981e-5, 1.1698e-2]
    certified_cm1 = [150.0, 4000.0]
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from edged.spectra.spectrum import SpectrumError
from edged.spectra.standards.certificates import GLASSES, Certificate, WavelengthStandard
from edged.spectra.standards.materials import NEON, RAMAN_MATERIALS, Material
from edged.spectra.standards.outcome import Subject

MAX_FILE_BYTES = 65_536  # a hundred certificates; bounds a mistaken path to a big file
MAX_BANDS = 64  # of a wavelength standard; rare earth glasses have seven to twenty
CALCITE, DARK = "calcite", "dark"

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Nm = Annotated[float, Field(ge=200, le=5_000)]
Cm1 = Annotated[float, Field(ge=0, le=10_000)]


class StandardsUnusable(SpectrumError):
    """The file of certified values cannot be used. `hint` says what to do."""


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


class _Values(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    certificate: Annotated[str, StringConstraints(min_length=1, max_length=128)]


class _Wavelength(_Values):
    bands_nm: Annotated[list[Nm], Field(min_length=1, max_length=MAX_BANDS)]
    fraction: Annotated[float, Field(ge=0, lt=1)]


class _Glass(_Values):
    laser_nm: Nm
    form: Literal["polynomial", "log-gaussian"]
    parameters: Annotated[list[float], Field(min_length=1, max_length=12)]
    certified_cm1: Annotated[list[Cm1], Field(min_length=2, max_length=2)]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    wavelength: dict[Name, _Wavelength] = Field(default_factory=dict)
    intensity: dict[Name, _Glass] = Field(default_factory=dict)


def standards(certificates: str | os.PathLike[str] | None = None) -> Mapping[str, Standard]:
    """Return all standards by name, those of a file too. Raises StandardsUnusable for a file that cannot be used."""
    return BUILT_IN if certificates is None else {**BUILT_IN, **_certified(Path(certificates))}


def _certified(path: Path) -> dict[str, Standard]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise ValueError(f"over {MAX_FILE_BYTES} bytes; this is hardly a list of certified values")
        found = _File.model_validate(tomllib.loads(raw.decode("utf-8")))
        return _named(found)
    except OSError as error:
        raise StandardsUnusable(
            f"{path}: {(error.strerror or str(error)).lower()}", hint="docs/selftest.md shows such a file"
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StandardsUnusable(
            f"{path}: {where}: {first['msg'][:1].lower()}{first['msg'][1:]}", hint="docs/selftest.md shows such a file"
        ) from error
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, or numbers that are no certificate
        raise StandardsUnusable(f"{path}: {error}", hint="docs/selftest.md shows such a file") from error


def _named(found: _File) -> dict[str, Standard]:
    made: dict[str, Standard] = {}
    for name, entry in found.wavelength.items():
        values = WavelengthStandard(name=entry.certificate, bands_nm=tuple(entry.bands_nm), fraction=entry.fraction)
        made[name] = Standard(name=name, title=entry.certificate, subject="wavelength", values=values)
    for name, glass in found.intensity.items():
        curve = Certificate(
            name=glass.certificate,
            laser_nm=glass.laser_nm,
            form=glass.form,
            parameters=tuple(glass.parameters),
            certified=(glass.certified_cm1[0], glass.certified_cm1[1]),
        )
        if name in made:
            raise ValueError(f"{name} is a wavelength standard and a glass: give them two names")
        made[name] = Standard(name=name, title=glass.certificate, subject="intensity", values=curve)
    for name, standard in made.items():
        if name in BUILT_IN and BUILT_IN[name].subject != standard.subject:
            raise ValueError(f"{name} is a name of ours for something else: choose another")
    return made
