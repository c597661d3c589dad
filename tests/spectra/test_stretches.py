"""A table that is read in stretches gives what it gives when it is read whole: spectra, losses, and how it ends."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.spectra import stretches
from edged.spectra.files import read_spectra
from edged.spectra.formats import source, wide_csv
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.source import open_source
from edged.spectra.rows import FileError, Found
from edged.spectra.stretches import cut, is_row

AXIS = ",".join(str(1000 + 10 * i) for i in range(8))
BANDS = ",".join(f'"band{740 + i}"' for i in range(8))
LINES = st.sampled_from(
    [
        b"a,1,2,3,4,5,6,7,8",
        b"1,2,3,4,5,6,7,8",
        b",1,2,3,4,5,6,7,8",
        b"b,1,2,nan,4,5,6,7,8",
        b"c,1,2",
        b'"d, e",1,2,3,4,5,6,7,8',
        b"f,1,2,3,4,5,6,7,8,tail",
        b"# a comment, 1, 2",
        b" # none, 1, 2",
        b"",
        b" \t,;",
        b" \r ",
        b"\x1a",
        b"\xb0,1,2,3,4,5,6,7,8",
        b"\x00\x01",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\x1a\n"])


def told(path: Path, **asked: object) -> list[tuple[object, ...]]:
    """Everything that rows say, in plain values."""
    found: list[tuple[object, ...]] = []
    try:
        for row in read_spectra(path, **asked):  # type: ignore[arg-type]
            if isinstance(row, Found):
                values = (row.spectrum.axis.tobytes(), row.spectrum.values.tobytes())
                found.append((row.row, row.spectrum.title, row.spectrum.axis_unit, row.spectrum.quantity, *values))
            else:
                found.append((row.row, row.title, row.error.message, row.error.hint))
    except FileError as error:
        found.append(("end", error.message, error.hint))
    return found


def told_in_stretches(path: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for one in cut(path):
        found += told(path, stretch=one.stretch)
        if found and found[-1][0] == "end":
            break
    return found


@given(lines=st.lists(st.tuples(LINES, ENDS), max_size=30), size=st.integers(1, 60), rows=st.integers(1, 5))
def test_any_table_gives_in_stretches_what_it_gives_whole(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[bytes, bytes]], size: int, rows: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "table.csv"
    for head in (f"\ufeffnm,{AXIS}\n", f"# made by hand\n\n{AXIS}\r\n", f"{BANDS}\n"):
        path.write_bytes(head.encode() + b"".join(line + end for line, end in lines))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stretches, "STRETCH_BYTES", size)
            patch.setattr(stretches, "STRETCH_ROWS", rows)
            cuts = list(cut(path))
            assert told_in_stretches(path) == told(path) or not cuts  # not cut: it is read whole

        ends = [one.stretch.end for one in cuts]
        assert ends == sorted(set(ends)) or len(ends) == 1
        assert not cuts or ends[-1] == path.stat().st_size


@given(
    body=st.binary(max_size=12).map(lambda body: body.replace(b"\n", b"")), end=st.sampled_from([b"\n", b"\r\n", b""])
)
def test_a_line_counts_as_a_row_exactly_where_reading_gives_it(
    tmp_path_factory: pytest.TempPathFactory, body: bytes, end: bytes
) -> None:
    if not body + end:
        return
    path = tmp_path_factory.getbasetemp() / "line.csv"
    path.write_bytes(b"first\n" + body + end)
    with open_source(path) as file:
        lines = Lines(file, path)
        next(lines)
        try:
            given_ = list(lines)
        except FileError:
            return  # binary data ends the file, whatever is counted

    assert bool(given_) == is_row(body + end)


def test_the_digests_are_those_of_the_bytes_and_the_first_holds_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "STRETCH_ROWS", 2)
    path = tmp_path / "table.csv"
    head, row = f"nm,{AXIS}\n".encode(), b"a,1,2,3,4,5,6,7,8\n"
    path.write_bytes(head + 5 * row)

    cuts = list(cut(path))

    wanted = [head + 2 * row, 2 * row, row]
    assert [one.digest for one in cuts] == [hashlib.sha256(part).digest() for part in wanted]
    assert [(one.stretch.lines_before, one.stretch.rows_before) for one in cuts] == [(1, 0), (3, 2), (5, 4)]


def test_a_table_beyond_the_limits_of_a_file_is_read_in_stretches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_FILE_BYTES", 1000)
    monkeypatch.setattr(wide_csv, "MAX_ROWS", 10)
    monkeypatch.setattr(stretches, "STRETCH_ROWS", 7)
    path = tmp_path / "table.csv"
    path.write_text(f"nm,{AXIS}\n" + "".join(f"s{i},1,2,3,4,5,6,7,{i}\n" for i in range(100)))

    with pytest.raises(FileError, match="at most 0 MB"):
        list(read_spectra(path))
    found = [row for one in cut(path) for row in read_spectra(path, stretch=one.stretch)]

    assert [row.row for row in found] == list(range(1, 101))
    assert [float(row.spectrum.values[-1]) for row in found if isinstance(row, Found)] == list(range(100))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lorem ipsum\n",
        "nm,a,b\n" + "".join(f"{1000 + 10 * i},1,2\n" for i in range(9)),
        "##TITLE= x\n##END=\n",
        f"nm,{AXIS.replace('1030', '1010')}\n",
    ],
)
def test_what_is_no_table_of_rows_is_not_cut(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)

    assert list(cut(path)) == []
    assert list(cut(tmp_path / "none")) == []


def test_a_table_that_became_something_else_is_told(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"nm,{AXIS}\na,1,2,3,4,5,6,7,8\n")
    (one,) = cut(path)
    path.write_text("##TITLE= x\n")

    with pytest.raises(FileError, match="is no table with one spectrum a line any more"):
        list(read_spectra(path, stretch=one.stretch))


@pytest.mark.parametrize("cell", ["1,5", "1.5", "-0,25e1", " 2 "])
def test_decimal_commas_and_points_are_read_alike_in_one_row(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(
        f"nm;{AXIS.replace(',', ';')}\na;{';'.join([cell] * 8)}\nb;1,5;2.5;3,5;4;5;6;7;8\nc;1,2,3;2;3;4;5;6;7;8\n"
    )

    first, second, third = told(path)

    assert first[5] == np.full(8, float(cell.replace(",", ".")), dtype=np.float32).tobytes()
    assert second[5] == np.array([1.5, 2.5, 3.5, 4, 5, 6, 7, 8], dtype=np.float32).tobytes()
    assert "column 2: '1,2,3' is not a number" in str(third[2])
