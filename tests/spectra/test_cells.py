"""Many cells at once are read as each alone is: the same numbers, or the error of the first bad one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.spectra.formats.cells import Dialect
from edged.spectra.spectrum import SpectrumError

CELLS = st.sampled_from(
    [
        "1",
        "1.5",
        "1,5",
        "-2e3",
        "nan",
        "inf",
        "-inf",
        "1e30",
        "1e31",
        "-1e31",
        "1_0",
        "",
        "x",
        "1,2,3",
        "1.2,3",
        "1,5e2",
    ]
)


@given(cells=st.lists(CELLS, min_size=1, max_size=8), decimal_comma=st.booleans())
def test_values_are_those_of_each_cell(cells: list[str], decimal_comma: bool) -> None:
    dialect = Dialect(delimiter=";", decimal_comma=decimal_comma)
    wanted: list[float] = []
    error: SpectrumError | None = None
    for column, cell in enumerate(cells, start=2):
        try:
            wanted.append(dialect.value(cell, f"line 7, column {column}"))
        except SpectrumError as found:
            error = found
            break

    if error is None:
        assert dialect.values(cells, "line 7", 2) == wanted
    else:
        with pytest.raises(SpectrumError) as caught:
            dialect.values(cells, "line 7", 2)
        assert caught.value.message == error.message


@pytest.mark.parametrize(("cell", "number"), [("1,5", 1.5), ("-0,25e1", -2.5), ("3.5", 3.5), ("4", 4.0)])
def test_a_decimal_comma_is_read_as_one(cell: str, number: float) -> None:
    assert Dialect(delimiter=";", decimal_comma=True).values([cell, cell], "line 1", 1) == [number, number]
