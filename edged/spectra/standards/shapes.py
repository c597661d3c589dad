"""From the fitted top of a composite band to its maximum, for instruments of any width: shapes are data. Any thread.

ASTM E1840 averages what seven laboratories read, and its values are maxima of well resolved spectra (docs/selftest.md
has the evidence). Polystyrene's 3054.3 is two bands 7 1/cm apart, 1450.5 has a shoulder, 2852.4 stands on the flank of
2904.5: a fit of such a top leans to the heavier side, and a blunt instrument shows the maximum itself elsewhere. Both
belong to the band and to the fit, not to the axis, and are taken off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edged.spectra.standards.matching import Match

GAUGES_CM1 = (620.9, 1001.4)  # single and sharp: their mean width tells how blunt the instrument is
LEAST_WIDTH = 0.6  # of a band's own width; what is narrower is not that composite, but a part of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """width: full width at half maximum, well resolved. lean: fitted top - maximum, at the widths of the shapes."""

    width: float
    lean: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """The bands of a material by their published positions. widths: of the gauges, ascending. All in 1/cm."""

    widths: tuple[float, ...]
    bands: Mapping[float, Band]

    def __post_init__(self) -> None:
        if sorted(set(self.widths)) != list(self.widths) or not self.widths:
            raise ValueError("the widths of shapes ascend, and there is at least one")
        if any(len(band.lean) != len(self.widths) for band in self.bands.values()):
            raise ValueError("a band has a lean for each width")


# Measured on a well resolved spectrum of the CHARISMA project (NOTICE): python -m tests.spectra.shape_table
SHAPES: Mapping[str, Shapes] = {
    "polystyrene": Shapes(
        widths=(5.5, 7.8, 11.3, 15.0),
        bands={
            620.9: Band(width=5.3, lean=(-0.05, -0.04, -0.02, 0.08)),
            795.8: Band(width=17.3, lean=(0.15, 0.03, 0.03, 0.12)),
            1001.4: Band(width=5.8, lean=(0.0, 0.0, -0.06, -0.26)),
            1031.8: Band(width=9.4, lean=(0.10, 0.19, 0.38, 0.87)),
            1155.3: Band(width=7.7, lean=(-0.10, -0.06, -0.14, -0.35)),
            1450.5: Band(width=16.5, lean=(0.28, -0.16, -0.67, -1.14)),
            1583.1: Band(width=5.7, lean=(-0.21, -0.36, -0.81, -0.81)),  # at 15 it has merged with the next
            1602.3: Band(width=8.8, lean=(0.20, 0.30, 0.45, 0.12)),
            2852.4: Band(width=18.1, lean=(-0.99, -0.93, -0.91, -0.89)),
            2904.5: Band(width=36.1, lean=(2.15, 2.22, 2.30, 2.47)),
            3054.3: Band(width=30.6, lean=(2.25, 2.44, 2.88, 2.98)),
        },
    ),
}


def at_maxima(matches: Sequence[Match], shapes: Shapes) -> tuple[Match, ...]:
    """Return the matches with `found` moved from the fitted top to the maximum, where the shape of the band is known.

    Beyond the ends of the widths the lean of the end holds. Where no gauge is found, or all are clipped, the instrument
    is taken for a sharp one.
    """
    gauges = [match.fwhm for match in matches if match.table in GAUGES_CM1 and match.doubt != "saturated"]
    width = float(np.mean(gauges)) if gauges else shapes.widths[0]
    moved = []
    for match in matches:
        band = shapes.bands.get(match.table)
        if band is None or match.fwhm < LEAST_WIDTH * band.width:
            moved.append(match)
        else:
            lean = float(np.interp(width, shapes.widths, band.lean))
            moved.append(replace(match, found=match.found - lean))
    return tuple(moved)
