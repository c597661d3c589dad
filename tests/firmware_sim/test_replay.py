"""Recorded spectra come through the wire as they were; files that hold none are told so."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from firmware_sim.devices._nirscan_scan import pattern_nm
from firmware_sim.devices._nirscan_tpl import Configuration
from firmware_sim.sample import Replay
from firmware_sim.spectra_file import RecordedSpectra, SpectraFileError, read_spectra
from tests.firmware_sim.raw_client import TWIN, client, counts, memory

C0, C1, C2 = 1776.51064022294, -0.918730919349196, -0.000243316388033348
AXIS = pattern_nm(Configuration(), (C0, C1, C2))


def replayed(recorded: RecordedSpectra, scans: int) -> np.ndarray:
    line = memory(source=Replay(recorded))
    white = counts(client(line).scan())
    return np.array([np.log10(white / counts(client(line).scan())) for _ in range(scans)])


def wide(path: Path, axis: np.ndarray, values: np.ndarray, head: str = "nm") -> Path:
    rows = [[head, *axis], *([f"scan {number}", *row] for number, row in enumerate(values))]
    path.write_text("\n".join(",".join(str(cell) for cell in row) for row in rows))
    return path


def test_the_default_settings_give_the_axis_of_the_powders(data_dir: Path) -> None:
    with (data_dir / "nir_pharma_powders_notredame" / "RawNIRData.csv").open(encoding="utf-8-sig") as file:
        real = np.array([row[0] for row in list(csv.reader(file))[1:]], float)

    np.testing.assert_allclose(AXIS, real, atol=1e-6)


def test_the_real_powders_come_back_through_the_wire(data_dir: Path) -> None:
    path = data_dir / "nir_pharma_powders_notredame" / "RawNIRData.csv"
    with path.open(encoding="utf-8-sig") as file:
        real = np.array([row[1:] for row in list(csv.reader(file))[1:]], float).T

    np.testing.assert_allclose(replayed(read_spectra(path), len(real)), real, atol=2e-5)


def test_spectra_brighter_than_the_tile_do_not_saturate(tmp_path: Path) -> None:
    values = np.tile(np.linspace(-0.4, 0.6, 228), (2, 1))

    recorded = read_spectra(wide(tmp_path / "bright.csv", AXIS, values))

    np.testing.assert_allclose(replayed(recorded, 2), values, atol=2e-5)


def test_a_wide_file_is_replayed_in_order_and_round_again_with_its_titles(tmp_path: Path) -> None:
    line = memory(source=Replay(read_spectra(wide(tmp_path / "two.csv", AXIS, TWIN.means[:2]))), white=0)

    for _ in range(3):
        client(line).scan()

    assert [(event["row"], event["sample"]) for event in line.events()] == [(0, "scan 0"), (1, "scan 1"), (0, "scan 0")]


def test_another_axis_is_interpolated_and_held_at_its_ends(tmp_path: Path) -> None:
    axis = np.arange(1000.0, 1601.0, 2.0)
    recorded = read_spectra(wide(tmp_path / "other.csv", axis, axis[None] / 1000))

    got = replayed(recorded, 1)[0]

    np.testing.assert_allclose(got, np.clip(AXIS, 1000, 1600) / 1000, atol=2e-5)


@pytest.mark.parametrize("head", ["cm-1", "Wavenumber (cm-1)"])
def test_a_wavenumber_axis_is_turned_into_nanometres(tmp_path: Path, head: str) -> None:
    recorded = read_spectra(wide(tmp_path / "cm.csv", 1e7 / AXIS, TWIN.means[:1], head))

    np.testing.assert_allclose(recorded.wavelength_nm, AXIS, rtol=1e-12)
    np.testing.assert_allclose(recorded.values, TWIN.means[:1])


def test_a_column_wise_file_with_a_mark_of_byte_order_is_read(tmp_path: Path) -> None:
    path = tmp_path / "columns.csv"
    rows = ["Wavelength (nm),A1,A2", *(f"{nm},{a},{b}" for nm, a, b in zip(AXIS, *TWIN.means[:2], strict=True))]
    path.write_text("\ufeff" + "\r\n".join(rows) + "\r\n", encoding="utf-8")

    recorded = read_spectra(path)

    assert recorded.titles == ("A1", "A2")
    np.testing.assert_allclose(recorded.values, TWIN.means[:2])


def test_a_wide_file_without_any_head_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("\n".join(",".join(str(v) for v in row) for row in (AXIS, *TWIN.means[:3])))

    assert read_spectra(path).titles == ("row 0", "row 1", "row 2")


AXIS_TEXT = ",".join(str(nm) for nm in range(900, 1700, 50))
ONES = ",".join(["1"] * 16)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "0 rows"),
        (f"nm,{AXIS_TEXT}\n", "1 rows"),
        (f"nm,{AXIS_TEXT}\na,{ONES},1\n", "line 2: 18 cells for an axis of 16"),
        (f"nm,{AXIS_TEXT}\na,{ONES[:-1]}x\n", "line 2: 'x' is not a number"),
        (f"nm,{AXIS_TEXT}\na,{ONES[:-1]}nan\n", "line 2: 'nan' is not finite"),
        ("nm\n900\n901\n", "one column only"),
        ("nm,a\n900,1\n901,1\n", "axis of 2 points"),
        ("nm,a\n" + "".join(f"{nm % 1000 + 900},1\n" for nm in range(900, 1700, 50)), "neither rises nor falls"),
        ("nm,a\n" + "".join(f"{nm},1\n" for nm in range(2000, 2600, 50)), "sees 900 to 1700"),
        ("nm,a\n900,1\n901,1,2\n", "line 3: 3 cells"),
        ("\x00\x01\x02", "not a text file|one column|rows"),
    ],
)
def test_a_file_without_spectra_is_refused_with_the_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)

    with pytest.raises(SpectraFileError, match=said):
        read_spectra(path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rubbish.csv"
    path.write_bytes(bytes(range(256)) * 50)

    with pytest.raises(SpectraFileError):
        read_spectra(path)
