"""Large and endless input: refused soon, in little memory, with a message that names the limit."""

from __future__ import annotations

import os
import threading
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from edged.spectra.files import read_spectra
from edged.spectra.formats import columns_csv, wide_csv
from edged.spectra.rows import FileError

AXIS = ",".join(str(900 + 4 * i) for i in range(200))


def peak_mb(path: Path, message: str) -> float:
    """Read the file, expect the refusal, and return the most memory that Python held meanwhile."""
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=message) as caught:
            for _ in read_spectra(path):
                pass
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        assert caught.value.hint
        tracemalloc.stop()


def test_100_mb_of_rubbish_are_refused_by_their_size(tmp_path: Path) -> None:
    path = tmp_path / "rubbish.csv"
    path.touch()
    os.truncate(path, 100_000_000)

    assert peak_mb(path, r"rubbish\.csv: 100 MB; at most 67 MB") < 1.0


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (b"\x00" * (1 << 20), "holds binary data|longer than 2 MiB"),
        (b"a" * (1 << 20), "longer than 2 MiB"),
        (b"lorem ipsum dolor\n" * 50_000, "no table of spectra"),
    ],
)
def test_rubbish_just_under_the_limit_is_refused_in_little_memory(tmp_path: Path, block: bytes, message: str) -> None:
    path = tmp_path / "rubbish.csv"
    with path.open("wb") as file:
        for _ in range(8):
            file.write(block)

    assert peak_mb(path, message) < 12.0


def test_a_pipe_that_never_ends_is_refused_after_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.spectra.formats.source.MAX_FILE_BYTES", 1 << 20)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    thread = threading.Thread(target=_pour(path))
    thread.start()

    with pytest.raises(FileError, match="MB are read from one file"):
        for _ in read_spectra(path):
            pass

    thread.join()


def _pour(path: Path) -> Callable[[], None]:
    def pour() -> None:
        with suppress(BrokenPipeError), path.open("wb", buffering=0) as pipe:
            pipe.write(AXIS.encode() + b"\n")
            while True:
                pipe.write(b",".join([b"1.5"] * 200) + b"\n")

    return pour


def test_a_wide_table_is_streamed(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    with path.open("w") as file:
        file.write(AXIS + "\n")
        file.writelines([",".join(["1.5"] * 200) + "\n"] * 1000)
    tracemalloc.start()

    count = sum(1 for _ in read_spectra(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count == 1000
    assert peak < 0.5e6


def test_more_rows_than_the_limit_end_the_file_after_the_rows_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wide_csv, "MAX_ROWS", 3)
    path = tmp_path / "wide.csv"
    path.write_text(AXIS + "\n" + (",".join(["1.5"] * 200) + "\n") * 5)
    rows = read_spectra(path)

    assert [next(rows).row for _ in range(3)] == [1, 2, 3]
    with pytest.raises(FileError, match="more than 3 spectra"):
        next(rows)


def test_a_column_wise_table_beyond_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns_csv, "MAX_CELLS", 100)
    path = tmp_path / "columns.csv"
    path.write_text("nm,a,b,c\n" + "".join(f"{900 + 4 * i},1,2,3\n" for i in range(100)))

    with pytest.raises(FileError, match="more than 100 values"):
        list(read_spectra(path))
