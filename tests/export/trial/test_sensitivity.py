"""One change at a time, and the table that comes of it."""

from __future__ import annotations

import numpy as np
import pytest

from export.trial.answers import Answers
from export.trial.sensitivity import CHANGES, Change, changed, sensitivity_table

AXIS = np.linspace(900.0, 1700.0, 801)
GRID = np.linspace(910.0, 1690.0, 391)
SLOPE = np.stack([0.001 * AXIS, 0.002 * AXIS])


def difference(change: Change) -> np.ndarray:
    plain = changed(SLOPE, AXIS, GRID, Change(), np.random.default_rng(0))
    return changed(SLOPE, AXIS, GRID, change, np.random.default_rng(0)).astype(float) - plain


def test_no_change_only_resamples() -> None:
    plain = changed(SLOPE, AXIS, GRID, Change(), np.random.default_rng(0))

    assert plain.dtype == np.float32
    assert plain == pytest.approx(np.stack([0.001 * GRID, 0.002 * GRID]), abs=1e-6)


def test_a_shift_reads_the_spectrum_as_many_nanometres_on() -> None:
    moved = difference(Change(shift_nm=2.0))

    assert moved[0] == pytest.approx(np.full(391, 0.002), abs=1e-6)
    assert moved[1] == pytest.approx(np.full(391, 0.004), abs=1e-6)


def test_the_water_band_has_the_stated_height_place_and_width() -> None:
    added = difference(Change(water_au=-0.01))[0]

    assert added[GRID == 1440.0] == pytest.approx([-0.01], abs=1e-6)
    assert GRID[added.argmin()] == 1440.0
    inside = GRID[added < -0.005]
    assert inside.max() - inside.min() == pytest.approx(90.0, abs=4.1)


def test_the_noise_is_white_and_differs_between_spectra() -> None:
    noise = difference(Change(noise_au=1e-3))

    assert noise.std() == pytest.approx(1e-3, rel=0.1)
    assert abs(np.corrcoef(noise[0], noise[1])[0, 1]) < 0.2
    assert abs(np.corrcoef(noise[0, 1:], noise[0, :-1])[0, 1]) < 0.2


def test_the_table_counts_best_classes_and_names_apart() -> None:
    truth = np.array([0, 1, 2, 2])
    said = Answers(
        outcome=np.array(["identified", "identified", "inconclusive", "identified"]),
        named=np.array([0, 1, -1, 1]),
        best=np.array([0, 1, 2, 1]),
        probability=np.array([0.9, 0.9, 0.4, 0.8]),
    )

    table = sensitivity_table(dict.fromkeys(CHANGES, said), truth, [dict.fromkeys(CHANGES, 0.25)])

    assert list(table) == list(CHANGES)
    for row in table.values():
        assert (row["accuracy"], row["accuracy_all_blocks"]) == (0.75, 0.5)
        assert (row["right"], row["wrong"], row["refused"]) == (0.5, 0.25, 0.25)


def test_without_changes_on_an_axis_of_wave_numbers_the_table_is_empty() -> None:
    assert sensitivity_table({}, np.array([0]), []) == {}
