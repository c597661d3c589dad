"""Made-up spectra for tests of splits and of augmentation."""

from __future__ import annotations

import numpy as np

from export.data.spectra import Spectra

AXIS = np.linspace(900.0, 1700.0, 201)


def made_up(classes: int = 3, scans: int = 25) -> Spectra:
    labels = tuple(f"class {c}" for c in range(classes) for _ in range(scans))
    values = np.random.default_rng(1).normal(1.2, 0.1, size=(len(labels), len(AXIS)))
    return Spectra(
        axis=AXIS.copy(),
        values=values,
        labels=labels,
        scan=np.tile(np.arange(scans), classes),
        groups=np.repeat(np.arange(classes * scans // 5), 5),
    )
