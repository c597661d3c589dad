"""JCAMP-DX, form by form and fault by fault. The packed lines are worked out by hand from the standard's tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edged.spectra.files import read_spectra
from edged.spectra.formats import asdf
from edged.spectra.formats.asdf import Table
from edged.spectra.formats.jcamp import Block, read_blocks
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.source import open_source
from edged.spectra.rows import FileError, Found, Lost, Row
from edged.spectra.spectrum import Quantity, SpectrumError

VALUES = [10.0, 12.0, 12.0, 12.0, 9.0, 0.0, -3.0, -103.0]
FORMS = {
    "AFFN": ["900 10 12 12 12", "904 9 0 -3 -103"],
    "AFFN with commas": ["900, 10, 12, 12, 12", "904, 9, 0, -3, -103"],
    "AFFN with semicolons": ["900;10;12;12;12", "904;9;0;-3;-103"],
    "AFFN with exponents": ["900 1.0E+01 12 1.2E1 12", "904 .9E+01 0 -3.0 -1.03e+02"],
    "FIX": ["  900   10.0   12.0   12.0   12.0", "  904    9.0    0.0   -3.0 -103.0"],
    "PAC": ["900+10+12+12+12", "904+9+0-3-103"],
    "PAC with exponents": ["900+1.0E+01+1.2E+01+12+12", "904+9+0-3-1.03E+02"],
    "SQZ": ["900A0A2A2A2", "904I@c-103".replace("-103", "a03")],
    "SQZDUP": ["900A0A2U", "904I@ca03"],
    "DIF": ["900A0K%%l", "904Irl", "906cj00"],
    "DIFDUP": ["900A0K%Tl", "904Irl", "906cj00"],
    "a difference repeated": ["900A0K%Tl", "904Irlj00"],
    "check values alone": ["900A0K%%", "903A2lr", "905@lj00", "907a03"],
    "spaces between": ["900 A0 K % % l", "904 I r l", "906 c j00"],
    "mixed": ["900 10 12 12 12", "904 I@cj00"],
    "all in one line": ["900A0K%%lrlj00"],
}


def block(lines: list[str], **labels: str) -> str:
    told = {
        "TITLE": "chalk",
        "JCAMP-DX": "4.24",
        "DATA TYPE": "INFRARED SPECTRUM",
        "XUNITS": "NANOMETERS",
        "YUNITS": "ABSORBANCE",
        "XFACTOR": "1",
        "YFACTOR": "1",
        "FIRSTX": "900",
        "LASTX": "907",
        "NPOINTS": "8",
        "XYDATA": "(X++(Y..Y))",
    }
    for name, value in labels.items():
        told[name.replace("_", " ")] = value
    data = told.pop("XYDATA")
    head = "".join(f"##{name}= {value}\n" for name, value in told.items() if value)
    return head + f"##XYDATA= {data}\n" + "".join(f"{line}\n" for line in lines) + "##END=\n"


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def put(text: str | bytes) -> Path:
        path = tmp_path / "s.jdx"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return put


def rows(path: Path, **asked: Any) -> list[Row]:
    return list(read_spectra(path, **asked))


def blocks(path: Path) -> list[Block | Lost]:
    with open_source(path) as file:
        return list(read_blocks(Lines(file, path)))


def only_error(found: list[Row]) -> SpectrumError:
    (row,) = found
    assert isinstance(row, Lost), row
    return row.error


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_values(form: str, write: Any) -> None:
    (found,) = rows(write(block(FORMS[form])))

    assert isinstance(found, Found), found
    assert found.spectrum.values.tolist() == VALUES
    np.testing.assert_array_equal(found.spectrum.axis, np.arange(900.0, 908.0))
    assert (found.spectrum.title, found.spectrum.axis_unit, found.spectrum.quantity) == ("chalk", "nm", "absorbance")


@pytest.mark.parametrize("form", ["(XY..XY)", "(XY..XY) ", "( XY .. XY )"])
@pytest.mark.parametrize("between", [", ", " ", ",", ";"])
def test_pairs_are_read_with_any_separator(form: str, between: str, write: Any) -> None:
    lines = [f"{900 + i}{between}{y:g}" for i, y in enumerate(VALUES)]

    (found,) = rows(write(block(lines, XYDATA=form)))

    assert isinstance(found, Found), found
    assert found.spectrum.values.tolist() == VALUES


def test_many_pairs_may_stand_in_a_line_and_under_xypoints(write: Any) -> None:
    line = "; ".join(f"{900 + i}, {y:g}" for i, y in enumerate(VALUES))

    (found,) = rows(write(block([line], XYDATA="(XY..XY)").replace("##XYDATA", "##XYPOINTS")))

    assert isinstance(found, Found), found
    assert found.spectrum.values.tolist() == VALUES


def test_factors_scale_both_axes(write: Any) -> None:
    lines = ["1800A0K%%l", "1808Irl", "1812cj00"]

    (found,) = rows(write(block(lines, XFACTOR="0.5", YFACTOR="0.001")))

    assert isinstance(found, Found), found
    np.testing.assert_allclose(found.spectrum.values, np.array(VALUES) / 1000, rtol=1e-6)
    assert found.spectrum.axis[0] == 900.0


def test_a_descending_axis_is_turned_with_its_values(write: Any) -> None:
    (found,) = rows(write(block(["907A0K%%l", "903Irl", "901cj00"], FIRSTX="907", LASTX="900")))

    assert isinstance(found, Found), found
    assert found.spectrum.values.tolist() == VALUES[::-1]
    assert (found.spectrum.axis[0], found.spectrum.axis[-1]) == (900.0, 907.0)


def test_labels_may_be_written_as_the_standard_allows(write: Any) -> None:
    text = block(FORMS["DIF"]).replace("##FIRSTX", " ##First_X").replace("##N", "##n").replace("##X", "$$ note\n##x")

    (found,) = rows(write("\n$$ a comment first\n" + text.replace("\n", "\r\n").replace("K%%l", "K%%l $$ note")))

    assert isinstance(found, Found), found
    assert found.spectrum.values.tolist() == VALUES


def test_blocks_of_a_link_are_rows_and_one_lost_does_not_cost_the_others(write: Any) -> None:
    bad = block(["900A0K%%l", "904Hrl", "906cj00"], TITLE="bad")
    text = "##TITLE= all\n##DATA TYPE= LINK\n##BLOCKS= 3\n" + block(FORMS["DIF"]) + bad + block(FORMS["PAC"])

    first, second, third = rows(write(text + "##END=\n"))

    assert isinstance(first, Found)
    assert isinstance(third, Found)
    assert third.row == 3
    assert isinstance(second, Lost)
    assert second.title == "bad"
    assert "block 2 (line" in second.error.message
    assert "repeats 8 for a check, the line before ended at 9" in second.error.message


FAULTS: dict[str, tuple[list[str], dict[str, str], str]] = {
    "a check value that differs": (["900A0K%%l", "904Hrl", "906cj00"], {}, "line 13 repeats 8 for a check"),
    "a lost line": (["900A0K%%l", "906cj00"], {}, "line 13 repeats -3 for a check"),
    "a lost line of values": (["900 10 12", "904 9 0 -3 -103"], {}, "holds 6 points, ##NPOINTS= 8"),
    "a line out of place": (["900+10+12+12+12", "905+9+0-3-103"], {}, "stands at 905, counting points gives 904"),
    "an axis that begins elsewhere": (FORMS["PAC"], {"FIRSTX": "899", "LASTX": "906"}, "stands at 900"),
    "another end": (FORMS["PAC"], {"LASTX": "921"}, "stands at 904, counting points gives 912"),
    "more points than said": (FORMS["PAC"], {"NPOINTS": "7"}, "holds 8 points, ##NPOINTS= 7"),
    "no end of the axis": (FORMS["PAC"], {"LASTX": ""}, "names no ##FIRSTX with ##LASTX or ##DELTAX"),
    "a label that is no number": (FORMS["PAC"], {"YFACTOR": "1,5"}, "##YFACTOR= '1,5' is not a number"),
    "a label that is not finite": (FORMS["PAC"], {"FIRSTX": "nan"}, "##FIRSTX= 'nan' is not a number"),
    "a missing value": (["900 10 ? 12 12", "904 9 0 -3 -103"], {}, "line 12 is no line of numbers"),
    "nan, which is three packed numbers": (["900 10 nan 12 12", "904 9 0 -3 -103"], {}, "holds 10 points"),
    "an underscore": (["900 10 1_2 12 12", "904 9 0 -3 -103"], {}, "line 12"),
    "a first value missing": (["900K%%l"], {}, "line 12 does not begin with a position and a value"),
    "a position alone": (["900"], {}, "line 12 holds a position and no value"),
    "a sign alone": (["900+10+"], {}, "line 12 holds '+', which is no number"),
    "an unknown letter": (["900A0K%%t"], {}, "'t', which is no number|no line of numbers"),
    "a repetition without end": (["900A0Z99999999"], {}, "repeats a value"),
    "repeated no times": (["900A0S.5"], {}, "repeats a value"),
    "text": (["lorem ipsum dolor"], {}, "line 12"),
    "no data": ([], {}, "holds 0 points"),
    "an unknown form": (FORMS["PAC"], {"XYDATA": "(XYZ)(A..B)"}, ""),
    "complex data": (FORMS["PAC"], {"XYDATA": "(X++(R..R))"}, "a table of the form '(X++(R..R))'"),
    "an odd pair": (["900, 1", "901"], {"XYDATA": "(XY..XY)"}, "its last pair has no value"),
    "pairs that begin elsewhere": (
        [f"{901 + i}, 1" for i in range(8)],
        {"XYDATA": "(XY..XY)"},
        "its pairs have 901 where ##FIRSTX= 900",
    ),
    "an axis of time": (FORMS["PAC"], {"XUNITS": "SECONDS"}, "has an axis in SECONDS"),
    "a chemical shift": (FORMS["PAC"], {"XUNITS": "CHEMICAL SHIFT (PPM)"}, "has an axis in CHEMICAL SHIFT (PPM)"),
    "no unit": (FORMS["PAC"], {"XUNITS": ""}, "names no ##XUNITS"),
    "transmittance": (FORMS["PAC"], {"YUNITS": "TRANSMITTANCE"}, "holds 'TRANSMITTANCE', which is none of"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_place_and_a_cure(name: str, write: Any) -> None:
    lines, labels, message = FAULTS[name]

    error = only_error(rows(write(block(lines, **labels))))

    assert any(part in error.message for part in message.split("|")), error.message
    assert "s.jdx: block 1" in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        ("PEAK TABLE= (XY..XY)", "holds a table of peaks, not a spectrum"),
        ("PEAK ASSIGNMENTS=(XYA)", "holds assignments of peaks"),
        ("RADATA= (R++(A..A))", "holds an interferogram"),
        ("NTUPLES= NMR FID", "holds NTUPLES pages"),
    ],
)
def test_what_is_no_spectrum_is_refused_by_its_name(label: str, reason: str, write: Any) -> None:
    error = only_error(rows(write(f"##TITLE= x\n##JCAMP-DX= 5.01\n##{label}\n1,2\n3,4\n##END=\n")))

    assert reason in error.message
    assert error.hint == "export the spectrum as XYDATA"


def test_a_file_cut_off_within_its_table_is_refused(write: Any) -> None:
    whole = block(FORMS["PAC"])
    unsaid = block(FORMS["PAC"], NPOINTS="")

    cut = only_error(rows(write(whole[: whole.index("904")])))
    silent = only_error(rows(write(unsaid[: unsaid.index("904")])))

    assert "holds 4 points, ##NPOINTS= 8" in cut.message
    assert "ends without ##END=" in silent.message


def test_a_file_of_labels_alone_is_refused(write: Any) -> None:
    with pytest.raises(FileError, match="JCAMP-DX without data"):
        rows(write("##TITLE= x\n##JCAMP-DX= 4.24\n##END=\n"))


@pytest.mark.parametrize(
    ("data_type", "y_units", "asked", "assumed", "quantity"),
    [
        ("RAMAN SPECTRUM", "ARBITRARY UNITS", None, "absorbance", "intensity"),
        ("RAMAN SPECTRUM", "COUNTS", None, "intensity", "intensity"),
        ("INFRARED SPECTRUM", "ABSORBANCE", None, "reflectance", "absorbance"),
        ("INFRARED SPECTRUM", "REFLECTANCE", None, "absorbance", "reflectance"),
        ("INFRARED SPECTRUM", "LOG(1/R)", None, "reflectance", "absorbance"),
        ("INFRARED SPECTRUM", "", None, "reflectance", "reflectance"),
        ("INFRARED SPECTRUM", "TRANSMITTANCE", "reflectance", "absorbance", "reflectance"),
    ],
)
def test_the_quantity_is_what_the_file_says(
    data_type: str, y_units: str, asked: Quantity | None, assumed: Quantity, quantity: Quantity, write: Any
) -> None:
    text = block(FORMS["PAC"], DATA_TYPE=data_type, YUNITS=y_units, XUNITS="1/CM")

    (found,) = rows(write(text), quantity=asked, assumed=assumed)

    assert isinstance(found, Found), found
    assert (found.spectrum.quantity, found.spectrum.axis_unit) == (quantity, "cm-1")


def test_what_contradicts_the_file_is_refused(write: Any) -> None:
    path = write(block(FORMS["PAC"]))

    assert "holds absorbance, not intensity" in only_error(rows(path, quantity="intensity")).message
    assert "its axis is in nm, not in 1/cm" in only_error(rows(path, unit="cm-1")).message


def test_micrometres_become_nanometres_and_percent_fractions(write: Any) -> None:
    labels = {"XUNITS": "MICROMETERS", "YUNITS": "%REFLECTANCE", "FIRSTX": "0.9", "LASTX": "0.907", "XFACTOR": "0.001"}

    (found,) = rows(write(block(FORMS["PAC"], **labels)))

    assert isinstance(found, Found), found
    np.testing.assert_allclose(found.spectrum.axis, np.arange(900.0, 908.0))
    np.testing.assert_allclose(found.spectrum.values, np.array(VALUES) / 100, rtol=1e-6)


def test_the_other_side_of_the_laser_line_is_left_out(write: Any) -> None:
    lines = ["-4+1+2+3+4+5+6+7+8", "4+9+10+11+12"]
    labels = {"DATA_TYPE": "RAMAN SPECTRUM", "XUNITS": "1/CM", "FIRSTX": "-4", "LASTX": "7", "NPOINTS": "12"}

    (found,) = rows(write(block(lines, **labels)))

    assert isinstance(found, Found), found
    assert found.spectrum.values.tolist() == [5, 6, 7, 8, 9, 10, 11, 12]
    assert found.spectrum.axis[0] == 0.0


def test_a_repetition_beyond_the_limit_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asdf, "MAX_POINTS", 10)
    table = Table()
    table.add(1, "900A0Z")

    with pytest.raises(SpectrumError, match="more than 10 points"):
        table.add(2, "908A0T" + "A1" * 3)

    assert len(table.values) <= 11


def test_the_number_of_blocks_has_a_limit(write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.spectra.formats.jcamp.MAX_BLOCKS", 2)

    with pytest.raises(FileError, match="more than 2 blocks"):
        rows(write(block(FORMS["PAC"]) * 3))


def test_a_table_under_comments_of_two_hashes_is_a_table(write: Any) -> None:
    (found,) = rows(write("## my powders\nnm,a\n" + "".join(f"{900 + i},{y:g}\n" for i, y in enumerate(VALUES))))

    assert isinstance(found, Found), found
    assert found.spectrum.title == "a"
