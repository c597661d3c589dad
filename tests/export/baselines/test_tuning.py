"""Which settings win, and what is refused before anything is fitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsClassifier

from export.baselines import BASELINES, tuned
from export.baselines.catalogue import PUBLISHED, BaselineWords, DoseWords
from export.baselines.dose import PlsDoseWords, SvrDoseWords
from export.baselines.forest import ForestWords
from export.baselines.lda import LdaWords, PcaLdaWords
from export.baselines.library import LibraryWords
from export.baselines.logistic import LogisticWords
from export.baselines.neighbours import NeighboursWords
from export.baselines.plsda import PlsDaWords
from export.baselines.plslda import PlsLdaWords
from export.baselines.svm import SvmWords
from export.baselines.tuning import tune_amounts, tune_classes
from export.data.catalogue import load_set
from export.errors import DataUnusable

Array = NDArray[np.float64]
CLASSIFIERS: tuple[Any, ...] = (
    PlsDaWords(components=(2, 3)),
    PlsLdaWords(components=(2, 3)),
    SvmWords(rbf_costs=(1.0,)),
    ForestWords(trees=(5, 10)),
    LogisticWords(costs=(0.1, 1.0)),
    LdaWords(),
    PcaLdaWords(components=(2, 3)),
    NeighboursWords(),
    LibraryWords(),
)
DOSES: tuple[Any, ...] = (PlsDoseWords(components=(1, 2)), SvrDoseWords(linear_costs=(0.1,), rbf_costs=(1.0,)))


def kind(words: Any) -> str:
    return str(words.kind)


def in_groups(
    groups: int = 60, copies: int = 4, classes: int = 2
) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
    """Groups of near copies; their classes overlap, so that only a copy of a group tells its class for sure."""
    rng = np.random.default_rng(7)
    label = np.arange(groups) % classes
    middles = rng.normal(size=(groups, 6)) + 1.2 * (label[:, None] == np.arange(6) % classes)
    spectra = np.repeat(middles, copies, axis=0) + 1e-3 * rng.normal(size=(groups * copies, 6))
    return spectra, np.repeat(label, copies), np.repeat(np.arange(groups), copies)


def test_groups_stay_together_where_a_leak_would_choose_the_nearest_copy() -> None:
    x, y, groups = in_groups()
    grid = {"n_neighbors": [25, 1]}
    leaky = GridSearchCV(KNeighborsClassifier(), grid, cv=KFold(5, shuffle=True, random_state=0)).fit(x, y)
    words = NeighboursWords(neighbours=(25, 1), metrics=("euclidean",))

    fitted = words.tune(x, y, groups, seed=0)

    assert leaky.best_params_ == {"n_neighbors": 1}
    assert leaky.best_score_ > 0.99
    assert fitted.settings == {"n_neighbors": 25, "metric": "euclidean"}


@pytest.mark.parametrize(("groups", "folds"), [(2, 2), (4, 4), (5, 5), (6, 5), (60, 5)])
def test_up_to_five_groups_are_left_out_one_at_a_time_and_more_in_five_folds(groups: int, folds: int) -> None:
    x, y, numbers = in_groups(groups=groups * 2)
    numbers = numbers // 2  # each group now holds both classes

    fold = tune_classes(x, y, numbers, settings=2).fold

    assert fold is not None
    assert sorted(np.unique(fold)) == list(range(folds))
    assert all(len(np.unique(fold[numbers == group])) == 1 for group in np.unique(numbers))
    assert all(set(y[fold != f]) == {0, 1} for f in range(folds))
    assert np.bincount(fold).max() <= 2 * np.bincount(fold).min()


def test_batches_of_one_class_each_are_dealt_so_that_every_fold_leaves_all_classes(data_dir: Path) -> None:
    spectra = load_set("tablets", data_dir)

    fold = tune_classes(spectra.values, spectra.targets, spectra.groups, settings=2).fold

    assert fold is not None
    for left_out in range(5):
        assert set(spectra.targets[fold != left_out]) == {0, 1, 2, 3}
        assert set(spectra.targets[fold == left_out]) == {0, 1, 2, 3}
        assert not set(spectra.groups[fold == left_out]) & set(spectra.groups[fold != left_out])


RARE = [(0, 1), (1, 0), (1, 3), (2, 2), (2, 5), (3, 0), (3, 1), (4, 0), (4, 5), (5, 0), (5, 4)]
"""Class and group: each rare class has two groups of six, so intertwined that dealing them to five folds loses one."""


@pytest.mark.parametrize("order", range(6))
def test_no_fold_leaves_a_rare_class_out_whole(order: int) -> None:
    label, group = np.array([*RARE, *((0, g) for g in range(6))]).T
    names = np.roll(np.arange(6), order)[group]
    x = np.random.default_rng(0).normal(size=(len(label), 5))

    fold = tune_classes(x, label, names, settings=2).fold

    assert fold is not None
    assert all(set(label[fold != f]) == set(range(6)) for f in np.unique(fold))
    assert all(len(np.unique(fold[names == name])) == 1 for name in range(6))


@pytest.mark.parametrize("words", CLASSIFIERS, ids=kind)
def test_tuning_knows_only_the_rows_it_is_given_and_leaves_them_as_they_were(words: Any) -> None:
    x, y, groups = in_groups(groups=20)
    everything = np.full((200, 6), np.nan)
    rows = np.sort(np.random.default_rng(2).permutation(200)[: len(x)])
    everything[rows] = x
    everything.flags.writeable = y.flags.writeable = groups.flags.writeable = False

    from_whole = words.tune(everything[rows], y, groups, seed=0)
    alone = words.tune(x.copy(), y, groups, seed=0)

    assert from_whole.settings == alone.settings
    assert np.array_equal(from_whole.scores(x), alone.scores(x))
    assert np.array_equal(everything[rows], x)


@pytest.mark.parametrize("words", [ForestWords(trees=(10,), leaves=(2, 1)), SvmWords()], ids=kind)
def test_a_seed_gives_one_result(words: Any) -> None:
    x, y, groups = in_groups(groups=20)

    one, two = (words.tune(x, y, groups, seed=5) for _ in range(2))

    assert one.settings == two.settings
    assert all(a.equal(b) for a, b in zip(one.head.state_dict().values(), two.head.state_dict().values(), strict=True))


def test_a_forest_of_another_seed_is_another() -> None:
    x, y, groups = in_groups(groups=20)
    words = ForestWords(trees=(10,), leaves=(2,))

    assert not np.array_equal(words.tune(x, y, groups, seed=1).scores(x), words.tune(x, y, groups, seed=2).scores(x))


def test_of_equally_good_settings_the_first_listed_wins() -> None:
    x = np.repeat(np.eye(4)[:2], 20, axis=0) + 0.01 * np.random.default_rng(0).normal(size=(40, 4))
    y, groups = np.repeat([0, 1], 20), np.tile(np.arange(4), 10)

    assert SvmWords().tune(x, y, groups, seed=0).settings == {"kernel": "linear", "C": 0.01}
    assert PcaLdaWords(components=(1, 2, 3)).tune(x, y, groups, seed=0).settings == {"n_components": 1}
    assert LdaWords(shrinkages=(1e-3, 1e-1)).tune(x, y, groups, seed=0).settings == {"shrinkage": 1e-3}


def test_a_rare_class_counts_as_much_as_a_large_one() -> None:
    """Naming the large class always is right for nine spectra of ten, and useless."""
    x, y, groups = in_groups(groups=40)
    kept = (y == 0) | (groups < 10)

    balanced = tune_classes(x, y, groups, settings=2)
    uneven = tune_classes(x[kept], y[kept], groups[kept], settings=2)

    assert balanced.scoring == "accuracy"
    always = KNeighborsClassifier(n_neighbors=int(kept.sum())).fit(x[kept], y[kept])
    assert uneven.scoring(always, x[kept], y[kept]) < 0.5 < always.score(x[kept], y[kept])


def test_more_components_or_neighbours_than_a_fold_can_fit_are_cut_down() -> None:
    x, y, groups = in_groups(groups=4, copies=3)

    assert PlsDaWords(components=(100, 200)).tune(x, y, groups, seed=0).settings == {"components": 6}
    assert PcaLdaWords(components=(50,)).tune(x[:, :3], y, groups, seed=0).settings == {"n_components": 3}
    assert NeighboursWords(neighbours=(50, 40), metrics=("cosine",)).tune(x, y, groups, seed=0).settings == {
        "n_neighbors": 9,
        "metric": "cosine",
    }


def test_components_end_where_the_spectra_span_nothing_more() -> None:
    """Two directions seen by forty points: a third component would be rounding, blown up to the size of a signal."""
    x, y, groups = in_groups(groups=20)
    seen = x[:, :2] @ np.random.default_rng(1).normal(size=(2, 40))

    assert PlsDaWords(components=(8,)).tune(seen, y, groups, seed=0).settings == {"components": 2}
    assert PcaLdaWords(components=(8, 12)).tune(seen, y, groups, seed=0).settings == {"n_components": 2}
    assert PlsDoseWords(components=(8, 12)).tune(seen, x[:, 0], groups, seed=0).settings == {"components": 2}


@pytest.mark.parametrize("words", CLASSIFIERS, ids=kind)
def test_what_cannot_teach_a_classifier_is_refused(words: Any) -> None:
    x, y, groups = in_groups(groups=8)
    lost = x.copy()
    lost[3, 2] = np.nan

    with pytest.raises(DataUnusable, match=r"one class.*two classes"):
        words.tune(x, np.zeros_like(y), groups, seed=0)
    with pytest.raises(DataUnusable, match=r"of one group.*second batch"):
        words.tune(x, y, np.full_like(groups, 17), seed=0)
    with pytest.raises(DataUnusable, match=r"class 1 is in one group only.*second batch"):
        words.tune(x, y, np.where(y == 1, 1, groups), seed=0)
    with pytest.raises(DataUnusable, match="without gaps"):
        words.tune(x, 2 * y, groups, seed=0)
    with pytest.raises(DataUnusable, match="without gaps"):
        words.tune(x, y - 1, groups, seed=0)
    with pytest.raises(DataUnusable, match="spectrum 3 and 0 more"):
        words.tune(lost, y, groups, seed=0)
    with pytest.raises(DataUnusable, match="are the same"):
        words.tune(np.ones_like(x), y, groups, seed=0)
    with pytest.raises(DataUnusable, match="one target and one group"):
        words.tune(x, y[1:], groups, seed=0)
    with pytest.raises(DataUnusable, match="at least two spectra"):
        words.tune(x[:1], y[:1], groups[:1], seed=0)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_setting_needs_no_groups_for_there_is_nothing_to_choose(name: str) -> None:
    x, y, groups = in_groups(groups=20)

    fitted = PUBLISHED[name].tune(x, y, np.zeros_like(groups), seed=0)

    assert fitted.scores(x).shape == (len(x), 2)


@pytest.mark.parametrize("words", DOSES, ids=kind)
def test_what_cannot_teach_a_dose_is_refused(words: Any) -> None:
    x, y, groups = in_groups(groups=8)
    amounts = y.astype(np.float64)

    with pytest.raises(DataUnusable, match="two known amounts"):
        words.tune(x, np.ones_like(amounts), groups, seed=0)
    with pytest.raises(DataUnusable, match="two known amounts"):
        words.tune(x, np.where(groups == 3, np.inf, amounts), groups, seed=0)
    with pytest.raises(DataUnusable, match=r"of one group.*second batch"):
        words.tune(x, amounts, np.zeros_like(groups), seed=0)


def test_folds_of_amounts_each_hold_low_and_high_ones() -> None:
    x, _, groups = in_groups(groups=30)
    amounts = np.repeat([100.0, 200.0, 500.0], 40)

    fold = tune_amounts(x, amounts, groups, settings=2).fold

    assert fold is not None
    assert all(set(amounts[fold == f]) == {100.0, 200.0, 500.0} for f in range(5))
    assert all(len(np.unique(fold[groups == group])) == 1 for group in range(30))


@pytest.mark.parametrize("name", BASELINES)
def test_the_baselines_of_a_report_are_tuned_by_name(name: str) -> None:
    x, y, groups = in_groups(groups=20)

    classify, settings = tuned(name, x, y, groups)

    assert (classify(x) == y).mean() > 0.6
    assert settings


def test_every_baseline_is_named_by_its_kind() -> None:
    for words in CLASSIFIERS:
        assert TypeAdapter(BaselineWords).validate_python(words.model_dump()) == words
    for words in DOSES:
        assert TypeAdapter(DoseWords).validate_python(words.model_dump()) == words


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "svm", "linear_costs": (), "rbf_costs": ()},
        {"kind": "svm", "linear_costs": (0.0,)},
        {"kind": "k-nn", "neighbours": ()},
        {"kind": "lda", "shrinkage": 0.1},
        {"kind": "oracle"},
    ],
)
def test_words_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(BaselineWords).validate_python(wrong)
