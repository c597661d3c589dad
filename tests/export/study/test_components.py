"""The study of components: what it tries, what may be learnt from, and that a page says what was found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.optimize import nnls
from scipy.signal import savgol_filter

from export.components.words import Unmixing
from export.data.augment import resample
from export.data.catalogue import load_set
from export.data.mixtures.library import library_of
from export.page import Table, Text
from export.study.components import AXIS, FALSE_NAMES, ONE, PAIRS, PREPARED, RECIPES, cells
from export.study.components_page import parts
from export.study.components_trial import BASE, BUT, OFF, REAL, found_of
from export.study.elastic_net import Penalised
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
    taught = next(cell for cell in cells() if cell.name == REAL)
    parrot = outcome.model_copy(update={"cell": taught, "found": tuple(bits.tolist())})

    table = next(part for part in parts([parrot], data_dir) if isinstance(part, Table))

    row = dict(zip(table.header[1:], table.rows[0][1:], strict=True))
    assert (row["exact"], row["recall"], row["exact, last 20 scans of binaries"]) == ("–", "–", "0.0")


def test_a_left_out_pair_is_judged_by_scans_of_which_nothing_was_learnt(
    outcome: ComponentsOutcome, data_dir: Path
) -> None:
    """One that is right in all but the pair it did not learn from gains what it saw and loses all of that pair."""
    trial = real_scans(data_dir)
    pair, labels = "ascorbic acid + lactose", PAIRS["ascorbic acid + lactose"]
    right = trial.present @ (1 << np.arange(3))
    of_pair = np.isin(trial.labels, labels)
    cell = next(cell for cell in cells() if cell.name == f"{REAL}{BUT}{pair}")
    base = next(cell for cell in cells() if cell.name == BASE)
    before = outcome.model_copy(update={"cell": base, "found": (0,) * len(right)})
    after = outcome.model_copy(update={"cell": cell, "found": tuple(np.where(of_pair, 0, right).tolist())})

    assert cell.taught is not None
    assert not (trial.taught_to(cell.taught.real) & of_pair).any()
    assert trial.taught_to(cell.taught.real).sum() == 6 * 80
    shown = parts([before, after], data_dir)
    table = next(p for p in shown if isinstance(p, Table) and p.header[0] == "learnt from real binaries")
    rows = {row[0].partition(": ")[2]: row[1:4] for row in table.rows}

    assert rows["seen"] == ["120", "0.0", "100.0"]
    assert rows["not seen"] == ["300", "0.0", "0.0"]
    assert any("not seen +0.0" in p.text and " seen +100.0" in p.text for p in shown if isinstance(p, Text))


def test_every_pair_is_left_out_once_and_holds_two_compounds(data_dir: Path) -> None:
    trial = real_scans(data_dir)

    for pair, labels in PAIRS.items():
        held = {tuple(row) for row in trial.present[np.isin(trial.labels, labels)].tolist()}
        assert len(held) == 1
        assert sum(next(iter(held))) == 2
        assert sum(cell.name == f"{REAL}{BUT}{pair}" for cell in cells()) == 3
    assert len({label for labels in PAIRS.values() for label in labels}) == 9


def test_scatter_that_is_off_leaves_all_else_on() -> None:
    for name in ("A1", "A1, one instrument"):
        on, off = RECIPES[name], RECIPES[f"{name}, {OFF}"]
        assert on.nir is not None
        assert off.nir is not None
        changed = {key for key, value in on.nir.optics if value != getattr(off.nir.optics, key)}

        assert changed <= {"path", "offset_au", "slope_au", "gain_au", "refill"}
        assert {"path", "offset_au", "slope_au", "gain_au"} <= changed
        assert off.nir.grinding == off.nir.optics.path == off.nir.optics.slope_au == off.nir.optics.refill == 0.0
        assert on.composition == off.composition
        assert on.nir.domains == off.nir.domains


def test_an_elastic_net_is_tuned_and_tried_as_the_fits_are(data_dir: Path) -> None:
    words = Penalised(steps=PREPARED["reflectance, second derivative"], alphas=(1e-6, 0.9), l1_ratios=(0.9,))
    cell = next(cell for cell in cells() if cell.name.startswith("elastic net"))
    small = cell.model_copy(update={"unmixing": words, "held_out": 300})

    outcome = measure(small, data_dir)

    assert outcome.penalty is not None
    assert outcome.penalty.alpha == 1e-6  # nine tenths of all that is there is no penalty to choose
    assert outcome.parameters == 0
    trial = real_scans(data_dir)
    ternary = trial.present.sum(axis=1) == 3
    assert found_of(outcome)[ternary].mean() > 0.9
    table = next(part for part in parts([outcome], data_dir) if isinstance(part, Table))
    assert table.rows[0][0] == cell.name


def test_a_penalised_fit_confirms_no_claims() -> None:
    taught = next(cell for cell in cells() if cell.taught is not None)
    words = Penalised(steps=(), alphas=(0.1,), l1_ratios=(0.5,))

    with pytest.raises(ValidationError, match="confirms nobody"):
        ComponentsCell.model_validate(taught.model_dump() | {"unmixing": words.model_dump()})


def test_words_compare_what_is_measured(outcome: ComponentsOutcome, data_dir: Path) -> None:
    """Confirmed, one that was right in everything is wrong in the ternary mixtures."""
    trial = real_scans(data_dir)
    right = trial.present @ (1 << np.arange(3))
    by_name = {cell.name: cell for cell in cells()}
    alone = outcome.model_copy(update={"cell": by_name[BASE], "found": tuple(right.tolist())})
    less = np.where(trial.present.sum(axis=1) == 3, 0, right)
    confirmed = outcome.model_copy(update={"cell": by_name[f"{BASE}, confirmed"], "found": tuple(less.tolist())})

    text = " ".join(p.text for p in parts([alone, confirmed], data_dir) if isinstance(p, Text))

    assert "fewer exact sets and as many false names (100.0 % exact" in text
    assert "reached by 1 of 2 rows" in text
