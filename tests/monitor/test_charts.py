"""The charts by hand, and how long they run on values that nobody disturbs."""

from __future__ import annotations

import numpy as np
import pytest

from edged.monitor.charts import MOST, Charts
from edged.monitor.limits import Limits, limits
from tests.monitor.run_length import ewma

WIDE = Limits(ewma=99.0, cusum=99.0, zones=99.0)
BOTH = np.array([False])


def test_ewma_and_cusum_are_what_arithmetic_says() -> None:
    """0.2 x + 0.8 z; max(0, S + x - 0.5)."""
    charts = Charts(WIDE, BOTH)
    for value in (1.0, 2.0, -1.0):
        charts.take(np.array([value]))

    assert charts.ewma == pytest.approx([0.8 * (0.8 * 0.2 + 0.4) - 0.2])
    assert charts.cusum[:, 0] == pytest.approx([0.5 + 1.5 - 1.5, 0.5])
    assert charts.since[:, 0].tolist() == [3, 1]


def test_a_cusum_dates_the_change_by_its_last_zero() -> None:
    charts = Charts(Limits(ewma=99.0, cusum=4.0, zones=99.0), BOTH)
    values = [0.9, -1.0, 0.2, 2.0, 2.0, 2.0]  # the last zero is at the third

    found = [charts.take(np.array([value])) for value in values]

    assert found[:5] == [None] * 5
    assert found[5] is not None
    assert (found[5].chart, found[5].value, found[5].limit, found[5].means) == ("cusum", 4.5, 4.0, 3)


def test_two_of_three_far_out_on_one_side_cross_and_one_on_each_side_do_not() -> None:
    charts = Charts(Limits(ewma=99.0, cusum=99.0, zones=1.5), BOTH)  # two of three beyond 3, four of five beyond 1.5

    assert [charts.take(np.array([value])) for value in (3.1, -3.1, 0.0)] == [None] * 3
    crossing = None
    for value in (-3.2, 0.0, -3.1):
        crossing = charts.take(np.array([value]))

    assert crossing is not None
    assert (crossing.chart, crossing.limit, crossing.value) == ("zones", 3.0, 3.1)


def test_one_odd_value_however_large_is_no_drift() -> None:
    charts = Charts(limits(1000.0), BOTH)

    assert charts.take(np.array([1e6])) is None
    assert charts.ewma == pytest.approx([0.2 * MOST])


def test_a_signal_that_only_rises_never_crosses_downward() -> None:
    charts = Charts(limits(1000.0), np.array([True, False]))

    found = [charts.take(np.array([-2.0, 0.0])) for _ in range(50)]

    assert found == [None] * 50
    assert charts.is_calm


def test_a_doubtful_centre_moves_every_limit_out() -> None:
    """A constant of less than the doubt is never a change: its CUSUM never leaves zero."""
    charts = Charts(limits(100.0), BOTH, doubt=0.6)

    assert [charts.take(np.array([0.6])) for _ in range(200)] == [None] * 200
    assert charts.cusum.max() < 0.6


def test_charts_run_as_long_as_the_integral_equations_say() -> None:
    """3,000 charts beside each other on normal values: the mean of their first crossing is within three errors."""
    found, signals = limits(50.0), 3_000
    charts = Charts(Limits(ewma=99.0, cusum=99.0, zones=99.0), np.zeros(signals, dtype=bool))
    chance = np.random.default_rng(11)
    first = {"ewma": np.zeros(signals), "cusum": np.zeros(signals)}
    for step in range(1, 600):
        charts.take(chance.standard_normal(signals))
        for name, over in (
            ("ewma", np.abs(charts.ewma) > found.ewma),
            ("cusum", charts.cusum.max(axis=0) > found.cusum),
        ):
            first[name][(first[name] == 0) & over] = step

    wanted = ewma(0.2, found.ewma / np.sqrt(0.2 / 1.8))
    assert all((times > 0).all() for times in first.values())
    assert first["ewma"].mean() == pytest.approx(wanted, abs=3 * first["ewma"].std() / np.sqrt(signals))
    assert first["cusum"].mean() == pytest.approx(50.0, abs=3 * first["cusum"].std() / np.sqrt(signals) + 2.0)
