"""Limits of the charts by the mean number of independent normal values from one false alarm to the next (ARL0).

The table holds, for ten to the power of 1.5, 2.0, ... 6.5 values: the limit of a two-sided EWMA of weight 0.2 in its
own standard deviations, the decision interval of a two-sided CUSUM of allowance 0.5, and the factor on the zones of the
run rules 2 and 3 of Western Electric together. It was solved from the integral equations and the Markov chain of
`tests/monitor/run_length.py`, which tests compare with published tables; between two rows it is interpolated.

Rule 1, a single value far out, is left out: one odd filling is no drift. So is rule 4, eight in a row on one side: its
limit is the centre itself, which is never known well enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

WEIGHT: Final = 0.2  # of the EWMA: near the best for a change of one standard deviation (Lucas and Saccucci 1990)
ALLOWANCE: Final = 0.5  # of the CUSUM: the best for the same change (Page 1954)
ZONES: Final = ((2, 3, 2.0), (4, 5, 1.0))  # so many of so many beyond so many standard deviations
WINDOW: Final = 5

_FIRST, _STEP = 1.5, 0.5
_EWMA = (1.835, 2.360, 2.804, 3.187, 3.526, 3.834, 4.119, 4.384, 4.634, 4.871, 5.097)
_CUSUM = (2.433, 3.502, 4.619, 5.757, 6.904, 8.053, 9.204, 10.355, 11.506, 12.657, 13.808)
_ZONES = (0.6990, 0.8960, 1.0722, 1.2376, 1.3956, 1.5463, 1.6892, 1.8245, 1.9528, 2.0748, 2.1914)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one set of charts. ewma: on the EWMA itself, for values of standard deviation 1."""

    ewma: float
    cusum: float
    zones: float


def limits(values_between: float) -> Limits:
    """Return limits at which each kind of chart gives one false alarm in so many values, within the table's ends."""
    at = (math.log10(values_between) - _FIRST) / _STEP
    rows = np.arange(len(_EWMA), dtype=np.float64)
    ewma, cusum, zones = (float(np.interp(at, rows, column)) for column in (_EWMA, _CUSUM, _ZONES))
    return Limits(ewma=ewma * math.sqrt(WEIGHT / (2.0 - WEIGHT)), cusum=cusum, zones=zones)
