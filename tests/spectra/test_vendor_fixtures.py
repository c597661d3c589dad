"""Every vendor file of the public data: what it holds is read as its source states it, or refused with the reason.

The judges are the files' own labels, numpy's text reader, and the packages jcamp, spc-io, brukeropus and renishaw-wdf.
"""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import brukeropus  # type: ignore[import-untyped]
import jcamp  # type: ignore[import-untyped]
import numpy as np
import pytest
import spc_io  # type: ignore[import-untyped]
import wdf

from edged.spectra.files import read_spectra
from edged.spectra.formats.jcamp import Block, read_blocks
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.source import open_source
from edged.spectra.formats.spc import Trace, header_of, read_traces
from edged.spectra.rows import FileError, Found, Lost, Row
from edged.spectra.spectrum import AxisUnit, Quantity, Spectrum

JCAMP, CHEMINFO = "jcamp_dx", "jcamp_dx/cheminfo"
SPC, OPUS, OCEAN = "galactic_spc", "bruker_opus", "copyleft_test_only/ocean_optics"
RAMAN, BWTEK, SAM = "raman_acetonitrile_5instruments", "bwtek_txt", "viavi_micronir_sam"
AS_PRINTED = 1e-9  # relative; the judges compute axis and factors in another order


@dataclass(frozen=True, slots=True)
class Read:
    """How many spectra; of the first: points, axis, and what it is. `asked`: on what the caller has to insist."""

    spectra: int
    points: int
    first: float
    last: float
    unit: AxisUnit
    quantity: Quantity
    asked: Quantity | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The words that give the reason."""

    reason: str


def fractions(spectra: int, points: int, first: float, last: float) -> Read:
    """Return what a file with transmittance gives to a caller who takes it for reflectance."""
    return Read(spectra, points, first, last, "cm-1", "reflectance", "reflectance")


HZ, MS, NO_UNIT = Refused("an axis in HZ"), Refused("an axis in MILLISECONDS"), Refused("names no ##XUNITS")
FILES: dict[str, Read | Refused] = {
    f"{JCAMP}/BRUKAFFN.DX": HZ,
    f"{JCAMP}/BRUKDIF.DX": HZ,
    f"{JCAMP}/BRUKPAC.DX": HZ,
    f"{JCAMP}/BRUKSQZ.DX": HZ,
    f"{JCAMP}/TESTSPEC.DX": HZ,
    f"{JCAMP}/LABCALC.DX": fractions(1, 3435, 249.741, 3699.742),
    f"{JCAMP}/PE1800.DX": fractions(1, 3301, 700, 4000),
    f"{JCAMP}/SPECFILE.DX": fractions(1, 1801, 400, 4000),
    f"{JCAMP}/blckpac1.jdx": Read(5, 176, 350, 700, "nm", "absorbance"),
    f"{JCAMP}/compound.jdx": fractions(5, 1976, 450, 4400),
    f"{JCAMP}/difdup_example.jdx": MS,
    f"{JCAMP}/dupdec1.jdx": fractions(1, 3951, 450, 4400),
    f"{JCAMP}/dupdec2.jdx": fractions(1, 3951, 450, 4400),
    f"{JCAMP}/dupinc1.jdx": Read(1, 440, 250, 469.5, "nm", "absorbance"),
    f"{JCAMP}/dupinc2.jdx": fractions(1, 3734, 400.172, 3999.792),
    f"{JCAMP}/fixinc4.jdx": Refused("an axis in ARBITRARY"),
    f"{JCAMP}/jcamp2001_example.txt": Refused("line 51 repeats 353 for a check, the line before ended at 541"),  # cut
    f"{JCAMP}/noencoding_example.jdx": MS,
    f"{JCAMP}/scientific_notation_example.jdx": Read(1, 1867, 399.361384615384, 3999.40169230769, "cm-1", "absorbance"),
    f"{JCAMP}/sqzdupd1.jdx": fractions(1, 18669, 499.95502, 5000.0323),
    f"{JCAMP}/tannic_acid.jdx": Read(1, 1949, 100.595, 2854.713, "cm-1", "intensity"),
    f"{JCAMP}/xyinc2.jdx": Refused("holds 350 points, ##NPOINTS= 298"),  # has lines of sqzdupd1.jdx in its middle
    f"{CHEMINFO}/jcamp-difdup.dx": NO_UNIT,
    f"{CHEMINFO}/jcamp-fix.dx": NO_UNIT,
    f"{CHEMINFO}/jcamp-packed.dx": NO_UNIT,
    f"{CHEMINFO}/jcamp-squeezed.dx": NO_UNIT,
    f"{SPC}/Ft-ir.spc": fractions(1, 1776, 450, 4000),
    f"{SPC}/NDR0002.SPC": Read(1, 4069, 88.63693237304688, 4011.202392578125, "cm-1", "intensity"),
    f"{SPC}/RAMAN.SPC": Read(1, 2073, 0.745383987279638, 3996.8232421875, "cm-1", "intensity"),  # of 3632, from -3006
    f"{SPC}/m_evenz.spc": Read(32, 171, 200, 800, "nm", "absorbance"),
    f"{SPC}/m_ordz.spc": Read(10, 857, 698.229736328125, 4000.354736328125, "cm-1", "absorbance"),
    f"{SPC}/m_xyxy.spc": Refused("its axis is in m/z"),
    f"{SPC}/nir.spc": Read(20, 700, 1100, 2498, "nm", "reflectance", "reflectance"),  # says Kubelka-Munk
    f"{SPC}/raman-sion.spc": Read(36, 1015, 1218.43359375, 2801.458984375, "cm-1", "counts"),
    f"{SPC}/resolutionPro.spc": Read(1, 1557, 499.56216814, 3500.7927999, "cm-1", "absorbance"),
    f"{SPC}/s_evenx.spc": Read(1, 1844, 447.48406982421875, 4002.28173828125, "cm-1", "absorbance"),
    f"{SPC}/s_xy.spc": Refused("its axis is in minutes"),
    f"{OPUS}/brukeropus_file.0": Read(1, 4927, 499.4039959572754, 9997.720922928467, "cm-1", "absorbance"),
    f"{OPUS}/scpdata_test.0000": Read(1, 2567, 699.3889538645833, 3998.3449384537757, "cm-1", "absorbance"),
    "renishaw_wdf/wire_sp.wdf": Read(1, 1015, 1226.2752685546875, 2787.514404296875, "cm-1", "counts"),
    f"{BWTEK}/Ne_785nm_x20_50ms.txt": Read(1, 1945, 1.84, 3257.58, "cm-1", "intensity"),
    f"{BWTEK}/PST02_iRPlus785_Z020_100_1300ms.txt": Read(1, 1725, 1.84, 3000.64, "cm-1", "intensity"),
    f"{BWTEK}/PST10_iR532_Probe_100_3000msx7.txt": Read(1, 1801, 145.99, 4010.28, "cm-1", "intensity"),
    f"{OCEAN}/OOusb4000.txt": Read(1, 3648, 178.65, 888.37, "nm", "absorbance"),
    f"{OCEAN}/OceanOptics_Windows.ProcSpec": Refused("is an Ocean Optics ProcSpec file, which is not read"),
    f"{OCEAN}/OceanOptics_period.jdx": Read(3, 3648, 176.36, 893.69, "nm", "reflectance", "reflectance"),
    f"{OCEAN}/OceanView.txt": Read(1, 2389, 187.92, 2116.5, "nm", "absorbance"),
    f"{OCEAN}/spec.csv": Read(1, 1994, 299.99, 700.03, "nm", "absorbance"),
    "copyleft_test_only/scio/scio_app_scan.csv": Read(1, 331, 740, 1070, "nm", "absorbance"),
    f"{RAMAN}/horiba_macroram_acetonitrile.txt": Read(1, 2048, 87.8957, 3513.15, "cm-1", "counts"),
    f"{RAMAN}/openraman_acetonitrile.csv": Refused("'Pixels #' is no physical axis"),
    f"{RAMAN}/openraman_neon.csv": Refused("'Pixels #' is no physical axis"),
    f"{RAMAN}/renishaw_qontor_acetonitrile.txt": Read(1, 3179, 100.34082, 3199.438477, "cm-1", "intensity"),
    f"{RAMAN}/wasatch_wp532x_enlighten_acetonitrile.csv": Refused("'Pixel' is no physical axis"),
    f"{RAMAN}/wasatch_wp785x_enlighten_acetonitrile.csv": Read(1, 2038, 260.19, 3653.54, "cm-1", "intensity"),
    f"{SAM}/COT26A001_1_12052026T094104.sam": Refused("is a VIAVI MicroNIR .sam file, which is not read"),
    f"{SAM}/COT26A001_2_12052026T094111.sam": Refused("is a VIAVI MicroNIR .sam file, which is not read"),
}


@pytest.fixture(scope="module")
def fixtures(data_dir: Path) -> Path:
    return data_dir / "vendor_fixtures"


def rows_of(path: Path, asked: Quantity | None = None) -> list[Row] | FileError:
    try:
        return list(read_spectra(path, quantity=asked))
    except FileError as error:
        return error


def spectra_of(path: Path, asked: Quantity | None = None) -> list[Spectrum]:
    rows = rows_of(path, asked)
    assert isinstance(rows, list), rows
    assert all(isinstance(row, Found) for row in rows), rows
    return [row.spectrum for row in rows if isinstance(row, Found)]


def blocks_of(path: Path) -> list[Block]:
    with open_source(path) as file:
        blocks = list(read_blocks(Lines(file, path)))
    assert all(isinstance(block, Block) for block in blocks), blocks
    return [block for block in blocks if isinstance(block, Block)]


def traces_of(path: Path) -> list[Trace]:
    data = path.read_bytes()
    return list(read_traces(data, header_of(data, path), path))


def test_every_file_has_its_line_in_the_table(fixtures: Path) -> None:
    there = {str(path.relative_to(fixtures)) for path in fixtures.rglob("*") if path.is_file()}

    assert there == set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_vendor_file_gives_its_spectra_or_the_reason_why_not(name: str, fixtures: Path) -> None:
    expected = FILES[name]
    rows = rows_of(fixtures / name, expected.asked if isinstance(expected, Read) else None)

    if isinstance(expected, Refused):
        errors = [rows] if isinstance(rows, FileError) else [row.error for row in rows if isinstance(row, Lost)]
        assert len(errors) == (1 if isinstance(rows, FileError) else len(rows))
        for error in errors:
            assert name in error.message
            assert expected.reason in error.message
            assert error.hint
        return
    assert isinstance(rows, list), rows
    first = rows[0]
    assert isinstance(first, Found), first
    found = first.spectrum
    assert (len(rows), len(found.axis)) == (expected.spectra, expected.points)
    assert (found.axis[0], found.axis[-1]) == pytest.approx((expected.first, expected.last), rel=AS_PRINTED)
    assert (found.axis_unit, found.quantity) == (expected.unit, expected.quantity)


def label(block: str, name: str) -> float | None:
    found = re.search(rf"^\s*##{name}=\s*(\S+)\s*$", block, re.MULTILINE)
    return float(found[1]) if found else None


@pytest.mark.parametrize("name", [n for n in FILES if n.lower().endswith(("x", "example.txt"))])
def test_jcamp_blocks_agree_with_their_own_labels(name: str, fixtures: Path) -> None:
    if name.endswith(("xyinc2.jdx", "jcamp2001_example.txt")):
        return  # damaged: above
    text = (fixtures / name).read_text(encoding="latin-1")
    parts = [part for part in re.split(r"^\s*##TITLE=", text, flags=re.MULTILINE) if "##XY" in part]
    blocks = blocks_of(fixtures / name)

    assert len(blocks) == len(parts) > 0
    for block, part in zip(blocks, parts, strict=True):
        for stated, decoded in (
            (label(part, "NPOINTS"), len(block.y)),
            (label(part, "FIRSTX"), block.x[0]),
            (label(part, "LASTX"), block.x[-1]),
        ):
            assert stated is None or decoded == pytest.approx(stated, rel=1e-6)
        first_y = label(part, "FIRSTY")
        if first_y is not None and "blckpac1" not in name:  # states the last value there
            assert block.y[0] == pytest.approx(first_y, rel=2e-4, abs=1e-9)


@pytest.mark.parametrize(
    "name",
    ["LABCALC.DX", "PE1800.DX", "tannic_acid.jdx", "BRUKAFFN.DX", "BRUKDIF.DX", "scientific_notation_example.jdx"],
)
def test_jcamp_values_span_what_the_labels_say(name: str, fixtures: Path) -> None:
    path = fixtures / JCAMP / name
    text = path.read_text(encoding="latin-1")

    (block,) = blocks_of(path)

    assert block.y.max() == pytest.approx(label(text, "MAXY"), rel=1e-6)
    assert block.y.min() == pytest.approx(label(text, "MINY"), rel=1e-6)


def test_one_spectrum_in_four_packings_decodes_alike(fixtures: Path) -> None:
    affn, pac, sqz, dif = (blocks_of(fixtures / JCAMP / f"BRUK{form}.DX")[0] for form in ("AFFN", "PAC", "SQZ", "DIF"))
    half_a_step = 29670.15003 / 2 + 1  # BRUKDIF was not rounded to the recorder's steps: ##YFACTOR of TESTSPEC.DX

    np.testing.assert_array_equal(pac.y, affn.y)
    np.testing.assert_array_equal(sqz.y, affn.y)
    np.testing.assert_allclose(dif.y, affn.y, atol=half_a_step)
    for other in (pac, sqz, dif):
        np.testing.assert_array_equal(other.x, affn.x)


def test_the_same_recording_in_another_scale_decodes_alike(fixtures: Path) -> None:
    (dif,), (test,) = (blocks_of(fixtures / JCAMP / name) for name in ("BRUKDIF.DX", "TESTSPEC.DX"))

    np.testing.assert_allclose(dif.y, test.y, atol=1.0)


def test_the_four_packings_of_cheminfo_decode_alike(fixtures: Path) -> None:
    fix, pac, sqz, difdup = (
        blocks_of(fixtures / CHEMINFO / f"jcamp-{form}.dx")[0] for form in ("fix", "packed", "squeezed", "difdup")
    )

    assert fix.y[:4].tolist() == [-10247, 1201, -5196, 7245]
    np.testing.assert_array_equal(difdup.y, pac.y)
    np.testing.assert_array_equal(difdup.x, pac.x)
    np.testing.assert_array_equal(sqz.y[:30], pac.y)
    np.testing.assert_array_equal(fix.y, pac.y[:8])


def test_the_packed_example_of_the_standard_equals_the_plain_one(fixtures: Path) -> None:
    (packed,), (plain,) = (blocks_of(fixtures / JCAMP / f"{n}_example.jdx") for n in ("difdup", "noencoding"))

    np.testing.assert_array_equal(packed.y, plain.y)
    np.testing.assert_array_equal(packed.x, plain.x)


THEY_READ = (
    "BRUKAFFN.DX", "BRUKPAC.DX", "LABCALC.DX", "PE1800.DX", "SPECFILE.DX", "blckpac1.jdx", "compound.jdx",
    "dupdec1.jdx", "dupdec2.jdx", "dupinc1.jdx", "scientific_notation_example.jdx", "tannic_acid.jdx",
)  # fmt: skip


@pytest.mark.parametrize("name", THEY_READ)
def test_jcamp_agrees_with_the_jcamp_package(name: str, fixtures: Path) -> None:
    path = fixtures / JCAMP / name
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its doubts about SPECFILE.DX
        theirs: dict[str, Any] = jcamp.readfile(str(path))

    for block, other in zip(blocks_of(path), theirs.get("children", [theirs]), strict=True):
        np.testing.assert_allclose(block.x, other["x"], rtol=AS_PRINTED)
        np.testing.assert_allclose(block.y, other["y"], rtol=AS_PRINTED)


THEY_MISREAD = ("m_ordz.spc", "NDR0002.SPC")  # of the old kind; with an exponent that counts for many traces only


@pytest.mark.parametrize("name", [n for n in FILES if n.startswith(SPC) and not n.endswith(THEY_MISREAD)])
def test_spc_agrees_with_the_spc_io_package(name: str, fixtures: Path) -> None:
    with (fixtures / name).open("rb") as file:
        theirs = list(spc_io.SPC.from_bytes_io(file))

    for trace, other in zip(traces_of(fixtures / name), theirs, strict=True):
        np.testing.assert_allclose(trace.x, other.xarray, rtol=AS_PRINTED)
        np.testing.assert_array_equal(trace.y, other.yarray)


def test_a_single_trace_takes_the_exponent_of_the_file(fixtures: Path) -> None:
    """The spc-io package takes the trace's, which is nought here; the intensities are scaled to one."""
    (trace,) = traces_of(fixtures / SPC / "NDR0002.SPC")

    assert trace.y.max() == 1.0


def test_the_old_spc_swaps_halves_of_integers(fixtures: Path) -> None:
    data = (fixtures / SPC / "m_ordz.spc").read_bytes()
    traces = traces_of(fixtures / SPC / "m_ordz.spc")

    assert len(traces) == 10 == (len(data) - 224) // (32 + 4 * 857)
    for index, trace in enumerate(traces):
        at = 224 + index * (32 + 4 * 857)
        words = [data[i : i + 4] for i in range(at + 32, at + 32 + 4 * 857, 4)]
        big = [int.from_bytes(bytes((w[1], w[0], w[3], w[2])), "big", signed=True) for w in words]
        exponent = int.from_bytes(data[at + 1 : at + 2], signed=True)
        np.testing.assert_array_equal(trace.y, np.array(big) * 2.0**exponent / 2**32)
        assert np.abs(trace.y[:3]).max() < 0.15  # absorbance beside the bands


@pytest.mark.parametrize("name", ["brukeropus_file.0", "scpdata_test.0000"])
def test_opus_agrees_with_the_brukeropus_package(name: str, fixtures: Path) -> None:
    theirs = brukeropus.read_opus(str(fixtures / OPUS / name))

    for asked, block in (("absorbance", theirs.a), ("intensity", theirs.sm)):
        (found,) = spectra_of(fixtures / OPUS / name, asked)  # type: ignore[arg-type]
        np.testing.assert_allclose(found.axis, block.x[::-1], rtol=AS_PRINTED)
        np.testing.assert_array_equal(found.values, block.y[::-1])
        assert found.title == theirs.params.snm


def test_wdf_agrees_with_renishaws_own_package(fixtures: Path) -> None:
    path = fixtures / "renishaw_wdf" / "wire_sp.wdf"
    with wdf.Wdf(str(path)) as theirs:
        x, y = list(theirs.xlist()), theirs[0]

    (found,) = spectra_of(path)

    np.testing.assert_array_equal(found.axis, x[::-1])
    np.testing.assert_array_equal(found.values, np.array(y[::-1], dtype=np.float32))
    assert found.title == "Single scan measurement 1"


def assert_holds(found: Spectrum, table: Any) -> None:
    order = np.argsort(table[:, 0])
    np.testing.assert_array_equal(found.axis, table[order, 0])
    np.testing.assert_array_equal(found.values, table[order, 1].astype(np.float32))


@pytest.mark.parametrize(
    ("name", "header", "delimiter", "columns"),
    [
        (f"{OCEAN}/OOusb4000.txt", ">>>>>Begin", None, (0, 1)),
        (f"{OCEAN}/spec.csv", "", ",", (0, 1)),
        (f"{RAMAN}/horiba_macroram_acetonitrile.txt", "#AxisUnit[1]", None, (0, 1)),
        (f"{RAMAN}/renishaw_qontor_acetonitrile.txt", "#Wave", None, (0, 1)),
        (f"{RAMAN}/wasatch_wp785x_enlighten_acetonitrile.csv", "Pixel,", ",", (2, 3)),
        (f"{BWTEK}/Ne_785nm_x20_50ms.txt", "Pixel;", ";", (3, 7)),
        (f"{BWTEK}/PST02_iRPlus785_Z020_100_1300ms.txt", "Pixel;", ";", (3, 7)),
    ],
)
def test_text_exports_agree_with_numpy(
    name: str, header: str, delimiter: str | None, columns: tuple[int, int], fixtures: Path
) -> None:
    lines = (fixtures / name).read_text(encoding="latin-1").replace("\r", "").split("\n")
    start = next((i + 1 for i, line in enumerate(lines) if header and line.startswith(header)), 0)
    body = [line.replace(",", ".") if delimiter == ";" else line for line in lines[start:] if not line.startswith(">")]
    table = np.genfromtxt(body, delimiter=delimiter, usecols=columns)  # blanks and NA are NaN

    (found,) = spectra_of(fixtures / name)

    assert_holds(found, table[(table[:, 0] >= 0) & np.isfinite(table[:, 1])])


def test_an_axis_that_is_called_pixel_is_read_when_the_caller_knows_better(fixtures: Path) -> None:
    path = fixtures / RAMAN / "wasatch_wp532x_enlighten_acetonitrile.csv"
    table = np.loadtxt(path, delimiter=",", skiprows=1)

    (row,) = read_spectra(path, unit="cm-1", quantity="intensity")

    assert isinstance(row, Found)
    assert_holds(row.spectrum, table[table[:, 0] >= 0])


def test_the_spliced_ocean_file_is_read_to_its_end(fixtures: Path) -> None:
    text = (fixtures / OCEAN / "OceanView.txt").read_text()
    pairs = re.findall(r"^([\d.]+E\d)\t(-?[\d.]+E-?\d+)$", text, re.MULTILINE)

    (found,) = spectra_of(fixtures / OCEAN / "OceanView.txt")

    assert_holds(found, np.array(pairs, dtype=float))


def test_bwspec_agrees_with_what_charisma_published_of_it(data_dir: Path, fixtures: Path) -> None:
    theirs = np.load(data_dir / "raman_multi_instrument_charisma" / "charisma_raman.npz")

    (found,) = spectra_of(fixtures / BWTEK / "PST10_iR532_Probe_100_3000msx7.txt")

    np.testing.assert_allclose(found.axis, theirs["s002_x"])
    np.testing.assert_allclose(found.values, theirs["s002_y"], rtol=1e-6)


def test_scio_gives_a_value_a_nanometre(fixtures: Path) -> None:
    path = fixtures / "copyleft_test_only" / "scio" / "scio_app_scan.csv"
    values = np.loadtxt(path, delimiter=",", skiprows=1)

    (found,) = spectra_of(path)

    np.testing.assert_array_equal(found.axis, np.arange(740.0, 1071.0))
    np.testing.assert_array_equal(found.values, values.astype(np.float32))
