"""Raman libraries that no instrument has measured: for sizes and for explanations that public spectra do not reach.

Everything here says so: names begin with `synthetic`, and the library's flag is set. What is measured on it is a
statement about the method, never about compounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

from export.data.mixtures.library import LEAST_POINTS, Library
from export.errors import DataUnusable

PREFIX = "synthetic"
FIRST_CM1, LAST_CM1 = 200.0, 2000.0
MOST_COMPOUNDS, MOST_POINTS, MOST_SCANS = 5000, 8192, 100
# Where organic solids have their bands: centre and spread of a group's, cm-1, and how many of a compound's fall there
GROUPS_CM1 = np.array(
    [
        (620.0, 12.0, 1.0),  # rings, in plane
        (780.0, 40.0, 2.0),  # rings, out of plane; C-C stretches
        (855.0, 25.0, 1.5),
        (1003.0, 4.0, 1.5),  # breathing of a phenyl ring
        (1030.0, 8.0, 1.0),
        (1085.0, 30.0, 2.0),  # C-O, C-N
        (1170.0, 18.0, 2.0),
        (1240.0, 25.0, 2.0),
        (1300.0, 15.0, 1.5),  # CH2 twist
        (1375.0, 20.0, 1.5),
        (1445.0, 15.0, 2.0),  # CH2 scissors
        (1600.0, 12.0, 2.0),  # C=C of a ring
        (1655.0, 15.0, 1.0),  # amide I, C=C
        (1725.0, 20.0, 0.7),  # C=O
    ]
)
OF_GROUPS = 0.6  # share of bands that belong to a group; the others are anywhere: the fingerprint
BANDS = (12, 35)
FWHM_CM1, FWHM_SPREAD, FWHM_LIMITS_CM1 = 8.0, 0.35, (4.0, 25.0)
HEIGHT_SPREAD = 1.0
LORENTZIAN = 0.7  # the rest Gaussian: a solid's band seen through a slit
FAMILY_SIZES = (0.5, 0.25, 0.15, 0.1)  # chance of one to four members
RELATIVE_SHIFT_CM1, RELATIVE_HEIGHT, RELATIVE_WIDTH = 2.5, 0.35, 0.1  # of a salt, hydrate or polymorph against another
RELATIVE_LOST, RELATIVE_NEW = 0.08, 2
SCAN_SHIFT_CM1, SCAN_HEIGHT = 0.3, 0.05  # crystals lie another way in another filling
GLASS_CM1 = ((450.0, 140.0, 0.8), (570.0, 90.0, 0.4), (800.0, 90.0, 0.3), (1095.0, 130.0, 0.5), (1370.0, 420.0, 1.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bands:
    """One compound's bands, [bands] each, ascending on the axis. heights: relative to its highest."""

    centre_cm1: NDArray[np.float64]
    fwhm_cm1: NDArray[np.float64]
    height: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticLibrary:
    """bands: of each compound, in the order of the library's names. family [compounds]: equal for close relatives."""

    library: Library
    bands: tuple[Bands, ...]
    family: NDArray[np.int64]


def synthetic_library(compounds: int = 368, points: int = 1024, seed: int = 0, *, scans: int = 1) -> SyntheticLibrary:
    """Return a Raman library from 200 to 2000 cm-1. Compounds come in families that share most of their bands.

    scans: of each compound, each a group of its own: crystals lie another way. Raises DataUnusable beyond the limits.
    """
    limits = {"compounds": (compounds, 1, MOST_COMPOUNDS), "scans": (scans, 1, MOST_SCANS)}
    for name, (value, least, most) in (limits | {"points": (points, LEAST_POINTS, MOST_POINTS)}).items():
        if not least <= value <= most:
            raise DataUnusable(f"{value} {name} for a synthetic library", hint=f"from {least} to {most}")
    rng = np.random.default_rng(seed)
    axis = np.linspace(FIRST_CM1, LAST_CM1, points)
    names, bands, family = _relatives(compounds, rng)
    values = [_spectrum(axis, _of_a_scan(each, rng)) for each in bands for _ in range(scans)]
    return SyntheticLibrary(
        library=Library(
            axis=axis,
            axis_unit="cm-1",
            quantity="intensity",
            values=np.array(values),
            compound=np.repeat(np.arange(compounds), scans),
            groups=np.arange(compounds * scans),
            names=names,
            holds=frozenset(names),
            synthetic=True,
        ),
        bands=bands,
        family=family,
    )


def glass(axis: NDArray[np.float64]) -> Library:
    """Return what stands for an empty vial: broad bands of a silicate and its fluorescence under 785 nm light."""
    centre, fwhm, height = np.array(GLASS_CM1).T
    spectrum = _spectrum(axis, Bands(centre_cm1=centre, fwhm_cm1=fwhm, height=height))
    name = f"{PREFIX} glass"
    return Library(
        axis=axis.copy(),
        axis_unit="cm-1",
        quantity="intensity",
        values=spectrum[None],
        compound=np.zeros(1, dtype=np.int64),
        groups=np.zeros(1, dtype=np.int64),
        names=(name,),
        holds=frozenset([name]),
        synthetic=True,
    )


def _relatives(
    compounds: int, rng: np.random.Generator
) -> tuple[tuple[str, ...], tuple[Bands, ...], NDArray[np.int64]]:
    names: list[str] = []
    bands: list[Bands] = []
    family: list[int] = []
    while len(bands) < compounds:
        parent = _parent(rng)
        size = 1 + int(rng.choice(len(FAMILY_SIZES), p=FAMILY_SIZES))
        number = family[-1] + 1 if family else 0
        for member in range(min(size, compounds - len(bands))):
            bands.append(parent if member == 0 else _relative(parent, rng))
            names.append(f"{PREFIX} {number:04d}{ascii_lowercase[member]}")
            family.append(number)
    return tuple(names), tuple(bands), np.array(family, dtype=np.int64)


def _parent(rng: np.random.Generator) -> Bands:
    return _new_bands(int(rng.integers(BANDS[0], BANDS[1] + 1)), rng)


def _relative(parent: Bands, rng: np.random.Generator) -> Bands:
    kept = rng.random(len(parent.height)) >= RELATIVE_LOST
    many, new = int(kept.sum()), _new_bands(RELATIVE_NEW, rng)
    return _ascending(
        np.append(parent.centre_cm1[kept] + RELATIVE_SHIFT_CM1 * rng.standard_normal(many), new.centre_cm1),
        np.append(parent.fwhm_cm1[kept] * np.exp(RELATIVE_WIDTH * rng.standard_normal(many)), new.fwhm_cm1),
        np.append(parent.height[kept] * np.exp(RELATIVE_HEIGHT * rng.standard_normal(many)), new.height * rng.random()),
    )


def _new_bands(many: int, rng: np.random.Generator) -> Bands:
    group = rng.choice(len(GROUPS_CM1), size=many, p=GROUPS_CM1[:, 2] / GROUPS_CM1[:, 2].sum())
    of_group = rng.normal(GROUPS_CM1[group, 0], GROUPS_CM1[group, 1])
    anywhere = rng.uniform(FIRST_CM1, LAST_CM1, size=many)
    return _ascending(
        np.where(rng.random(many) < OF_GROUPS, of_group, anywhere),
        FWHM_CM1 * np.exp(FWHM_SPREAD * rng.standard_normal(many)),
        np.exp(HEIGHT_SPREAD * rng.standard_normal(many)),
    )


def _ascending(centre: NDArray[np.float64], fwhm: NDArray[np.float64], height: NDArray[np.float64]) -> Bands:
    order = np.argsort(centre)
    return Bands(
        centre_cm1=np.clip(centre[order], FIRST_CM1, LAST_CM1),
        fwhm_cm1=np.clip(fwhm[order], *FWHM_LIMITS_CM1),
        height=height[order] / height.max(),
    )


def _of_a_scan(bands: Bands, rng: np.random.Generator) -> Bands:
    many = len(bands.height)
    return Bands(
        centre_cm1=bands.centre_cm1 + SCAN_SHIFT_CM1 * rng.standard_normal(many),
        fwhm_cm1=bands.fwhm_cm1,
        height=bands.height * np.exp(SCAN_HEIGHT * rng.standard_normal(many)),
    )


def _spectrum(axis: NDArray[np.float64], bands: Bands) -> NDArray[np.float64]:
    """Add up bands, each part Lorentzian and part Gaussian of one width."""
    off = 2.0 * (axis - bands.centre_cm1[:, None]) / bands.fwhm_cm1[:, None]
    shape = LORENTZIAN / (1.0 + off**2) + (1.0 - LORENTZIAN) * np.exp(-np.log(2.0) * off**2)
    return np.asarray(bands.height @ shape)
