"""Boards that print CSV: the lines of docs/csv-over-serial.md, what sketches make of them, and dialogues as tables."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from drivers.clock import ManualClock
from drivers.contract import ExposureSettings, ScanSettings, Settings
from drivers.devices.csvserial import DEVICE, LINE, Board, board_from, body_of, row_from, with_sum
from drivers.errors import BadSettings, DeviceRefused, Interrupted, NoAnswer, WireError, WrongInstrument
from drivers.framing import NEED_MORE, Frame
from drivers.links.replay import ReplayLink
from drivers.session import Session
from edged.cli.main import main as edged
from tests.architecture.sources import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "csv-over-serial.md"
AXIS = b"340.1,420.7,501.0,580.9,660.2,738.8,816.5,893.1"
FIELDS = {"serial": b"0042", "nm": AXIS, "full-scale": b"1023"}
BOARD = board_from(FIELDS, checked=False)
NUMBERED = board_from(FIELDS | {"numbered": b""}, checked=False)
COUNTS = [98, 101, 97, 99, 102, 98, 100, 97]


def talk(*lines: str) -> list[tuple[str, bytes]]:
    """Steps of a recording from lines as the document shows them: `>` from us, `<` from the board."""
    return [(line[0], line[2:].encode() + b"\n") for line in lines]


def checked(line: str) -> str:
    """The line with the sum by the definition, bit by bit."""
    crc = 0
    for byte in line[2:].encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return f"{line}*{crc:04X}"


HEADER = ("#edged-csv 1", "#serial 0042", f"#nm {AXIS.decode()}", "#full-scale 1023")


def opening(*more: str, sums: bool = False) -> list[tuple[str, bytes]]:
    """What is said until a board is known."""
    lines = [f"< {line}" for line in (*HEADER, *more, "#end")]
    return talk("> l 0", "> ?", *(map(checked, lines) if sums else lines))


def test_the_checksum_is_the_published_one():
    assert with_sum(b"123456789") == b"123456789*31C3"  # the check value of CRC-16/XMODEM


@pytest.mark.parametrize("line", [b"#edged-csv 1*0B38", b"#edged-csv 1*0b38\r", b" #edged-csv 1*0B38 "])
def test_a_line_with_its_checksum_is_taken_without_it(line: bytes):
    assert body_of(line, checked=True) == body_of(line, checked=False) == b"#edged-csv 1"


@pytest.mark.parametrize("line", [b"#edged-csv 2*0B38", b"#edged-csv 1*0B39", b"*0B38", b"1,2,3*"])
def test_a_line_with_a_wrong_checksum_is_a_wire_error(line: bytes):
    with pytest.raises(WireError, match="checksum"):
        body_of(line, checked=True)


def test_a_line_without_its_checksum_is_a_wire_error_only_where_lines_have_one():
    assert body_of(b"#end\r", checked=False) == b"#end"
    with pytest.raises(WireError, match="without its checksum"):
        body_of(b"#end", checked=True)


def test_a_line_is_found_whole_byte_by_byte_and_with_bytes_behind_it():
    line = b"1," + AXIS + b"\n"

    for size in range(len(line)):
        assert LINE.find(line[:size]) is NEED_MORE
    assert LINE.find(line) == LINE.find(line + b"2,3") == Frame(payload=line[:-1], size_bytes=len(line))


@pytest.mark.parametrize(
    "text",
    [
        "98,101,97,99,102,98,100,97",
        "98,101,97,99,102,98,100,97,",
        "98;101;97;99;102;98;100;97;",
        "98\t101\t97\t99\t102\t98\t100\t97",
        "98 101 97 99 102 98 100 97 ",
        "98, 101, 97, 99, 102, 98, 100, 97",
        "98.00,101.00,97.0,99.,102,98,100,97",
    ],
)
def test_a_row_is_understood_as_sketches_print_it(text: str):
    number, counts = row_from(text.encode(), BOARD)

    assert (number, counts.tolist(), counts.dtype) == (None, COUNTS, np.int32)
    assert row_from(f"7,{text}".encode(), NUMBERED)[0] == 7
    assert row_from(f"7,{text}".encode(), NUMBERED)[1].tolist() == COUNTS


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("98,101,97,99,102,98,100", "7 numbers, expected 8"),
        ("7,98,101,97,99,102,98,100,97", "9 numbers"),
        ("98,101,97,99,102,98,100,9x", "no integer"),
        ("98,101,97,99,102,98,100,9.7", "no integer"),
        ("98,101,97,99,102,98,100,9e3", "no integer"),
        ("98,101,,99,102,98,100,97", "7 numbers"),
        ("98,101,97,99,102,98,100,1024", "full scale is 1023"),
        ("98,101,97,99,102,98,100,12345678901234567890", "no integer"),
    ],
)
def test_a_row_that_makes_no_sense_says_why(text: str, why: str):
    with pytest.raises(WireError, match=why):
        row_from(text.encode(), BOARD)


def test_a_numbered_row_that_lacks_a_pixel_is_not_taken_for_one_without_number():
    with pytest.raises(WireError, match="8 numbers, expected 9"):
        row_from(b"7,98,101,97,99,102,98,100", NUMBERED)


HAMAMATSU = "314.0535950 2.683446321 -1.085274073e-3 -7.935339442e-6 9.280578717e-9 6.660903356e-12"


def test_a_polynomial_gives_the_wavelength_of_each_pixel_from_1():
    axis = board_from({"serial": b"1", "nm-of": b"288 " + HAMAMATSU.encode()}, checked=False).axis_nm

    exact = [
        float(sum(Fraction(a) * p**k for k, a in enumerate(HAMAMATSU.split()))) for p in range(1, 289)
    ]  # in exact arithmetic
    assert len(axis) == 288
    np.testing.assert_allclose(axis, exact, rtol=0, atol=1e-9)
    assert 310 < axis[0] < 320 < 870 < axis[-1] < 890  # the sensor is made for 340 to 850 nm


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"serial": b""}, "no serial number"),
        ({"nm": b""}, "no wavelengths"),
        ({"nm-of": b"288 1 2"}, "two wavelengths"),
        ({"nm": b"340,350,360"}, "3 pixels"),
        ({"nm": b"340,350,360,370,380,390,400,400"}, "no axis"),
        ({"nm": b"340,350,360,370,380,390,400,x"}, "no number"),
        ({"nm": b"340,350,360,370,380,390,400,inf"}, "no number"),
        ({"nm": b"340,350,360,370,380,390,400,1e300"}, "monstrous"),
        ({"nm": b"", "nm-of": b"288 300 1e9 1e9"}, "no axis"),
        ({"nm": b"34,35,36,37,38,39,40,41"}, "no axis"),
        ({"nm": b"", "nm-of": b"1e99 1 2"}, "monstrous"),
        ({"nm": b"", "nm-of": b"288"}, "coefficients"),
        ({"nm": b"", "nm-of": b"288 300 314.05e999 1"}, "monstrous"),
        ({"full-scale": b"0"}, "full-scale"),
        ({"full-scale": b"1 2"}, "full-scale"),
        ({"integration-ms": b"500 1"}, "integration-ms"),
        ({"integration-ms": b"0 500"}, "integration-ms"),
        ({"integration-ms": b"1 2 3"}, "integration-ms"),
        ({"integration-ms": b"-5"}, "integration-ms"),
    ],
)
def test_a_header_that_makes_no_sense_says_why_and_where_it_is_described(change: dict[str, bytes], why: str):
    with pytest.raises(WrongInstrument, match=why) as caught:
        board_from(FIELDS | change, checked=False)

    assert "docs/csv-over-serial.md" in caught.value.hint


def test_what_a_board_cannot_promise_is_noted():
    bare = board_from({"serial": b"1", "nm": AXIS}, checked=False)
    full = board_from(FIELDS | {"integration-ms": b"1 500"}, checked=True)

    assert [note.split(":")[0] for note in bare.notes] == [
        "its lines have no checksum",
        "it does not tell its full scale",
        "it chooses its own integration time; integration_ms has no effect",
    ]
    assert bare.limits is None
    assert full.notes == ()
    assert full.limits is not None
    assert (full.limits.integration_ms, full.limits.saturation_counts) == ((1.0, 500.0), 1023)


def session_on(link: ReplayLink) -> Session:
    return Session(link, clock=link.clock)


def documented(language: str) -> list[str]:
    """The blocks of one language in the document."""
    return [block.split("```")[0] for block in DOCUMENT.read_text(encoding="utf-8").split(f"```{language}\n")[1:]]


def test_the_talk_in_the_document_is_how_it_goes():
    lines = next(block for block in documented("text") if block.startswith(">")).splitlines()
    settings = ExposureSettings(integration_ms=20)
    with ReplayLink(talk(*lines)) as link:
        session = session_on(link)
        board = session.perform(DEVICE.open())
        session.perform(DEVICE.configure(board, settings))
        scan = session.perform(DEVICE.scan(board, settings))

    assert all(checked(line[:-5]) == line for line in lines if "*" in line)
    assert (board.identity.model, board.identity.serial_number) == ("C12880MA on a Nano", "0042")
    assert (scan.scan_index, scan.exposure_ms, scan.frames_dropped) == (2, 20.0, 0)
    assert scan.raw.tolist() == [[112, 240, 611, 1023, 874, 433, 201, 120]]
    assert scan.saturated.tolist() == [False, False, False, True, False, False, False, False]
    assert scan.axis.tolist() == [340.1, 420.7, 501.0, 580.9, 660.2, 738.8, 816.5, 893.1]


def test_the_least_in_the_document_is_enough():
    header, rows = next(block for block in documented("text") if "#serial" in block).split("#end\n")
    prints = f"{header}#end\n{rows}".replace("\n", "\r\n").encode()
    with ReplayLink([*talk("> l 0", "> ?"), ("<", prints)]) as link:
        session = session_on(link)
        board = session.perform(DEVICE.open())

    assert (board.identity.serial_number, len(board.axis_nm), board.is_asked) == ("0042", 8, False)


def test_the_station_in_the_document_is_one(tmp_path: Path):
    config = tmp_path / "edged.toml"
    config.write_text('site = "lab"\ndevice = "board"\n' + documented("toml")[0].replace("...", "1"))

    told = CliRunner().invoke(edged, ["check", "--config", str(config)])

    assert told.exit_code == 0, told.output


class Printing:
    """A board that prints row after row, hears nothing, and says what they are every ten rows; CR LF, a comma too many.

    The port is opened in the middle of a row.
    """

    name = "printing"

    def __init__(self, clock: ManualClock, *, header: bool = True) -> None:
        self.clock = clock
        self._header = header
        self._row = 4
        self._waiting = b"7,99,102,98,100,97,\r\n"

    def write(self, data: bytes, within_s: float) -> None:
        pass

    def read(self, limit: int, within_s: float) -> bytes:
        if not self._waiting:
            if within_s < 0.1:
                self.clock.advance(within_s)
                return b""
            self.clock.advance(0.1)
            self._row += 1
            lines = [",".join(str(count + self._row) for count in COUNTS) + ","]
            if self._header and self._row % 10 == 0:
                lines = [*HEADER, "#end", *lines]
            self._waiting = "".join(line + "\r\n" for line in lines).encode()
        taken, self._waiting = self._waiting[:limit], self._waiting[limit:]
        return taken

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_a_board_that_prints_by_itself_is_listened_to():
    clock = ManualClock()
    session = Session(Printing(clock), clock=clock)
    settings = ExposureSettings(repeats=3)
    board = session.perform(DEVICE.open())
    session.perform(DEVICE.configure(board, settings))
    scan = session.perform(DEVICE.scan(board, settings))
    session.perform(DEVICE.environment(board))
    session.perform(DEVICE.close())

    steps = scan.raw - np.array(COUNTS)
    assert (steps == steps[:, :1]).all()  # whole rows
    assert np.diff(steps[:, 0]).tolist() == [1, 1]  # one after the other
    assert (scan.scan_index, scan.exposure_ms, scan.frames_dropped) == (None, None, 1)
    np.testing.assert_allclose(scan.counts, scan.raw.sum(axis=0) / 3)


def test_a_board_that_prints_numbers_only_is_told_what_is_missing():
    clock = ManualClock()
    with pytest.raises(WrongInstrument, match="numbers and not what they are") as caught:
        Session(Printing(clock, header=False), clock=clock).perform(DEVICE.open())

    assert "header" in caught.value.hint
    assert clock.now_s() < 10


def test_silence_at_both_rates_is_no_answer():
    asked = talk("> l 0", "> ?")
    with ReplayLink([*asked * 8]) as link, pytest.raises(NoAnswer):
        session_on(link).perform(DEVICE.open())


def test_a_board_that_restarts_when_its_port_is_opened_is_asked_again():
    lines = [f"< {line}" for line in (*HEADER, "#asked", "#end")]
    with ReplayLink(talk("> l 0", "> ?", "< boot 1.4", "> l 0", "> ?", "< hello", *lines)) as link:
        board = session_on(link).perform(DEVICE.open())

    assert board.is_asked


def test_a_header_that_begins_again_is_the_later_one():
    twice = talk(
        "> l 0", "> ?", "< #edged-csv 1", "< #serial 7", "< #lamp", *(f"< {line}" for line in (*HEADER, "#end"))
    )
    with ReplayLink(twice) as link:
        board = session_on(link).perform(DEVICE.open())

    assert (board.identity.serial_number, board.has_lamp) == ("0042", False)


def test_a_spoilt_header_is_asked_for_again():
    good = opening("#asked", sums=True)
    spoilt = [(way, line.replace(b"501.0", b"501.1")) for way, line in good]
    with ReplayLink([*spoilt, *good]) as link:
        board = session_on(link).perform(DEVICE.open())

    assert board.axis_nm[2] == 501.0


def test_a_lamp_is_off_again_when_rows_fail():
    board = board_from(FIELDS | {"lamp": b"", "asked": b""}, checked=False)
    wrong = talk("> m", "< 1,2,3") * 2
    lamp_on, lamp_off = talk("> l 1", "< #ok l 1"), talk("> l 0", "< #ok l 0")
    with ReplayLink([*lamp_on, *wrong, *lamp_off]) as link, pytest.raises(WireError, match="3 numbers, expected 8"):
        session_on(link).perform(DEVICE.scan(board, ExposureSettings()))


class Stopping(ReplayLink):
    """The station is told to stop as soon as the instrument was asked to measure."""

    session: Session

    def write(self, data: bytes, within_s: float) -> None:
        super().write(data, within_s)
        if data == b"m\n":
            self.session.interrupt()


def test_a_lamp_is_off_again_when_a_scan_is_interrupted():
    board = board_from(FIELDS | {"lamp": b"", "asked": b""}, checked=False)
    with Stopping(talk("> l 1", "< #ok l 1", "> m", "> l 0", "< #ok l 0")) as link:
        link.session = session_on(link)
        with pytest.raises(Interrupted):
            link.session.perform(DEVICE.scan(board, ExposureSettings()))


def test_what_a_board_refuses_is_told_in_its_words():
    board = board_from(FIELDS | {"integration-ms": b"1 500"}, checked=False)
    refused = talk("> t 20.5", "< #error not while the lamp warms up\x1b[31m") * 3
    with ReplayLink(refused) as link, pytest.raises(DeviceRefused, match=r"refused t 20.5: not while .* up\[31m"):
        session_on(link).perform(DEVICE.configure(board, ExposureSettings(integration_ms=20.5)))


def test_an_echo_of_another_command_is_not_an_answer():
    board = board_from(FIELDS | {"integration-ms": b"1 500", "asked": b""}, checked=False)
    steps = talk("> t 20", "< #ok t 2", "> t 20", "< #ok t 20", "> m", "< " + ",".join(map(str, COUNTS)))
    with ReplayLink(steps) as link:
        session_on(link).perform(DEVICE.configure(board, ExposureSettings(integration_ms=20)))


def test_a_row_that_comes_twice_counts_once():
    board = board_from(FIELDS | {"asked": b"", "numbered": b""}, checked=False)
    rows = [f"{number}," + ",".join(str(count + number) for count in COUNTS) for number in (4, 4, 5, 5, 6)]
    steps = [step for row in rows for step in talk("> m", f"< {row}")]
    with ReplayLink(steps) as link:
        session = session_on(link)
        scans = [session.perform(DEVICE.scan(board, ExposureSettings(repeats=repeats))) for repeats in (2, 1)]

    assert [scan.raw[:, 0].tolist() for scan in scans] == [[102, 103], [104]]
    assert [scan.scan_index for scan in scans] == [5, 6]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (ScanSettings(), "frames of an array"),
        (ExposureSettings(laser_mw=5), "no laser_mw"),
        (ExposureSettings(gain=2, detector_c=-5), "no gain and no detector_c"),
        (ExposureSettings(repeats=0), r"repeats 0 \(1 to 1000\)"),
        (ExposureSettings(integration_ms=501), "501; this board does 1 to 500"),
    ],
)
@pytest.mark.parametrize("verb", ["configure", "scan"])
def test_settings_that_cannot_be_are_refused_before_anything_is_sent(verb: str, settings: Settings, why: str):
    board: Board = board_from(FIELDS | {"integration-ms": b"1 500", "lamp": b""}, checked=True)
    with ReplayLink([]) as link, pytest.raises(BadSettings, match=why):
        session_on(link).perform(getattr(DEVICE, verb)(board, settings))


@given(st.binary(max_size=400))
def test_any_bytes_are_a_row_or_a_wire_error(line: bytes):
    with contextlib.suppress(WireError):
        row_from(body_of(line, checked=False), BOARD)


@given(
    st.dictionaries(st.sampled_from(["serial", "nm", "nm-of", "full-scale", "integration-ms"]), st.binary(max_size=60))
)
def test_any_header_is_a_board_or_a_wrong_instrument(fields: dict[str, bytes]):
    with contextlib.suppress(WrongInstrument):
        board_from(fields, checked=False)
