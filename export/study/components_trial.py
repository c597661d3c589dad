"""What the study of components found in real scans: outcomes by row, and which scans may judge which row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from export.components.evidence import rates
from export.study.mixtures import ComponentsOutcome, RealScans

Bools = NDArray[np.bool_]
OFF = "scatter augmentation off"
BASE = "shared trunk, A1, one instrument"
REAL, BUT = f"{BASE}, and real binaries", " but "
RESUCA = "ResUCA, A1, one instrument"
PLAIN, BY_WEIGHT = "NNLS, reflectance, second derivative", "NNLS by weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Outcomes by the name of their row, one a seed, and the real scans that judge them."""

    ways: Mapping[str, tuple[ComponentsOutcome, ...]]
    scans: RealScans

    def figure(self, name: str, what: str, among: Bools) -> list[float]:
        """Return one figure of each seed on some scans, as a fraction; none where some were learnt from, or no scan is
        there."""
        if not among.any() or (among & self.learnt(name)).any():
            return []
        return [rates(found_of(one)[among], self.scans.present[among])[what] for one in self.ways[name]]

    def learnt(self, name: str) -> Bools:
        """Return the real scans that a row learnt from, which do not judge it."""
        taught = self.ways[name][0].cell.taught
        return self.scans.taught_to(False if taught is None else taught.real)

    def mean(self, name: str, what: str = "exact") -> float:
        """Return the mean of a figure on all scans."""
        return float(np.mean(self.figure(name, what, everything(self.scans))))

    def made(self, name: str) -> float:
        """Return the exact sets of made mixtures."""
        return float(np.mean([one.on_made["exact"] for one in self.ways[name]]))

    def best_by_made(self, way: str) -> str | None:
        """Return the row of a way, a fit of any preparation, that made mixtures would choose."""
        names = [name for name in self.ways if name.startswith(f"{way}, ")]
        return max(names, key=self.made, default=None)

    def share(self, name: str, among: Bools) -> NDArray[np.float64]:
        """Return in which share of some scans each compound is named, mean of the seeds [compounds]."""
        return np.asarray(np.mean([found_of(one)[among].mean(axis=0) for one in self.ways[name]], axis=0))

    def of_label(self, label: str) -> Bools:
        """Return the scans of a mixture."""
        return np.array(self.scans.labels) == label


def everything(scans: RealScans) -> Bools:
    """Return all scans."""
    return np.ones(len(scans.labels), dtype=bool)


def found_of(outcome: ComponentsOutcome) -> Bools:
    """Return which compounds were found in each real scan, [n, compounds]."""
    return (np.array(outcome.found)[:, None] >> np.arange(len(outcome.compounds)) & 1).astype(bool)
