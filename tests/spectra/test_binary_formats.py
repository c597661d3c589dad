"""SPC, OPUS and WDF, fault by fault; the whole files are judged in test_vendor_fixtures.py."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edged.spectra.files import read_spectra
from edged.spectra.formats import source
from edged.spectra.rows import FileError, Found, Lost, Row

Y = np.array([1, 2, 4, 8, 16, 32, 64, -128], dtype=np.int32)

NINE_HUNDRED = struct.pack("<d", 900.0)


def spc(
    flags: int = 0, exponent: int = 0, points: int = 8, traces: int = 1, x: int = 3, y: int = 2, version: int = 0x4B
) -> bytes:
    """Return a header by the published layout."""
    head = struct.pack("<BBBbiddiBB", flags, version, 0, exponent, points, 900.0, 907.0, traces, x, y)
    return head.ljust(88, b"\0") + b"comment".ljust(424, b"\0")


def trace(values: Any, kind: str = "<i4", exponent: int = 0, points: int = 8) -> bytes:
    return (
        struct.pack("<BbHfffiif4x", 0, exponent, 0, 0, 0, 0, points, 0, 0) + np.asarray(values).astype(kind).tobytes()
    )


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def run(data: bytes) -> list[Row]:
        path = tmp_path / "file"
        path.write_bytes(data)
        return list(read_spectra(path))

    return run


def values_of(rows: list[Row]) -> list[list[float]]:
    assert all(isinstance(row, Found) for row in rows), rows
    return [row.spectrum.values.tolist() for row in rows if isinstance(row, Found)]


def test_integers_are_scaled_by_their_exponent(read: Any) -> None:
    wide = read(spc(exponent=32) + trace(Y))
    narrow = read(spc(flags=1, exponent=17) + trace(Y, "<i2"))

    assert values_of(wide) == [Y.tolist()]
    assert values_of(narrow) == [(2 * Y).tolist()]


def test_many_traces_have_their_own_exponents_and_may_hold_floats(read: Any) -> None:
    found = read(spc(flags=4, exponent=3, traces=2) + trace(Y, exponent=33) + trace(Y / 2, "<f4", exponent=-128))

    assert values_of(found) == [(2 * Y).tolist(), (Y / 2).tolist()]


def test_an_axis_of_its_own_is_read_for_each_trace(read: Any) -> None:
    first, second = np.arange(900.0, 908.0, dtype="<f4"), np.arange(910.0, 926.0, 2, dtype="<f4")
    parts = [spc(flags=0xC4, exponent=-128, points=9999, traces=2)]
    for x in (first, second):
        whole = trace(Y, "<f4", exponent=-128)
        parts += [whole[:32], x.tobytes(), whole[32:]]

    found = read(b"".join(parts))

    assert values_of(found) == [Y.tolist()] * 2
    assert [row.spectrum.axis.tolist() for row in found] == [first.tolist(), second.tolist()]


def test_a_descending_stored_axis_is_turned(read: Any) -> None:
    (found,) = read(
        spc(flags=0x80, exponent=-128) + np.arange(908.0, 900.0, -1).astype("<f4").tobytes() + trace(Y, "<f4")
    )

    assert found.spectrum.values.tolist() == Y.tolist()[::-1]
    assert found.spectrum.axis[0] == 901.0


REFUSED: dict[str, tuple[bytes, str]] = {
    "big-endian": (spc(version=0x4C), "is SPC in big-endian order"),
    "a header cut off": (spc()[:300], "its SPC header is cut off"),
    "no trace": (spc(traces=0), "counts 0 traces"),
    "many traces in a file of one": (spc(traces=2), "counts 2 traces"),
    "no points": (spc(points=0), "counts 0 points a trace"),
    "more points than any spectrum": (spc(points=2**31 - 1), "counts 2147483647 points a trace"),
    "a trace missing": (spc(flags=4, traces=2) + trace(Y), "trace 2: the file ends before it"),
    "values missing": (spc() + trace(Y[:7]), "trace 1: the file ends within its values"),
    "an axis missing": (spc(flags=0x80), "axis: the file ends within its values"),
    "an impossible exponent": (spc(exponent=100) + trace(Y), "an exponent of 100"),
    "an axis a trace, and no points": (spc(flags=0xC0, points=2**31 - 1) + trace(Y, points=-1), "counts -1 points"),
    "a directory elsewhere": (b"\n\n\xfe\xfe" + struct.pack("<diii", 1.0, 500, 40, 4), "directory of 4 blocks at 500"),
    "too many blocks": (b"\n\n\xfe\xfe" + struct.pack("<diii", 1.0, 24, 40, 10**6) + bytes(99), "1000000 blocks"),
    "an OPUS file cut off": (b"\n\n\xfe\xfe\0\0", "its OPUS header is cut off"),
    "a block outside": (
        b"\n\n\xfe\xfe" + struct.pack("<diiiIii", 1.0, 24, 40, 1, 0x100F, 2**30, 0),
        "a block of 1073741824 words at 0 is not in the file",
    ),
    "no spectrum": (b"\n\n\xfe\xfe" + struct.pack("<diiiIii", 1.0, 24, 40, 1, 0x60, 1, 0), "OPUS without a spectrum"),
    "a WiRE file cut off": (b"WDF1" + bytes(20), "its WiRE header is cut off"),
    "a WiRE file of nothing": (b"WDF1" + bytes(600), "counts 0 spectra of 0 points"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_damaged_file_is_refused_with_what_is_wrong(name: str, read: Any) -> None:
    data, message = REFUSED[name]

    with pytest.raises(FileError) as caught:
        read(data)

    assert message in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (spc(x=6) + trace(Y), "its axis is in Hz"),
        (spc(x=99) + trace(Y), "its axis is in unit 99"),
        (spc(y=3) + trace(Y), "holds 'Kubelka-Munk'"),
        (spc(exponent=-128) + trace([np.nan] * 8, "<f4"), "the value at point 1 is nan"),
        (spc(exponent=-128) + trace([np.inf] * 8, "<f4"), "the value at point 1 is inf"),
        (spc(exponent=-128, points=4) + trace(Y[:4], "<f4"), "4 axis positions"),
        (spc(exponent=-128).replace(struct.pack("<d", 900.0), struct.pack("<d", np.inf)) + trace(Y, "<f4"), "the axis"),
        (
            spc(exponent=-128).replace(struct.pack("<d", 900.0), struct.pack("<d", 907.0)) + trace(Y, "<f4"),
            "does not rise",
        ),
    ],
)
def test_a_trace_that_is_no_spectrum_is_lost_with_the_reason(data: bytes, message: str, read: Any) -> None:
    (row,) = read(data)

    assert isinstance(row, Lost), row
    assert message in row.error.message


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04" + bytes(20) + b"xl/workbook.xml", "is an Excel workbook, which is not read"),
        (b"PK\x03\x04" + bytes(20), "is a zip archive"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file, which is not read"),
        (b"Spectral Data File" + bytes(20), "is a Thermo OMNIC file, which is not read"),
        (b"AVS84" + bytes(20), "is an Avantes AvaSoft file, which is not read"),
    ],
)
def test_a_format_that_is_not_read_is_named_with_the_way_out(data: bytes, message: str, read: Any) -> None:
    with pytest.raises(FileError) as caught:
        read(data)

    assert message in caught.value.message
    assert caught.value.hint


def test_a_binary_file_is_held_up_to_a_limit(read: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_BINARY_BYTES", 1 << 20)

    with pytest.raises(FileError, match="larger than 1 MiB"):
        read(spc().ljust((1 << 20) + 1, b"\0"))
