"""What the firmware serves, refuses, and drops without a word."""

from __future__ import annotations

import struct

import pytest

from tests.firmware_sim.raw_client import APPLY_COLUMN_1, client, counts, frame, memory, request, scan_index

STATUS = request(0x0403)


def changed(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


SILENT = {
    "noise": b"hello, is this the spectrometer",
    "line ends": b"\r\n\r\n",
    "AT command": b"AT\r",
    "zeros": bytes(200),
    "ones": b"\xff" * 200,
    "tail alone": b"DCBA",
    "tail first": b"DCBA" + STATUS[:-4] + b"ABCD",
    "head alone": b"ABCD",
    "half a head": b"AB",
    "head twice and no more": b"ABCDABCD",
    "length 0": frame(bytes.fromhex("c0000000")),
    "length 1": frame(bytes.fromhex("c000010003")),
    "length 513": frame(bytes.fromhex("c0000102") + bytes(513)),
    "length 65535": frame(bytes.fromhex("c000ffff") + bytes(600)),
    "reserved bit 2": request(0x0403, flags=0xC4),
    "reserved bit 3": request(0x0403, flags=0xC8),
    "both reserved bits": request(0x0403, flags=0xCC),
    "response bit error": request(0x0403, flags=0xD0),
    "response bit busy": request(0x0403, flags=0xE0),
    "both response bits": request(0x0403, flags=0xF0),
    "destination 1": request(0x0403, flags=0xC1),
    "destination 2": request(0x0403, flags=0xC2),
    "destination 3": request(0x0403, flags=0xC3),
    "no reply wanted, read": request(0x0403, flags=0x80),
    "no reply wanted, write": request(0x0405, flags=0x00),
    "tail broken": changed(STATUS, len(STATUS) - 1, b"Z"),
    "tail missing": STATUS[:-4],
    "head in lower case": b"abcd" + STATUS[4:],
    "length too long by one": changed(STATUS, 10, b"\3"),
}
REFUSED = {
    "unknown command": request(0x0777),
    "boot loader": request(0x002F, flags=0x40),
    "boot loader as a read": request(0x002F),
    "read of a write command": request(0x0218, b"\0"),
    "write of a read command": request(0x0216, flags=0x40),
    "scan to a card that is not there": request(0x0218, b"\1", flags=0x40),
    "scan without its byte": request(0x0218, flags=0x40),
    "repeats without a number": request(0x022E, b"\6", flags=0x40),
    "no repeats": request(0x022E, b"\0\0", flags=0x40),
    "gain 3": request(0x040C, b"\1\3", flags=0x40),
    "gain 0": request(0x021B, b"\0", flags=0x40),
    "scan data before any scan": request(0x002D, bytes(4)),
    "file of no kind": request(0x002D, b"\x63\0\0\0"),
    "file data before any size": request(0x002E),
    "31 February": request(0x0309, bytes((26, 2, 31, 2, 1, 2, 3)), flags=0x40),
    "stored configuration 9": request(0x0224, b"\x09", flags=0x40),
    "lamp switch without bytes": request(0x0105, b"\1", flags=0x40),
}


@pytest.mark.parametrize("bad", SILENT.values(), ids=SILENT)
def test_a_malformed_request_is_dropped_and_the_next_good_one_served_after_the_gap(bad: bytes) -> None:
    line = memory()

    assert line.feed(bad) == b""

    line.advance(1.1)
    assert line.feed(STATUS)[12:18] == bytes.fromhex("030401000000")


@pytest.mark.parametrize("asked", REFUSED.values(), ids=REFUSED)
def test_what_the_firmware_cannot_do_is_answered_by_an_error_of_length_zero(asked: bytes) -> None:
    assert memory().feed(asked) == frame(bytes((asked[8] | 0x10, 0, 0, 0)))


def test_the_boot_loader_request_is_told_to_whoever_watches() -> None:
    line = memory()

    line.feed(request(0x002F, flags=0x40))

    assert line.events() == [{"event": "refused", "serial_number": "SIM0001", "command": "0x002f"}]


@pytest.mark.parametrize(
    ("what", "at", "new"),
    [
        ("no magic", 0, b"xxx"),
        ("big-endian", 3, b"\1"),
        ("longer than what came", 4, b"\xff\xff"),
        ("shorter than its head", 4, b"\5"),
        ("another format", 8, b"T"),
        ("another array length", 23, b"\7"),
        ("Hadamard", 31, b"\1"),
        ("start above end", 82, struct.pack("<H", 1700)),
        ("end beyond the detector", 84, struct.pack("<H", 1800)),
        ("start below it", 82, struct.pack("<H", 800)),
        ("no width", 86, b"\0"),
        ("width of half the array", 86, b"\xff"),
        ("one pattern", 87, b"\1\0"),
        ("too many patterns", 87, b"\xff\x02"),
        ("no repeats", 89, b"\0\0"),
    ],
)
def test_an_impossible_configuration_is_answered_by_a_negative_number_of_patterns(
    what: str, at: int, new: bytes
) -> None:
    line = memory()

    assert struct.unpack("<i", client(line).write(0x021E, changed(APPLY_COLUMN_1, at, new)))[0] < 0, what


def test_a_request_may_come_byte_by_byte() -> None:
    line = memory()

    answers = [line.feed(bytes((byte,))) for byte in STATUS]

    assert set(answers[:-1]) == {b""}
    assert answers[-1][12:14] == b"\3\4"


def test_two_requests_in_one_piece_get_two_replies_in_order() -> None:
    answer = memory().feed(request(0x0403, sequence=1) + request(0x0404, sequence=2))

    assert (answer[9], answer[22 + 9]) == (1, 2)


def test_a_strict_unit_drops_a_request_that_pauses_for_more_than_a_millisecond() -> None:
    line = memory(strict_gap=True)

    line.feed(STATUS[:7])
    line.advance(0.002)

    assert line.feed(STATUS[7:]) == b""
    line.advance(0.002)
    assert line.feed(STATUS)


def test_a_whole_scan_moves_the_index_and_is_told_with_what_lay_there() -> None:
    line = memory(["100AA"])
    indices = [scan_index(client(line).scan()) for _ in range(3)]

    assert indices == [0x10001, 0x10002, 0x10003]
    assert [(event["scan_index"], event["sample"], event["ok"]) for event in line.events()] == [
        (0x10001, "white", True),
        (0x10002, "100AA", True),
        (0x10003, "100AA", True),
    ]


def test_a_scan_takes_the_estimated_time_and_its_bytes_their_time_on_the_wire() -> None:
    line = memory(speed=1.0)
    line.feed(request(0x0218, b"\0", flags=0x40))
    assert line.advance(0.1)

    line.feed(request(0x0219))
    assert line.advance(0.1)[14:15] == b"\0"
    line.advance(2.5)
    line.feed(request(0x0219))
    assert line.advance(0.1)[14:15] == b"\1"

    line.feed(request(0x002D, bytes(4)))
    line.advance(0.1)
    line.feed(request(0x002E))
    early, late = line.advance(0.040), line.advance(0.010)  # 528 bytes of 10 bits at 115200 a second: 45.8 ms
    assert 300 < len(early) < 528
    assert len(early + late) == 528


def test_a_reset_makes_the_unit_deaf_for_a_while_and_begins_a_new_session() -> None:
    line = memory(speed=1000.0)
    line.feed(request(0x0218, b"\0", flags=0x40))
    line.advance(1.0)
    line.feed(request(0x021A, flags=0x40))

    assert line.advance(0.002)
    assert line.feed(STATUS) == b""
    line.advance(1.1)
    line.feed(request(0x0218, b"\0", flags=0x40))
    line.advance(1.0)
    assert [event["scan_index"] for event in line.events()] == [0x10001, 0x20001]


def test_a_lamp_that_the_host_keeps_off_gives_a_dark_scan() -> None:
    line = memory(white=5)
    client(line).write(0x0225, b"\0")

    dark = counts(client(line).scan())

    client(line).write(0x0105, b"\1\1")
    assert abs(dark).max() < 3000 < counts(client(line).scan()).max()
