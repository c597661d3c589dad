"""How the line to an Ocean instrument is found and learned: by whom, at what rate, with or without MD5 sums.

On USB the bus knows the model. Elsewhere nobody is asked anything before a laser that may be there is told to be off.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from drivers.attempt import attempt
from drivers.contract import Control, Conversation, Drain, SetBaud
from drivers.devices._obp_laser import OFF, SET_ENABLED
from drivers.devices._obp_message import UNKNOWN_CHECKSUM, decode, exactly
from drivers.devices._obp_models import BY_PRODUCT_ID, OCEAN, Model
from drivers.devices._obp_talk import GET_SERIAL_NUMBER, REPLY_WITHIN_S, SERIAL_NUMBER_BYTES, Line, Talk
from drivers.errors import AskAgain, DeviceRefused, NoAnswer, Resynchronise, WrongInstrument

SET_BAUD = 0x810

SEARCH_WITHIN_S = 0.25  # an answer to the serial number, the time on the wire apart
BAUDS = (115_200, 9_600, 57_600, 38_400, 19_200)  # the one we raise to, the one they leave the factory with, others
SLOWEST_BAUD = 9_600  # what a serial server on the network may talk at to the instrument behind it
DEVICE_DESCRIPTOR = struct.Struct("<2BH4B3H4B")  # USB 2.0, table 9-8


def find_usb() -> Conversation[Model]:
    """Ask the bus which model it is. Raises WrongInstrument for one that is not of this family."""
    descriptor = yield Control(request_type=0x80, request=6, value=0x0100, length=DEVICE_DESCRIPTOR.size)
    fields = exactly(DEVICE_DESCRIPTOR, descriptor or b"", "device descriptor")
    vendor_id, product_id = int(fields[7]), int(fields[8])
    model = BY_PRODUCT_ID.get(product_id)
    if vendor_id != OCEAN or model is None:
        raise WrongInstrument(f"USB device {vendor_id:04x}:{product_id:04x} is none of this family")
    return model


def find_serial(regarding: Iterator[int]) -> Conversation[Talk]:
    """Try one baud rate after the other until somebody tells a serial number; then go as fast as both ends can."""
    for baud in BAUDS:
        line = Line(baud=baud)
        yield SetBaud(baud=baud)
        yield from _darken(line, regarding)
        yield Drain()
        with contextlib.suppress(Resynchronise):
            talk = yield from attempt(partial(_learn_sums, line, regarding, SEARCH_WITHIN_S), (AskAgain,))
            return (yield from _hurried(talk)) if baud != BAUDS[0] else talk
    raise NoAnswer(
        f"no answer at {', '.join(map(str, BAUDS))} baud",
        hint="is it switched on, and are RX and TX the right way round?",
    )


def find_socket(regarding: Iterator[int]) -> Conversation[Talk]:
    """Learn what is behind a socket: an instrument with one of its own, or a serial line of any rate."""
    line = Line(baud=SLOWEST_BAUD)
    yield from _darken(line, regarding)
    yield Drain()
    return (yield from _learn_sums(line, regarding))


def _darken(line: Line, regarding: Iterator[int]) -> Conversation[None]:
    """Tell whoever listens to have the laser off, without a sum, as not all take one.

    One that a former process left in a long exposure answers nothing until that is over, and then does this first.
    """
    yield from Talk(line=line, regarding=regarding).tell(SET_ENABLED, OFF)


def _learn_sums(line: Line, regarding: Iterator[int], within_s: float = REPLY_WITHIN_S) -> Conversation[Talk]:
    """Find out whether the instrument can be asked for MD5 sums, and sends them."""
    asking = Talk(line=replace(line, sums=True), regarding=regarding)
    try:
        frame = yield from asking.frame(GET_SERIAL_NUMBER, payload_bytes=SERIAL_NUMBER_BYTES, within_s=within_s)
    except DeviceRefused as refused:
        if UNKNOWN_CHECKSUM not in refused.codes.values():
            raise
        return Talk(line=line, regarding=regarding)
    return Talk(line=replace(asking.line, sums_needed=decode(frame).sealed), regarding=regarding)


def _hurried(talk: Talk) -> Conversation[Talk]:
    """Raise the rate, until the next power-up: nothing is saved.

    The acknowledgement comes at the old rate [inferred]; if it does not, the new one is tried all the same.
    """
    fast = replace(talk, line=replace(talk.line, baud=BAUDS[0]))
    try:
        yield from talk.command(SET_BAUD, struct.pack("<I", BAUDS[0]))
    except AskAgain:
        return talk
    except Resynchronise:
        pass
    for tried in (fast, talk):
        yield SetBaud(baud=tried.line.baud or SLOWEST_BAUD)
        yield Drain()
        with contextlib.suppress(Resynchronise):
            yield from tried.query(GET_SERIAL_NUMBER, payload_bytes=SERIAL_NUMBER_BYTES, within_s=SEARCH_WITHIN_S)
            return tried
    raise NoAnswer(f"no answer after the change from {talk.line.baud} to {BAUDS[0]} baud")
