"""Near-infrared spectra of compounds that do not exist: for strangers, of which nobody has measured enough.

Everything here says so: names begin with `synthetic`, and the library's flag is set. A compound has some kinds of X-H
bonds; each kind brings its overtones and combinations, the shorter the weaker. Positions: Workman and Weyer, Practical
Guide to Interpretive Near-Infrared Spectroscopy (2nd edition, CRC Press 2012), the chapters of each bond and the
appendix of band locations. Widths and heights are round figures for powders in diffuse reflectance, as log 1/R, in
which weak bands stand out more than in a cuvette.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.data.augment import FWHM_TO_SIGMA, from_absorbance
from export.data.mixtures.library import Library
from export.data.spectra import AxisUnit, Quantity
from export.errors import DataUnusable

PREFIX = "synthetic"
FIRST_NM, LAST_NM = 780.0, 2500.0  # what the table below covers
CM1_NM = 1e7  # a wavelength in nm times its wavenumber in cm-1
MOST_COMPOUNDS, MOST_SCANS = 5000, 100
LEAST_POINTS = 2  # of an axis: bands are drawn from their lowest to their highest point
# Of each kind of bond, by name: how often a compound has it, and its bands: centre in nm, full width at half maximum in
# nm, height against the first overtone
BONDS: dict[str, tuple[float, tuple[tuple[float, float, float], ...]]] = {
    "C-H methyl": (
        0.6,
        (
            (913.0, 30.0, 0.04),  # third overtone
            (1152.0, 35.0, 0.06),
            (1194.0, 40.0, 0.2),  # second overtone
            (1360.0, 45.0, 0.15),  # combination of the first overtone with a deformation
            (1695.0, 35.0, 1.0),  # first overtone
            (1705.0, 45.0, 0.7),
            (2275.0, 50.0, 1.5),  # combinations of the stretch
        ),
    ),
    "C-H methylene": (
        0.8,
        (
            (932.0, 35.0, 0.04),
            (1213.0, 45.0, 0.2),
            (1395.0, 40.0, 0.15),
            (1415.0, 40.0, 0.12),
            (1726.0, 40.0, 1.0),
            (1762.0, 45.0, 0.7),
            (2310.0, 40.0, 1.5),
            (2350.0, 50.0, 1.2),
        ),
    ),
    "C-H aromatic": (
        0.6,
        (
            (876.0, 20.0, 0.05),
            (1142.0, 26.0, 0.22),
            (1417.0, 40.0, 0.12),
            (1446.0, 40.0, 0.12),
            (1640.0, 30.0, 0.3),
            (1672.0, 28.0, 1.0),
            (2150.0, 50.0, 0.8),
            (2460.0, 55.0, 1.0),
        ),
    ),
    "O-H": (
        0.6,
        (
            (968.0, 45.0, 0.06),
            (1190.0, 70.0, 0.08),
            (1412.0, 30.0, 0.2),  # free, or in a crystal
            (1440.0, 50.0, 0.6),
            (1490.0, 110.0, 1.0),  # hydrogen bonded
            (1570.0, 170.0, 0.9),
            (1935.0, 80.0, 1.5),
            (2080.0, 130.0, 1.2),
        ),
    ),
    "N-H": (
        0.6,
        (
            (1020.0, 40.0, 0.08),
            (1463.0, 45.0, 0.5),
            (1490.0, 50.0, 1.0),
            (1515.0, 70.0, 0.9),
            (1570.0, 100.0, 0.7),
            (1980.0, 60.0, 1.5),
            (2055.0, 65.0, 1.3),
            (2180.0, 70.0, 1.0),
        ),
    ),
}
MOST_BONDS = 4  # of a kind that differ, each with the bands of its kind
BOND_HEIGHT = 0.7  # log-normal spread of how much of a bond a compound has
BAND_HEIGHT, BAND_WIDTH = 0.6, 0.3  # log-normal spreads from compound to compound
LEAST_FWHM_NM = 18.0  # of a band in a solid, seen through a handheld's slit of some 10 nm
BOND_SHIFT, BAND_SHIFT = 0.004, 0.004
"""Of a wavelength: what neighbours in a molecule and in a crystal do to all bands of a bond alike, and to each."""
LORENTZIAN = 0.3  # of a band, the rest Gaussian: hydrogen bonds of many lengths
DEPTH_AU, DEPTH_SPREAD, DEPTH_LIMITS_AU = 0.35, 0.4, (0.1, 1.0)  # from the lowest to the highest absorbance of bands
LEVEL_AU = (0.2, 0.7)
SLOPE_AU = 0.08  # of scattering, from one end of the axis to the other
SCAN_DEPTH, SCAN_LEVEL_AU, SCAN_SLOPE_AU = 0.06, 0.03, 0.01  # another filling
LEAST_AU = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class NirBands:
    """One compound's bands, [bands] each, ascending. height: relative to its highest."""

    centre_nm: NDArray[np.float64]
    fwhm_nm: NDArray[np.float64]
    height: NDArray[np.float64]


def synthetic_nir(
    compounds: int,
    axis: NDArray[np.float64],
    seed: int = 0,
    *,
    axis_unit: AxisUnit = "nm",
    quantity: Quantity = "absorbance",
    level_au: tuple[float, float] = LEVEL_AU,
    scans: int = 1,
) -> Library:
    """Return a library of so many compounds on an ascending axis between 780 and 2500 nm (4000 and 12,820 cm-1).

    quantity: absorbance or reflectance. level_au: between these a compound's level is drawn, the mean absorbance of its
    fillings but for the spread of SCAN_LEVEL_AU; an instrument's own, since white references differ. A filling that
    would come below LEAST_AU somewhere is lifted as a whole. scans: of each compound, each a group of its own: another
    filling. Raises DataUnusable beyond the limits.
    """
    limits = {"compounds": (compounds, 1, MOST_COMPOUNDS), "scans": (scans, 1, MOST_SCANS)}
    for name, (value, least, most) in limits.items():
        if not least <= value <= most:
            raise DataUnusable(f"{value} {name} for a synthetic library", hint=f"from {least} to {most}")
    if quantity == "intensity":
        raise DataUnusable("a synthetic NIR library of counts", hint="absorbance or reflectance")
    if not (np.isfinite(level_au).all() and level_au[0] <= level_au[1]):
        raise DataUnusable(
            f"levels from {level_au[0]:g} to {level_au[1]:g} AU for a synthetic library", hint="the least one first"
        )
    if len(axis) < LEAST_POINTS or not known(axis, axis_unit).all():
        range_of = f" from {axis[0]:g} to {axis[-1]:g} {axis_unit}" if len(axis) else ""
        raise DataUnusable(
            f"an axis of {len(axis)} points{range_of} for a synthetic NIR library",
            hint=f"bands are known from {FIRST_NM:g} to {LAST_NM:g} nm; {LEAST_POINTS} points or more",
        )
    rng, wavelength_nm = np.random.default_rng(seed), _in_nm(axis, axis_unit)
    bands = [_compound(rng) for _ in range(compounds)]
    absorbance = np.concatenate([_fillings(_sum(wavelength_nm, of), level_au, scans, rng) for of in bands])
    names = tuple(f"{PREFIX} {number:04d}" for number in range(compounds))
    return Library(
        axis=axis.copy(),
        axis_unit=axis_unit,
        quantity=quantity,
        values=from_absorbance(absorbance, quantity),
        compound=np.repeat(np.arange(compounds), scans),
        groups=np.arange(compounds * scans),
        names=names,
        holds=frozenset(names),
        synthetic=True,
    )


def known(axis: NDArray[np.float64], axis_unit: AxisUnit) -> NDArray[np.bool_]:
    """Return which points of an axis lie where bands are known."""
    with np.errstate(divide="ignore"):
        wavelength_nm = _in_nm(axis, axis_unit)  # of no wavenumber endless
    return np.asarray((wavelength_nm >= FIRST_NM) & (wavelength_nm <= LAST_NM))


def _in_nm(axis: NDArray[np.float64], axis_unit: AxisUnit) -> NDArray[np.float64]:
    return CM1_NM / axis if axis_unit == "cm-1" else axis


def _compound(rng: np.random.Generator) -> NirBands:
    """Draw the bonds of a compound, at least one, and their bands."""
    kinds = np.array(list(BONDS))
    has = rng.random(len(kinds)) < [often for often, _ in BONDS.values()]
    has[rng.integers(len(kinds))] |= not has.any()
    drawn = np.repeat(kinds[has], rng.integers(1, MOST_BONDS + 1, size=has.sum())).tolist()
    centres, widths, heights = np.concatenate([_bond(kind, rng) for kind in drawn]).T
    order = np.argsort(centres)
    return NirBands(
        centre_nm=centres[order],
        fwhm_nm=np.maximum(widths[order], LEAST_FWHM_NM),
        height=heights[order] / heights.max(),
    )


def _bond(kind: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the bands of one bond of a kind, [bands, 3]: centre and width in nm, height."""
    bands = np.array(BONDS[kind][1])
    shift, amount = BOND_SHIFT * rng.standard_normal(), np.exp(BOND_HEIGHT * rng.standard_normal())
    own = rng.standard_normal(bands.shape)
    bands[:, 0] *= 1.0 + shift + BAND_SHIFT * own[:, 0]
    bands[:, 1] *= np.exp(BAND_WIDTH * own[:, 1])
    bands[:, 2] *= amount * np.exp(BAND_HEIGHT * own[:, 2])
    return bands


def _sum(wavelength_nm: NDArray[np.float64], bands: NirBands) -> NDArray[np.float64]:
    """Add up bands, each part Lorentzian and part Gaussian of one width."""
    off = (wavelength_nm - bands.centre_nm[:, None]) / bands.fwhm_nm[:, None]
    shape = LORENTZIAN / (1.0 + 4.0 * off**2) + (1.0 - LORENTZIAN) * np.exp(-0.5 * (off / FWHM_TO_SIGMA) ** 2)
    return np.asarray(bands.height @ shape)


def _fillings(
    shape: NDArray[np.float64], level_au: tuple[float, float], scans: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return a compound's absorbance [scans, points]: its bands, on the level and slope of scattering."""
    depth = np.clip(DEPTH_AU * np.exp(DEPTH_SPREAD * rng.standard_normal()), *DEPTH_LIMITS_AU)
    level, slope = rng.uniform(*level_au), SLOPE_AU * rng.standard_normal()
    along = np.linspace(-0.5, 0.5, len(shape))
    drawn = rng.standard_normal((scans, 3)) * (SCAN_DEPTH, SCAN_LEVEL_AU, SCAN_SLOPE_AU)
    bands = depth * (shape - shape.mean()) / np.ptp(shape)
    values = level + drawn[:, 1:2] + (slope + drawn[:, 2:]) * along + (1.0 + drawn[:, :1]) * bands
    return values + np.maximum(LEAST_AU - values.min(axis=1, keepdims=True), 0.0)  # no powder is brighter than white
