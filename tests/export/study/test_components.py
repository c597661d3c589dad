"""The study of components: what it tries, what may be learnt from, and that a page says what was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.signal import savgol_filter

from export.components.words import Unmixing
from export.data.augment import resample
from export.data.catalogue import load_set
from export.data.mixtures.library import library_of
from export.page import Table
from export.study.components import AXIS, FALSE_NAMES, ONE, PREPARED, cells, found_of, parts
from export.study.mixtures import ComponentsCell, ComponentsOutcome, _halves, measure, real_scans

STEPS = PREPARED["absorbance, second derivative"]


@pytest.fixture(scope="module")
def outcome(data_dir: Path) -> ComponentsOutcome:
    cell = ComponentsCell(
        name="NNLS",
        axis=AXIS,
        unmixing=Unmixing(steps=STEPS, directions=0, noise=1e-3),
        limits_on=ONE,
        held_out=300,
        false_names=FALSE_NAMES,
    )
    return measure(cell, data_dir)


def test_the_trial_is_what_nothing_learns_from(data_dir: Path) -> None:
    trial = real_scans(data_dir)

    assert len(trial.labels) == 3 * 20 + 9 * 100 + 4 * 100
    by_label = dict(zip(trial.labels, trial.present.tolist(), strict=True))
    assert by_label["9010ACLA"] == [True, False, True]  # acetaminophen, ascorbic acid, lactose
    assert by_label["1090AALA"] == [False, True, True]
    assert by_label["60Ascorbic10Acetaminophen30Lactose"] == [True, True, True]
    assert trial.may_teach.sum() == 9 * 80
    assert min(scan for label, scan in zip(trial.labels, trial.scan, strict=True) if label == "100LA") == 80


def test_the_two_halves_share_no_filling(data_dir: Path) -> None:
    pure = load_set("powders12", data_dir)
    first, second = _halves(pure)

    assert len(first) == len(second) == 3 * 40
    assert not set(pure.groups[first]) & set(pure.groups[second])
    assert max(pure.scan[first].max(), pure.scan[second].max()) == 79


def test_a_fit_finds_what_least_squares_of_another_library_finds(outcome: ComponentsOutcome, data_dir: Path) -> None:
    """scipy's derivative and non-negative least squares: where a compound shows at a fifth or more, it is found."""
    trial, pure = real_scans(data_dir), load_set("powders12", data_dir)
    grid = np.linspace(AXIS.start, AXIS.stop, AXIS.points)

    def prepared(values: np.ndarray, axis: np.ndarray) -> np.ndarray:
        return np.asarray(savgol_filter(resample(values, axis, grid), 21, 2, deriv=2, axis=1))

    library = library_of(pure, np.concatenate(_halves(pure)))
    references = np.stack(
        [prepared(library.values, library.axis)[library.compound == c].mean(axis=0) for c in range(3)]
    )
    weights = np.array([nnls(1e3 * references.T, 1e3 * row)[0] for row in prepared(trial.values, trial.axis)])
    clear = (weights / weights.sum(axis=1, keepdims=True) > 0.2) & trial.present

    assert clear.sum() > 1500
    assert found_of(outcome)[clear].mean() > 0.98


def test_every_row_has_its_limits_chosen_on_mixtures_of_its_own_recipe() -> None:
    found = cells()

    assert len({cell.digest() for cell in found}) == len(found)
    for cell in found:
        if cell.taught is not None:
            assert cell.limits_on == cell.taught.synthesis
        assert cell.false_names == FALSE_NAMES


def test_the_page_counts_what_was_found(outcome: ComponentsOutcome, data_dir: Path) -> None:
    trial = real_scans(data_dir)
    table = next(part for part in parts([outcome], data_dir) if isinstance(part, Table))

    row = dict(zip(table.header[1:], table.rows[0][1:], strict=True))
    wrong = sum((found_of(outcome)[n] != trial.present[n]).any() for n in range(len(trial.labels)))
    assert row["exact"] == f"{100 * (1 - wrong / len(trial.labels)):.1f}"
    false = sum(int((found_of(outcome)[n] & ~trial.present[n]).sum()) for n in range(len(trial.labels)))
    assert row["false names a scan"] == f"{false / len(trial.labels):.3f}"


def test_a_cell_is_not_judged_by_what_it_learnt_from(outcome: ComponentsOutcome, data_dir: Path) -> None:
    """One that names the scans it learnt from, and nothing else, has found nothing."""
    trial = real_scans(data_dir)
    bits = np.where(trial.may_teach, trial.present @ (1 << np.arange(3)), 0)
    taught = next(cell for cell in cells() if cell.taught is not None and cell.taught.real)
    parrot = outcome.model_copy(update={"cell": taught, "found": tuple(bits.tolist())})

    table = next(part for part in parts([parrot], data_dir) if isinstance(part, Table))

    row = dict(zip(table.header[1:], table.rows[0][1:], strict=True))
    assert (row["exact"], row["recall"], row["exact, last 20 scans of binaries"]) == ("–", "–", "0.0")
