"""From labelled spectra to a product twin: mean and first principal components of each class, which simulated
instruments draw fillings from.

Six components hold about 98 % of the variance within a class of the public powders; most of the rest is noise, which a
simulated detector adds again.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.data.augment import as_absorbance
from export.data.spectra import Spectra
from export.errors import DataUnusable

COMPONENTS = 6
FEWEST = 3  # spectra of a class: a spread of two is none


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedTwin:
    """Products as (mean, components, standard deviation of the scores), one entry a label.

    quantity: of the numbers: `absorbance` against white, or `signal`, -log10 of counts that no white has touched.
    """

    wavelength_nm: NDArray[np.float64]
    quantity: str
    labels: tuple[str, ...]
    means: NDArray[np.float64]
    components: NDArray[np.float64]
    score_sds: NDArray[np.float64]

    def save(self, path: Path) -> None:
        """Write it as `firmware_sim` reads it: values as float32, the axis as float64."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                wavelength_nm=self.wavelength_nm,
                quantity=np.array(self.quantity),
                labels=np.array(self.labels),
                means=self.means.astype(np.float32),
                components=self.components.astype(np.float32),
                score_sds=self.score_sds.astype(np.float32),
            )


def fit_twin(spectra: Spectra, components: int = COMPONENTS, *, by_contents: bool = False) -> FittedTwin:
    """Fit a twin; at least two components fewer than the smallest class has spectra. Signs of components are fixed.

    A product is named by its label, or, where the set states amounts, by amount and unit: `300mg`; by_contents: by what
    it holds, in percent: `acetaminophen 90 lactose 10`. Raises DataUnusable for spectra that no simulated instrument of
    wavelengths can show, for a class of fewer than three, and for contents that nobody tells.
    """
    if spectra.axis_unit != "nm" or spectra.quantity == "reflectance":
        raise DataUnusable(
            f"a twin is made of absorbance or counts over nm, not of {spectra.quantity} over {spectra.axis_unit}"
        )
    absorbs = spectra.quantity == "absorbance"
    values = as_absorbance(spectra.values, spectra.quantity)
    counts = np.bincount(spectra.targets)
    if counts.min() < FEWEST:
        raise DataUnusable(
            f"{counts.min()} spectra of {spectra.classes[int(counts.argmin())]}", hint=f"at least {FEWEST} a class"
        )
    kept = min(components, int(counts.min()) - 2)
    means, axes, sds = [], [], []
    for target in range(len(spectra.classes)):
        of_class = values[spectra.targets == target]
        mean = of_class.mean(axis=0)
        _, singular, directions = np.linalg.svd(of_class - mean, full_matrices=False)
        directions = directions[:kept]
        largest = np.abs(directions).argmax(axis=1)
        means.append(mean)
        axes.append(directions * np.sign(directions[np.arange(kept), largest])[:, None])
        sds.append(singular[:kept] / np.sqrt(len(of_class) - 1))
    return FittedTwin(
        wavelength_nm=spectra.axis,
        quantity="absorbance" if absorbs else "signal",
        labels=tuple((_contents if by_contents else _product)(spectra, label) for label in spectra.classes),
        means=np.array(means),
        components=np.array(axes),
        score_sds=np.array(sds),
    )


def _product(spectra: Spectra, label: str) -> str:
    if spectra.amounts is None:
        return label
    amounts = {float(spectra.amounts[row]) for row, own in enumerate(spectra.labels) if own == label}
    if len(amounts) > 1:
        raise DataUnusable(f"{label} stands for {len(amounts)} amounts", hint="a twin needs one amount a class")
    return f"{amounts.pop():g}{spectra.amount_unit}"


def _contents(spectra: Spectra, label: str) -> str:
    if label not in spectra.contents:
        raise DataUnusable(f"nobody tells what {label} holds", hint="name products by their labels")
    parts = [(name, share) for name, share in spectra.contents[label].items() if share > 0.0]
    return parts[0][0] if len(parts) == 1 else " ".join(f"{name} {100 * share:.3g}" for name, share in parts)
