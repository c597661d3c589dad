"""Weighted sums of rows, each moved: next to numpy's interpolation, and to the bit in the order that seeds rest on."""

from __future__ import annotations

import numpy as np
import pytest

from export.data.mixtures.shelf import ROWS, Entries, shelf_of

AXIS = np.linspace(200.0, 400.0, 101)
GRID = np.linspace(210.0, 390.0, 61)
MOST = 37  # entries of a mixture: sixteen compounds and a stranger, all blended, one refilled


def _entries(rng: np.random.Generator, n: int, *, moves: bool) -> Entries:
    """Mixtures of nothing, of one entry, of more than are added up at once; in no order."""
    count = np.concatenate([np.arange(MOST + 1), [ROWS + 40], rng.integers(MOST + 1, size=n - MOST - 2)])
    mixture = rng.permutation(np.repeat(np.arange(n), count))
    many = len(mixture)
    return Entries(
        mixture=mixture,
        row=rng.integers(5, size=many),
        weight=rng.normal(size=many),
        moved=rng.normal(0.0, 20.0, size=many) if moves else None,
        stretched=rng.normal(size=many) if moves else None,
    )


@pytest.mark.parametrize("moves", [False, True])
def test_mixtures_are_the_weighted_sums_of_their_rows_where_those_have_moved_to(moves: bool) -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(size=(5, len(AXIS)))
    entries, n = _entries(rng, 80, moves=moves), 80

    sums = shelf_of([table], AXIS, GRID, moves=moves).sums(entries, n)

    expected = np.zeros((n, len(GRID)))
    along = np.linspace(-1.0, 1.0, len(GRID))
    for e, mixture in enumerate(entries.mixture):
        at = GRID.copy()
        if entries.moved is not None and entries.stretched is not None:
            at += entries.moved[e] + entries.stretched[e] * along
        expected[mixture] += entries.weight[e] * np.interp(at, AXIS, table[entries.row[e]])
    np.testing.assert_allclose(sums, expected, atol=2e-3)  # places are float32, in a table of 400 points


def test_entries_are_added_in_the_order_of_numpys_reduceat_to_the_bit() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal(size=(5, len(AXIS)))
    entries, n = _entries(rng, 80, moves=False), 80
    shelf = shelf_of([table], AXIS, GRID, moves=False)

    sums = shelf.sums(entries, n)

    order = np.argsort(entries.mixture, kind="stable")
    parts = shelf.on_grid[entries.row[order]] * entries.weight[order, None].astype(np.float32)
    mixture = entries.mixture[order]
    first = np.flatnonzero(np.diff(mixture, prepend=-1))
    fits = np.bincount(mixture, minlength=n) <= MOST
    expected = np.zeros_like(sums)
    expected[mixture[first]] = np.add.reduceat(parts, first, axis=0)
    assert np.array_equal(sums[fits], expected[fits])
    assert not sums[0].any()
