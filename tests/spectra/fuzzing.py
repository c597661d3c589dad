"""Damaged files for the parsers: seeds, mutations, and a run for so many seconds that tells what went wrong.

`python -m tests.spectra.fuzzing PARSER SECONDS SEED [FOLDER]` prints one JSON object; FOLDER holds more seeds. Its
memory is limited to what it had at the start and ROOM_BYTES.
"""

from __future__ import annotations

import io
import json
import random
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edged.spectra.files import _read_table, read_spectra
from edged.spectra.formats.asked import Asked
from edged.spectra.formats.bwspec import read_bwspec
from edged.spectra.formats.enlighten_csv import read_enlighten
from edged.spectra.formats.horiba_text import read_horiba
from edged.spectra.formats.jcamp import read_jcamp
from edged.spectra.formats.lines import Lines
from edged.spectra.formats.nirscan_csv import read_nirscan
from edged.spectra.formats.ocean_text import read_ocean
from edged.spectra.formats.opus import read_opus
from edged.spectra.formats.renishaw_text import read_renishaw
from edged.spectra.formats.scio_csv import read_scio
from edged.spectra.formats.spc import read_spc
from edged.spectra.formats.wdf import read_wdf
from edged.spectra.rows import FileError, Found, Lost, Row
from edged.spectra.spectrum import Spectrum
from edged.spectra.write import _csv, _jcamp, _spc

ROOM_BYTES = 64 << 20
SLOW_S = 5.0
MAX_SEED_BYTES = 256 << 10
PATH = Path("x")
PARSERS: dict[str, Callable[[bytes], Iterator[Row]]] = {
    **{
        name: lambda data, read=read: read(data, PATH, Asked())  # type: ignore[misc]
        for name, read in (("spc", read_spc), ("opus", read_opus), ("wdf", read_wdf))
    },
    **{
        name: lambda data, read=read: read(Lines(io.BufferedReader(io.BytesIO(data)), PATH), Asked())  # type: ignore[misc,arg-type]
        for name, read in (
            ("jcamp", read_jcamp),
            ("nirscan", read_nirscan),
            ("enlighten", read_enlighten),
            ("bwspec", read_bwspec),
            ("ocean", read_ocean),
            ("horiba", read_horiba),
            ("renishaw", read_renishaw),
            ("scio", read_scio),
            ("table", _read_table),
        )
    },
}
FIXTURES = {  # where real files of each kind lie among the public data
    "jcamp": "jcamp_dx/**/*.*",
    "spc": "galactic_spc/*",
    "opus": "bruker_opus/*",
    "wdf": "renishaw_wdf/*",
    "enlighten": "**/wasatch*",
    "bwspec": "bwtek_txt/*",
    "ocean": "**/O*.txt",
    "horiba": "**/horiba*",
    "renishaw": "**/renishaw*.txt",
    "scio": "**/scio*",
    "table": "**/*.csv",
}
WORDS = [
    b"\0" * 8,
    b"\xff" * 4,
    b"\x7f",
    b"9" * 50,
    b"-",
    b"e999",
    b"nan",
    b"inf",
    b"\n",
    b"##",
    b"##END=\n",
    b"##TITLE=\n",
]
WORDS += [
    b"Z9",
    b"s99999",
    b"%",
    b"@",
    b"J",
    b"##NPOINTS= 99999999\n",
    b"(XY..XY)",
    b"(X++(Y..Y))",
    b"$$",
    b",",
    b";",
    b"\t",
]


def made_seeds() -> dict[str, list[bytes]]:
    """Return a small file of each kind; those that we write, and others by hand."""
    axis, values = np.linspace(100.0, 140.0, 20), np.linspace(1.0, 2.0, 20).astype(np.float32)
    even = Spectrum(axis=axis, values=values, axis_unit="cm-1", quantity="intensity", title="a")
    uneven = Spectrum(axis=axis**1.01, values=values, axis_unit="nm", quantity="absorbance", title="b")
    pairs = [f"{200 + i}\t{1.5 * i}" for i in range(20)]
    packed = (
        "##TITLE=x\n##XUNITS=1/CM\n##FIRSTX=1\n##LASTX=9\n##NPOINTS=9\n##XYDATA=(X++(Y..Y))\n1A0K%Tl\n5Irlj0T\n##END=\n"
    )
    return {
        "jcamp": [_jcamp(even), packed.encode(), packed.encode() * 3],
        "spc": [_spc(even), _spc(uneven)],
        "opus": [
            b"\n\n\xfe\xfe" + bytes(8) + b"\x18\0\0\0\x28\0\0\0\x02\0\0\0" + b"\x0f\x10\0\0\x08\0\0\0\x30\0\0\0" * 4
        ],
        "wdf": [
            b"WDF1"
            + bytes(56)
            + b"\x08\0\0\0"
            + b"\x01\0\0\0\0\0\0\0" * 2
            + bytes(432)
            + b"XLST\0\0\0\0\x38"
            + bytes(47)
        ],
        "nirscan": [
            b"Wavelength (nm),Absorbance (AU),Reference\n" + b"".join(b"%d,0.5,3\n" % (900 + i) for i in range(20))
        ],
        "enlighten": [
            b"ENLIGHTEN Version,4\nPixel,Wavelength,Wavenumber,Processed\n1,801.4,260.1,38\n2,802.4,NA,3\n" * 5
        ],
        "bwspec": [b"File Version;BW\nPixel;Wavelength;Raman Shift;Dark Subtracted #1\n" + b"1;769,4;25,6;9,1\n" * 9],
        "ocean": ["\r\n".join(["SpectraSuite Data File", ">>>>>Begin Processed Spectral Data<<<<<", *pairs]).encode()],
        "horiba": ["\n".join(["#AxisType[1]=Spectr", "#AxisUnit[1]=1/cm", *pairs]).encode()],
        "renishaw": ["\n".join(["#Wave\t\t#Intensity", *pairs]).encode()],
        "scio": [b'"band740","band741","band742"\n1.5,1.6,1.7\n'],
        "table": [_csv(even), _csv(uneven), b"nm,a\n" + b"".join(b"%d,0.5\n" % (900 + i) for i in range(20))],
    }


def seeds(parser: str, folder: Path | None) -> list[bytes]:
    """Return the made seeds of a parser, and the real ones where the public data are."""
    found = list(made_seeds().get(parser, []))
    if folder is not None and parser in FIXTURES:
        found += [
            path.read_bytes()[:MAX_SEED_BYTES] for path in sorted(folder.glob(FIXTURES[parser])) if path.is_file()
        ]
    return found


def mutated(seed: bytes, rng: random.Random) -> bytes:
    """Return a damaged copy: bytes changed, inserted, removed or repeated, or the end cut off."""
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(data) + 1) if rng.random() < 0.5 else rng.randrange(min(len(data), 600) + 1)
        match rng.randrange(6):
            case 0:
                data[at : at + 1] = bytes((rng.randrange(256),))
            case 1:
                data[at : at + rng.choice((0, 1, 4, 8))] = rng.choice(WORDS)
            case 2:
                del data[at : at + rng.choice((1, 2, 32, 1000))]
            case 3:
                data[at : at + 4] = rng.choice((0, 1, 255, 65536, 2**31 - 1, 2**32 - 1)).to_bytes(4, "little")
            case 4:
                data[at:at] = data[at : at + rng.choice((1, 10, 100))] * rng.choice((1, 3, 50))
            case 5:
                if rng.random() < 0.3:
                    del data[at:]
                elif at < len(data):
                    data[at] ^= 1 << rng.randrange(8)
    return bytes(data)


def check(rows: Iterator[Row]) -> str:
    """Run a parser to its end and return how it ended. Whatever else it does is its fault."""
    outcome = "nothing"
    try:
        for row in rows:
            assert isinstance(row, Found | Lost)
            outcome = "found" if isinstance(row, Found) else "lost"
    except FileError:
        outcome = "refused"
    return outcome


def run(parser: str, seconds: float, seed: int, folder: Path | None) -> dict[str, Any]:
    """Feed a parser for so long; return counts, the slowest case and the growth of memory."""
    warnings.simplefilter("error")
    rng, begun = random.Random(seed), time.monotonic()
    sources = seeds(parser, folder)
    for data in sources:
        check(PARSERS[parser](data))  # what the first use imports and caches is no growth
    limit = _in_use() + ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cases, slowest_s, outcomes = 0, 0.0, dict.fromkeys(("found", "lost", "refused", "nothing"), 0)
    while time.monotonic() - begun < seconds:
        data = mutated(rng.choice(sources), rng) if rng.random() < 0.97 else rng.randbytes(rng.randrange(5000))
        before = time.monotonic()
        try:
            outcomes[check(PARSERS[parser](data))] += 1
        except BaseException:
            sys.stderr.write(f"seed {seed}, case {cases}: {data[:2000]!r}\n")
            raise
        slowest_s = max(slowest_s, time.monotonic() - before)
        cases += 1
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start_kib) / 1024
    return {"parser": parser, "cases": cases, "slowest_s": slowest_s, "grown_mb": grown_mb, **outcomes}


def _in_use() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def read_table(path: Path) -> str:
    """Run the whole chain on a file, as it knows the format by the contents."""
    return check(read_spectra(path))


if __name__ == "__main__":
    name, length_s, number, *rest = sys.argv[1:]
    sys.stdout.write(json.dumps(run(name, float(length_s), int(number), Path(rest[0]) if rest else None)) + "\n")
