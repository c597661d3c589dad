"""One change at a time: what a model still names when the axis, the moisture or the noise is off by a stated amount.

The stress sessions draw many changes at once and say how good a model is; these say what it is sensitive to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.data.augment import resample, water_band
from export.trial.answers import Answers, summary

BAND_NM, BAND_FWHM_NM = 1440.0, 90.0  # the moisture band that is added or taken away


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Amounts, not spreads: every spectrum is changed by as much. The noise is white and drawn anew for each."""

    shift_nm: float = 0.0
    water_au: float = 0.0
    noise_au: float = 0.0


CHANGES = {  # name in tables -> what is done
    "water band +0.010 AU": Change(water_au=0.010),
    "water band -0.010 AU": Change(water_au=-0.010),
    "noise 0.001 AU": Change(noise_au=1e-3),
    "noise 0.002 AU": Change(noise_au=2e-3),
    "axis +2 nm": Change(shift_nm=2.0),
    "axis -2 nm": Change(shift_nm=-2.0),
    "axis +1 nm, water +0.005 AU, noise 0.001 AU": Change(shift_nm=1.0, water_au=0.005, noise_au=1e-3),
    "axis -1 nm, water -0.005 AU, noise 0.001 AU": Change(shift_nm=-1.0, water_au=-0.005, noise_au=1e-3),
}


def changed(
    values: NDArray[np.float64],
    axis: NDArray[np.float64],
    grid: NDArray[np.float64],
    change: Change,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Return the spectra on the grid, changed."""
    at = np.clip(grid + change.shift_nm, axis[0], axis[-1])
    out = resample(values, axis, at) + change.water_au * water_band(grid, BAND_NM, BAND_FWHM_NM)
    return (out + change.noise_au * rng.normal(size=out.shape)).astype(np.float32)


def changed_copies(
    values: NDArray[np.float64], axis: NDArray[np.float64], grid: NDArray[np.float64], rng: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    """Return the spectra on the grid once for each of CHANGES."""
    return {name: changed(values, axis, grid, change, rng) for name, change in CHANGES.items()}


def sensitivity_table(
    answers: Mapping[str, Answers], truth: NDArray[np.int64], other_blocks: list[Mapping[str, float]]
) -> dict[str, dict[str, Any]]:
    """Return a row for each change: accuracy of the most likely class on the held-out block and over all blocks, and
    what the judge said of the held-out block. `other_blocks`: accuracies of models with other blocks held out.

    Empty where no change was made: their amounts are nm, which says nothing of a Raman axis."""
    table = {}
    for name in CHANGES:
        if name not in answers:
            continue
        accuracy = float((answers[name].best == truth).mean())
        table[name] = {
            "accuracy": round(accuracy, 5),
            "accuracy_all_blocks": round(float(np.mean([accuracy, *(block[name] for block in other_blocks)])), 5),
            **summary(answers[name], truth),
        }
    return table
