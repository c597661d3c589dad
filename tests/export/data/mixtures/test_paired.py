"""Mixtures seen by two techniques: one composition, each half what its technique alone would make of it."""

from __future__ import annotations

import numpy as np
import pytest

from export.data.mixtures.laws import draw
from export.data.mixtures.library import Library
from export.data.mixtures.paired import synthesise_pairs
from export.data.mixtures.recipes import A1
from export.data.mixtures.synthesise import CHUNK, bench_of, synthesise
from export.data.mixtures.words import Synthesis
from export.errors import DataUnusable
from tests.export.data.mixtures.made import AXIS, SHIFTS, bands, library, raman

CENTRES = [950.0, 1100.0, 1300.0, 1500.0]
NIR = library(0.3 + bands(AXIS, CENTRES, 40.0))
RAMAN = raman(4)
GRIDS = AXIS[5:-5], SHIFTS[5:-5]
BLIND = A1.model_copy(update={"composition": A1.composition.model_copy(update={"neighbours": 0.0})})
N = CHUNK + 44


def test_a_pair_holds_the_same_in_the_same_shares_and_shows_them_by_itself() -> None:
    nir, shifted = synthesise_pairs((NIR, RAMAN), A1, 3000, np.random.default_rng(1), grids=GRIDS)

    assert np.array_equal(nir.shares, shifted.shares)
    assert not nir.outsider.any()
    assert nir.values.shape == (3000, len(GRIDS[0]))
    assert shifted.values.shape == (3000, len(GRIDS[1]))
    held = (nir.shares > 0).sum(axis=1) == 2
    shows = [
        np.log(np.divide(*(np.sort(half.effective[held] / half.shares[held].clip(1e-9), axis=1)[:, -2:].T)))
        for half in (nir, shifted)
    ]
    assert all(each.std() > 0.1 for each in shows)
    assert abs(np.corrcoef(*shows)[0, 1]) < 0.1


@pytest.mark.parametrize(("libraries", "grids"), [((NIR, RAMAN), GRIDS), ((RAMAN, NIR), GRIDS[::-1])])
def test_the_first_half_is_to_the_bit_what_its_technique_alone_is_given(
    libraries: tuple[Library, Library], grids: tuple[np.ndarray, np.ndarray]
) -> None:
    first, _ = synthesise_pairs(libraries, BLIND, N, np.random.default_rng(3), grids=grids)

    alone = synthesise(libraries[0], BLIND, N, np.random.default_rng(3), grid=grids[0])
    assert np.array_equal(first.values, alone.values)
    assert np.array_equal(first.effective, alone.effective)


def test_each_half_is_to_the_bit_what_its_bench_shows_of_the_drawn_composition() -> None:
    nir, shifted = synthesise_pairs((NIR, RAMAN), A1, N, np.random.default_rng(4), grids=GRIDS)

    seeds = np.random.default_rng(4).integers(2**63 - 1, size=2)
    neighbours = np.concatenate([one.nearest(A1.composition.nearest) for one in (NIR, RAMAN)], axis=1)
    benches = [bench_of(one, A1, grid, None, None) for one, grid in zip((NIR, RAMAN), GRIDS, strict=True)]
    for seed, start, stop in zip(seeds.tolist(), (0, CHUNK), (CHUNK, N), strict=True):
        own = np.random.default_rng(seed)
        (other,) = np.random.default_rng(seed).spawn(1)
        drawn = draw(A1.composition, neighbours, stop - start, own, strangers=False)
        for half, bench, stream in zip((nir, shifted), benches, (own, other), strict=True):
            values, effective = bench.spectra(drawn, stream)
            assert np.array_equal(half.values[start:stop], values)
            assert np.array_equal(half.effective[start:stop], effective)
            assert np.array_equal(half.shares[start:stop], drawn.dense(4))


def test_pairs_are_the_same_whatever_the_number_of_threads() -> None:
    one, two = (
        synthesise_pairs((NIR, RAMAN), A1, N, np.random.default_rng(5), grids=GRIDS, workers=workers)
        for workers in (1, 2)
    )

    for first, second in zip(one, two, strict=True):
        assert np.array_equal(first.values, second.values)


def test_look_alikes_are_those_of_either_technique() -> None:
    """Compounds 0 and 1 are alike in the first, 0 and 3 in the second: of what lacks 0, both stand in for it."""
    near = library(0.3 + bands(AXIS, [1000.0, 1005.0, 1300.0, 1600.0], 40.0))
    far = library(bands(SHIFTS, [400.0, 900.0, 1400.0, 402.0], 12.0), SHIFTS, quantity="intensity", axis_unit="cm-1")
    holds = A1.composition.model_copy(update={"components": (1, 1), "neighbours": 1.0, "nearest": 1, "blanks": 0.0})
    words = A1.model_copy(update={"composition": holds})

    made, _ = synthesise_pairs((near, far), words, 4000, np.random.default_rng(6), grids=GRIDS, target=near.names[0])

    lacking = made.present[1::2].mean(axis=0)
    assert lacking == pytest.approx([0.0, 0.5, 0.0, 0.5], abs=0.05)


def test_libraries_of_other_compounds_are_refused() -> None:
    others = library(bands(SHIFTS, CENTRES, 12.0), SHIFTS, quantity="intensity", axis_unit="cm-1", prefix="other")

    with pytest.raises(DataUnusable, match="do not hold the same compounds: compound 0") as caught:
        synthesise_pairs((NIR, others), A1, 4, np.random.default_rng(0), grids=GRIDS)
    assert caught.value.hint
    with pytest.raises(DataUnusable, match="their order"):
        synthesise_pairs((NIR, RAMAN.of(RAMAN.names[::-1])), A1, 4, np.random.default_rng(0), grids=GRIDS)


def test_a_technique_without_words_is_refused() -> None:
    with pytest.raises(DataUnusable, match="no words for Raman"):
        synthesise_pairs(
            (NIR, RAMAN), Synthesis(composition=A1.composition, nir=A1.nir), 4, np.random.default_rng(0), grids=GRIDS
        )
