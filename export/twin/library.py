"""From Raman spectra of pure compounds to the library that a simulated instrument makes its mixtures of.

A mixture is the sum of its compounds' spectra by their shares, so one spectrum of each is all that is needed; where a
set has several of one, their mean. Each is brought to a strongest band of 1: how strongly a compound scatters is lost,
and shares are of the light.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.data.spectra import Spectra
from export.errors import DataUnusable

LAST_CM1 = 2_040.0  # a little beyond what a simulated Ventana sees, and all that is shipped


@dataclass(frozen=True, slots=True, kw_only=True)
class PureSpectra:
    """Spectra (labels, points) with their strongest band at 1, on an ascending axis of shifts."""

    shift_cm1: NDArray[np.float64]
    labels: tuple[str, ...]
    spectra: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write it as `firmware_sim` reads it: values as float32, the axis as float64."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                shift_cm1=self.shift_cm1,
                labels=np.array(self.labels),
                spectra=self.spectra.astype(np.float32),
            )


def library_of(spectra: Spectra) -> PureSpectra:
    """Return the pure compounds of a set, in its order. Raises DataUnusable without any, and for what is no Raman."""
    if spectra.axis_unit != "cm-1" or spectra.quantity != "intensity":
        raise DataUnusable(
            f"a library is made of intensity over cm-1, not of {spectra.quantity} over {spectra.axis_unit}"
        )
    pure = [label for label in spectra.classes if spectra.contents.get(label) == {label: 1.0}]
    if not pure:
        raise DataUnusable("no label of the set is said to be pure", hint="a library is made of pure compounds")
    kept = spectra.axis <= LAST_CM1
    if not kept.any():
        raise DataUnusable(
            f"the spectra begin at {spectra.axis[0]:g} cm-1, a simulated Ventana sees up to {LAST_CM1:g}",
            hint="is the unit of the axis right?",
        )
    if "dark" in pure:
        raise DataUnusable("a label is dark, which a simulator has anyway", hint="give it another label")
    named = np.array(spectra.labels)
    means = np.array([spectra.values[named == label].mean(axis=0)[kept] for label in pure])
    if not (strongest := means.max(axis=1)).all() or (strongest < 0).any():
        raise DataUnusable("a spectrum without any light", hint=f"look at {pure[int(strongest.argmin())]}")
    return PureSpectra(shift_cm1=spectra.axis[kept].copy(), labels=tuple(pure), spectra=means / strongest[:, None])
