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
from threadpoolctl import threadpool_limits

from export.data.augment import as_absorbance
from export.data.spectra import Spectra
from export.errors import DataUnusable

COMPONENTS = 6
FEWEST = 3  # spectra of a class: a spread of two is none
SEEN_NM = (900.0, 1700.0)  # by the simulated NIRscan, which alone plays twins
FEWEST_SEEN = 8  # points of the axis that it sees: fewer show no band
NM_CM1 = 1e7  # wavelength in nm times wavenumber in cm-1
MOST_REFLECTANCE = 2.0  # on average: what is brighter is in percent
RESERVED = ("white", "dark")  # what a simulator has before its window beside products


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

    Reflectance becomes absorbance, wavenumbers become wavelengths. A product is named by its label, or, where each
    label states one amount, by amount and unit: `300mg`, and by its label too where several have that amount;
    by_contents: by what it holds, in percent: `acetaminophen 90 lactose 10`. Raises DataUnusable for spectra that no
    simulated instrument of wavelengths can show, for spectra without classes or a class of fewer than three, and for
    contents that nobody tells.
    """
    axis, values = _over_nm(spectra)
    names = _names(spectra, by_contents=by_contents)
    counts = np.bincount(spectra.targets)
    if counts.min() < FEWEST:
        few = int(counts.argmin())
        raise DataUnusable(
            f"{counts[few]} of the spectra {'is' if counts[few] == 1 else 'are'} labelled {spectra.classes[few]}",
            hint=f"a product needs {FEWEST}, to know how its samples differ",
        )
    kept = min(components, int(counts.min()) - 2)
    means, axes, sds = [], [], []
    for target in range(len(spectra.classes)):
        of_class = values[spectra.targets == target]
        mean = of_class.mean(axis=0)
        with threadpool_limits(1):  # matrices this small are done before threads have met
            _, singular, directions = np.linalg.svd(of_class - mean, full_matrices=False)
        directions = directions[:kept]
        largest = np.abs(directions).argmax(axis=1)
        means.append(mean)
        axes.append(directions * np.sign(directions[np.arange(kept), largest])[:, None])
        sds.append(singular[:kept] / np.sqrt(len(of_class) - 1))
    return FittedTwin(
        wavelength_nm=axis,
        quantity="signal" if spectra.quantity == "intensity" else "absorbance",
        labels=names,
        means=np.array(means),
        components=np.array(axes),
        score_sds=np.array(sds),
    )


def _over_nm(spectra: Spectra) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the ascending axis in nm, and absorbance or -log10 of counts on it."""
    axis, values = spectra.axis, as_absorbance(spectra.values, spectra.quantity)
    if spectra.axis_unit == "cm-1":
        if spectra.quantity == "intensity":
            raise DataUnusable("intensity over cm-1 is taken for Raman, of which a library is made, and no twin")
        if axis[0] <= 0:
            raise DataUnusable(f"the axis begins at {axis[0]:g} cm-1", hint="wavenumbers are above 0")
        axis, values = NM_CM1 / axis[::-1], values[:, ::-1]
    if ((axis >= SEEN_NM[0]) & (axis <= SEEN_NM[1])).sum() < FEWEST_SEEN:
        raise DataUnusable(
            f"the spectra cover {axis[0]:.0f} to {axis[-1]:.0f} nm, a simulated NIRscan sees {SEEN_NM[0]:.0f} to "
            f"{SEEN_NM[1]:.0f}",
            hint="no other simulator plays a twin; is the unit of the axis right?",
        )
    if spectra.quantity == "reflectance" and (mean := spectra.values.mean()) > MOST_REFLECTANCE:
        raise DataUnusable(f"a reflectance of {mean:.3g} on average", hint="percent? divide by 100: white is 1")
    return axis, values


def _names(spectra: Spectra, *, by_contents: bool) -> tuple[str, ...]:
    """What the simulator calls each class. Raises DataUnusable where there are no classes, or names that clash."""
    if by_contents:
        names = tuple(_contents(spectra, label) for label in spectra.classes)
    else:
        names = _by_amount(spectra) or spectra.classes
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataUnusable(f"several labels mean {twice!r}", hint="a twin has each product once")
    if reserved := set(names) & set(RESERVED):
        raise DataUnusable(
            f"a class is named {', '.join(sorted(reserved))}, which a simulator has anyway",
            hint="take those spectra out, or give them another label",
        )
    return names


def _by_amount(spectra: Spectra) -> tuple[str, ...] | None:
    """Names by amount; None where labels state none, or several amounts each."""
    if spectra.amounts is None:
        return None
    of_label = [np.unique(spectra.amounts[spectra.targets == target]) for target in range(len(spectra.classes))]
    if any(len(amounts) > 1 for amounts in of_label):
        if len(of_label) > 1:
            return None
        raise DataUnusable(
            f"no classes: all spectra are labelled {spectra.classes[0]}, with {len(of_label[0])} amounts",
            hint="a twin is made of products, each of one amount or of one name",
        )
    told = [f"{amounts[0]:g}{spectra.amount_unit}" for amounts in of_label]
    return tuple(
        amount if told.count(amount) == 1 else f"{amount} {label}"
        for amount, label in zip(told, spectra.classes, strict=True)
    )


def _contents(spectra: Spectra, label: str) -> str:
    if label not in spectra.contents:
        raise DataUnusable(f"nobody tells what {label} holds", hint="name products by their labels")
    parts = [(name, share) for name, share in spectra.contents[label].items() if share > 0.0]
    return parts[0][0] if len(parts) == 1 else " ".join(f"{name} {100 * share:.3g}" for name, share in parts)
