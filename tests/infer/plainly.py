"""The rules by which compounds are confirmed, written plainly over scipy: a judge of results, and a peer of speed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from edged.bundle.components import Components
from tests.bundle.mixed import POINT

Reals = NDArray[np.float64]


def table(compounds: int, points: int, references: list[int], **point: Any) -> Components:
    """A table of unnamed compounds with one preset that confirms."""
    n = compounds
    preset = POINT | {
        "thresholds": [0.0] * n,
        "negatives": [10**6] * n,
        "named": [0] * n,
        "detection_limits": [None] * n,
        "min_support": [6.0] * n,
    }
    return Components.model_validate(
        {
            "compounds": [{"label": f"c{i}", "title": f"C{i}"} for i in range(n)],
            "presets": {"confirm": preset | point},
            "confirmation": {
                "axis": {"unit": "nm", "start": 1.0, "stop": 2.0, "points": points},
                "references": references,
                "baseline": ["a", "b"],
                "rest": "noise",
                "tolerance": 1e-3,
            },
        }
    )


class Plainly:
    """The rules of the document, one after the other: scipy's fit, baseline terms as columns of either sign, and where
    there is scatter the whole covariance matrix, inverted by Cholesky.
    """

    def __init__(self, components: Components, library: dict[str, NDArray[np.float32]]) -> None:
        self.components = components
        arrays = {name: array.astype(np.float64) for name, array in library.items()}
        whitener = arrays["whitener"]
        self.whitener = np.diag(whitener[0]) if len(whitener) == 1 else whitener
        self.columns = self.whitener @ arrays["references"].T
        self.terms = self.whitener @ arrays["baseline"].T
        assert components.confirmation is not None
        self.owners = np.array(components.confirmation.references)
        self.ways = self.whitener @ arrays["scatter"].T if "scatter" in arrays else np.empty((len(self.whitener), 0))
        self.owners_of_ways = np.array(components.confirmation.scatter, dtype=int)

    def noise_of(self, weights: Reals) -> Reals:
        """What makes the noise of a sample with these weights white [k, k]."""
        amounts = np.array([weights[self.owners == compound].sum() for compound in self.owners_of_ways])
        scaled = self.ways * amounts
        return np.asarray(np.linalg.inv(np.linalg.cholesky(np.eye(len(scaled)) + scaled @ scaled.T)))

    def fit(self, target: Reals, compounds: list[int], quiet: Reals | None = None) -> tuple[Reals, float]:
        """Weights of all references, and the sum of squares."""
        rows = np.flatnonzero(np.isin(self.owners, compounds))
        quiet = np.eye(len(target)) if quiet is None else quiet
        columns = quiet @ np.hstack([self.columns[:, rows], self.terms, -self.terms])
        weights, length = nnls(columns, quiet @ target, maxiter=10_000)
        whole = np.zeros(len(self.owners))
        whole[rows] = weights[: len(rows)]
        return whole, float(length**2)

    def confirm(self, prepared: Reals, claimed: list[int], limits: list[float]) -> tuple[dict[int, float], float]:
        """Support of each compound that is kept, and the rest in units of the noise."""
        target, left = self.whitener @ prepared, list(claimed)
        quiet = np.eye(len(target))
        for _ in range(3 if self.ways.size else 0):
            quiet = self.noise_of(self.fit(target, left, quiet)[0])
        while True:
            weights, squares = self.fit(target, left, quiet)
            left = [c for c in left if weights[self.owners == c].sum() > 0.0]
            free = len(target) - self.terms.shape[1] - np.count_nonzero(weights)
            without = {c: self.fit(target, [o for o in left if o != c], quiet)[1] for c in left}
            supports = {c: (squared - squares) / max(1.0, squares / free) for c, squared in without.items()}
            failing = {c: support / limits[c] for c, support in supports.items() if support < limits[c]}
            if not failing:
                return supports, float(np.sqrt(squares / free))
            left.remove(min(failing, key=lambda c: failing[c]))
