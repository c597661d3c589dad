"""Centre, spread and memory of signals whose law is known."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.stats import chi2, f, norm

from edged.monitor.baseline import (
    Baseline,
    baseline,
    batch_means,
    come_in_lots,
    long_run_variance,
    upper_share,
)

NO_FLOOR = np.array([1e-9])


def autoregressive(share: float, count: int, seed: int) -> NDArray[np.float64]:
    """Each value a share of the one before plus normal noise: [count, 1]."""
    noise = np.random.default_rng(seed).standard_normal(count + 500)
    values: NDArray[np.float64] = lfilter([1.0], [1.0, -share], noise)[500:, None]
    return values


@pytest.mark.parametrize("freedom", [5, 15, 40])
def test_the_limit_of_a_spread_is_the_one_of_chi_squared(freedom: int) -> None:
    assert upper_share(freedom) == pytest.approx(math.sqrt(freedom / chi2.ppf(0.05, freedom)), rel=0.015)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_the_long_run_variance_is_that_of_the_process(share: float) -> None:
    """1 / (1 - share)^2; the window's own bias at a share of 0.6 is 4 %."""
    assert long_run_variance(autoregressive(share, 200_000, 3))[0] == pytest.approx(1.0 / (1.0 - share) ** 2, rel=0.1)


def test_independent_readings_of_seven_signals_are_averaged_in_less_than_half_of_cases() -> None:
    """Each signal objects once in ten times, so some of seven in at most 1 - 0.9^7 = 52 %; measured: 46 %."""
    chance = np.random.default_rng(1)
    found = np.array([baseline(chance.standard_normal((200, 7)), np.full(7, 1e-9)).batch for _ in range(1_000)])

    assert np.mean(found > 1) <= 0.5
    assert np.mean(found > 2) <= 0.27
    assert np.mean(found > 1) >= 0.4  # so nobody believes that 90 % holds for all of them together


def fillings(count: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Readings [10 count, 6] of fillings measured ten times: six signals, what a filling is off by 1, a reading 0.5."""
    return np.repeat(chance.standard_normal((count, 6)), 10, axis=0) + 0.5 * chance.standard_normal((10 * count, 6))


def test_readings_of_a_filling_are_averaged_until_means_are_fillings() -> None:
    """Half a filling will not do: two halves of an odd one look like two that agree."""
    found = [baseline(fillings(20, np.random.default_rng(seed)), NO_FLOOR).batch for seed in range(100)]

    assert np.mean(np.array(found) == 10) >= 0.95


def test_of_fillings_too_few_to_be_averaged_the_spread_is_wide_enough_all_the_same() -> None:
    """Of five: means of two readings, each off by its filling's 1, and by a reading's 0.5 over the root of two."""
    found = [baseline(fillings(5, np.random.default_rng(seed)), NO_FLOOR) for seed in range(100)]

    assert {known.batch for known in found} == {2}
    assert np.mean([known.spread < math.sqrt(1.0 + 0.5**2 / 2) for known in found]) <= 0.05


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.6])
def test_a_spread_is_too_small_in_about_a_twentieth_of_baselines(share: float) -> None:
    """Of 200 readings; that the memory is estimated too may double it. Two hundred baselines tell it to 0.03."""
    truth = autoregressive(share, 200_000, 1)
    small = 0
    for seed in range(200):
        found = baseline(autoregressive(share, 200, 100 + seed), NO_FLOOR)
        small += bool(found.spread[0] < batch_means(truth, found.batch).std())
    assert small / 200 <= 0.1


def test_a_spread_is_never_smaller_than_what_matters() -> None:
    found = baseline(np.full((100, 1), 3.0), np.array([0.2]))

    assert found.spread == pytest.approx([0.2 / math.sqrt(found.batch)])
    assert isinstance(found, Baseline)


def lots(length: int, count: int, chance: np.random.Generator) -> NDArray[np.float64]:
    """Fillings of which those of a lot are alike: four fifths of the variance is that of the lot."""
    found = np.repeat(chance.standard_normal((count // length + 1, 6)), length, axis=0)[:count]
    return np.sqrt(0.8) * found + np.sqrt(0.2) * fillings(count // 10, chance)


@pytest.mark.parametrize(
    ("made", "count", "least", "most"),
    [
        (lambda chance: fillings(20, chance), 200, 0.0, 0.12),  # 1 - 0.99^6 = 6 %
        (lambda chance: fillings(50, chance), 500, 0.0, 0.12),
        (lambda chance: np.repeat(fillings(25, chance), 2, axis=0), 500, 0.0, 0.12),  # twenty readings a filling
        (lambda chance: lots(50, 200, chance), 200, 0.7, 1.0),
        (lambda chance: lots(100, 200, chance), 200, 0.7, 1.0),
        (lambda chance: lots(50, 500, chance), 500, 0.8, 1.0),
        (lambda chance: lots(100, 500, chance), 500, 0.95, 1.0),
    ],
)
def test_lots_are_told_from_fillings(
    made: Callable[[np.random.Generator], NDArray[np.float64]], count: int, least: float, most: float
) -> None:
    found = [made(np.random.default_rng(seed)) for seed in range(200)]

    assert all(len(signals) == count for signals in found)
    assert least <= np.mean([come_in_lots(signals) for signals in found]) <= most


def test_where_lots_are_told_the_ratio_of_variances_is_at_its_quantile() -> None:
    """One signal of 200 readings, four stretches of five means: F(3, 16) of scipy, by a known ratio on both sides."""
    limit = f.isf(norm.sf(2.33), 3, 16)
    inside = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    levels = np.array([-1.0, -1.0, 1.0, 1.0]) * math.sqrt(limit * inside.var(ddof=1) / 5 / (4 / 3))

    def made(factor: float) -> NDArray[np.float64]:
        return np.repeat((factor * levels[:, None] + inside).ravel(), 10)[:, None]

    assert not come_in_lots(made(0.98))
    assert come_in_lots(made(1.02))


def test_of_fewer_than_200_readings_lots_are_not_told() -> None:
    assert not come_in_lots(np.repeat(np.arange(2.0), 99)[:, None])
