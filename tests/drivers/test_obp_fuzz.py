"""Any bytes of an OBP instrument: a frame or an error of a known sort, and always progress."""

from __future__ import annotations

import contextlib
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers import registry
from drivers.contract import Conversation, ExposureSettings, Medium
from drivers.devices._obp_message import ObpFramer, decode, encode, raise_unless_ok
from drivers.devices._obp_models import QE_PRO, STS
from drivers.devices.obp import spectrum_from
from drivers.errors import DriverError, WireError
from drivers.framing import Frame, Inbox, Skip
from drivers.links.replay import ReplayLink
from drivers.session import Session
from tests.contract.obp_ends import instrument, session_on
from tests.drivers import obp_bytes

OBP = registry.load("obp")
UNIT = session_on(instrument("sts-nir", "tcp")).perform(OBP.over("tcp").open())

REPLIES = st.builds(
    lambda kind, data, flags, regarding, md5: encode(kind, data, flags=flags, regarding=regarding, md5=md5),
    st.sampled_from([0x100, 0x101100, 0x180100]),
    st.binary(max_size=40),
    st.sampled_from([1, 3, 9, 0x11]),
    st.integers(0, 3),
    st.booleans(),
)
PIECES = st.one_of(
    st.binary(max_size=80),
    st.sampled_from([b"\xc1", b"\xc1\xc0", b"\xc5\xc4\xc3\xc2", bytes(64), obp_bytes.NACK, obp_bytes.SERIAL_MD5]),
    REPLIES,
    st.builds(lambda message, size: message[:size], REPLIES, st.integers(0, 100)),
)
STREAMS = st.lists(PIECES, max_size=8)
FRAMERS = st.builds(ObpFramer, payload_bytes=st.sampled_from([0, 64, 2048]), sums_needed=st.booleans())


@settings(max_examples=1500)
@given(STREAMS, FRAMERS, st.integers(1, 300))
def test_any_stream_in_any_pieces_gives_the_same_frames_and_always_gets_on(
    stream: list[bytes], framer: ObpFramer, step: int
):
    data = b"".join(stream)

    pieces = [data[at : at + step] for at in range(0, len(data), step)]

    assert frames_in([data], framer) == frames_in(pieces, framer)


def frames_in(chunks: list[bytes], framer: ObpFramer) -> list[bytes]:
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
    return frames


@settings(max_examples=800)
@given(st.one_of(st.binary(max_size=120), STREAMS.map(b"".join)), FRAMERS)
def test_any_frame_is_understood_or_a_sorted_error(data: bytes, framer: ObpFramer):
    match framer.find(data):
        case Frame(payload=message, size_bytes=size):
            assert size == len(message) <= len(data)
            reply = decode(message)
            assert len(reply.data) <= len(message)
            with contextlib.suppress(DriverError):
                raise_unless_ok(reply)
            for model in (STS, QE_PRO):
                with contextlib.suppress(WireError):
                    spectrum_from(message, model, 10_000)
        case Skip(size_bytes=size):
            assert 1 <= size <= len(data)


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
        message_type, regarding = struct.unpack_from("<II", data, 8)
        md5 = bool(data[22])
        self._arrived += encode(message_type, body, flags=flags, regarding=regarding, md5=md5) if framed else body

    def read(self, limit: int, within_s: float) -> bytes:
        taken, self._arrived = self._arrived[:limit], self._arrived[limit:]
        return taken or self._silence.read(limit, within_s)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


BODIES = st.one_of(
    st.sampled_from([b"STS-1", b"\4", b"\xff" * 4, struct.pack("<f", 640.0), bytes(2048), bytes(4136), b"\0\x40", b""]),
    st.binary(max_size=20),
)
ANSWERS = st.lists(st.tuples(st.booleans(), st.sampled_from([1, 1, 1, 3, 9, 0x11]), BODIES), max_size=40)


@settings(max_examples=600)
@given(
    st.sampled_from(["open", "configure", "scan", "environment", "close"]), st.sampled_from(["serial", "tcp"]), ANSWERS
)
def test_any_answers_end_a_dialogue_with_a_result_or_a_sorted_error(
    verb: str, medium: Medium, answers: list[tuple[bool, int, bytes]]
):
    device, link, exposure = OBP.over(medium), Babbler(answers), ExposureSettings(integration_ms=10.0)
    conversations: dict[str, Conversation[object]] = {
        "open": device.open(),
        "configure": device.configure(UNIT, exposure),
        "scan": device.scan(UNIT, exposure),
        "environment": device.environment(UNIT),
        "close": device.close(),
    }

    with contextlib.suppress(DriverError):
        Session(link, clock=link.clock).perform(conversations[verb])

    assert link.clock.now_s() < 120
