"""How far a CUSUM may go, and how many means it takes at least, by how seldom a false alarm may be.

The decision interval is the one of independent normal values. It was solved from the integral equation of
`tests/monitor/run_length.py`, which tests compare with published tables, for ten to the power of 1.5, 2.0, ... 6.5
values from one false alarm to the next; between two rows it is interpolated.

But means of real samples are not normal: one filling in ten or twenty is odd, by as much as it likes, and what a
product was learned from may not have shown it. Whatever the law, r further means all lie above n earlier ones with a
chance of 1 in (n + r)! / (n! r!), and as seldom all below. This is the count of precedence charts (Chakraborti, van der
Laan and van de Wiel 2004, Applied Statistics 53, 443), and says after how many at least an alarm is believed.

It is a floor under the alarm, and no proof of how seldom one is false. It counts one side, and a chart has two; and a
CUSUM does not ask for means in a row: odd ones with a usual one between add up. `tests/monitor/test_charts.py` measures
the rest: learned from 20 means, charts run longer than is stated on normal values, Student's t with three degrees of
freedom and values of which every tenth is ten times as far out; on lognormal ones of sigma 1.5, three quarters as long.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

ALLOWANCE: Final = 0.5  # of the CUSUM: the best for a change of one standard deviation (Page 1954)

_FIRST, _STEP = 1.5, 0.5
_INTERVALS = (2.433, 3.502, 4.619, 5.757, 6.904, 8.053, 9.204, 10.355, 11.506, 12.657, 13.808)


def decision_interval(values_between: float) -> float:
    """Return where a two-sided CUSUM alarms falsely once in so many normal values, within the table's ends."""
    at = (math.log10(values_between) - _FIRST) / _STEP
    return float(np.interp(at, np.arange(len(_INTERVALS)), _INTERVALS))


def fewest_means(values_between: float, learned_from: int) -> int:
    """Return how many means lie above all `learned_from` earlier ones no oftener than once in so many values.

    Below them they lie as often again.
    """
    fewest = 1
    while math.comb(learned_from + fewest, fewest) < values_between:
        fewest += 1
    return fewest
