"""Spectra of several techniques in one row: each part is prepared as if it were alone."""

from __future__ import annotations

import numpy as np
import torch
from scipy.signal import savgol_filter
from scipy.stats import zscore

from export.preprocess.pipeline import build
from export.preprocess.side_by_side import side_by_side
from export.preprocess.words import CentreStep, SavgolStep, SnvStep

ROWS = np.random.default_rng(1).normal(size=(7, 50)).astype(np.float32)


def test_each_part_goes_through_its_own_steps() -> None:
    slope = SavgolStep(kind="savgol", window=7, order=2, derivative=1)
    both = side_by_side([build((SnvStep(kind="snv"),), 20), build((slope,), 30)], [20, 30])

    out = both(torch.from_numpy(ROWS)).numpy()

    np.testing.assert_allclose(out[:, :20], zscore(ROWS[:, :20].astype(np.float64), axis=1, ddof=1), atol=1e-5)
    expected = savgol_filter(ROWS[:, 20:].astype(np.float64), 7, 2, deriv=1, axis=1, mode="interp")
    np.testing.assert_allclose(out[:, 23:-3], expected[:, 3:-3], atol=1e-5)


def test_each_part_takes_constants_from_its_own_columns() -> None:
    centred = CentreStep(kind="mean-centre")
    both = side_by_side([build((), 20), build((centred,), 30)], [20, 30])
    both.fit(torch.from_numpy(ROWS))

    out = both(torch.from_numpy(ROWS)).numpy()

    np.testing.assert_array_equal(out[:, :20], ROWS[:, :20])
    np.testing.assert_allclose(out[:, 20:], ROWS[:, 20:] - ROWS[:, 20:].mean(axis=0), atol=1e-6)
