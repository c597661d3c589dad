"""Small libraries of bands, and recipes in which everything is off."""

from __future__ import annotations

from typing import Any

import numpy as np

from export.data.augment import STILL, Augmentation
from export.data.mixtures.library import Library
from export.data.mixtures.words import Composition, Domains, Nir, Raman, Synthesis
from export.data.spectra import AxisUnit, Quantity

AXIS = np.linspace(900.0, 1700.0, 161)
SHIFTS = np.linspace(200.0, 2000.0, 451)
ABSORBANCE = Domains(absorbance=1.0)
KUBELKA_MUNK = Domains(kubelka_munk=1.0)


def bands(axis: np.ndarray, centres: list[float], width: float) -> np.ndarray:
    return np.stack([np.exp(-(((axis - centre) / width) ** 2)) for centre in centres])


def library(
    values: np.ndarray,
    axis: np.ndarray = AXIS,
    *,
    scans: int = 1,
    quantity: Quantity = "absorbance",
    axis_unit: AxisUnit = "nm",
    prefix: str = "compound",
) -> Library:
    """A library whose rows are compound by compound, `scans` of each."""
    compounds = len(values) // scans
    names = tuple(f"{prefix} {number}" for number in range(compounds))
    return Library(
        axis=axis.copy(),
        axis_unit=axis_unit,
        quantity=quantity,
        values=np.array(values, dtype=np.float64),
        compound=np.repeat(np.arange(compounds), scans),
        groups=np.arange(len(values)),
        names=names,
        holds=frozenset(names),
    )


def powders() -> Library:
    """Three compounds, one band each on a level of its own."""
    return library(0.3 + np.array([[0.1], [0.2], [0.3]]) + bands(AXIS, [1050.0, 1250.0, 1500.0], 40.0))


def raman(compounds: int = 4) -> Library:
    """Compounds of one band each, all as high."""
    centres = np.linspace(400.0, 1800.0, compounds).tolist()
    return library(bands(SHIFTS, centres, 12.0), SHIFTS, quantity="intensity", axis_unit="cm-1")


def composition(**words: Any) -> Composition:
    return Composition(**{"components": (1, 3), "fractions": "dirichlet", **words})


def nir_words(domains: Domains = ABSORBANCE, *, optics: Augmentation = STILL, **words: Any) -> Nir:
    return Nir(domains=domains, optics=optics, **words)


def synthesis(holds: Composition | None = None, *, nir: Nir | None = None, raman: Raman | None = None) -> Synthesis:
    return Synthesis(composition=holds or composition(), nir=nir, raman=raman)
