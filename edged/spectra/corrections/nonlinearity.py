"""A detector's reading is not quite proportional to the light: divides it by the polynomial that the maker measured.

Formula: counts / (c0 + c1 counts + ... + c7 counts^7), counts above the dark level. Source: Ocean, SeaBreeze,
do_nonlinearity_correction, which asks for the electric dark and, where there is one, a stored dark to be off; and
python-seabreeze, Spectrometer.intensities, which puts the electric dark back where it was not asked to be off. Place in
the chain: after the dark. Ends: none.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.spectra.corrections.arrays import checked, evaluated
from edged.spectra.spectrum import SpectrumError

VERSION = 1
MIN_DIVISOR, MAX_DIVISOR = (
    0.5,
    2.0,
)  # Ocean's arrays deviate by some 10 %; beyond, these are not its coefficients


def linearise(
    counts: NDArray[np.float64], coefficients: tuple[float, ...], *, level: NDArray[np.float64] | float = 0.0
) -> NDArray[np.float64]:
    """Return counts (..., pixels) with what is above `level` divided by the polynomial, and the level put back.

    coefficients: c0, c1, ... as stored. level: counts without light, 0 when that is removed already.
    Raises SpectrumError for coefficients that would change a reading to less than half or more than twice.
    """
    values = checked(counts)
    above = values - level
    divisor = evaluated(coefficients, above, "non-linearity")
    least, most = float(divisor.min()), float(divisor.max())
    if not (least >= MIN_DIVISOR and most <= MAX_DIVISOR):
        raise SpectrumError(
            f"the non-linearity polynomial runs from {least:g} to {most:g} in this spectrum, allowed are "
            f"{MIN_DIVISOR:g} to {MAX_DIVISOR:g}",
            hint="these coefficients are not of this detector; switch nonlinearity off",
        )
    return above / divisor + level
