"""Made-up spectra whose classes differ by the place of one band."""

from __future__ import annotations

import numpy as np

from export.data.spectra import Spectra, scans_of

AXIS = np.linspace(900.0, 1700.0, 120)


def made_up(*, classes: int, groups: int, scans: int) -> Spectra:
    """Return `scans` spectra of each of `groups` groups of each class."""
    rng = np.random.default_rng(0)
    labels = tuple(f"class {c}" for c in range(classes) for _ in range(groups * scans))
    places = np.repeat(1000.0 + 100.0 * np.arange(classes), groups * scans)
    values = np.exp(-(((AXIS - places[:, None]) / 40.0) ** 2)) + 0.01 * rng.normal(size=(len(labels), len(AXIS)))
    return Spectra(
        axis=AXIS.copy(),
        values=values,
        labels=labels,
        groups=np.repeat(np.arange(classes * groups), scans),
        scan=scans_of(labels),
    )
