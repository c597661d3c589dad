"""The bench of charts: its CUSUM is the daemon's, its peers run as long as the judge says, delays count right."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.monitor.charts import Charts
from tests.bench.chart_peers import PEERS, Rules, Setting, cusum_alarms, ewma_alarms, rules_alarms
from tests.bench.charts import EVERY, PATIENCE, QUIET, Group, delays, false_alarms
from tests.bench.charts_page import one_side

TWO_OF_THREE: Rules = (((2, 3), 2.0),)


def setting(values_between: float, *, learned_from: int = 10**9, doubt: float = 0.0) -> Setting:
    """From so many means that one alone may cross, where nothing else is said."""
    return Setting(values_between=values_between, learned_from=learned_from, doubt=doubt)


def run_lengths(alarms: NDArray[np.bool_]) -> NDArray[np.int64]:
    assert alarms.any(axis=0).all()
    return alarms.argmax(axis=0) + 1


def test_the_cusum_of_the_bench_is_that_of_the_daemon() -> None:
    """Learned from twenty means, odd values among them: the first alarm of each of 300 charts is at the same place."""
    chance, how = np.random.default_rng(1), {"values_between": 300.0, "learned_from": 20, "doubt": 0.3}
    means = chance.standard_t(3.0, (400, 300)) + 0.4
    charts = Charts(**how, rises_only=np.zeros(300, dtype=bool))  # type: ignore[arg-type]
    first = np.full(300, 400)
    for at, mean in enumerate(means):
        charts.take(mean)
        first[(charts.cusum.max(axis=0) > charts.limit) & (first == 400)] = at

    alarms = cusum_alarms(means, Setting(**how))  # type: ignore[arg-type]

    assert 30 <= np.count_nonzero(first < 400) <= 300
    np.testing.assert_array_equal(np.where(alarms.any(axis=0), alarms.argmax(axis=0), 400), first)


@pytest.mark.parametrize("kind", ["CUSUM 0.5", "EWMA 0.2", "EWMA 0.1", "4 of 5"])
def test_each_kind_runs_as_long_as_it_is_set_to(kind: str) -> None:
    """500 charts on normal values, set to 50: the mean of their first alarms is within four standard errors."""
    means = np.random.default_rng(2).standard_normal((700, 500))

    lengths = run_lengths(PEERS[kind](means, setting(50.0)))

    assert lengths.mean() == pytest.approx(50.0, abs=4 * lengths.std() / np.sqrt(500))


def test_however_far_out_it_takes_as_many_means_as_chance_does_not_bring_about() -> None:
    """Four of twenty: an EWMA as the CUSUM. Of rules it takes two, whatever the first twenty have shown."""
    far, how = np.full((6, 1), 1e6), setting(6_000.0, learned_from=20, doubt=0.3)

    assert [int(run_lengths(peer(far, how))[0]) for peer in (cusum_alarms, ewma_alarms(0.2), ewma_alarms(0.1))] == [
        4
    ] * 3
    assert int(run_lengths(rules_alarms(TWO_OF_THREE)(far, how))[0]) == 2


def test_run_rules_forget_what_left_their_window() -> None:
    """2 of 3 beyond 2 f, by hand, f being 1 or so: two that are two apart; one too near; one on the other side."""
    values = np.array([[9.0], [0.0], [0.0], [9.0], [0.0], [9.0], [1.5], [-9.0]])

    assert rules_alarms(TWO_OF_THREE)(values, setting(400.0))[:, 0].tolist() == [False] * 5 + [True, False, False]


def test_delays_count_from_the_change_and_nothing_before_it() -> None:
    """In means of ten a step of 50 spreads crosses at the fourth; a chart far out from the start does not count."""
    disturbed = np.zeros(((QUIET + PATIENCE) // 10, 3))
    disturbed[:, 2] = 50.0
    group = Group(
        batch=10,
        learned_from=20,
        doubt=0.3,
        signals=3,
        means=np.vstack([np.zeros((4, 3)), np.full((4, 3), [0.0, 0.0, 50.0])]),
        disturbed=disturbed,
        step=np.array([1.0, 0.0, 1.0]),
    )

    found = delays([group], "CUSUM 0.5", EVERY, lambda fillings: np.full_like(fillings, 50.0))

    assert found.tolist() == [40.0, np.inf]
    assert false_alarms([group], "CUSUM 0.5", EVERY) == (1, (8 + 8 + 8) * 10 / 3)


def test_a_run_on_one_side_comes_as_often_as_counting_says() -> None:
    """Two sides of a coin: the mean wait for eight alike is 2^8 - 1."""
    sides = np.random.default_rng(5).integers(2, size=(3_000, 400))
    alike = np.ones((2_993, 400), dtype=bool)
    for later in range(1, 8):
        alike &= sides[later : 2_993 + later] == sides[:2_993]

    waits = run_lengths(alike) + 7
    assert waits.mean() == pytest.approx(one_side(8), abs=4 * waits.std() / np.sqrt(400))
