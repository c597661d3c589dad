"""The axis of a file: its unit, from what the file says or from its numbers, and whether it is one."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from edged.spectra.rows import FileError, clean_title
from edged.spectra.spectrum import MAX_AXIS, MAX_POINTS, MIN_AXIS, MIN_POINTS, AxisUnit

NIR_END_NM = 2600.0  # dispersive NIR ends before; above it numbers are wavenumbers
NIR_STEP_NM = 30.0  # the coarsest filter arrays step by some 20 nm
_NM = re.compile(r"\bnm\b|nanomet|wave ?leng", re.IGNORECASE)
_PIXELS = re.compile(r"\bpixels?\b", re.IGNORECASE)
_CM1 = re.compile(r"cm[-^⁻ ({]*[-−⁻]?[1¹]|1\s*/\s*cm|wave ?number|raman|shift", re.IGNORECASE)


def axis_of(
    numbers: list[float] | NDArray[np.float64], label: str, *, unit: AxisUnit | None, where: str
) -> tuple[NDArray[np.float64], AxisUnit]:
    """Return a checked ascending axis and its unit: `unit`, else what `label` names, else a guess from the numbers.

    Raises FileError that begins with `where`.
    """
    axis = np.array(numbers, dtype=np.float64)
    if unit is None and _PIXELS.search(label) and not named_unit(label):
        raise FileError(
            f"{where}: {clean_title(label)!r} is no physical axis",
            hint="export with a calibrated axis; if the numbers are one, say so with --unit nm or --unit cm-1",
        )
    if not MIN_POINTS <= len(axis) <= MAX_POINTS:
        raise FileError(f"{where}: {len(axis)} axis positions; a spectrum has {MIN_POINTS} to {MAX_POINTS}")
    steps = np.diff(axis)
    if (steps < 0).all():
        raise FileError(
            f"{where}: the axis descends from {axis[0]:g} to {axis[-1]:g}", hint="sort the file by ascending axis"
        )
    if not (steps > 0).all():
        bad = int(np.argmax(steps <= 0))
        raise FileError(
            f"{where}: the axis does not rise at point {bad + 2}: {axis[bad + 1]:g} after {axis[bad]:g}",
            hint="sort the file by ascending axis, each position once",
        )
    if axis[0] < MIN_AXIS or axis[-1] > MAX_AXIS:
        raise FileError(
            f"{where}: an axis from {axis[0]:g} to {axis[-1]:g} is neither in nm nor in 1/cm",
            hint="if it is a Raman shift, say so: --unit cm-1" if axis[0] < 0 else "check the first row or column",
        )
    found = unit or named_unit(label) or _guessed(axis)
    if found is None:
        raise FileError(
            f"{where}: {axis[0]:g} to {axis[-1]:g} may be nm or 1/cm", hint="say which: --unit nm or --unit cm-1"
        )
    return axis, found


def shift_begins(numbers: list[float] | NDArray[np.float64], unit: AxisUnit | None) -> int:
    """Return the index at which an ascending axis leaves the negative numbers.

    Only a Raman shift in 1/cm has them: the other side of the laser line, which is left out. Nought for another axis.
    """
    axis = np.asarray(numbers, dtype=np.float64)
    if unit != "cm-1" or len(axis) < 2 or not (np.diff(axis) > 0).all():
        return 0
    return int(np.searchsorted(axis, 0.0))


def named_unit(label: str) -> AxisUnit | None:
    """Return the unit that a label names; None when it names none, or both."""
    nm, cm1 = bool(_NM.search(label)), bool(_CM1.search(label))
    if nm == cm1:
        return None
    return "nm" if nm else "cm-1"


def _guessed(axis: NDArray[np.float64]) -> AxisUnit | None:
    if axis[-1] >= NIR_END_NM:
        return "cm-1"
    return "nm" if float(np.median(np.diff(axis))) <= NIR_STEP_NM else None
