"""The public files as their instruments and authors wrote them, against numpy's and Python's own readers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from edged.spectra.files import read_spectra
from edged.spectra.rows import FileError, Found


def found(path: Path) -> list[Found]:
    return [row for row in read_spectra(path) if isinstance(row, Found)]


def test_the_powders_are_read_as_numpy_reads_them(data_dir: Path) -> None:
    path = data_dir / "nir_pharma_powders_notredame" / "RawNIRData.csv"
    table = np.loadtxt(path, delimiter=",", skiprows=1, encoding="utf-8-sig")

    rows = found(path)

    assert len(rows) == 1200
    np.testing.assert_array_equal([row.spectrum.values for row in rows], table[:, 1:].T.astype(np.float32))
    np.testing.assert_array_equal(rows[0].spectrum.axis, table[:, 0])
    assert {row.spectrum.axis_unit for row in rows} == {"nm"}
    assert [row.spectrum.title for row in rows[:2]] == ["A1", "A2"]


def test_the_ternaries_are_read_with_their_label_behind_the_values(data_dir: Path) -> None:
    path = data_dir / "nir_pharma_powders_notredame" / "ternary_samples.csv"
    with path.open(encoding="utf-8-sig") as file:
        head, *lines = csv.reader(file)

    rows = found(path)

    assert len(rows) == len(lines) == 400
    assert [row.spectrum.title for row in rows] == [line[-1] for line in lines]
    np.testing.assert_array_equal(rows[0].spectrum.axis, np.array(head[:228], dtype=float))
    np.testing.assert_array_equal(rows[399].spectrum.values, np.array(lines[399][:228], dtype=np.float32))


def test_every_vendor_scan_is_read_in_absorbance_and_in_counts(data_dir: Path) -> None:
    paths = sorted((data_dir / "nir_api20_nirmr2" / "scans").glob("*.csv"))

    assert len(paths) == 100
    for path in paths:
        with path.open(encoding="utf-8-sig") as file:
            lines = list(csv.reader(file))
        start = next(i for i, line in enumerate(lines) if line and line[0] == "Wavelength (nm)")
        table = np.array([line[:4] for line in lines[start + 1 :] if line and line[0]], dtype=float)
        (row,) = found(path)
        (counts,) = [r.spectrum for r in read_spectra(path, quantity="counts") if isinstance(r, Found)]
        np.testing.assert_array_equal(row.spectrum.axis, table[:, 0])
        np.testing.assert_array_equal(row.spectrum.values, table[:, 1].astype(np.float32))
        np.testing.assert_array_equal(counts.values, table[:, 3].astype(np.float32))
        assert row.spectrum.title == path.stem


def test_corn_spectra_are_read_wide(data_dir: Path) -> None:
    path = data_dir / "nir_corn_3instruments" / "m5_spectra.csv"
    with path.open(encoding="utf-8-sig") as file:
        lines = list(csv.reader(file))

    rows = found(path)

    assert len(rows) == len(lines) - 1 == 80
    np.testing.assert_array_equal(rows[79].spectrum.values, np.array(lines[80][-700:], dtype=np.float32))
    assert (rows[0].spectrum.axis[0], rows[0].spectrum.axis[-1]) == (1100.0, 2498.0)


def test_no_public_file_gives_anything_but_rows_or_a_file_error(data_dir: Path) -> None:
    refused = 0
    for path in sorted(data_dir.rglob("*")):
        if path.parent.name == "scans":
            continue
        try:
            for _ in read_spectra(path):
                pass
        except FileError as error:
            assert str(path) in error.message  # noqa: PT017 - either outcome is right
            refused += 1

    assert refused > 50
