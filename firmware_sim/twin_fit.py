"""From real spectra of named products to a twin: mean and first principal components of each class.

Six components hold about 98 % of the variance within a class of the powders; most of the rest is noise, which the
detector adds again.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from firmware_sim.sample import Twin
from firmware_sim.spectra_file import SpectraFileError, read_spectra

COMPONENTS = 6
SPECTRA, CLASSES = "RawNIRData.csv", "ClassRef.csv"


class FitError(ValueError):
    """The folder does not hold spectra and classes that belong together."""


def fit_powders(folder: Path, components: int = COMPONENTS) -> Twin:
    """Fit a twin. Raises FitError, and OSError for files that are not there. Signs of components are fixed."""
    try:
        recorded = read_spectra(folder / SPECTRA)
    except SpectraFileError as error:
        raise FitError(str(error)) from error
    with (folder / CLASSES).open(encoding="utf-8-sig", newline="") as file:
        classes = [row[0].strip() for row in list(csv.reader(file))[1:] if row and row[0].strip()]
    if len(classes) != len(recorded.values):
        raise FitError(f"{folder}: {len(recorded.values)} spectra in {SPECTRA}, {len(classes)} classes in {CLASSES}")
    labels = tuple(dict.fromkeys(classes))
    means, axes, sds = [], [], []
    for label in labels:
        spectra = recorded.values[[name == label for name in classes]]
        if len(spectra) <= components:
            raise FitError(f"{folder}: {len(spectra)} spectra of {label}; {components} components need more")
        mean = spectra.mean(axis=0)
        _, singular, directions = np.linalg.svd(spectra - mean, full_matrices=False)
        directions = directions[:components]
        largest = np.abs(directions).argmax(axis=1)
        directions = directions * np.sign(directions[np.arange(components), largest])[:, None]
        means.append(mean)
        axes.append(directions)
        sds.append(singular[:components] / np.sqrt(len(spectra) - 1))
    return Twin(
        wavelength_nm=recorded.wavelength_nm,
        labels=labels,
        means=np.array(means),
        components=np.array(axes),
        score_sds=np.array(sds),
    )


def save(twin: Twin, path: Path) -> None:
    """Write a twin: values as float32, the axis as float64."""
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            wavelength_nm=twin.wavelength_nm,
            labels=np.array(twin.labels),
            means=twin.means.astype(np.float32),
            components=twin.components.astype(np.float32),
            score_sds=twin.score_sds.astype(np.float32),
        )
