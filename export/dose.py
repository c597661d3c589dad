"""Models that tell an amount: the half widths of their intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edged.bundle.manifest import Amount
from edged.infer.verdict import Preset
from export.conformal import Promise, Scored, error_quantile, promise, units_of
from export.data.spectra import Spectra, group_numbers
from export.job import Job

Rows = NDArray[np.float32]


def amounts_of(
    job: Job, spectra: Spectra, told: NDArray[np.floating], rows: NDArray[np.int64]
) -> tuple[tuple[Amount, ...], dict[Preset, Promise]]:
    """Return the manifest's words, and what stands behind the intervals: told [n, 1] is what members say of the
    development spectra `rows`, which they had not seen."""
    words, amounts, presets = job.recipe.amount, spectra.amounts, job.recipe.presets
    assert words is not None
    assert amounts is not None
    errors = errors_of(job, spectra, told[:, 0] - amounts[rows], rows)
    amount = Amount(
        label=words.label,
        title=words.title,
        unit=spectra.amount_unit,
        lowest=float(amounts.min()),
        highest=float(amounts.max()),
        half_widths={preset: half_width(errors, point.coverage) for preset, point in presets.items()},
    )
    return (amount,), {preset: promise(errors, point.coverage, classes=0) for preset, point in presets.items()}


def errors_of(job: Job, spectra: Spectra, off: NDArray[np.floating], rows: NDArray[np.int64]) -> Scored:
    """Return what calibrates intervals: how far off the amounts of the spectra `rows` are, by preparation."""
    instruments = group_numbers(spectra.instruments or [""] * len(spectra.labels))
    return Scored(
        measured=np.abs(off).astype(np.float64),
        changed=np.empty(0),
        targets=np.zeros(len(rows), dtype=np.int64),
        units=units_of(job.split(spectra).part[rows], spectra.groups[rows]),
        instruments=instruments[rows],
    )


def half_width(errors: Scored, coverage: float) -> float:
    """Return the half width of the intervals of one coverage, with three decimals, rounded up and never 0."""
    return float(max(1.0, np.ceil(error_quantile(errors, coverage) * 1e3)) / 1e3)
