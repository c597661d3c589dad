"""Centre, spread and memory of signals whose law is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import chi2

from edged.monitor.baseline import Baseline, baseline, batch_means, long_run_variance, upper_share

NO_FLOOR = np.array([1e-9])


def autoregressive(share: float, count: int, seed: int) -> NDArray[np.float64]:
    """Each value a share of the one before plus normal noise: [count, 1]."""
    noise = np.random.default_rng(seed).standard_normal(count + 500)
    values: NDArray[np.float64] = lfilter([1.0], [1.0, -share], noise)[500:, None]
    return values


@pytest.mark.parametrize("freedom", [5, 15, 40])
def test_the_limit_of_a_spread_is_the_one_of_chi_squared(freedom: int) -> None:
    assert upper_share(freedom) == pytest.approx(math.sqrt(freedom / chi2.ppf(0.1, freedom)), rel=0.005)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_the_long_run_variance_is_that_of_the_process(share: float) -> None:
    """1 / (1 - share)^2; the window's own bias at a share of 0.6 is 4 %."""
    assert long_run_variance(autoregressive(share, 200_000, 3))[0] == pytest.approx(1.0 / (1.0 - share) ** 2, rel=0.1)


def test_independent_readings_are_charted_as_they_come() -> None:
    found = [baseline(autoregressive(0.0, 400, seed), NO_FLOOR).batch for seed in range(20)]

    assert np.mean(np.array(found) <= 2) >= 0.7


def test_readings_alike_for_long_are_averaged_until_they_are_not() -> None:
    """Fillings of ten: what a reading has in common with its neighbours is most of it."""
    chance = np.random.default_rng(5)
    fillings = np.repeat(chance.standard_normal(40), 10)
    readings = (fillings + 0.3 * chance.standard_normal(400))[:, None]

    found = baseline(readings, NO_FLOOR)

    assert found.batch >= 5
    later = np.repeat(chance.standard_normal(4_000), 10) + 0.3 * chance.standard_normal(40_000)
    seen = found.standardised(batch_means(later[:, None], found.batch))
    assert seen.std() < 1.1


def test_a_spread_is_too_small_in_hardly_more_than_a_tenth_of_baselines() -> None:
    """At 0.5, of 200 readings; that the memory is estimated too costs a little."""
    truth = {size: autoregressive(0.5, 200_000, 1) for size in (1,)}[1]
    small = 0
    for seed in range(100):
        found = baseline(autoregressive(0.5, 200, 100 + seed), NO_FLOOR)
        small += bool(found.spread[0] < batch_means(truth, found.batch).std())
    assert small / 100 <= 0.15


def test_a_spread_is_never_smaller_than_what_matters() -> None:
    found = baseline(np.full((100, 1), 3.0), np.array([0.2]))

    assert found.spread == pytest.approx([0.2 / math.sqrt(found.batch)])
    assert isinstance(found, Baseline)
