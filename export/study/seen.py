"""What a detector tells of a class that it has learned: how far out of reach a class is for gates that have not.

A linear support vector machine on the same spectra, copies and blocks as the gates; a class is found where it wins
against each of the others, by the margin over the closest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

COST = 1.0  # what tuning by blocks chose for the same spectra
Rows = NDArray[np.float64]


def margins(learned: Rows, targets: NDArray[np.int64], tested: Sequence[Rows]) -> list[Rows]:
    """Learn spectra [n, points] of all classes; return of each tested set [m, classes]: positive where a class wins
    against every other, and by how much against the closest."""
    classes = int(targets.max()) + 1
    machine = make_pipeline(StandardScaler(), SVC(kernel="linear", C=COST, decision_function_shape="ovo"))
    machine.fit(learned, targets)
    return [_closest(machine.decision_function(rows), classes) for rows in tested]


def _closest(pairs: Rows, classes: int) -> Rows:
    """From one column for each pair i < j, positive for i, to the least of each class over its pairs."""
    found = np.full((len(pairs), classes), np.inf)
    for column, (i, j) in enumerate(combinations(range(classes), 2)):
        found[:, i] = np.minimum(found[:, i], pairs[:, column])
        found[:, j] = np.minimum(found[:, j], -pairs[:, column])
    return found
