"""Mixtures as a whole: the same from the same seed, bounded in memory, clear refusals."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.data.catalogue import load_set
from export.data.mixtures.library import Library, library_of, outsiders_of
from export.data.mixtures.recipes import A0, A1
from export.data.mixtures.synthesise import CHUNK, Mixtures, synthesise
from export.data.mixtures.synthetic import synthetic_library
from export.data.mixtures.words import Raman, Synthesis
from export.errors import DataUnusable
from tests.export.data.mixtures.made import (
    AXIS,
    SHIFTS,
    bands,
    composition,
    library,
    nir_words,
    powders,
    raman,
    synthesis,
)

SINGLE = 3e-6  # what float32 leaves of a weighted sum
STRANGERS = library(0.5 + bands(AXIS, [1350.0, 1600.0], 30.0), prefix="stranger")
ARRAYS = ("values", "shares", "outsider", "effective")


def same(first: Mixtures, second: Mixtures) -> bool:
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in ARRAYS)


@pytest.mark.parametrize("words", [A0, A1])
@pytest.mark.parametrize("source", [powders(), raman()])
def test_a_seed_gives_the_same_mixtures_whatever_the_number_of_threads(words: Synthesis, source: Library) -> None:
    made = [
        synthesise(source, words, 3 * CHUNK + 7, np.random.default_rng(seed), grid=source.axis[5:-5], workers=workers)
        for seed, workers in ((1, 1), (1, 2), (1, 3), (2, 1))
    ]

    assert same(made[0], made[1])
    assert same(made[0], made[2])
    assert not same(made[0], made[3])


def test_two_calls_with_one_generator_differ() -> None:
    rng = np.random.default_rng(1)

    first, second = (synthesise(powders(), A0, 20, rng, grid=AXIS) for _ in range(2))

    assert not same(first, second)


@pytest.mark.parametrize("words", [A0, A1])
@pytest.mark.parametrize("source", [powders(), raman(12)])
def test_ready_recipes_give_finite_spectra_whose_labels_agree(words: Synthesis, source: Library) -> None:
    made = synthesise(source, words, 2000, np.random.default_rng(3), grid=source.axis[3:-3])

    assert made.values.dtype == np.float32
    assert made.values.shape == (2000, len(source.axis) - 6)
    assert np.isfinite(made.values).all()
    held = made.shares.sum(axis=1)
    assert np.all((np.abs(held - 1) < 1e-6) | (held == 0))
    assert np.array_equal(made.present, made.effective > 0)
    assert made.effective.sum(axis=1) == pytest.approx(np.where(held > 0, 1.0, 0.0), abs=1e-6)


def test_a_real_library_makes_mixtures_within_the_range_of_real_ones(data_dir: Path) -> None:
    spectra = load_set("powders12", data_dir)
    strangers = outsiders_of(load_set("isoniazid", data_dir)).on(spectra.axis)
    grid = np.linspace(904.0, 1698.0, 224)

    made = synthesise(
        library_of(spectra), A1, 1000, np.random.default_rng(4), grid=grid, target="lactose", outsiders=strangers
    )

    sampled = made.values[(made.shares.sum(axis=1) + made.outsider) > 0]
    assert np.quantile(sampled, [0.01, 0.99]) == pytest.approx(np.quantile(spectra.values, [0.01, 0.99]), abs=0.35)
    assert made.present[::2, 2].all()
    assert not made.present[1::2, 2].any()
    assert (made.outsider > 0).mean() == pytest.approx(0.2, abs=0.05)


def test_memory_beside_the_result_does_not_grow_with_the_number_of_mixtures() -> None:
    source = synthetic_library(60, 512, seed=1).library
    peaks = []
    for n in (2 * CHUNK, 12 * CHUNK):
        tracemalloc.start()
        made = synthesise(source, A1, n, np.random.default_rng(0), grid=np.linspace(210, 1990, 512))
        peaks.append(tracemalloc.get_traced_memory()[1] - sum(getattr(made, name).nbytes for name in ARRAYS))
        tracemalloc.stop()

    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 40e6


def test_a_stranger_is_seen_but_never_named() -> None:
    words = synthesis(composition(components=(1, 1), least=0.1, outsiders=1.0), nir=nir_words())

    made = synthesise(powders(), words, 600, np.random.default_rng(6), grid=AXIS, outsiders=STRANGERS)

    assert (made.outsider >= np.float32(0.1)).all()
    rest = made.values - made.shares @ powders().values.astype(np.float32)
    by_stranger = np.abs(rest[:, None] - made.outsider[:, None, None] * STRANGERS.values[None]).max(axis=2)
    assert by_stranger.min(axis=1).max() < SINGLE
    assert set(by_stranger.argmin(axis=1)) == {0, 1}


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a grid beyond the axis": ({"grid": np.linspace(880.0, 1700.0, 100)}, "leaves the library's axis"),
    "a grid that descends": ({"grid": AXIS[::-1]}, "ascend"),
    "a grid with uneven steps": ({"grid": np.delete(AXIS, 7)}, "steps from 5 to 10"),
    "no mixtures": ({"n": 0}, "0 mixtures"),
    "too many": ({"n": 10**9}, "1000000000 mixtures"),
    "an unknown target": ({"target": "water"}, "no 'water'"),
    "a stranger that is none": ({"outsiders": library(powders().values, prefix="Compound")}, "hold Compound 0"),
    "strangers on another axis": ({"outsiders": STRANGERS.on(AXIS[::2])}, "not on the library's axis"),
    "strangers of counts": ({"outsiders": replace(STRANGERS, quantity="intensity")}, "of intensity beside"),
    "no words for the technique": ({"words": synthesis(raman=Raman())}, "no words for NIR"),
    "points that nearly coincide": (
        {"words": A1, "library": powders().on(np.sort(np.append(AXIS, AXIS[50] + 1e-6)))},
        "without points that nearly coincide",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_made_is_refused_in_words(case: str) -> None:
    change, why = REFUSED[case]
    asked: dict[str, Any] = {"library": powders(), "words": A0, "n": 4, "grid": AXIS} | change

    with pytest.raises(DataUnusable, match=why) as caught:
        synthesise(rng=np.random.default_rng(0), **asked)

    assert caught.value.hint


def test_raman_spectra_without_light_are_refused() -> None:
    dark = library(np.zeros((2, len(SHIFTS))), SHIFTS, quantity="intensity", axis_unit="cm-1", prefix="dark")

    with pytest.raises(DataUnusable, match="2 of 2 spectra have no light"):
        synthesise(raman(), A1, 4, np.random.default_rng(0), grid=SHIFTS, containers=dark)


def test_blanks_of_counts_are_refused() -> None:
    counts = library(10.0 ** powders().values, quantity="intensity")

    with pytest.raises(DataUnusable, match="blanks of counts"):
        synthesise(counts, synthesis(composition(blanks=0.1), nir=nir_words()), 4, np.random.default_rng(0), grid=AXIS)
