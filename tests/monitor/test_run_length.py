"""The judge against published tables, and the daemon's limits against the judge."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edged.monitor.limits import ALLOWANCE, decision_interval, fewest_means
from tests.monitor.run_length import cusum, ewma, run_rules

CUSUM = [  # Montgomery, table 9.3 (Lucas and Crosier 1982): allowance 1/2
    (4.0, {0.0: 168.0, 0.25: 74.2, 0.5: 26.6, 0.75: 13.3, 1.0: 8.38, 1.5: 4.75, 2.0: 3.34}),
    (5.0, {0.0: 465.0, 0.25: 139.0, 0.5: 38.0, 0.75: 17.0, 1.0: 10.4, 1.5: 5.75, 2.0: 4.01}),
]
EWMA = [  # Lucas and Saccucci 1990, as in Montgomery, Statistical Quality Control, 6th ed., table 9.11
    (0.40, 3.054, {0.0: 500.0, 0.5: 71.2, 1.0: 14.3, 1.5: 5.9, 2.0: 3.5}),
    (0.25, 2.998, {0.0: 500.0, 0.5: 48.2, 1.0: 11.1, 1.5: 5.5, 2.0: 3.6}),
    (0.20, 2.962, {0.0: 500.0, 0.5: 41.8, 1.0: 10.5, 1.5: 5.5, 2.0: 3.7}),
    (0.10, 2.814, {0.0: 500.0, 0.5: 31.3, 1.0: 10.3, 1.5: 6.1, 2.0: 4.4}),
]
RULES = [  # Champ and Woodall 1987, table 1, no shift
    ({(1, 1): 3.0}, 370.40),
    ({(1, 1): 3.0, (2, 3): 2.0}, 225.44),
    ({(1, 1): 3.0, (4, 5): 1.0}, 166.05),
    ({(1, 1): 3.0, (2, 3): 2.0, (4, 5): 1.0}, 132.89),
]


@pytest.mark.parametrize(("weight", "limit", "table"), EWMA)
def test_an_ewma_runs_as_long_as_lucas_and_saccucci_say(weight: float, limit: float, table: dict[float, float]) -> None:
    for shift, length in table.items():
        assert ewma(weight, limit, shift) == pytest.approx(length, rel=0.005, abs=0.06)


@pytest.mark.parametrize(("rules", "length"), RULES)
def test_run_rules_run_as_long_as_champ_and_woodall_say(rules: dict[tuple[int, int], float], length: float) -> None:
    assert run_rules(rules) == pytest.approx(length, abs=0.006)


@pytest.mark.parametrize(("interval", "table"), CUSUM)
def test_a_cusum_runs_as_long_as_montgomery_says(interval: float, table: dict[float, float]) -> None:
    for shift, length in table.items():
        assert cusum(0.5, interval, shift) == pytest.approx(length, rel=0.005)


@pytest.mark.parametrize(
    ("decision", "allowance"), [(8.01, 0.25), (4.77, 0.5), (3.34, 0.75), (2.52, 1.0), (1.99, 1.25)]
)
def test_a_cusum_of_hawkins_pairs_runs_370(decision: float, allowance: float) -> None:
    """Hawkins 1993, J. Qual. Technol. 25, 248: decision intervals to three digits."""
    assert cusum(allowance, decision) == pytest.approx(370.0, rel=0.02)


@pytest.mark.parametrize("decision", [4.0, 6.0, 9.0])
def test_a_cusum_agrees_with_siegmunds_approximation(decision: float) -> None:
    """Siegmund 1985, Sequential Analysis: (exp(2 k b) - 2 k b - 1) / (2 k^2) of one side, b = h + 1.166."""
    exponent = 2.0 * 0.5 * (decision + 1.166)

    assert cusum(0.5, decision) == pytest.approx((math.exp(exponent) - exponent - 1.0) / (2 * 0.5**2) / 2.0, rel=0.03)


@pytest.mark.parametrize("between", [10**1.5, 500.0, 10**3.5, 50_000.0, 10**5.5])
def test_the_cusum_of_the_daemon_runs_as_long_as_is_stated(between: float) -> None:
    """Between two rows of the table, too; a tenth is what nobody would notice."""
    assert cusum(ALLOWANCE, decision_interval(between)) == pytest.approx(between, rel=0.1)


@pytest.mark.parametrize(
    ("between", "learned_from", "fewest"),
    [(6_000.0, 20, 4), (1_771.0, 20, 3), (1_772.0, 20, 4), (6_000.0, 50, 3), (60_000.0, 200, 3), (200.0, 200, 1)],
)
def test_so_many_means_in_a_row_are_needed_as_binomial_coefficients_say(
    between: float, learned_from: int, fewest: int
) -> None:
    """C(23, 3) = 1,771; C(24, 4) = 10,626; C(52, 2) = 1,326; C(53, 3) = 23,426; C(202, 2) = 20,301; C(201, 1) = 201."""
    assert fewest_means(between, learned_from) == fewest


def test_two_values_lie_beyond_five_earlier_ones_as_often_whatever_their_law() -> None:
    """1 in C(7, 2) = 21, of Cauchy's law, which has no variance: within four standard errors of 200,000 trials."""
    values = np.random.default_rng(4).standard_cauchy((200_000, 7))
    beyond = np.mean(values[:, 5:].min(axis=1) > values[:, :5].max(axis=1))

    assert beyond == pytest.approx(1 / 21, abs=4 * math.sqrt(1 / 21 / 200_000))
    assert (fewest_means(21.0, 5), fewest_means(22.0, 5)) == (2, 3)
