"""Mixtures of liquids under the laser: measured Raman spectra of pure ones, added up by their shares.

A share is of the light: 60 and 40 are six and four tenths of two spectra that were first brought to one height, that of
their strongest band. Nothing here knows how strongly a liquid scatters. Each filling lies a little farther from the
focus than the one before or nearer, and glows a little more or less; what it holds is exact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from firmware_sim import kept
from firmware_sim.contract import OperatorError
from firmware_sim.scene import CM1_PER_NM, EDGE_CM1, PEAK_PER_S, REFERENCE_MW

Array = NDArray[np.float64]

DARK = "dark"
FOCUS = (0.7, 1.0)  # share of the light at best focus that a filling gives
GLOW = (0.05, 0.2)  # height of the fluorescence, the strongest band being 1
GLOW_AT_CM1, GLOW_WIDTH_CM1 = 1_500.0, 1_500.0
PART = re.compile(r"(?P<name>\S.*?) (?P<percent>\d{1,3}(\.\d{1,2})?)(?: |$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Pure liquids: spectra (liquids, points) on one ascending axis of shifts, each with its strongest band at 1."""

    shift_cm1: Array
    labels: tuple[str, ...]
    spectra: Array

    @classmethod
    def named(cls, name: str) -> Library:
        """Read one of those that come with the simulator. Raises OperatorError when none has that name."""
        return kept.named(name, cls.load, folder="libraries", what="library")

    @classmethod
    def chosen(cls, where: str) -> Library:
        """Read the file where it ends in .npz, else the one of that name that comes with the simulator.

        Raises OperatorError.
        """
        if not where.endswith(".npz"):
            return cls.named(where)
        return kept.from_file(where, cls.load, cls._fits, what="library", of="Raman")

    def _fits(self) -> bool:
        axis = self.shift_cm1
        return (
            axis.ndim == 1
            and len(self.labels) > 0
            and self.spectra.shape == (len(self.labels), len(axis))
            and bool(np.isfinite(self.spectra).all() and (np.diff(axis) > 0).all())
        )

    @classmethod
    def load(cls, path: Path) -> Library:
        """Read what `edged-export twin` made of a set of pure spectra."""
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            return cls(
                shift_cm1=data["shift_cm1"].astype(float),
                labels=tuple(str(label) for label in data["labels"]),
                spectra=data["spectra"].astype(float),
            )

    @property
    def products(self) -> tuple[str, ...]:
        """Mixtures to begin with: each liquid with the next one of the list, the last with the first; one by itself."""
        if len(self.labels) == 1:
            return self.labels
        after = (*self.labels[1:], self.labels[0])
        return tuple(f"{more} 60 {less} 40" for more, less in zip(self.labels, after, strict=True))

    def shares_of(self, name: str) -> Mapping[str, float]:
        """Return what a sample holds: a liquid, or liquids with their percents, `Toluene 60 Ethanol 40`.

        Raises OperatorError for a liquid that is not there and for percents that do not make a hundred.
        """
        if name in self.labels:
            return {name: 1.0}
        parts = [(found["name"], float(found["percent"])) for found in PART.finditer(name)]
        whole = PART.sub("", name)
        unknown = [part for part, _ in parts if part not in self.labels]
        if whole or not parts or unknown:
            raise OperatorError(
                f"no sample {(unknown or [name])[0]!r}; say one, or several with percents, of {', '.join(self.labels)}"
            )
        shares = {part: percent / 100.0 for part, percent in parts}
        if len(shares) < len(parts) or abs(sum(shares.values()) - 1.0) > 1e-6:
            raise OperatorError(f"sample {name!r}: each liquid once, and percents that make 100")
        return shares

    def spectrum_of(self, name: str) -> Array:
        """Return the sum of the pure spectra by their shares."""
        shares = self.shares_of(name)
        weights = np.array([shares.get(label, 0.0) for label in self.labels])
        return np.asarray(weights @ self.spectra)


class Mixtures:
    """Implements `Scene`: one mixture after the other, or the one that the operator put there; dark without laser."""

    def __init__(self, library: Library, *, seed: int = 0) -> None:
        self.library = library
        self._seed = seed
        self._filling = 0
        self._fixed: str | None = None

    @property
    def label(self) -> str:
        """What lies there now."""
        products = self.library.products
        return products[self._filling % len(products)] if self._fixed is None else self._fixed

    def light(self, wavelength_nm: Array, *, laser_mw: float, laser_nm: float | None) -> Array:
        """Return the light in counts a second at each pixel, in proportion to the laser's power.

        Below the first shift that was measured nothing is known, and the first value is held down to the edge filter.
        """
        if laser_mw <= 0 or laser_nm is None or self.label == DARK:
            return np.zeros(len(wavelength_nm))
        shift_cm1 = CM1_PER_NM / laser_nm - CM1_PER_NM / wavelength_nm
        chance = np.random.default_rng([self._seed, 6, self._filling])
        focus, glow = chance.uniform(*FOCUS), chance.uniform(*GLOW)
        bands = np.interp(shift_cm1, self.library.shift_cm1, self.library.spectrum_of(self.label))
        glowing = glow * np.exp(-(((shift_cm1 - GLOW_AT_CM1) / GLOW_WIDTH_CM1) ** 2))
        seen: Array = np.where(shift_cm1 > EDGE_CM1, bands + glowing, 0.0)
        return PEAK_PER_S * laser_mw / REFERENCE_MW * focus * seen

    def used(self) -> None:
        """Another filling is there, of the next product in turn."""
        self._filling += 1

    def place(self, name: str) -> None:
        """Put another filling there, of this. Raises OperatorError."""
        if name != DARK:
            self.library.shares_of(name)
        self._fixed = name
        self._filling += 1
