"""Any bytes: a frame or a WireError, nothing else, and always progress. At least 10,000 cases in all."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.contract import Receive, ScanSettings
from drivers.devices._nirscan_message import READ, Request, UartFramer, UartWire, decode_reply
from drivers.devices._nirscan_scan import decode_scan, scan_index_of
from drivers.devices.nirscan import DEVICE
from drivers.errors import DriverError, WireError
from drivers.framing import Frame, Inbox, Lines, Skip
from drivers.links.replay import ReplayLink
from drivers.session import Session
from drivers.tpl import read_image
from tests.drivers.nirscan_bytes import UNIT, scan_blob, uart, uart_reply

pytestmark = pytest.mark.deep

FRAMING_CASES, MESSAGE_CASES, SCAN_CASES, DIALOGUE_CASES = 4_000, 2_500, 2_500, 1_500
assert FRAMING_CASES + MESSAGE_CASES + SCAN_CASES + DIALOGUE_CASES >= 10_000

PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"ABCD", b"DCBA", b"A", b"AB", b"ABC", uart(b"\x10\0\0\0"), bytes(600), b"\xff" * 30]),
    st.builds(uart_reply, st.integers(0, 0xFFFF), st.binary(max_size=30), sequence=st.integers(0, 255)),
    st.builds(lambda frame, size: frame[:size], st.just(uart_reply(0x0216, bytes(28))), st.integers(0, 46)),
)
STREAMS = st.lists(PIECES, max_size=8)
GOLDEN = scan_blob()


@settings(max_examples=FRAMING_CASES)
@given(STREAMS, st.integers(1, 600))
def test_any_stream_in_any_pieces_gives_the_same_frames_and_always_gets_on(stream: list[bytes], step: int):
    data, framer = b"".join(stream), UartFramer()

    whole = frames_in([data], framer)
    pieces = frames_in([data[at : at + step] for at in range(0, len(data), step)], framer)

    assert whole == pieces


def frames_in(chunks: list[bytes], framer: UartFramer) -> list[bytes]:
    inbox, frames = Inbox(), []
    for chunk in chunks:
        rest = chunk
        while rest:
            room = inbox.room(framer)
            assert room > 0
            inbox.feed(rest[:room])
            rest = rest[room:]
            while (frame := inbox.next(framer)) is not None:
                frames.append(frame.payload)
        assert len(inbox) < framer.limit_bytes
    return frames


@settings(max_examples=MESSAGE_CASES)
@given(st.one_of(st.binary(max_size=60), STREAMS.map(b"".join)))
def test_any_message_is_a_reply_or_a_wire_error(data: bytes):
    for framer in (UartFramer(), Lines(limit_bytes=50)):
        match framer.find(data):
            case Frame(size_bytes=size) | Skip(size_bytes=size):
                assert 1 <= size <= len(data)
    with contextlib.suppress(WireError):
        reply = decode_reply(data)
        assert len(reply.data) <= len(data)
        with contextlib.suppress(DriverError):
            UartWire().answer(reply, Request(flags=READ, sequence=1, command=0x0216))


@st.composite
def damaged_scans(draw: st.DrawFn) -> bytes:
    blob = bytearray(GOLDEN)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.one_of(st.integers(0, 260), st.integers(0, len(blob) - 1)))
        patch = draw(st.binary(min_size=1, max_size=8))
        blob[at : at + len(patch)] = patch
    return bytes(blob[: draw(st.one_of(st.just(len(blob)), st.integers(0, len(blob))))])


@settings(max_examples=SCAN_CASES)
@given(st.one_of(damaged_scans(), st.binary(max_size=200).map(lambda tail: b"tpl\0" + tail)))
def test_any_transfer_is_a_scan_or_a_wire_error(blob: bytes):
    scan_index_of(blob)
    with contextlib.suppress(WireError):
        read_image(blob)
    with contextlib.suppress(WireError):
        scan = decode_scan(blob)
        assert len(scan.axis_nm) == len(scan.counts) == len(scan.saturated) == scan.patterns


class Babbler:
    """A far end that answers each request with the next of its pieces, framed for that request or raw."""

    name = "babbler"

    def __init__(self, pieces: list[tuple[bool, int, bytes]]) -> None:
        self._silence = ReplayLink([])
        self.clock = self._silence.clock
        self._pieces = iter(pieces)
        self._arrived = b""

    def write(self, data: bytes, within_s: float) -> None:
        framed, flags, body = next(self._pieces, (False, 0, b""))
        command = int.from_bytes(data[12:14], "little")
        self._arrived += uart_reply(command, body, sequence=data[9], flags=flags) if framed else body

    def read(self, limit: int, within_s: float) -> bytes:
        taken, self._arrived = self._arrived[:limit], self._arrived[limit:]
        return taken or self._silence.read(limit, within_s)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


BODIES = st.one_of(
    st.sampled_from([b"\0", b"\1", b"6100023\0", bytes(28), b"\xee\x0e\0\0", bytes(20), GOLDEN[:510], bytes(8), b""]),
    st.binary(max_size=40),
)
ANSWERS = st.lists(st.tuples(st.booleans(), st.sampled_from([0xC0, 0xC0, 0xC0, 0xD0, 0xE0]), BODIES), max_size=24)


@settings(max_examples=DIALOGUE_CASES)
@given(st.sampled_from(["open", "configure", "scan", "environment", "close"]), ANSWERS)
def test_any_answers_end_a_dialogue_with_a_result_or_a_sorted_error(verb: str, answers: list[tuple[bool, int, bytes]]):
    link = Babbler(answers)
    arguments: dict[str, tuple[Any, ...]] = {
        "configure": (UNIT, ScanSettings()),
        "scan": (UNIT, ScanSettings()),
        "environment": (UNIT,),
    }

    with contextlib.suppress(DriverError):
        Session(link, clock=link.clock).perform(getattr(DEVICE, verb)(*arguments.get(verb, ())))

    assert link.clock.now_s() < 120


def test_a_conversation_takes_only_what_it_asked_for():
    conversation: Generator[Any, bytes | None, Any] = DEVICE.environment(UNIT)
    next(conversation)
    assert isinstance(conversation.send(None), Receive)
    conversation.close()
