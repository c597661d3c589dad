"""A spectrum: values on an axis, with the quantity named and flags for what is doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

AxisUnit = Literal["nm", "cm-1"]
Quantity = Literal["counts", "reflectance", "absorbance", "intensity"]

MIN_POINTS = 8
MAX_POINTS = 65_536  # the largest detector array or FT spectrum in any supported file format, with room
MIN_AXIS, MAX_AXIS = 0.0, 100_000.0  # nm or 1/cm; anything outside is not an optical axis


class SpectrumError(ValueError):
    """The numbers do not make a spectrum. `hint` tells a human what to do."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """Values on a strictly ascending axis.

    axis: float64, nm or 1/cm. values: float32, same length. Both become read-only.
    saturated: points (bool) whose light was beyond the detector's range, or None when that is unknown (files).
    Raises SpectrumError when the arrays are not a spectrum.
    """

    axis: NDArray[np.float64]
    values: NDArray[np.float32]
    axis_unit: AxisUnit
    quantity: Quantity
    saturated: NDArray[np.bool_] | None = None
    title: str = ""

    def __post_init__(self) -> None:
        axis, values = self.axis, self.values
        if axis.ndim != 1 or axis.shape != values.shape:
            raise SpectrumError(
                f"axis has {axis.shape} points and values {values.shape}: they must be two rows of one length"
            )
        if not MIN_POINTS <= len(axis) <= MAX_POINTS:
            raise SpectrumError(f"{len(axis)} points; a spectrum has {MIN_POINTS} to {MAX_POINTS}")
        if not np.isfinite(axis).all():
            raise SpectrumError(f"the axis holds a value that is not a number at point {_first(~np.isfinite(axis))}")
        if not np.isfinite(values).all():
            raise SpectrumError(
                f"the value at point {_first(~np.isfinite(values))} is not a finite number",
                hint="remove or re-measure this spectrum",
            )
        if axis[0] < MIN_AXIS or axis[-1] > MAX_AXIS:
            raise SpectrumError(
                f"axis from {axis[0]:g} to {axis[-1]:g} {self.axis_unit} is outside {MIN_AXIS:g} to {MAX_AXIS:g}"
            )
        if not (np.diff(axis) > 0).all():
            raise SpectrumError(
                f"the axis does not rise at point {_first(np.diff(axis) <= 0) + 1}",
                hint="sort the spectrum by ascending axis",
            )
        axis.flags.writeable = False
        values.flags.writeable = False
        if self.saturated is not None:
            self.saturated.flags.writeable = False


def _first(mask: NDArray[np.bool_]) -> int:
    return int(np.argmax(mask)) + 1
