"""What is written is read by other programs, by ourselves to the last digit, and appears whole or not at all."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any, get_args

import jcamp  # type: ignore[import-untyped]
import numpy as np
import pytest
import spc_io  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from edged.spectra.files import read_spectra
from edged.spectra.rows import Found
from edged.spectra.spectrum import AxisUnit, Quantity, Spectrum
from edged.spectra.write import Format, WriteError, write_spectrum

EVEN = np.linspace(900.0, 1700.0, 228)
UNEVEN = 100.0 + 1.7 * np.arange(300) - 3e-5 * np.arange(300) ** 2
FLOAT32_DIGITS = 1e-7  # of an uneven axis in SPC


def spectrum(
    axis: Any = UNEVEN, unit: AxisUnit = "cm-1", quantity: Quantity = "intensity", title: str = "a"
) -> Spectrum:
    values = np.random.default_rng(1).normal(size=len(axis)).astype(np.float32)
    return Spectrum(axis=np.array(axis), values=values, axis_unit=unit, quantity=quantity, title=title)


def read_back(path: Path) -> Spectrum:
    (row,) = read_spectra(path)
    assert isinstance(row, Found), row
    return row.spectrum


def test_jcamp_is_read_by_the_jcamp_package(tmp_path: Path) -> None:
    made = spectrum(EVEN, "nm", "absorbance", "aspirin")

    found = jcamp.readfile(str(write_spectrum(tmp_path / "s.jdx", made)))

    np.testing.assert_array_equal(found["x"], made.axis)
    np.testing.assert_array_equal(found["y"].astype(np.float32), made.values)
    assert (found["title"], found["xunits"], found["yunits"]) == ("aspirin", "NANOMETERS", "ABSORBANCE")
    assert found["npoints"] == 228


@pytest.mark.parametrize(("axis", "tolerance"), [(EVEN, 1e-12), (UNEVEN, FLOAT32_DIGITS)])
def test_spc_is_read_by_the_spc_io_package(axis: Any, tolerance: float, tmp_path: Path) -> None:
    made = spectrum(axis, "cm-1", "intensity", "Probe 7 µm")

    with write_spectrum(tmp_path / "s.spc", made).open("rb") as file:
        found = spc_io.SPC.from_bytes_io(file)

    (trace,) = found
    np.testing.assert_allclose(trace.xarray, made.axis, rtol=tolerance)
    np.testing.assert_array_equal(trace.yarray, made.values)
    assert (found.xtype, found.ytype) == ("XRAMANS", "YINTENS")


def test_csv_is_read_by_python(tmp_path: Path) -> None:
    made = spectrum(title='5 mg, "pure"')

    with write_spectrum(tmp_path / "s.csv", made).open(newline="") as file:
        head, *rows = csv.reader(file)

    assert head == ["intensity by cm-1", '5 mg, "pure"']
    np.testing.assert_array_equal([float(row[0]) for row in rows], made.axis)
    np.testing.assert_array_equal(np.array([float(row[1]) for row in rows], dtype=np.float32), made.values)


@pytest.mark.parametrize("suffix", ["csv", "jdx", "dx", "spc"])
@pytest.mark.parametrize("unit", get_args(AxisUnit))
@pytest.mark.parametrize("quantity", get_args(Quantity))
def test_unit_quantity_title_and_numbers_come_back(
    suffix: str, unit: AxisUnit, quantity: Quantity, tmp_path: Path
) -> None:
    made = spectrum(UNEVEN, unit, quantity, "Ätherprobe 3")

    back = read_back(write_spectrum(tmp_path / f"s.{suffix}", made))

    assert (back.axis_unit, back.quantity, back.title) == (unit, quantity, "Ätherprobe 3")
    np.testing.assert_allclose(back.axis, made.axis, rtol=FLOAT32_DIGITS if suffix == "spc" else 0)
    np.testing.assert_array_equal(back.values, made.values)


@given(
    kind=st.sampled_from(get_args(Format)),
    title=st.text(max_size=60),
    values=st.lists(st.floats(-(2.0**96), 2.0**96, width=32), min_size=8, max_size=20),
    start=st.floats(0, 5000),
)
def test_any_spectrum_comes_back(
    kind: Format, title: str, values: list[float], start: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    axis = start + 0.5 * np.arange(len(values), dtype=np.float64)
    made = Spectrum(axis=axis, values=np.array(values, np.float32), axis_unit="nm", quantity="counts", title=title)
    path = tmp_path_factory.getbasetemp() / f"any.{kind}"

    back = read_back(write_spectrum(path, made, overwrite=True))

    np.testing.assert_allclose(back.axis, axis, rtol=1e-12)
    np.testing.assert_array_equal(back.values, made.values)


def test_an_existing_file_is_kept_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("mine")

    with pytest.raises(WriteError, match="exists already"):
        write_spectrum(path, spectrum())
    assert path.read_text() == "mine"

    write_spectrum(path, spectrum(), overwrite=True)
    assert read_back(path).title == "a"


def test_a_suffix_that_names_no_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"\.xlsx names no format") as caught:
        write_spectrum(tmp_path / "s.xlsx", spectrum())

    assert caught.value.hint == "use .csv, .jdx or .spc"
    assert write_spectrum(tmp_path / "s.txt", spectrum(), "csv").is_file()


@pytest.mark.parametrize("name", ["", "/", "a\0b.csv"])
def test_what_is_no_path_is_refused(name: str) -> None:
    with pytest.raises(WriteError, match="is not a path"):
        write_spectrum(name, spectrum(), "csv")


@pytest.mark.parametrize("name", ["none/s.csv", "s" * 300 + ".csv", "folder.csv"])
def test_what_the_disk_refuses_leaves_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()

    with pytest.raises(WriteError) as caught:
        write_spectrum(tmp_path / name, spectrum(), overwrite=True)

    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    write_spectrum(path, spectrum())
    before = path.read_bytes()
    child = os.fork()
    if child == 0:  # a limit of this process only
        import resource
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_spectrum(path, spectrum(title="new"), overwrite=True)
        except WriteError:
            os._exit(7)
        os._exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["s.csv"]


def test_points_too_close_for_spc_are_refused_with_the_way_out(tmp_path: Path) -> None:
    close = 90_000.0 + np.cumsum(np.linspace(1e-4, 2e-4, 20))

    with pytest.raises(WriteError, match="too close for the seven digits") as caught:
        write_spectrum(tmp_path / "s.spc", spectrum(close))

    assert "jdx" in caught.value.hint
