"""Splits keep together what belongs together."""

from __future__ import annotations

import numpy as np
import pytest

from export.data.split import Blocks, grouped_parts, split_of
from export.errors import DataUnusable
from tests.export.data.made import made_up


def test_no_block_is_on_both_sides_of_a_split() -> None:
    spectra = made_up()

    split = split_of(spectra, Blocks(kind="blocks", scans=5, test=2))

    key = [(label, block) for label, block in zip(spectra.labels, split.part.tolist(), strict=True)]
    held_out = {key[row] for row in split.test}
    assert held_out == {(label, 2) for label in spectra.classes}
    assert not held_out & {key[row] for row in split.development}
    for fold in split.folds:
        train, held = {key[row] for row in fold.train}, {key[row] for row in fold.held}
        assert not train & held
        assert not (train | held) & held_out
        assert train | held == {key[row] for row in split.development}


def test_the_folds_hold_out_each_development_spectrum_once() -> None:
    split = split_of(made_up(), Blocks(kind="blocks", scans=5, test=4))

    held = np.concatenate([fold.held for fold in split.folds])

    assert sorted(held.tolist()) == split.development.tolist()
    assert sorted([*split.development.tolist(), *split.test.tolist()]) == list(range(75))


def test_blocks_are_contiguous_scans() -> None:
    spectra = made_up()

    split = split_of(spectra, Blocks(kind="blocks", scans=5, test=1))

    for label in spectra.classes:
        rows = [row for row in split.test if spectra.labels[row] == label]
        assert spectra.scan[rows].tolist() == [5, 6, 7, 8, 9]


def test_a_test_block_that_does_not_exist_is_refused() -> None:
    with pytest.raises(DataUnusable, match="part 5 is to be held out of 5"):
        split_of(made_up(), Blocks(kind="blocks", scans=5, test=5))


def test_whole_groups_are_dealt_and_every_part_has_its_share_of_each_class() -> None:
    targets = np.repeat([0, 1, 2], [70, 80, 160])
    groups = np.arange(310) // 10

    part = grouped_parts(targets, groups, parts=5, seed=3)

    for group in range(31):
        assert len(set(part[groups == group].tolist())) == 1
    shares = np.array([[np.sum((part == p) & (targets == t)) for p in range(5)] for t in range(3)])
    assert (shares.max(axis=1) - shares.min(axis=1) <= 10).all()
    assert (grouped_parts(targets, groups, parts=5, seed=3) == part).all()
    assert (grouped_parts(targets, groups, parts=5, seed=4) != part).any()


def test_a_class_with_fewer_groups_than_parts_is_refused() -> None:
    with pytest.raises(DataUnusable, match="a class has 2 groups, 3 parts"):
        grouped_parts(np.repeat([0, 1], [20, 30]), np.arange(50) // 10, parts=3, seed=0)
