"""From the detector's counts to what the sample did to the light. Counts with the dark level removed in; any thread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edged.spectra.spectrum import Quantity, Spectrum, SpectrumError

FLOOR_COUNTS = 1.0  # least light told from none: the smallest step of the detector's integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A corrected spectrum. `dark`: points (bool) where sample or reference saw no light and FLOOR_COUNTS stands in."""

    spectrum: Spectrum
    dark: NDArray[np.bool_]

    def __post_init__(self) -> None:
        self.dark.flags.writeable = False


def counts_to_absorbance(sample: Spectrum, reference: Spectrum) -> Corrected:
    """Return log10(reference / sample). Raises SpectrumError when the two are not counts on one axis."""
    above, below, dark = _pair(sample, reference)
    return _corrected(sample, reference, np.log10(below / above), "absorbance", dark)


def counts_to_reflectance(sample: Spectrum, reference: Spectrum) -> Corrected:
    """Return sample / reference, 1 for white. Raises SpectrumError when the two are not counts on one axis."""
    above, below, dark = _pair(sample, reference)
    return _corrected(sample, reference, above / below, "reflectance", dark)


def _pair(sample: Spectrum, reference: Spectrum) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    for name, spectrum in (("sample", sample), ("reference", reference)):
        if spectrum.quantity != "counts":
            raise SpectrumError(f"the {name} holds {spectrum.quantity}, not counts")
    if sample.axis_unit != reference.axis_unit or not np.array_equal(sample.axis, reference.axis):
        raise SpectrumError(
            f"the sample was measured on {_span(sample)}, the white reference on {_span(reference)}",
            hint="take a white reference with the settings of the sample",
        )
    above, below = sample.values.astype(np.float64), reference.values.astype(np.float64)
    dark = (above < FLOOR_COUNTS) | (below < FLOOR_COUNTS)
    return np.maximum(above, FLOOR_COUNTS), np.maximum(below, FLOOR_COUNTS), dark


def _corrected(
    sample: Spectrum,
    reference: Spectrum,
    values: NDArray[np.float64],
    quantity: Quantity,
    dark: NDArray[np.bool_],
) -> Corrected:
    masks = [mask for mask in (sample.saturated, reference.saturated) if mask is not None]
    spectrum = Spectrum(
        axis=sample.axis,
        values=values.astype(np.float32),
        axis_unit=sample.axis_unit,
        quantity=quantity,
        saturated=np.logical_or.reduce(masks) if masks else None,
        title=sample.title,
    )
    return Corrected(spectrum=spectrum, dark=dark)


def _span(spectrum: Spectrum) -> str:
    return f"{len(spectrum.axis)} points from {spectrum.axis[0]:.6g} to {spectrum.axis[-1]:.6g} {spectrum.axis_unit}"
