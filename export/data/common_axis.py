"""Spectra of several files on one axis. Instruments of one family differ by a fraction of a point; others do not belong
together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.spectra.spectrum import MIN_POINTS, Spectrum
from export.data.finding import Finding, refuse, some

LEAST_OVERLAP = 0.5  # of the widest axis; with less, most of what one instrument saw would be thrown away
MOST_STEPS = 4.0  # ratio of the coarsest to the finest: beyond, bands of one are not resolved by the other


@dataclass(frozen=True, slots=True, kw_only=True)
class OneAxis:
    """axis [points], values [n, points], float64. remarks: what was done to get there."""

    axis: NDArray[np.float64]
    values: NDArray[np.float64]
    remarks: tuple[str, ...] = ()


def onto_one_axis(spectra: Sequence[Spectrum], places: Sequence[str]) -> tuple[OneAxis | None, list[Finding]]:
    """Return all spectra on the commonest of their axes, cut to what all cover; or why they cannot be brought there.

    places: what to call each spectrum in a message.
    """
    units = {spectrum.axis_unit: place for spectrum, place in zip(spectra, places, strict=True)}
    if len(units) > 1:
        shown = ", ".join(f"{unit} ({place})" for unit, place in units.items())
        return None, [refuse(f"axes of several units: {shown}", "export all in one unit")]
    keys = [spectrum.axis.tobytes() for spectrum in spectra]
    if len(set(keys)) == 1:
        values = np.array([spectrum.values for spectrum in spectra], dtype=np.float64)
        return OneAxis(axis=spectra[0].axis.copy(), values=values), []
    commonest = Counter(keys).most_common(1)[0][0]
    chosen = spectra[keys.index(commonest)].axis
    first = np.array([spectrum.axis[0] for spectrum in spectra])
    last = np.array([spectrum.axis[-1] for spectrum in spectra])
    steps = np.array([(spectrum.axis[-1] - spectrum.axis[0]) / (len(spectrum.axis) - 1) for spectrum in spectra])
    unit = spectra[0].axis_unit
    begin, end = first.max(), last.min()
    if end - begin < LEAST_OVERLAP * (last - first).max():
        latest, earliest = places[int(first.argmax())], places[int(last.argmin())]
        return None, [
            refuse(
                f"the axes have too little in common: {latest} begins at {begin:g} {unit}, {earliest} ends at {end:g}",
                "train on spectra of one kind of instrument, or leave these out",
            )
        ]
    if steps.max() > MOST_STEPS * steps.min():
        coarse, fine = int(steps.argmax()), int(steps.argmin())
        return None, [
            refuse(
                f"the axes differ too much: {places[coarse]} has a point every {steps[coarse]:.3g} {unit}, "
                f"{places[fine]} every {steps[fine]:.3g}",
                "train on spectra of one kind of instrument, or leave these out",
            )
        ]
    axis = chosen[(chosen >= begin) & (chosen <= end)].copy()
    if len(axis) < MIN_POINTS:
        return None, [refuse(f"only {len(axis)} points are common to all axes", "leave out the shortest spectra")]
    moved = [place for key, place in zip(keys, places, strict=True) if key != commonest]
    own = "1 spectrum has an axis of its own and was"
    own = own if len(moved) == 1 else f"{len(moved)} spectra have axes of their own and were"
    values = np.array([np.interp(axis, spectrum.axis, spectrum.values) for spectrum in spectra], dtype=np.float64)
    remark = f"{own} interpolated onto that of the others, {axis[0]:g} to {axis[-1]:g} {unit}: {some(moved)}"
    return OneAxis(axis=axis, values=values, remarks=(remark,)), []
