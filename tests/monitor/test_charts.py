"""The charts by hand, and how long they run on values that nobody disturbs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2, norm, poisson

from edged.monitor.baseline import baseline, batch_means
from edged.monitor.charts import Charts

BOTH = np.array([False])
VALUES_BETWEEN = 6_000.0  # one false alarm in 10,000 readings of six signals in means of ten


def charts_of(
    values_between: float = VALUES_BETWEEN,
    *,
    learned_from: int = 200,
    rises_only: NDArray[np.bool_] = BOTH,
    doubt: float = 0.0,
) -> Charts:
    return Charts(values_between=values_between, learned_from=learned_from, rises_only=rises_only, doubt=doubt)


def test_cusum_and_level_are_what_arithmetic_says() -> None:
    """max(0, S + x - 0.5); 0.2 x + 0.8 z."""
    charts = charts_of()
    for value in (1.0, 2.0, -1.0):
        charts.take(np.array([value]))

    assert charts.cusum[:, 0] == pytest.approx([0.5 + 1.5 - 1.5, 0.5])
    assert charts.since[:, 0].tolist() == [3, 1]
    assert charts.level == pytest.approx([0.8 * (0.8 * 0.2 + 0.4) - 0.2])


def test_a_cusum_dates_the_change_by_its_last_zero() -> None:
    charts = charts_of(100.0)  # decision interval 3.502
    values = [0.9, -1.0, 0.2, 2.0, 2.0, 2.0]  # the last zero is at the third

    found = [charts.take(np.array([value])) for value in values]

    assert found[:5] == [None] * 5
    assert found[5] is not None
    assert (found[5].value, found[5].limit, found[5].means) == (4.5, 3.502, 3)


def test_it_takes_four_means_in_a_row_where_twenty_taught_however_far_out_they_lie() -> None:
    charts = charts_of(learned_from=20, doubt=0.3)
    far = np.array([-1e6])

    assert [charts.take(far) for _ in range(3)] == [None] * 3
    crossing = charts.take(far)

    assert crossing is not None
    assert crossing.means == 4
    assert crossing.value == pytest.approx(crossing.limit)


def test_odd_fillings_with_a_usual_one_between_add_up() -> None:
    """Each adds a quarter of the limit of 7.54, the one after takes away 0.8: after six 7.3, the seventh makes 8.4."""
    charts = charts_of(learned_from=20, doubt=0.3)

    found = [charts.take(np.array([value])) for value in [*[1e6, 0.0] * 6, 1e6]]

    assert [place for place, crossing in enumerate(found) if crossing is not None] == [12]


def test_odd_fillings_that_are_one_in_four_are_no_drift() -> None:
    """Each adds a quarter of 7.54, the three after it take away 0.8 each."""
    charts = charts_of(learned_from=20, doubt=0.3)

    assert [charts.take(np.array([value])) for value in [1e6, 0.0, 0.0, 0.0] * 100] == [None] * 400


def test_a_signal_that_only_rises_never_crosses_downward() -> None:
    charts = charts_of(rises_only=np.array([True, False]))

    assert [charts.take(np.array([-2.0, 0.0])) for _ in range(50)] == [None] * 50
    assert charts.is_calm
    crossings = [charts.take(np.array([0.0, -2.0])) for _ in range(50)]
    assert any(crossing is not None and crossing.signal == 1 for crossing in crossings)
    assert not charts.is_calm


def test_of_a_doubtful_centre_no_change_that_small_is_one() -> None:
    charts = charts_of(100.0, doubt=0.6)

    assert [charts.take(np.array([1.1])) for _ in range(200)] == [None] * 200
    assert not charts.cusum.any()
    assert charts.is_calm


def test_charts_run_as_long_as_the_integral_equation_says() -> None:
    """3,000 charts beside each other on normal values: the mean of their first crossing is within three errors."""
    signals, between = 3_000, 10**2.0
    charts = charts_of(between, rises_only=np.zeros(signals, dtype=bool))
    chance = np.random.default_rng(11)
    first = np.zeros(signals)
    for step in range(1, 1_200):
        charts.take(chance.standard_normal(signals))
        first[(first == 0) & (charts.cusum.max(axis=0) > charts.limit)] = step

    assert (first > 0).all()
    assert first.mean() == pytest.approx(between, abs=3 * first.std() / math.sqrt(signals))


def normal(chance: np.random.Generator, count: int) -> NDArray[np.float64]:
    return chance.standard_normal(count)


def heavy(chance: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Student's t with three degrees of freedom."""
    return chance.standard_t(3.0, count)


def contaminated(chance: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Every tenth value ten times as far out."""
    return chance.standard_normal(count) * np.where(chance.random(count) < 0.1, 10.0, 1.0)


def skewed(chance: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Lognormal, of sigma 1.5."""
    return chance.lognormal(0.0, 1.5, count)


@pytest.mark.parametrize(
    ("law", "least", "most"),
    [
        (normal, 7_000.0, math.inf),
        (heavy, 7_000.0, math.inf),
        (contaminated, 7_000.0, math.inf),
        (skewed, 4_500, 6_000),
    ],
)
def test_how_often_charts_that_learned_from_twenty_means_alarm_falsely_by_the_law_of_the_means(
    law: Callable[[np.random.Generator, int], NDArray[np.float64]], least: float, most: float
) -> None:
    """2,000 of them beside each other, set to one in 7,000; with far-out values on one side they run 5,300 long."""
    signals, steps, chance, alarms = 2_000, 3_000, np.random.default_rng(13), 0
    taught = np.array([law(chance, signals) for _ in range(20)])
    spread = taught.std(axis=0, ddof=1) * math.sqrt(19 / chi2.ppf(0.05, 19))
    charts = charts_of(
        7_000.0, learned_from=20, rises_only=np.zeros(signals, dtype=bool), doubt=norm.ppf(0.95) / math.sqrt(20)
    )
    for _ in range(steps):
        charts.take((law(chance, signals) - taught.mean(axis=0)) / spread)
        crossed = charts.cusum.max(axis=0) > charts.limit
        charts.cusum[:, crossed] = 0.0
        alarms += int(crossed.sum())

    assert least <= signals * steps / max(alarms, 1) <= most


def test_fillings_of_a_heavy_tail_alarm_no_oftener_than_is_stated() -> None:
    """Student's t with three degrees of freedom, six signals, each learned from twenty fillings of ten readings."""
    chance, alarms = np.random.default_rng(12), 0
    for _ in range(100):
        values = np.repeat(chance.standard_t(3.0, (120, 6)), 10, axis=0) + 0.3 * chance.standard_normal((1_200, 6))
        known = baseline(values[:200], np.full(6, 1e-9))
        charts = charts_of(
            10_000.0 * 6 / known.batch,
            learned_from=known.means,
            rises_only=np.zeros(6, dtype=bool),
            doubt=known.doubt,
        )
        for mean in known.standardised(batch_means(values[200:], known.batch)):
            if charts.take(mean) is not None:
                alarms += 1
                charts.restart()

    assert alarms <= poisson.ppf(0.975, 100 * 1_000 / 10_000)
