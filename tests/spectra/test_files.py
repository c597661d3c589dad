from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.spectra.files import read_spectra
from edged.spectra.rows import FileError, Found, Lost, Row
from edged.spectra.spectrum import Spectrum, SpectrumError

AXIS = [900.5, 904.0, 908.25, 912.0, 916.0, 920.0, 924.0, 928.5]
A = [1.0, 1.5, 2.25, 1.125, -0.5, 0.0, 3.0, 1e-3]
B = [0.5, 0.25, 0.125, 1.0, 1.0, 1.0, 2.0, 2.5]


def text(rows: list[list[Any]], delimiter: str = ",", comma: bool = False) -> bytes:
    cells = [[str(cell).replace(".", ",") if comma else str(cell) for cell in row] for row in rows]
    return "".join(delimiter.join(row) + "\n" for row in cells).encode()


def columns(*columns: list[Any]) -> list[list[Any]]:
    return [list(row) for row in zip(*columns, strict=True)]


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def put(data: bytes, name: str = "s.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return put


def spectra(rows: list[Row]) -> list[Spectrum]:
    assert all(isinstance(row, Found) for row in rows), rows
    return [row.spectrum for row in rows if isinstance(row, Found)]


def assert_a_and_b(rows: list[Row], titles: list[str], unit: str = "nm") -> None:
    first, second = spectra(rows)
    assert [row.row for row in rows] == [1, 2]
    np.testing.assert_array_equal(first.axis, AXIS)
    np.testing.assert_array_equal(first.values, np.array(A, dtype=np.float32))
    np.testing.assert_array_equal(second.values, np.array(B, dtype=np.float32))
    assert [first.title, second.title] == titles
    assert (first.axis_unit, first.quantity, first.saturated) == (unit, "absorbance", None)


WIDE: dict[str, tuple[list[list[Any]], list[str]]] = {
    "axis alone": ([AXIS, A, B], ["", ""]),
    "unit in the corner": ([["nm", *AXIS], ["a", *A], ["b", *B]], ["a", "b"]),
    "empty corner": ([["", *AXIS], ["a", *A], ["b", *B]], ["a", "b"]),
    "unit in the corner, no names": ([["nm", *AXIS], A, B], ["", ""]),
    "names without a corner": ([AXIS, ["a", *A], ["b", *B]], ["a", "b"]),
    "numbers as names": ([["id", *AXIS], [1, *A], [2, *B]], ["1", "2"]),
    "two leading columns": ([["dose", "lot", *AXIS], [5, "x", *A], [7, "y", *B]], ["x", "y"]),
    "label at the end": ([[*AXIS, "label"], [*A, "a"], [*B, "b"]], ["a", "b"]),
    "trailing delimiters": ([["", *AXIS, "", ""], ["a", *A, "", ""], ["b", *B]], ["a", "b"]),
    "names with quotes": ([["", *AXIS], ['"a, 5 mg"', *A], ['"b ""x"""', *B]], ["a, 5 mg", 'b "x"']),
}


@pytest.mark.parametrize("name", WIDE)
def test_a_wide_table_gives_one_spectrum_a_row(name: str, write: Any) -> None:
    rows, titles = WIDE[name]

    assert_a_and_b(list(read_spectra(write(text(rows)))), titles)


COLUMNS = {
    "names": ([["nm", "a", "b"], *columns(AXIS, A, B)], ["a", "b"]),
    "no names": (columns(AXIS, A, B), ["", ""]),
    "numbers as names": ([["Wavelength (nm)", 1, 2], *columns(AXIS, A, B)], ["1", "2"]),
    "trailing delimiters": ([["nm", "a", "b", ""], *columns(AXIS, A, B, [""] * 8)], ["a", "b"]),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_wise_table_gives_one_spectrum_a_column(name: str, write: Any) -> None:
    rows, titles = COLUMNS[name]

    assert_a_and_b(list(read_spectra(write(text(rows)))), titles)


def test_many_columns_without_names_are_not_taken_for_an_axis(write: Any) -> None:
    many = columns(AXIS, *([A, B] * 6))

    rows = spectra(list(read_spectra(write(text(many)))))

    assert len(rows) == 12
    np.testing.assert_array_equal(rows[3].values, np.array(B, dtype=np.float32))


def test_many_columns_named_by_number_are_not_taken_for_an_axis(write: Any) -> None:
    many = [["nm", *range(1, 13)], *columns(AXIS, *([A, B] * 6))]

    rows = spectra(list(read_spectra(write(text(many)))))

    assert [row.title for row in rows] == [str(n) for n in range(1, 13)]
    np.testing.assert_array_equal(rows[0].axis, AXIS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_delimiters_line_ends_and_byte_order_marks_do_not_matter(
    delimiter: str, end: bytes, mark: bytes, write: Any
) -> None:
    data = mark + text([["nm", *AXIS], ["a", *A], ["b", *B]], delimiter).replace(b"\n", end) + end

    assert_a_and_b(list(read_spectra(write(data))), ["a", "b"])


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_decimal_comma_is_read_where_the_comma_is_no_delimiter(delimiter: str, write: Any) -> None:
    wide = text([["nm", *AXIS], ["a", *A], ["b", *B]], delimiter, comma=True)
    columnar = text([["nm", "a", "b"], *columns(AXIS, A, B)], delimiter, comma=True)

    assert_a_and_b(list(read_spectra(write(wide))), ["a", "b"])
    assert_a_and_b(list(read_spectra(write(columnar))), ["a", "b"])


def test_comments_and_empty_lines_are_passed_over(write: Any) -> None:
    data = b"# made by hand\n\n" + text([["nm", *AXIS]]) + b",,,\n" + text([["a", *A]]) + b"\n#\n" + text([["b", *B]])

    assert_a_and_b(list(read_spectra(write(data))), ["a", "b"])


@pytest.mark.parametrize(
    ("corner", "axis", "asked", "unit"),
    [
        ("", [900 + 4 * i for i in range(9)], None, "nm"),
        ("", [2700 + 4 * i for i in range(9)], None, "cm-1"),
        ("", [900 + 4 * i for i in range(9)], "cm-1", "cm-1"),
        ("nm", [2700 + 4 * i for i in range(9)], None, "nm"),
        ("cm-1", [900 + 4 * i for i in range(9)], None, "cm-1"),
        ("Wavenumber (cm^-1)", [900 + 4 * i for i in range(9)], None, "cm-1"),
        ("Raman shift", [200 + i for i in range(9)], None, "cm-1"),
        ("Wavelenght (nm)", [900 + 4 * i for i in range(9)], None, "nm"),
        ("nm", [900 + 4 * i for i in range(9)], "cm-1", "cm-1"),
    ],
)
def test_the_unit_is_what_was_said_then_what_the_file_says_then_what_it_looks_like(
    corner: str, axis: list[int], asked: Any, unit: str, write: Any
) -> None:
    path = write(text([[corner, *axis], ["a", *([1.0] * 9)]]))

    assert spectra(list(read_spectra(path, unit=asked)))[0].axis_unit == unit


def test_an_axis_that_may_be_either_unit_is_asked_about(write: Any) -> None:
    with pytest.raises(FileError, match="100 to 1700 may be nm or 1/cm") as caught:
        list(read_spectra(write(text([["", *range(100, 1800, 100)], ["a", *([1.0] * 17)]]))))

    assert "--unit" in caught.value.hint


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("nan", "line 3, column 4: 'nan' is not a finite number"),
        ("inf", "line 3, column 4: 'inf' is not a finite number"),
        ("1e300", "line 3, column 4: '1e300' is beyond any measurement"),
        ("1_0", "line 3, column 4: '1_0' is not a number"),
        ("low", "line 3, column 4: 'low' is not a number"),
        ("", "line 3, column 4 is empty"),
        ("x" * 99, "line 3, column 4: '" + "x" * 40 + "…' is not a number"),
    ],
)
def test_a_bad_cell_loses_its_own_row_and_says_where_it_is(cell: str, message: str, write: Any) -> None:
    path = write(text([["nm", *AXIS], ["a", *A], ["bad", *A[:2], cell, *A[3:]], ["b", *B]]))

    first, lost, last = read_spectra(path)

    assert isinstance(lost, Lost)
    assert (lost.row, lost.title) == (2, "bad")
    assert lost.error.message == f"{path}: {message}"
    assert lost.error.hint
    assert [row.spectrum.title for row in (first, last) if isinstance(row, Found)] == ["a", "b"]
    assert last.row == 3


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("nan", "line 4, column 3: 'nan' is not a finite number"),
        ("low", "line 4, column 3: 'low' is not a number"),
        ("", "line 4, column 3 is empty"),
    ],
)
def test_a_bad_cell_loses_its_own_column_and_says_where_it_is(cell: str, message: str, write: Any) -> None:
    bad = [*A[:2], cell, *A[3:]]
    path = write(text([["nm", "a", "bad", "b"], *columns(AXIS, A, bad, B)]))

    first, lost, last = read_spectra(path)

    assert isinstance(lost, Lost)
    assert (lost.row, lost.title, lost.error.message) == (2, "bad", f"{path}: {message}")
    assert isinstance(first, Found)
    assert isinstance(last, Found)
    np.testing.assert_array_equal(last.spectrum.values, np.array(B, dtype=np.float32))


def test_a_row_too_short_or_too_long_is_lost_alone(write: Any) -> None:
    path = write(text([["nm", *AXIS], ["short", *A[:5]], ["long", *A, 7, 8], ["b", *B]]))

    short, long, last = read_spectra(path)

    assert isinstance(short, Lost)
    assert short.error.message == f"{path}: line 2 has 5 values, the axis 8"
    assert isinstance(long, Lost)
    assert long.error.message == f"{path}: line 3 has 10 values, the axis 8"
    assert isinstance(last, Found)


DOWN = AXIS[::-1]
UNSORTED = [*AXIS[:3], AXIS[2], *AXIS[4:]]
REFUSED = {
    "descending, wide": (text([["nm", *DOWN], ["a", *A]]), "line 1: the axis descends from 928.5 to 900.5", "sort"),
    "descending, columns": (text([["nm", "a"], *columns(DOWN, A)]), "the axis descends from 928.5 to 900.5", "sort"),
    "descending, no corner": (text([DOWN, A]), "line 1: the axis descends from 928.5 to 900.5", "sort"),
    "twice": (text([["nm", *UNSORTED], ["a", *A]]), "line 1: the axis does not rise at point 4: 908.25 after", "sort"),
    "text in the axis": (
        text([["nm", *AXIS[:3], "x", *AXIS[3:]], ["a", *A]]),
        "line 1, column 5: 'x' is not",
        "first row",
    ),
    "nan in the axis": (
        text([["nm", *AXIS[:3], "nan", *AXIS[3:]], ["a", *A]]),
        "line 1, column 5: 'nan' is not",
        "first",
    ),
    "text in the axis column": (
        text([["nm", "a"], *columns([*AXIS[:3], "x", *AXIS[4:]], A)]),
        "line 5, column 1: 'x'",
        "",
    ),
    "no rows": (text([["nm", *AXIS]]), "holds an axis of 8 points and no spectrum", "one row a spectrum"),
    "no rows, columns": (text([["nm", "a", "b"]]), "holds 2 names and no values", "one row an axis position"),
    "empty": (b"", "is empty", "file with spectra"),
    "blank": (b"\n \n,,\n", "is empty", "file with spectra"),
    "too few points": (text([["nm", "a"], [900, 1], [904, 2]]), "2 axis positions; a spectrum has 8 to 65536", ""),
    "prose": (b"This is a letter.\nIt holds no spectra.\n", "no table of spectra", "edged analyze --help"),
    "binary": (bytes(range(256)) * 40, "line 1 holds binary data", "CSV"),
    "utf-16": ("nm,1,2\n".encode("utf-16"), "is UTF-16 text", "UTF-8"),
    "beyond optics": (text([["", *range(200_000, 200_090, 10)], ["a", *A, 1]]), "neither in nm nor in 1/cm", ""),
    "jcamp": (b"##TITLE=tannic acid\n##JCAMP-DX=4.24\n", "JCAMP-DX without data", "XYDATA"),
    "one long line": (b"a" * (3 << 20), "line 1 is longer than 2 MiB", "no table"),
    "ragged columns": (text([["nm", "a"], [900, 1], [904, 2, 3]]), "line 3 has 3 cells, the first row 2", ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_gives_no_spectra_is_refused_with_its_name_the_place_and_the_cure(name: str, write: Any) -> None:
    data, message, hint = REFUSED[name]
    path = write(data)

    with pytest.raises(FileError) as caught:
        list(read_spectra(path))

    assert str(path) in caught.value.message
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_a_missing_file_a_folder_and_a_device_are_told_apart(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "none.csv", "no such file"),
        (tmp_path, "is a folder"),
        (Path("/dev/zero"), "is a device"),
        (tmp_path / "x" / "y", "no such file"),
        (tmp_path / "\0", "is not a path"),
    ):
        with pytest.raises(FileError, match=message) as caught:
            list(read_spectra(path))
        assert caught.value.hint


def test_titles_lose_what_a_terminal_would_obey(write: Any) -> None:
    path = write(text([["nm", *AXIS], ["\u202eevil\u2028" + "x" * 300, *A]]))

    (row,) = spectra(list(read_spectra(path)))

    assert row.title.startswith("?evil?xxx")
    assert len(row.title) == 200


def test_text_in_an_older_encoding_is_read(write: Any) -> None:
    data = text([["nm", *AXIS]]) + "Probe 20 °C".encode("latin-1") + b"," + text([A])

    assert spectra(list(read_spectra(write(data))))[0].title == "Probe 20 °C"


def test_reading_closes_the_file_when_the_caller_stops_early(write: Any) -> None:
    rows = read_spectra(write(text([["nm", *AXIS], ["a", *A], ["b", *B]])))

    assert next(rows).row == 1
    rows.close()  # type: ignore[attr-defined]


NUMBERS = st.floats(-10, 10, width=32).map(repr) | st.sampled_from(
    ["", "nan", "x", "1e999", "900", "904.5", '"', "#", "-"]
)


def read_whatever(path: Path, data: bytes) -> None:
    """Whatever the bytes: rows or a SpectrumError; any other exception fails the test."""
    path.write_bytes(data)
    try:
        for row in read_spectra(path):
            assert isinstance(row, Found | Lost)
    except SpectrumError as error:
        assert str(path) in error.message  # noqa: PT017 - either outcome is right


@given(st.binary(max_size=400))
def test_any_bytes_give_rows_or_a_spectrum_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    read_whatever(tmp_path_factory.getbasetemp() / "any.csv", data)


@given(st.lists(st.lists(NUMBERS, max_size=12), max_size=6), st.sampled_from(",;\t"), st.booleans())
def test_any_table_of_cells_gives_rows_or_a_spectrum_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], delimiter: str, headed: bool
) -> None:
    head = [["nm", *AXIS]] if headed else []
    read_whatever(tmp_path_factory.getbasetemp() / "table.csv", text([*head, *rows], delimiter))


@given(st.lists(st.lists(NUMBERS, max_size=3), max_size=12))
def test_any_scan_data_after_a_vendor_header_give_rows_or_a_spectrum_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    head = b"***Scan Config Information***\nWavelength (nm),Absorbance (AU),Sample Signal (unitless)\n"
    read_whatever(tmp_path_factory.getbasetemp() / "vendor.csv", head + text(rows))
