"""How every baseline is tuned: whole groups are left out in turn, inside the rows given and nowhere else.

Groups (a batch, a filling, a day) are never on both sides. Up to five groups are left out one at a time; more are dealt
to five folds, unless those would leave a class out whole. Of equally good settings the one listed first wins, so grids
list the simpler first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from export.errors import DataUnusable

Values = NDArray[np.float64]
Targets = NDArray[np.int64]

FOLDS = 5
BALANCED = 1.5  # largest class over smallest: beyond it, accuracy would be tuned for the large classes
SAME_SCORE = 1e-9  # means over folds of equal shares differ by rounding
SECOND_GROUP = "tuning leaves whole groups out: name a second batch, filling or day, or give one value for each setting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """Rows to learn from. targets: class columns, or amounts. fold: which fold leaves each row out; None where there
    is nothing to choose. scoring: what scikit-learn is to maximise."""

    spectra: Values
    targets: NDArray[Any]
    fold: Targets | None
    scoring: Any

    @property
    def rows_to_fit(self) -> int:
        """Rows of the smallest part that a setting is fitted on, which bounds the neighbours."""
        return len(self.spectra) - (0 if self.fold is None else int(np.bincount(self.fold).max()))

    @property
    def most_components(self) -> int:
        """The rank of the centred rows, or of the part of them that has the lowest: further components are noise."""
        parts = [self.spectra]
        if self.fold is not None:
            parts = [self.spectra[self.fold != left_out] for left_out in np.unique(self.fold)]
        return max(1, min(int(np.linalg.matrix_rank(part - part.mean(axis=0))) for part in parts))

    def best(self, model: Any, grid: Sequence[Mapping[str, Any]]) -> tuple[Any, dict[str, Any]]:
        """Return the model fitted on all rows with the best setting of the grid, and that setting."""
        point = grid[0]
        if self.fold is not None and len(grid) > 1:
            search = GridSearchCV(
                model,
                [{key: [value] for key, value in point.items()} for point in grid],
                scoring=self.scoring,
                cv=PredefinedSplit(self.fold),
                refit=False,
                n_jobs=1,
                error_score="raise",
            ).fit(self.spectra, self.targets)
            scores = search.cv_results_["mean_test_score"]
            point = grid[int(np.flatnonzero(scores >= scores.max() - SAME_SCORE)[0])]
        fitted = model.set_params(**point).fit(self.spectra, self.targets)
        return fitted, {key.split("__")[-1]: value for key, value in point.items()}


def tune_classes(spectra: Values, targets: Targets, groups: Targets, *, settings: int) -> Tuning:
    """Examine rows of classes, of which `settings` settings are to be compared.

    Raises DataUnusable for one class, for a class without spectra, and, where there is a choice, for a class that is in
    one group only.
    """
    _examine(spectra, targets, groups)
    counts = np.bincount(targets) if targets.min() >= 0 else np.zeros(1)
    if not counts.all():
        raise DataUnusable(
            f"classes are numbered {targets.min()} to {targets.max()}, and not every number has spectra",
            hint="number the classes from 0 without gaps",
        )
    if len(counts) < 2:
        raise DataUnusable(
            f"all {len(targets)} spectra are of one class", hint="a classifier needs spectra of two classes"
        )
    even = counts.max() <= BALANCED * counts.min()
    return Tuning(
        spectra=spectra,
        targets=targets,
        fold=_class_folds(targets, groups) if settings > 1 else None,
        scoring="accuracy" if even else make_scorer(f1_score, average="macro", zero_division=0.0),
    )


def tune_amounts(spectra: Values, amounts: Values, groups: Targets, *, settings: int) -> Tuning:
    """Examine rows of amounts, of which `settings` settings are to be compared. Raises DataUnusable for amounts that
    are all the same or not finite, and, where there is a choice, for a single group."""
    _examine(spectra, amounts, groups)
    if not np.isfinite(amounts).all() or np.ptp(amounts) == 0:
        raise DataUnusable("amounts: not all finite, or all the same", hint="a dose model needs two known amounts")
    fold = None
    if settings > 1:
        _, group = _groups(groups)
        fold = _dealt(np.bincount(group, amounts) / np.bincount(group), FOLDS)[group]
    return Tuning(spectra=spectra, targets=amounts, fold=fold, scoring="neg_root_mean_squared_error")


def within(values: Sequence[int], limit: int) -> list[int]:
    """Return the values, in their order, none above the limit and none twice."""
    return list(dict.fromkeys(min(value, limit) for value in values))


def _examine(spectra: Values, targets: NDArray[Any], groups: Targets) -> None:
    rows = len(spectra)
    if spectra.ndim != 2 or targets.shape != (rows,) or groups.shape != (rows,) or rows < 2:
        raise DataUnusable(
            f"spectra {spectra.shape}, targets {targets.shape}, groups {groups.shape}: one target and one group for "
            "each of at least two spectra"
        )
    bad = np.flatnonzero(~np.isfinite(spectra).all(axis=1))
    if len(bad):
        raise DataUnusable(f"spectrum {bad[0]} and {len(bad) - 1} more hold values that are not finite")
    if (spectra == spectra[0]).all():
        raise DataUnusable(
            f"all {rows} spectra are the same", hint="look at the preprocessing: it left nothing of them"
        )


def _groups(groups: Targets) -> tuple[Targets, Targets]:
    names, group = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise DataUnusable(f"all {len(groups)} spectra are of one group ({names[0]})", hint=SECOND_GROUP)
    return names, group


def _class_folds(targets: Targets, groups: Targets) -> Targets:
    """Return each row's fold, such that what remains without any fold holds every class."""
    names, group = _groups(groups)
    table = np.zeros((len(names), int(targets.max()) + 1), dtype=np.int64)
    np.add.at(table, (group, targets), 1)
    groups_of = (table > 0).sum(axis=0)
    lonely = np.flatnonzero(groups_of < 2)
    if len(lonely):
        name = names[table[:, lonely[0]].argmax()]
        raise DataUnusable(f"class {lonely[0]} is in one group only ({name})", hint=SECOND_GROUP)
    rarest = np.where(table > 0, groups_of, len(names) + 1).argmin(axis=1)
    fold = _dealt(rarest, FOLDS)
    held = np.stack([table[fold == left_out].sum(axis=0) for left_out in range(fold.max() + 1)])
    if (held == held.sum(axis=0)).any():  # a rare class would be left out whole, which one group alone never is
        fold = np.arange(len(names))
    return np.asarray(fold[group], dtype=np.int64)


def _dealt(kind: NDArray[Any], count: int) -> Targets:
    """Deal groups to folds in turn, like next to like, so that each fold gets some of every kind."""
    order = np.argsort(kind, kind="stable")
    fold = np.empty(len(kind), dtype=np.int64)
    fold[order] = np.arange(len(kind)) % min(count, len(kind))
    return fold
