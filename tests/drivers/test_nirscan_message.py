"""The message layer against the worked bytes of protocols.md 4.7, and the UART frames of 4.9."""

from __future__ import annotations

import pytest

from drivers.contract import ScanSettings
from drivers.devices._nirscan_message import (
    BUSY,
    ERROR,
    OK,
    READ,
    WRITE,
    Reply,
    Request,
    UartFramer,
    UartWire,
    decode_reply,
    encode_request,
    raise_unless_ok,
)
from drivers.devices._nirscan_scan import encode_configuration
from drivers.errors import DeviceBusy, DeviceRefused, WireError
from drivers.framing import NEED_MORE, Frame, Skip
from tests.drivers.nirscan_bytes import uart

REQUESTS = {
    "version": (READ, 0, 0x0216, "", "c0 00 02 00 16 02"),
    "status": (READ, 0, 0x0403, "", "c0 00 02 00 03 04"),
    "file size": (READ, 0, 0x002D, "00 00 00 00", "c0 00 06 00 2d 00 00 00 00 00"),
    "file data": (READ, 0, 0x002E, "", "c0 00 02 00 2e 00"),
    "scan to memory": (WRITE, 5, 0x0218, "00", "40 05 03 00 18 02 00"),
    "DLPC and lamp on": (WRITE, 6, 0x0105, "01 01", "40 06 04 00 05 01 01 01"),
    "6 repeats": (WRITE, 7, 0x022E, "06 00", "40 07 04 00 2e 02 06 00"),
}
REPLIES = {
    "version": (
        "c0 00 1c 00 00 01 02 00 00 00 02 00 00 01 02 00 03 00 02 00 01 00 00 00 03 00 00 00 01 00 00 00",
        OK,
        0,
        "00 01 02 00 00 00 02 00 00 01 02 00 03 00 02 00 01 00 00 00 03 00 00 00 01 00 00 00",
    ),
    "status": ("c0 00 04 00 03 00 00 00", OK, 0, "03 00 00 00"),
    "file size": ("c0 00 04 00 ee 0e 00 00", OK, 0, "ee 0e 00 00"),
    "scan to memory": ("40 05 00 00", OK, 5, ""),
    "DLPC and lamp on": ("40 06 00 00", OK, 6, ""),
    "6 repeats": ("40 07 00 00", OK, 7, ""),
    "configuration": ("40 00 04 00 e4 00 00 00", OK, 0, "e4 00 00 00"),
    "error to a read": ("d0 00 00 00", ERROR, 0, ""),
    "error to a write": ("50 00 00 00", ERROR, 0, ""),
    "busy": ("e0 00 00 00", BUSY, 0, ""),
    "busy to a write": ("60 00 00 00", BUSY, 0, ""),
}
APPLY_COLUMN_1 = """
    40 00 7e 00 1e 02 74 70 6c 00 5b 00 00 00 53 28
    63 76 63 23 63 23 76 76 63 76 76 29 00 08 00 00
    00 28 00 00 00 00 08 00 36 31 30 30 30 32 33 00
    43 6f 6c 75 6d 6e 20 31 00 00 00 00 00 00 00 00
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    00 00 00 00 00 00 00 00 84 03 a4 06 06 e4 00 06
"""
VERSION_REQUEST = bytes.fromhex("41 42 43 44 da 00 00 00 c0 00 02 00 16 02 44 43 42 41")
VERSION_REPLY = bytes.fromhex(
    "41 42 43 44 08 01 00 00 c0 00 1e 00 16 02 00 01 02 00 00 00 02 00"
    "00 01 02 00 03 00 02 00 01 00 00 00 03 00 00 00 01 00 00 00 44 43 42 41"
)
FAILURE = bytes.fromhex("41 42 43 44 10 00 00 00 10 00 00 00 44 43 42 41")


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_has_the_documented_bytes(name: str):
    flags, sequence, command, data, expected = REQUESTS[name]

    request = Request(flags=flags, sequence=sequence, command=command, data=bytes.fromhex(data))

    assert encode_request(request) == bytes.fromhex(expected)


def test_applying_column_1_has_the_documented_bytes():
    settings = ScanSettings(name="Column 1", start_nm=900, end_nm=1700, points=228, width_px=6, repeats=6)
    image = encode_configuration(settings, "6100023")

    message = encode_request(Request(flags=WRITE, sequence=0, command=0x021E, data=image.ljust(124, b"\0")))

    assert message == bytes.fromhex(APPLY_COLUMN_1).ljust(4 + 126, b"\0")


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_understood_whole_and_with_padding_behind_it(name: str):
    text, response, sequence, data = REPLIES[name]
    message = bytes.fromhex(text)
    expected = Reply(response=response, sequence=sequence, data=bytes.fromhex(data))

    assert decode_reply(message) == expected
    assert decode_reply(message + b"rubbish") == expected


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_that_is_cut_off_is_a_wire_error(name: str):
    message = bytes.fromhex(REPLIES[name][0])

    for size in range(len(message)):
        with pytest.raises(WireError):
            decode_reply(message[:size])


@pytest.mark.parametrize("flags", [0x01, 0x02, 0xC4, 0xC8, 0xF0, 0x30])
def test_reply_flags_that_nobody_sends_are_a_wire_error(flags: int):
    with pytest.raises(WireError):
        decode_reply(bytes([flags, 0, 0, 0]))


def test_a_request_longer_than_the_firmware_takes_is_our_own_mistake():
    with pytest.raises(ValueError, match="512"):
        encode_request(Request(flags=READ, sequence=0, command=1, data=bytes(511)))


def test_error_and_busy_replies_raise_their_cure():
    request = Request(flags=READ, sequence=1, command=0x0402)

    with pytest.raises(DeviceRefused) as refused:
        raise_unless_ok(Reply(response=ERROR, sequence=1, data=b""), request)
    with pytest.raises(DeviceBusy):
        raise_unless_ok(Reply(response=BUSY, sequence=1, data=b""), request)

    assert refused.value.codes == {"command": 0x0402}


def test_the_version_request_is_framed_as_documented():
    wire = UartWire()

    assert wire.wrap(encode_request(Request(flags=READ, sequence=0, command=0x0216))) == VERSION_REQUEST


@pytest.mark.parametrize("frame", [VERSION_REPLY, VERSION_REQUEST, FAILURE, uart(bytes([0xC0, 1, 2, 2]) + bytes(514))])
def test_a_frame_is_found_whole_byte_by_byte_and_with_bytes_behind_it(frame: bytes):
    framer = UartFramer()
    expected = Frame(payload=frame[8:-4], size_bytes=len(frame))

    assert framer.find(frame) == expected
    for size in range(len(frame)):
        assert framer.find(frame[:size]) is NEED_MORE
    for behind in (b"A", b"ABCD", b"DCBA", VERSION_REPLY, bytes(600)):
        assert framer.find(frame + behind) == expected


def test_the_longest_frame_fits_the_stated_limit_exactly():
    longest = uart(bytes([0xC0, 1, 2, 2]) + bytes(514))

    assert len(longest) == UartFramer().limit_bytes


def test_the_version_reply_answers_the_version_request():
    wire = UartWire()
    request = Request(flags=READ, sequence=0, command=0x0216)

    answer = wire.answer(decode_reply(wire.framer.find(VERSION_REPLY).payload), request)

    assert answer == bytes.fromhex(REPLIES["version"][3])


def test_the_standard_failure_refuses_whatever_was_asked():
    wire = UartWire()

    with pytest.raises(DeviceRefused):
        wire.answer(decode_reply(FAILURE[8:-4]), Request(flags=READ, sequence=9, command=0x0216))


@pytest.mark.parametrize(
    ("sequence", "command", "flags"), [(3, 0x0216, 0xC0), (4, 0x0403, 0xC0), (3, 0x0216, 0xD0), (4, 0x0403, 0xE0)]
)
def test_an_answer_to_another_question_is_told_apart(sequence: int, command: int, flags: int):
    reply = decode_reply(bytes([flags, sequence, 2, 0]) + command.to_bytes(2, "little"))

    assert UartWire().answer(reply, Request(flags=READ, sequence=4, command=0x0216)) is None


@pytest.mark.parametrize("at", range(4, len(VERSION_REPLY)))
def test_a_flipped_bit_anywhere_behind_the_start_is_no_frame(at: int):
    framer = UartFramer()
    damaged = VERSION_REPLY[:at] + bytes([VERSION_REPLY[at] ^ 0x04]) + VERSION_REPLY[at + 1 :]

    found = framer.find(damaged + bytes(600))

    assert isinstance(found, Skip)


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (VERSION_REPLY[:4] + b"\x09" + VERSION_REPLY[5:], "checksum"),
        (VERSION_REPLY[:-1] + b"x", "without its end"),
        (VERSION_REPLY[:10] + b"\xff\xff" + VERSION_REPLY[12:], "65535"),
        (b"noise" + VERSION_REPLY, "noise"),
    ],
)
def test_what_is_no_frame_says_why(damaged: bytes, reason: str):
    found = UartFramer().find(damaged)

    assert isinstance(found, Skip)
    assert reason in found.reason
