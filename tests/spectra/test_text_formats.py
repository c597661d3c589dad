"""Text exports, fault by fault; the whole files are judged in test_vendor_fixtures.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edged.spectra.files import read_spectra
from edged.spectra.rows import FileError, Found, Lost, Row

NUMBERS = [(float(200 + i), float(i)) for i in range(10)]
TABS = [f"{x:g}\t{y:g}" for x, y in NUMBERS]


def ocean(rows: list[str], *header: str) -> str:
    return "\n".join([*header, ">>>>>Begin Spectral Data<<<<<", *rows])


def horiba(rows: list[str], unit: str = "1/cm", quantity: str = "Cnt") -> str:
    head = ["#Title=\tchalk", "#AxisType[0]=Intens", f"#AxisUnit[0]={quantity}", "#AxisType[1]=Spectr"]
    return "\n".join([*head, f"#AxisUnit[1]={unit}", *rows])


def enlighten(rows: list[str], technique: str = "Raman", columns: str = "Pixel,Wavelength,Wavenumber,Processed") -> str:
    return "\n".join(["ENLIGHTEN Version,4.1", "Label,chalk", f"Technique,{technique}", "", columns, *rows])


def bwspec(rows: list[str]) -> str:
    return "\n".join(["File Version;BWSpec4", "Pixel;Wavelength;Raman Shift;Dark Subtracted #1;%TR #1", *rows])


WASATCH = [f"{i},{800 + x:g},{x:g},{y:g}" for i, (x, y) in enumerate(NUMBERS)]
BWTEK = [f"{i};{800 + x:g};{x:g};{y:.1f};50,0".replace(".", ",") for i, (x, y) in enumerate(NUMBERS)]


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def run(text: str, **asked: Any) -> list[Row]:
        path = tmp_path / "scan.txt"
        path.write_text(text)
        return list(read_spectra(path, **asked))

    return run


KINDS = {
    "ocean": (ocean(TABS, "Data from scan", "XAxis mode: Raman Shifts"), "scan", "absorbance"),
    "horiba": (horiba(TABS[::-1]), "chalk", "counts"),
    "renishaw": ("\n".join(["#Wave\t\t#Intensity", *TABS[::-1]]), "scan", "intensity"),
    "enlighten": (enlighten(WASATCH), "chalk", "intensity"),
    "enlighten with a range": (enlighten(["90,1,2,NA", *WASATCH, "99,3,4,NA"]), "chalk", "intensity"),
    "bwspec": (bwspec(["9; ; ;1,0;1,0", *BWTEK]), "scan", "intensity"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_scan_is_read_with_unit_quantity_and_title(kind: str, end: str, read: Any) -> None:
    text, title, quantity = KINDS[kind]

    (found,) = read(text.replace("\n", end))

    assert isinstance(found, Found), found
    assert list(zip(found.spectrum.axis, found.spectrum.values, strict=True)) == NUMBERS
    assert (found.spectrum.axis_unit, found.spectrum.quantity, found.spectrum.title) == ("cm-1", quantity, title)


def test_the_other_axis_and_column_are_read_when_asked_for(read: Any) -> None:
    (wasatch,) = read(enlighten(WASATCH), unit="nm")
    (bwtek,) = read(bwspec(BWTEK), unit="nm", quantity="reflectance")

    assert (wasatch.spectrum.axis[0], wasatch.spectrum.axis_unit) == (1000.0, "nm")
    assert (bwtek.spectrum.axis[0], bwtek.spectrum.values[0]) == (1000.0, 0.5)


LOST = {
    "pixels for an axis": (ocean(TABS, "XAxis mode: Pixels"), "its axis is in pixels"),
    "fewer points than said": (ocean(TABS, "Number of Pixels in Spectrum: 11"), "holds 10 of 11 points"),
    "nothing after the mark": (ocean([]), "no spectrum after its header"),
    "text for a number": (ocean([*TABS, "210\tx"]), "line 12, column 2: 'x' is not a number"),
    "a hole among values": (
        enlighten([*WASATCH[:4], "4,1,2,NA", *WASATCH[5:]]),
        "line 10 holds no value between others",
    ),
    "eV": (horiba(TABS, unit="eV"), "its axis is in eV"),
    "volts": (horiba(TABS, quantity="V"), "holds 'V', which is none of"),
    "a map": (
        "\n".join(["#X\t\t#Y\t\t#Wave\t\t#Intensity", *(f"1\t2\t{row}" for row in TABS)]),
        "line 2 has 4 cells, not 2: a map",
    ),
    "a technique with an unknown scale": (enlighten(WASATCH, "Reflectance"), "holds 'reflectance', which is none of"),
    "no column of values": (enlighten(WASATCH, columns="Pixel,Wavelength,Wavenumber,Raw"), "0 columns 'processed'"),
    "two measurements": (enlighten(WASATCH, columns="Pixel,Wavenumber,Processed,Processed"), "2 columns 'processed'"),
    "no column of shifts": (bwspec(BWTEK).replace("Raman Shift", "Shift"), "has no column 'Raman Shift'"),
    "a position twice": (horiba([*TABS, TABS[-1]]), "the axis does not rise at point 11"),
}


@pytest.mark.parametrize("name", LOST)
def test_a_scan_that_cannot_be_read_is_lost_with_the_reason(name: str, read: Any) -> None:
    text, message = LOST[name]

    (row,) = read(text)

    assert isinstance(row, Lost), row
    assert message in row.error.message
    assert "scan.txt" in row.error.message
    assert row.error.hint


@pytest.mark.parametrize(
    "text",
    [
        "SpectraSuite Data File\nDate: today\n",
        "#AxisType[1]=Spectr\n",
        "ENLIGHTEN Version,4.1\nLabel,chalk\n",
        "File Version;BWSpec4\ntitle;x\n",
        "SpectraSuite Data File\n" + "x\n" * 600,
        "File Version;BWSpec4\n" + "x;1\n" * 600,
    ],
)
def test_a_header_without_data_is_refused(text: str, read: Any) -> None:
    with pytest.raises(FileError, match=r"no spectrum after its header|spectral data are missing") as caught:
        read(text)

    assert caught.value.hint
