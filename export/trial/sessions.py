"""Spectra as the daemon would hand them to the graph: as measured, in simulated sessions, and with one change at a
time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import Manifest
from edged.infer.resample import resample as resample_one
from edged.spectra.spectrum import Spectrum
from export.data.augment import Session, as_absorbance, from_absorbance
from export.data.augment import session as session_change
from export.data.spectra import AxisUnit, Spectra
from export.job import Job
from export.trial.sensitivity import changed_copies

Rows = NDArray[np.float32]


def rows_of(spectra: Spectra, manifest: Manifest) -> Rows:
    """Resample as the daemon does."""
    return np.stack(
        [
            resample_one(
                Spectrum(
                    axis=spectra.axis.copy(),
                    values=values.astype(np.float32),
                    axis_unit=spectra.axis_unit,
                    quantity=spectra.quantity,
                ),
                manifest,
            )
            for values in spectra.values
        ]
    )


def sessions_of(job: Job, spectra: Spectra, rows: NDArray[np.int64], change: Session) -> list[Rows]:
    """Return the rows in as many sessions as the recipe evaluates, each with draws of its own."""
    rng, values = job.rng(7, int(change.shift * 1000)), as_absorbance(spectra.values[rows], spectra.quantity)
    changed = [
        session_change(values, spectra.axis, job.grid, change, rng) for _ in range(job.recipe.evaluation.sessions)
    ]
    return [from_absorbance(one, spectra.quantity).astype(np.float32) for one in changed]


def changes_of(job: Job, spectra: Spectra, rows: NDArray[np.int64]) -> dict[str, Rows]:
    """One change at a time; their amounts are nm."""
    if spectra.axis_unit != "nm":
        return {}
    values = as_absorbance(spectra.values[rows], spectra.quantity)
    copies = changed_copies(values, spectra.axis, job.grid, job.rng(8))
    return {
        name: from_absorbance(one.astype(np.float64), spectra.quantity).astype(np.float32)
        for name, one in copies.items()
    }


def in_words(change: Session, unit: AxisUnit) -> str:
    """Say what a session changes, in words; what it leaves alone is left out."""
    shown = {
        f"axis by {change.shift:g} {unit}": change.shift,
        f"gain curve of {100 * change.gain:g} %": change.gain,
        f"offset up to {change.offset_au:g} AU": change.offset_au,
        f"slope up to {change.slope_au:g} AU": change.slope_au,
        f"noise {change.noise_au:g} AU": change.noise_au,
    }
    return ", ".join(text for text, size in shown.items() if size) or "none"
