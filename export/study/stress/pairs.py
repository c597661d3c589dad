"""How far fillings of one powder, and real units beside each other, are apart in the words of the influences.

A mean difference spectrum is fitted by least squares with what each small influence adds, to first order: a path length
the spectrum itself, a shift and a stretch its slope, broader lines half their variance times its second derivative.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.data.augment import FWHM_TO_SIGMA
from export.data.catalogue import load_set
from export.data.spectra import Spectra

Rows = NDArray[np.float64]
CORN = "corn-moisture"
UNITS = (("m5", "mp5"), ("m5", "mp6"), ("mp5", "mp6"))
WINDOW_NM = (1100.0, 1698.0)  # what corn and the bundles for handhelds both see


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """What the second has more than the first. path: relative; lengths in nm, `fwhm` under 0 where lines are narrower.
    explained: share of the variance of the difference along the axis."""

    name: str
    path: float
    offset_au: float
    slope_au: float
    shift: float
    stretch: float
    fwhm: float
    explained: float


def units_apart(data: Path) -> Iterator[Apart]:
    """Return what the three units of the corn set differ by, of the same 80 samples."""
    corn = load_set(CORN, data)
    seen = (corn.axis >= WINDOW_NM[0]) & (corn.axis <= WINDOW_NM[1])
    means = {name: corn.values[corn.of_instrument(name)][:, seen].mean(axis=0) for name in np.unique(UNITS).tolist()}
    for first, second in UNITS:
        yield apart(corn.axis[seen], means[first], means[second], name=f"{first}, {second}")


def apart(axis: Rows, first: Rows, second: Rows, *, name: str) -> Apart:
    """Fit the difference of two mean spectra [points] on an evenly spaced axis in nm."""
    along, slope = np.linspace(-1.0, 1.0, len(axis)), np.gradient(first, axis)
    bend = np.gradient(slope, axis)
    design = np.stack([first, np.ones_like(first), along, slope, slope * along, bend / 2.0], axis=1)
    difference = second - first
    found = np.linalg.lstsq(design, difference, rcond=None)[0]
    shift, stretch, bent = found[3:] / (1.0 + found[0])
    variance = float(bent - shift**2)  # a shift, too, adds half of its square times the second derivative
    return Apart(
        name=name,
        path=float(found[0]),
        offset_au=float(found[1]),
        slope_au=float(found[2]),
        shift=float(shift),
        stretch=float(stretch),
        fwhm=float(np.sign(variance) * np.sqrt(abs(variance)) / FWHM_TO_SIGMA),
        explained=1.0 - float(np.var(difference - design @ found) / np.var(difference)),
    )


def fillings_apart(spectra: Spectra, rows: NDArray[np.int64]) -> dict[str, float]:
    """Return the standard deviations of path, offset_au and slope_au of the fillings among the rows, each against the
    mean of its class."""
    along, targets, groups = np.linspace(-1.0, 1.0, len(spectra.axis)), spectra.targets[rows], spectra.groups[rows]
    found = []
    for group in np.unique(groups):
        filling = spectra.values[rows[groups == group]].mean(axis=0)
        of_class = spectra.values[rows[targets == targets[groups == group][0]]].mean(axis=0)
        design = np.stack([of_class, np.ones_like(of_class), along], axis=1)
        found.append(np.linalg.lstsq(design, filling - of_class, rcond=None)[0])
    return dict(zip(("path", "offset_au", "slope_au"), np.std(found, axis=0, ddof=1).tolist(), strict=True))
