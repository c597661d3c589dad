"""Any answers of a USB device: an Ocean dialogue ends with a result or a sorted error, and in bounded time."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.clock import ManualClock
from drivers.contract import Control, ExposureSettings
from drivers.devices.ooi import DEVICE
from drivers.errors import DriverError
from drivers.session import Session
from tests.drivers.test_ooi_bytes import FPGA, SPECTRUM, STATUS, UNIT, descriptor, slot

SLOWEST_S = 1500.0  # 8 spectra of an earlier session, each waited for 2 minutes, and the cooler


class Babbler:
    """Answers each command with the next of its pieces, on the pipe that it likes."""

    name = "babbler"
    in_endpoints = (0x81, 0x82, 0x86)

    def __init__(self, answers: list[tuple[int | None, bytes]], product: bytes) -> None:
        self.clock = ManualClock()
        self._answers = iter(answers)
        self._product = product
        self._arrived = dict.fromkeys(self.in_endpoints, b"")

    def write_to(self, endpoint: int, data: bytes, within_s: float) -> None:
        pipe, answer = next(self._answers, (None, b""))
        if pipe is not None:
            self._arrived[pipe] += answer
        else:
            self._arrived[0x82 if data == b"\x09" else 0x81] += usual(data)

    def read_from(self, endpoint: int, limit: int, within_s: float) -> bytes:
        taken, self._arrived[endpoint] = self._arrived[endpoint][:limit], self._arrived[endpoint][limit:]
        if not taken:
            self.clock.advance(within_s)
        return taken

    def control(self, transfer: Control) -> bytes:
        return self._product

    def clear_halts(self) -> None:
        pass

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass


def usual(command: bytes) -> bytes:
    """What a NIRQuest512 would answer."""
    known = {0x09: SPECTRUM, 0xFE: STATUS, 0x6B: FPGA, 0x72: b"\x9c\xff", 0x6C: b"\x08\x00\x19"}
    return slot(command[1]) if command[0] == 0x05 else known.get(command[0], b"")


ANSWERS = st.lists(
    st.one_of(
        st.just((None, b"")),
        st.tuples(
            st.sampled_from([0x81, 0x82, 0x86]),
            st.one_of(
                st.binary(max_size=40),
                st.sampled_from([SPECTRUM, SPECTRUM[:-1], STATUS, STATUS[:8] + b"\1" + STATUS[9:], b"\xff" * 17, FPGA]),
                st.binary(min_size=15, max_size=15).map(lambda data: b"\5\1" + data),
            ),
        ),
    ),
    max_size=40,
)
PRODUCTS = st.one_of(st.sampled_from([descriptor(0x1026)] * 3 + [descriptor(0x1022), b""]), st.binary(max_size=20))


@settings(max_examples=600)
@given(st.sampled_from(["open", "configure", "scan", "environment", "close"]), ANSWERS, PRODUCTS)
def test_any_answers_end_a_dialogue_with_a_result_or_a_sorted_error(
    verb: str, answers: list[tuple[int | None, bytes]], product: bytes
):
    link = Babbler(answers, product)
    exposure = ExposureSettings(integration_ms=50.0, repeats=2)
    arguments: dict[str, tuple[Any, ...]] = {
        "configure": (UNIT, exposure),
        "scan": (UNIT, exposure),
        "environment": (UNIT,),
    }

    with contextlib.suppress(DriverError):
        Session(link, clock=link.clock).perform(getattr(DEVICE, verb)(*arguments.get(verb, ())))

    assert link.clock.now_s() < SLOWEST_S
