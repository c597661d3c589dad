"""Pure spectra out of a set, and who looks like whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from export.data.catalogue import load_set
from export.data.mixtures.library import library_of, outsiders_of
from export.data.mixtures.synthetic import synthetic_library
from export.data.split import Blocks, split_of
from export.errors import DataUnusable
from tests.export.data.made import made_up
from tests.export.data.mixtures.made import AXIS, powders, raman


def test_a_library_holds_the_pure_spectra_and_no_other(data_dir: Path) -> None:
    spectra = load_set("powders12", data_dir)

    library = library_of(spectra)

    assert library.names == ("acetaminophen", "ascorbic acid", "lactose")
    assert np.bincount(library.compound).tolist() == [100, 100, 100]
    assert library.technique == "NIR"
    lactose = spectra.values[np.array(spectra.labels) == "100LA"]
    assert np.array_equal(library.values[library.compound == 2], lactose)


def test_the_two_sides_of_a_split_have_the_same_columns_and_no_filling_in_common(data_dir: Path) -> None:
    spectra = load_set("powders12", data_dir)
    split = split_of(spectra, Blocks(kind="blocks", scans=20, test=4))

    train, test = library_of(spectra, split.development), library_of(spectra, split.test)

    assert train.names == test.names
    assert len(train.compound) == 240
    assert len(test.compound) == 60
    assert not set(train.groups) & set(test.groups)


def test_a_raman_set_is_told_by_its_axis_and_quantity(data_dir: Path) -> None:
    library = library_of(load_set("raman-powders", data_dir))

    assert (library.technique, library.axis_unit, len(library.names)) == ("Raman", "cm-1", 6)


def test_a_side_without_a_compound_is_refused(data_dir: Path) -> None:
    spectra = load_set("powders12", data_dir)
    rows = np.flatnonzero(np.array(spectra.labels) != "100LA")

    with pytest.raises(DataUnusable, match="no pure spectrum of lactose"):
        library_of(spectra, rows)


def test_a_set_that_tells_no_composition_has_no_library() -> None:
    with pytest.raises(DataUnusable, match="no label of these spectra is of a pure compound"):
        library_of(made_up())


def test_outsiders_remember_what_they_are_known_to_hold(data_dir: Path) -> None:
    strangers = outsiders_of(load_set("powders-ternary", data_dir))

    assert len(strangers.names) == 4
    assert strangers.holds == {"acetaminophen", "ascorbic acid", "lactose"}


def test_the_nearest_are_those_whose_slopes_correlate_best() -> None:
    library = synthetic_library(40, 400, seed=5).library
    slopes = np.gradient(library.values, library.axis, axis=1)
    found = NearestNeighbors(n_neighbors=6, metric="correlation").fit(slopes).kneighbors(return_distance=False)

    assert np.array_equal(library.nearest(6), found)


def test_there_are_no_more_neighbours_than_others() -> None:
    assert powders().nearest(10).shape == (3, 2)


def test_a_library_may_be_cut_to_some_compounds_in_another_order() -> None:
    library = powders()

    cut = library.of(["compound 2", "compound 0"])

    assert cut.names == ("compound 2", "compound 0")
    assert np.array_equal(cut.values, library.values[[2, 0]])
    with pytest.raises(DataUnusable, match="no compound 9"):
        library.of(["compound 9"])


def test_another_axis_is_reached_by_interpolation_and_never_beyond_the_end() -> None:
    library = powders()
    axis = np.linspace(899.0, 1700.0, 97)

    moved = library.on(axis)

    for ours, row in zip(moved.values, library.values, strict=True):
        assert np.abs(ours - np.interp(axis, AXIS, row)).max() < 1e-15
    with pytest.raises(DataUnusable, match="do not cover"):
        library.on(np.linspace(890.0, 1700.0, 97))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"names": ("a", "a", "b")}, "of which 2 differ"),
        ({"names": ("a", "b", "c", "d")}, "no spectrum of d"),
        ({"axis": AXIS[::-1].copy()}, "ascend"),
        ({"values": np.full((3, len(AXIS)), np.nan)}, "all finite"),
        ({"groups": np.arange(2)}, "for 3 spectra"),
    ],
)
def test_a_library_that_cannot_be_is_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(DataUnusable, match=words):
        replace(powders(), **change)  # type: ignore[arg-type]


def test_the_arrays_of_a_library_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        raman().values[0, 0] = 1.0
