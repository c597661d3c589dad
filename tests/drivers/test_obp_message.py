"""Messages of the Ocean Binary Protocol: worked bytes, found whole, in pieces, and with bytes behind them."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from drivers.devices import _obp_message as obp
from drivers.devices._obp_message import ObpFramer, decode, encode, raise_unless_ok
from drivers.devices._obp_models import QE_PRO, STS
from drivers.devices.obp import spectrum_from
from drivers.errors import AskAgain, DeviceBusy, DeviceRefused, LinkDenied, Reopen, WireError, WrongInstrument
from drivers.framing import NEED_MORE, Frame, Inbox, Skip
from tests.drivers import obp_bytes

REPLIES = {
    "serial": (obp_bytes.SERIAL, b"STS-S12345"),
    "serial with its sum": (obp_bytes.SERIAL_MD5, b"STS-S12345"),
    "acknowledgement": (obp_bytes.ACK, b""),
    "refusal": (obp_bytes.NACK, b""),
    "coefficient": (obp_bytes.COEFFICIENT, struct.pack("<f", 0.4552)),
    "spectrum": (obp_bytes.RAW, struct.pack("<1024H", *range(1500, 2524))),
}
SPECTRUM = ObpFramer(payload_bytes=2048)


@pytest.mark.parametrize(
    ("message_type", "data", "flags", "expected"),
    [
        (0x100, b"", 0, obp_bytes.GET_SERIAL),
        (0x110010, struct.pack("<I", 10_000), 4, obp_bytes.SET_10_MS),
        (0x180101, b"\1", 0, obp_bytes.GET_COEFFICIENT),
        (0x101100, b"", 0, obp_bytes.GET_RAW),
    ],
)
def test_a_request_has_the_documented_bytes(message_type: int, data: bytes, flags: int, expected: bytes):
    assert encode(message_type, data, flags=flags) == expected


def test_more_than_sixteen_bytes_of_data_travel_as_payload():
    message = encode(0x182011, bytes(range(17)))

    assert (message[23], message[40:44], message[44:61]) == (0, b"\x25\0\0\0", bytes(range(17)))
    assert len(message) == 64 + 17


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_found_whole_byte_by_byte_and_with_bytes_behind_it(name: str):
    message, data = REPLIES[name]
    expected = Frame(payload=message, size_bytes=len(message))

    assert SPECTRUM.find(message) == expected
    for size in range(len(message)):
        assert SPECTRUM.find(message[:size]) is NEED_MORE
    for behind in (b"\0", b"\xc1", b"\xc1\xc0", obp_bytes.ACK, bytes(4)):
        assert SPECTRUM.find(message + behind) == expected
    assert decode(message).data == data


def test_the_numbers_of_a_refusal_are_read():
    reply = decode(obp_bytes.NACK)

    assert (reply.version, reply.flags, reply.error, reply.message_type) == (0x1100, 9, 2, 0x999)


def test_a_checksum_is_noticed_and_one_is_added_when_asked_for():
    assert decode(obp_bytes.SERIAL_MD5).sealed
    assert not decode(obp_bytes.SERIAL).sealed
    sealed = encode(0x100, md5=True)
    assert ObpFramer(sums_needed=True).find(sealed) == Frame(payload=sealed, size_bytes=64)


@pytest.mark.parametrize("at", range(64))
def test_a_flipped_bit_anywhere_in_a_checked_message_is_no_frame(at: int):
    damaged = obp_bytes.SERIAL_MD5[:at] + bytes([obp_bytes.SERIAL_MD5[at] ^ 0x01]) + obp_bytes.SERIAL_MD5[at + 1 :]

    for sums_needed in (False, True):
        inbox = Inbox()
        inbox.feed(damaged)
        assert inbox.next(ObpFramer(sums_needed=sums_needed)) is None


@pytest.mark.parametrize(
    ("message", "framer", "reason"),
    [
        (b"noise" + obp_bytes.ACK, SPECTRUM, "noise"),
        (obp_bytes.RAW, ObpFramer(), "2068 more bytes"),
        (obp_bytes.ACK[:40] + b"\x13\0\0\0" + obp_bytes.ACK[44:], SPECTRUM, "19 more bytes"),
        (obp_bytes.ACK[:40] + b"\xff\xff\xff\xff" + obp_bytes.ACK[44:], SPECTRUM, "4294967295 more bytes"),
        (obp_bytes.ACK[:23] + b"\x11" + obp_bytes.ACK[24:], SPECTRUM, "17 bytes of immediate data"),
        (obp_bytes.RAW[:23] + b"\x01" + obp_bytes.RAW[24:], SPECTRUM, "1 bytes of immediate data"),
        (obp_bytes.ACK[:-1] + b"\0", SPECTRUM, "without its end"),
        (obp_bytes.ACK[:22] + b"\2" + obp_bytes.ACK[23:], SPECTRUM, "checksum type 2"),
        (obp_bytes.SERIAL, ObpFramer(sums_needed=True), "without a checksum"),
        (obp_bytes.SERIAL_MD5[:22] + b"\0" + obp_bytes.SERIAL_MD5[23:], SPECTRUM, "denies"),
        (obp_bytes.SERIAL_MD5[:30] + b"!" + obp_bytes.SERIAL_MD5[31:], SPECTRUM, "wrong checksum"),
    ],
)
def test_what_is_no_frame_says_why_and_the_next_one_is_found(message: bytes, framer: ObpFramer, reason: str):
    found = framer.find(message)
    inbox = Inbox()
    inbox.feed(message + obp_bytes.SERIAL_MD5)

    assert isinstance(found, Skip)
    assert reason in found.reason
    while (frame := inbox.next(framer)) is not None and frame.payload != obp_bytes.SERIAL_MD5:
        pass
    assert frame is not None


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (1, WrongInstrument),
        (2, DeviceRefused),
        (3, DeviceRefused),
        (6, DeviceRefused),
        (7, DeviceBusy),
        (9, Reopen),
        (10, LinkDenied),
        (13, Reopen),
        (103, DeviceRefused),
        (999, DeviceRefused),
    ],
)
def test_an_error_number_raises_its_cure(number: int, cure: type[Exception]):
    reply = decode(obp_bytes.NACK[:6] + number.to_bytes(2, "little") + obp_bytes.NACK[8:])

    with pytest.raises(cure) as caught:
        raise_unless_ok(reply)

    if isinstance(caught.value, DeviceRefused):
        assert list(caught.value.codes.values()) == [number]
    assert isinstance(caught.value, AskAgain) == issubclass(cure, AskAgain)


def test_every_error_number_of_the_sheet_has_a_name():
    assert set(obp.ERRORS) == {*range(14), *range(100, 105)}


def test_a_spectrum_has_the_documented_counts():
    frame = spectrum_from(obp_bytes.RAW, STS, 10_000)

    assert frame.pixels.tolist() == list(range(1500, 2524))
    assert (frame.pixels.dtype, frame.number) == (np.int32, None)


def qe_pro_message(count: int, told_us: int, *, trigger: int = 0, level: int = 1000) -> bytes:
    metadata = struct.pack("<IQIHB13x", count, 123_456, told_us, 0, trigger)
    return encode(0x100928, metadata + struct.pack("<1044I", *[level] * 1044))


def test_a_qe_pro_spectrum_brings_its_count_and_clock():
    frame = spectrum_from(qe_pro_message(7, 8_000), QE_PRO, 8_000)

    assert (frame.number, frame.ticks_us, set(frame.pixels.tolist())) == (7, 123_456, {1000})


@pytest.mark.parametrize(
    "message",
    [qe_pro_message(7, 80_000), qe_pro_message(7, 8_000, trigger=1), qe_pro_message(7, 8_000, level=1 << 18)],
    ids=["other exposure", "other trigger", "too bright"],
)
def test_a_qe_pro_spectrum_that_is_not_as_asked_is_a_wire_error(message: bytes):
    with pytest.raises(WireError):
        spectrum_from(message, QE_PRO, 8_000)


def test_spectra_of_another_length_and_impossible_counts_are_wire_errors():
    twice = encode(0x101100, bytes(4096))
    bright = encode(0x101100, struct.pack("<1024H", *[16_384] * 1024))

    with pytest.raises(WireError, match="4096 bytes, expected 2048"):
        spectrum_from(twice, STS, 10_000)
    with pytest.raises(WireError, match="16384"):
        spectrum_from(bright, STS, 10_000)
