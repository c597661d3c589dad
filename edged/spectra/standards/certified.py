"""A user's own certified values: a TOML file of wavelength standards for NIR, and of glasses for relative intensity.

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

Every number is held to a limit, and unknown keys are errors. Only a station that names such a file loads this module.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from edged.spectra.spectrum import SpectrumError
from edged.spectra.standards.certificates import Certificate, WavelengthStandard

MAX_FILE_BYTES = 65_536  # a hundred certificates; bounds a mistaken path to a big file
MAX_BANDS = 64  # of a wavelength standard; rare earth glasses have seven to twenty

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
Nm = Annotated[float, Field(ge=200, le=5_000)]
Cm1 = Annotated[float, Field(ge=0, le=10_000)]


class StandardsUnusable(SpectrumError):
    """The file of certified values cannot be used. `hint` says what to do."""


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


Certified = dict[str, WavelengthStandard | Certificate]


def load_certified(path: Path) -> Certified:
    """Read and check a file. Raises StandardsUnusable with the file's name, what is wrong, and where."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
        if len(raw) > MAX_FILE_BYTES:
            raise ValueError(f"over {MAX_FILE_BYTES} bytes; this is hardly a list of certified values")
        found = _File.model_validate(tomllib.loads(raw.decode("utf-8")))
        return _made(found)
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


def _made(found: _File) -> Certified:
    made: Certified = {
        name: WavelengthStandard(name=entry.certificate, bands_nm=tuple(entry.bands_nm), fraction=entry.fraction)
        for name, entry in found.wavelength.items()
    }
    for name, glass in found.intensity.items():
        if name in made:
            raise ValueError(f"{name} is a wavelength standard and a glass: give them two names")
        made[name] = Certificate(
            name=glass.certificate,
            laser_nm=glass.laser_nm,
            form=glass.form,
            parameters=tuple(glass.parameters),
            certified=(glass.certified_cm1[0], glass.certified_cm1[1]),
        )
    return made
