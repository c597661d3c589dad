"""The simulated board against the lines that docs/csv-over-serial.md describes, typed by hand."""

from __future__ import annotations

import pytest

from firmware_sim.contract import OperatorError
from firmware_sim.devices.csvserial import ROW_FAULTS, CsvBoard
from firmware_sim.faults import FaultPlan
from firmware_sim.hosts.memory import Memory
from firmware_sim.scene import Ramp


def line(*quirks: str, faults: str = "", speed: float = 0.0) -> Memory:
    plan = FaultPlan.parse(faults, own=ROW_FAULTS)
    return Memory(CsvBoard(Ramp(), serial_number="0042", faults=plan, quirks=quirks, speed=speed))


def is_checked(text: bytes) -> bool:
    """CRC-16/XMODEM, bit by bit."""
    body, _, digits = text.rpartition(b"*")
    crc = 0
    for byte in body:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ (0x1021 if crc & 0x8000 else 0)) & 0xFFFF
    return digits == b"%04X" % crc


def test_the_header_begins_and_ends_as_described_and_every_line_has_its_checksum() -> None:
    lines = line().feed(b"?\n").split(b"\n")

    assert lines.pop() == b""
    assert (lines[0], lines[-1]) == (b"#edged-csv 1*0B38", b"#end*D80E")
    assert b"#serial 0042*F905" in lines
    assert {b"#lamp*5F3C", b"#asked*22AB"} < set(lines)
    assert all(map(is_checked, lines))
    assert len(next(text for text in lines if text.startswith(b"#nm ")).split(b",")) == 256


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"l 0", b"#ok l 0*30BD"),
        (b"l 0*DEBF", b"#ok l 0*30BD"),
        (b"l 1*CE9E", b"#ok l 1*209C"),
        (b"t 20*5BE6", b"#ok t 20*4506"),
        (b"t 20*5be6", b"#ok t 20*4506"),
    ],
)
def test_a_command_is_echoed(said: bytes, answer: bytes) -> None:
    assert line().feed(said + b"\n") == answer + b"\n"


@pytest.mark.parametrize("said", [b"m", b"t 20", b"l 1", b"m*BD0C", b"l 0*DEBE", b"t 21*5BE6"])
def test_a_command_without_its_checksum_or_with_a_wrong_one_is_refused(said: bytes) -> None:
    assert line().feed(said + b"\n").startswith(b"#error checksum*")


def test_a_plain_board_takes_commands_without_checksum() -> None:
    board = line("plain", "crlf")

    assert board.feed(b"t 20\r\n") == b"#ok t 20\r\n"
    row = board.feed(b"m\n").removesuffix(b"\r\n").split(b",")
    assert (row[0], len(row)) == (b"1", 257)
    assert board.feed(b"x 1\n") == b"#error no command x\r\n"
    assert board.feed(b"t 0.5\n") == b"#error 1 to 2000 ms\r\n"
    assert board.feed(b"t soon\n") == b"#error no time\r\n"


def test_a_row_takes_its_integration_time_and_its_time_on_the_line() -> None:
    board = line("plain", speed=1.0)
    board.feed(b"t 500\n")
    board.advance(0.1)
    board.feed(b"m\n")

    assert board.advance(0.499) == b""
    first = board.advance(0.02)
    assert 64 <= len(first) <= 230  # 11.52 bytes a millisecond
    assert board.advance(1.0).endswith(b"\n")


def test_a_row_is_what_was_meant() -> None:
    board = line("plain")
    numbers = [int(cell) for cell in board.feed(b"m\n").split(b",")]

    assert isinstance(board.device, CsvBoard)
    assert numbers == [1, *board.device.meant[-1].tolist()]


def test_a_board_that_restarts_is_deaf_and_then_says_who_it_is() -> None:
    board = line("resets", speed=1.0)

    assert board.feed(b"?\n") == b""
    assert board.advance(1.9) == b""
    assert board.advance(0.2).startswith(b"#edged-csv 1*0B38\n")


def test_an_endless_command_is_forgotten() -> None:
    board = line()

    assert board.feed(b"x" * 100_000) == b""
    assert board.feed(b"\n").startswith(b"#error")
    assert board.feed(b"l 0\n") == b"#ok l 0*30BD\n"


def test_what_the_operator_says_is_done_or_refused() -> None:
    board = line("plain").device

    board.operate("faults short_row@1")
    with pytest.raises(OperatorError, match="no fault 'explode'"):
        board.operate("faults explode")
    with pytest.raises(OperatorError, match="ramp"):
        board.operate("sample white")
    with pytest.raises(OperatorError, match="say sample"):
        board.operate("dance")
    assert len(Memory(board).feed(b"m\n").split(b",")) == 256


@pytest.mark.parametrize("options", [{"quirks": ["loud"]}, {"serial_number": ""}, {"serial_number": "x" * 33}])
def test_a_board_that_cannot_be_is_refused(options: dict) -> None:
    with pytest.raises(OperatorError):
        CsvBoard(Ramp(), **options)


def test_a_board_that_streams_prints_by_itself_and_a_change_of_time_holds_from_the_next_row_but_one() -> None:
    board = line("streams", "plain", "unnumbered", speed=1.0)

    assert board.advance(0.09) == b""
    header = board.feed(b"?\n") + board.advance(0.5)
    assert b"#asked" not in header
    assert board.feed(b"t 5000\n") == b""
    came = board.advance(30.0).split(b"\n")
    rows = [text for text in came if text[:1].isdigit()]
    times = [float(str(event["integration_ms"])) for event in board.events() if event["event"] == "row"]

    assert b"#ok t 5000" in came
    assert times == sorted(times)
    assert (times[0], times[-1]) == (100.0, 5000.0)
    assert 3 <= times.count(5000.0) <= 6
    assert all(text.count(b",") == 255 for text in rows)
    assert b"#error" in board.feed(b"m\n") + board.advance(0.5)
