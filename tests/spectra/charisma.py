"""The CHARISMA spectra: ten of polystyrene from five instruments, and neon lamps on the same instruments."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edged.spectra.spectrum import Spectrum

FULL_SCALE = 64_000  # counts; the 16-bit converters clip a little above, at 64,319 to 65,535

NEON_OF = {  # polystyrene: neon with the same instrument and grating, of several the one that is exposed well
    "s002": "s000",
    "s010": "s009",
    "s019": "s018",
    "s028": "s027",
    "s038": "s037",
    "s047": "s046",
    "s054": "s076",
    "s062": "s076",
    "s069": "s076",
    "s078": "s077",
}
TWINS = (("s038", "s047"), ("s054", "s062", "s069"))  # one instrument and grating, other objective lenses


@dataclass(frozen=True, kw_only=True)
class Entry:
    key: str
    sample: str
    device: str
    provider: str
    laser_nm: float
    path: str

    @property
    def instrument(self) -> str:
        return f"{self.provider} {self.device} {self.laser_nm:g} nm, {self.path}"


class Charisma:
    """The set, loaded once. Negative shifts (the laser itself) are cut off: they are not on a Raman axis."""

    def __init__(self, data_dir: Path) -> None:
        folder = data_dir / "raman_multi_instrument_charisma"
        with (folder / "index.csv").open() as rows:
            self.entries = {
                row["key"]: Entry(
                    key=row["key"],
                    sample=row["sample"],
                    device=row["device"],
                    provider=row["provider"],
                    laser_nm=float(row["laser_nm"]),
                    path=row["optical_path"],
                )
                for row in csv.DictReader(rows)
            }
        with np.load(folder / "charisma_raman.npz") as arrays:
            self.arrays = {name: arrays[name] for name in arrays.files}

    def spectrum(self, key: str) -> Spectrum:
        axis, values = self.arrays[f"{key}_x"], self.arrays[f"{key}_y"]
        positive = axis > 0
        return Spectrum(
            axis=axis[positive].astype(np.float64),
            values=values[positive].astype(np.float32),
            axis_unit="cm-1",
            quantity="intensity",
            saturated=values[positive] >= FULL_SCALE,
            title=key,
        )

    def keys(self, sample: str) -> list[str]:
        return [key for key, entry in self.entries.items() if entry.sample == sample]
