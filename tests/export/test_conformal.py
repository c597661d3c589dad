"""How far sets reach: against ranks counted by hand, and against what new fillings and instruments then show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from export.conformal import (
    Scored,
    class_quantiles,
    conformal_quantile,
    promise,
    supported,
    units_of,
    unsupported,
)

Numbers = NDArray[np.int64]


def fillings(rng: np.random.Generator, count: int, scans: int = 10) -> tuple[NDArray[np.float64], Numbers]:
    """Scores of scans that are alike within a filling, within 0 and 1: most of their scatter is between fillings."""
    between, within = rng.normal(size=(count, 1)), 0.5 * rng.normal(size=(count, scans))
    return 1.0 / (1.0 + np.exp(-(between + within))).ravel(), np.repeat(np.arange(count), scans)


def scored(scores: NDArray[np.float64], units: Numbers) -> Scored:
    """Spectra of one class and one instrument, without copies."""
    nought = np.zeros(len(scores), dtype=np.int64)
    return Scored(measured=scores, changed=scores[:0], targets=nought, units=units, instruments=nought)


def joined(*parts: Scored) -> Scored:
    return Scored(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in Scored.__dataclass_fields__}
    )


def test_scores_that_are_units_of_their_own_take_the_textbook_rank() -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1, 100)) / 100.0

    assert conformal_quantile(scores, 0.9) == pytest.approx(0.90)  # ceil(100 * 0.9) = 90th of 99
    assert conformal_quantile(scores, 0.5) == pytest.approx(0.50)
    assert conformal_quantile(scores, 0.985) == pytest.approx(0.99)  # the 99th, and last


def test_too_few_scores_for_a_coverage_keep_every_class() -> None:
    assert conformal_quantile(np.linspace(0, 0.5, 50), 0.99) == 1.0


def test_a_quantile_leaves_none_of_its_scores_outside_by_rounding() -> None:
    scores = np.array([1.23e-7, 0.1234564, 0.4999994])

    assert conformal_quantile(scores[:1], 0.5) >= scores[0]
    assert conformal_quantile(scores, 0.5) >= scores[1]


def test_a_model_that_is_sure_of_everything_it_has_seen_still_names_what_is_nearly_as_sure() -> None:
    assert conformal_quantile(np.zeros(79), 0.95) == pytest.approx(1 / 80, abs=1e-6)


def test_new_fillings_are_covered_as_asked_where_counting_scans_falls_short() -> None:
    rng = np.random.default_rng(4)
    by_filling, by_scan = [], []
    for _ in range(1500):
        scores, units = fillings(rng, 24)
        new, _ = fillings(rng, 20)
        by_filling.append((new <= conformal_quantile(scores, 0.9, units=units)).mean())
        by_scan.append((new <= conformal_quantile(scores, 0.9)).mean())

    assert 0.9 <= np.mean(by_filling) < 0.9 + 1 / 25  # the weight of the one filling that is yet to come
    assert np.mean(by_scan) < 0.9


def test_a_filling_of_many_scans_weighs_no_more_than_one_of_few() -> None:
    scores = np.concatenate([np.full(500, 0.9), np.linspace(0.1, 0.28, 19)])
    units = np.concatenate([np.zeros(500, dtype=np.int64), np.arange(1, 20)])

    found = conformal_quantile(scores, 0.8, units=units)

    assert found == pytest.approx(0.26)  # 0.8 of 21 twentieths: the 17th of 20 fillings, from below


def test_copies_are_more_scores_of_a_filling_and_no_more_fillings() -> None:
    scores, units = fillings(np.random.default_rng(5), 24)

    assert conformal_quantile(np.tile(scores, 6), 0.9, units=units, copies=6) == conformal_quantile(
        scores, 0.9, units=units
    )


def test_more_coverage_never_gives_smaller_sets_and_too_few_fillings_do_not_make_them_hold_everything() -> None:
    scores, units = fillings(np.random.default_rng(6), 12)

    found = [conformal_quantile(scores, coverage, units=units) for coverage in np.linspace(0.02, 0.99, 98)]

    assert (np.diff(found) >= 0).all()
    assert max(found) == pytest.approx(scores.max(), abs=1e-5)
    assert supported(12) == pytest.approx(11 / 13)


def test_a_class_with_fillings_enough_is_covered_itself() -> None:
    rng = np.random.default_rng(7)
    hard, pooled = [], []
    for _ in range(400):
        easy = scored(*fillings(rng, 40))
        easy = replace(easy, measured=0.1 * easy.measured)
        other, units = fillings(rng, 40)
        own = replace(scored(other, units + 40), targets=np.ones(400, dtype=np.int64))
        quantiles = class_quantiles(joined(easy, own), 0.9, classes=2)
        new, _ = fillings(rng, 20)
        hard.append((new <= quantiles[1]).mean())
        pooled.append((new <= quantiles[0]).mean())

    assert 0.9 <= np.mean(hard) < 0.92
    assert np.mean(pooled) < 0.85


def test_a_class_with_too_few_fillings_takes_what_all_classes_need() -> None:
    rng = np.random.default_rng(8)
    scores, units = fillings(rng, 24)
    targets = np.repeat(np.arange(3), 80)  # eight fillings each: 1 - 2 / 9 is less than 0.9
    of = replace(scored(scores, units), targets=targets)

    assert set(class_quantiles(of, 0.9, classes=3)) == {conformal_quantile(scores, 0.9, units=units)}
    assert promise(of, 0.9, classes=3)["own"] == []
    assert promise(of, 0.75, classes=3)["own"] == [0, 1, 2]


def test_the_worst_of_two_instruments_sets_the_limit_so_that_both_are_covered() -> None:
    rng = np.random.default_rng(9)
    covered, alone = [], []
    for _ in range(400):
        good, units = fillings(rng, 30)
        worse, _ = fillings(rng, 30)
        first = scored(0.5 * good, units)
        second = replace(scored(worse, units + 30), instruments=np.ones(300, dtype=np.int64))
        (limit,) = class_quantiles(joined(first, second), 0.9, classes=1)
        new, _ = fillings(rng, 20)
        covered.append((new <= limit).mean())
        alone.append((new <= conformal_quantile(joined(first, second).measured, 0.9)).mean())

    assert 0.9 <= np.mean(covered) < 0.925
    assert np.mean(alone) < 0.87


def test_an_instrument_with_few_fillings_is_judged_with_all_and_is_not_counted_as_covered() -> None:
    scores, units = fillings(np.random.default_rng(10), 30)
    instruments = (units >= 25).astype(np.int64)
    of = replace(scored(scores, units), instruments=instruments)

    (limit,) = class_quantiles(of, 0.9, classes=1)

    first = conformal_quantile(scores[:250], 0.9, units=units[:250])
    assert limit == max(first, conformal_quantile(scores, 0.9, units=units))
    assert promise(of, 0.9, classes=1)["instruments"] == 1


def test_changed_copies_count_where_they_need_more_and_spectra_where_these_do() -> None:
    scores, units = fillings(np.random.default_rng(11), 30)
    plain = scored(scores, units)
    harder = np.concatenate([np.sqrt(scores), scores])

    (with_harder,) = class_quantiles(replace(plain, changed=harder), 0.9, classes=1)
    (with_easier,) = class_quantiles(replace(plain, changed=scores**2), 0.9, classes=1)

    assert with_harder == conformal_quantile(harder, 0.9, units=units, copies=2)
    assert with_easier == conformal_quantile(scores, 0.9, units=units) < with_harder


def test_a_unit_is_a_group_or_what_of_it_lies_in_one_part() -> None:
    groups = np.array([5, 5, 7, 7, 9, 9])
    part = np.array([0, 0, 1, 1, 0, 1])

    units = units_of(part, groups)

    assert [int((units == unit).sum()) for unit in units] == [2, 2, 2, 2, 1, 1]
    assert len(np.unique(units)) == 4


def test_a_preset_that_asks_for_more_than_the_preparations_can_promise_is_named_with_what_they_can() -> None:
    found = unsupported({"balanced": 0.9, "confirm": 0.995}, 96)

    (finding,) = found
    assert finding.message == "presets.confirm.coverage: 0.995 is more than 96 preparations can promise"
    assert finding.hint == "ask for 0.979 at most, or measure more preparations"
