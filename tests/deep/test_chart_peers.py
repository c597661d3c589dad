"""The peers of the bench of charts whose limits take seconds to solve."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.chart_peers import PEERS, Setting
from tests.bench.test_charts import run_lengths

SETTING = Setting(values_between=100.0, learned_from=10**9, doubt=0.0)


def test_rules_2_and_3_run_as_long_as_they_are_set_to() -> None:
    """500 charts on normal values: within four standard errors, and what a table that is interpolated misses by."""
    means = np.random.default_rng(2).standard_normal((1_400, 500))

    lengths = run_lengths(PEERS["2 of 3, 4 of 5"](means, SETTING))

    assert lengths.mean() == pytest.approx(100.0, abs=4 * lengths.std() / np.sqrt(500) + 2.0)


def test_all_three_together_run_no_shorter_than_they_are_set_to() -> None:
    """A third each; they alarm at the same times, so it is more than 100, and less than 300."""
    means = np.random.default_rng(3).standard_normal((2_000, 200))

    assert 100.0 < run_lengths(PEERS["all three"](means, SETTING)).mean() < 300.0
