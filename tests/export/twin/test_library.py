"""What a library of pure spectra is made of, and what it is not made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from export.data.spectra import Spectra
from export.errors import DataUnusable
from export.twin.library import library_of

AXIS = np.array([300.0, 1_000.0, 2_040.0, 2_042.0])


def spectra(**changes: Any) -> Spectra:
    made = Spectra(
        axis=AXIS.copy(),
        axis_unit="cm-1",
        quantity="intensity",
        values=np.array([[1.0, 2.0, 4.0, 9.0], [5.0, 0.0, 0.0, 9.0], [3.0, 2.0, 8.0, 9.0], [7.0, 7.0, 7.0, 7.0]]),
        labels=("wine", "oil", "wine", "mixture"),
        groups=np.arange(4),
        scan=np.zeros(4, dtype=np.int64),
        contents={"wine": {"wine": 1.0}, "oil": {"oil": 1.0}},
    )
    return replace(made, **changes)


def test_pure_compounds_are_averaged_cut_and_brought_to_a_strongest_band_of_one() -> None:
    library = library_of(spectra())

    assert library.labels == ("wine", "oil")
    np.testing.assert_array_equal(library.shift_cm1, AXIS[:3])
    np.testing.assert_allclose(library.spectra, [[2 / 6, 2 / 6, 1.0], [1.0, 0.0, 0.0]])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"axis_unit": "nm"}, "not of intensity over nm"),
        ({"quantity": "absorbance"}, "not of absorbance over cm-1"),
        ({"contents": {"mixture": {"wine": 0.5, "oil": 0.5}}}, "pure"),
        ({"values": np.zeros((4, 4))}, "without any light"),
    ],
)
def test_what_gives_no_library_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataUnusable, match=words):
        library_of(spectra(**changes))
