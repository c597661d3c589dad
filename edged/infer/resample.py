"""From a spectrum on the instrument's own axis to the row of numbers that a model's graph takes. Any thread."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import Manifest
from edged.bundle.vocabulary import Axis
from edged.infer.errors import AxisNotCovered, WrongKind
from edged.spectra.spectrum import Spectrum

ROUNDING = 1e-9  # share of the axis value: an end written as text with 12 digits must not count as extrapolation


def resample(spectrum: Spectrum, manifest: Manifest) -> NDArray[np.float32]:
    """Return the values, interpolated linearly onto the manifest's axis: float32 [points].

    Raises WrongKind for another axis unit or quantity, AxisNotCovered rather than extrapolate.
    """
    axis = manifest.axis
    if spectrum.axis_unit != axis.unit:
        raise WrongKind(
            f"the axis is in {spectrum.axis_unit}, the model wants {axis.unit}",
            hint=f"give the unit with --unit, or a spectrum in {axis.unit}",
        )
    if spectrum.quantity != manifest.quantity:
        raise WrongKind(
            f"the values are {spectrum.quantity}, the model wants {manifest.quantity}",
            hint=f"convert the values to {manifest.quantity} first",
        )
    first, last = float(spectrum.axis[0]), float(spectrum.axis[-1])
    missing = max(first - axis.start, axis.stop - last)
    if missing > ROUNDING * axis.stop:
        raise AxisNotCovered(
            f"the spectrum covers {first:.6g} to {last:.6g} {axis.unit}, "
            f"the model needs {axis.start:.6g} to {axis.stop:.6g} {axis.unit}",
            hint="measure over a wider range, or use a bundle made for this instrument",
            missing=missing,
        )
    return np.interp(positions(axis), spectrum.axis, spectrum.values.astype(np.float64)).astype(np.float32)


@lru_cache(maxsize=8)  # two axes a bundle, of as many bundles as anyone keeps loaded
def positions(axis: Axis) -> NDArray[np.float64]:
    """Return where the points of a model's axis lie: read-only, float64 [points]."""
    found = np.linspace(axis.start, axis.stop, axis.points, dtype=np.float64)
    found.flags.writeable = False
    return found
