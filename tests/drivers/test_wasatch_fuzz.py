"""Any answers of a USB device: a Wasatch dialogue ends soon, in a result or a sorted error, and the laser told off."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.clock import ManualClock
from drivers.contract import Control, ExposureSettings
from drivers.devices.wasatch import DEVICE
from drivers.errors import BadSettings, DeviceRefused, DriverError, LaserAlarm, NoAnswer, Stalled
from drivers.session import Session
from tests.drivers.wasatch_bytes import PAGES

ALLOWED = {0xAD, 0xB2, 0xB6, 0xB7, 0xBD, 0xBE, 0xC7, 0xDB, 0xD2, 0xD6, 0xD8, 0xED}
SLOWEST_S = 600.0  # three spectra that never come, each with the longest exposure of before, and the cooler
DESCRIPTOR = bytes.fromhex("12 01 00 02 00 00 00 40 aa 24 00 40 01 00 01 02 03 01")
USUAL = {0xC0: "05 03 00 01", 0xB4: "30 32 37 2d 30 30 33", 0xD7: "0a 5c", 0xEF: "08", 0x8B: "03", 0xD5: "b3 04"}


@dataclass
class Babbler:
    """An ARM unit as it should be, but for the answers that it was given to say instead, in turn; None is as usual.

    "stall" and "silence" are what they say.
    """

    answers: list[bytes | str | None]
    frames: list[bytes]
    clock: ManualClock = field(default_factory=ManualClock)
    told: list[tuple[int, int, int]] = field(default_factory=list)
    name: str = "babbler"
    in_endpoints: tuple[int, ...] = (0x82,)

    def __post_init__(self) -> None:
        self._answers = iter(self.answers)
        self._frames = iter(self.frames)
        self._registers: dict[int, int] = {}
        self._due = b""

    def control(self, transfer: Control) -> bytes:
        instead = next(self._answers, None)
        if instead == "stall":
            raise Stalled("stalled")
        if instead == "silence":
            self.clock.advance(transfer.within_s)
            raise NoAnswer("no answer")
        if not transfer.request_type & 0x80:
            self.told.append((transfer.request, transfer.value, transfer.index))
            self._registers[transfer.request if transfer.request != 0xFF else transfer.value] = (
                transfer.index if transfer.request == 0xFF else transfer.value | transfer.index << 16
            )
            if transfer.request == 0xAD:
                self._due += next(self._frames, bytes(range(256)) * 8)
            return b""
        return (instead if isinstance(instead, bytes) else self._usual(transfer))[: transfer.length]

    def read_from(self, endpoint: int, limit: int, within_s: float) -> bytes:
        data, self._due = self._due[:limit], self._due[limit:]
        if not data:
            self.clock.advance(within_s)
        return data

    def write_to(self, endpoint: int, data: bytes, within_s: float) -> None:
        raise AssertionError("there is no pipe outward")

    def clear_halts(self) -> None:
        pass

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _usual(self, transfer: Control) -> bytes:
        told = self._registers
        if transfer.request == 6:
            return DESCRIPTOR
        if transfer.request == 0xFF:
            match transfer.value:
                case 0x01:
                    return bytes.fromhex(PAGES.get(transfer.index, "ff" * 64))
                case 0x0D:
                    return bytes((told.get(0xBE, 0),))
                case 0x17:
                    return told.get(0x18, 10).to_bytes(2, "big")
                case _:
                    return b"\x1f"
        for asked, register in ((0xBF, 0xB2), (0xCB, 0xC7), (0xDC, 0xDB), (0xE2, 0xBE), (0xE3, 0xBD)):
            if transfer.request == asked:
                return told.get(register, 100 if register == 0xB2 else 0).to_bytes(5, "little")
        return bytes.fromhex(USUAL[transfer.request])


nonsense = st.lists(
    st.one_of(st.none(), st.none(), st.sampled_from(("stall", "silence")), st.binary(max_size=64)), max_size=40
)
answers = st.builds(lambda good, bad: [*[None] * good, *bad], st.integers(0, 120), nonsense)
frames = st.lists(
    st.one_of(st.just(bytes(range(256)) * 8), st.just(bytes(2048)), st.binary(max_size=64), st.just(b"\xff" * 5000)),
    max_size=12,
)


@given(answers=answers, frames=frames)
@settings(max_examples=300)
def test_any_answers_end_soon_and_with_the_laser_told_to_be_off(answers: list[bytes | str | None], frames: list[bytes]):
    link = Babbler(answers, frames)
    session = Session(link, clock=link.clock)
    wanted = ExposureSettings(integration_ms=50.0, laser_mw=100.0)
    ended: DriverError | None = None
    try:
        unit = session.perform(DEVICE.open())
        session.perform(DEVICE.configure(unit, wanted))
        session.perform(DEVICE.scan(unit, wanted))
        session.perform(DEVICE.environment(unit))
    except DriverError as error:
        ended = error
    lasers = [value for request, value, _ in link.told if request == 0xBE]

    assert link.clock.now_s() < SLOWEST_S
    assert 1 not in lasers or lasers[-1] == 0 or isinstance(ended, LaserAlarm)
    assert {request for request, _, _ in link.told} <= ALLOWED | {0xFF}
    assert {value for request, value, _ in link.told if request == 0xFF} <= {0x18}


def test_as_it_should_be_it_gives_a_lit_scan():
    link = Babbler([], [])
    session = Session(link, clock=link.clock)
    wanted = ExposureSettings(integration_ms=50.0, laser_mw=100.0)
    unit = session.perform(DEVICE.open())
    session.perform(DEVICE.configure(unit, wanted))
    scan = session.perform(DEVICE.scan(unit, wanted))

    assert scan.laser_mw == 100.0
    assert [value for request, value, _ in link.told if request == 0xBE] == [0, 1, 0]
    order = [request for request, _, _ in link.told if request in (0xBE, 0xC7, 0xDB, 0xBD)]
    assert order == [0xBE, 0xBD, 0xC7, 0xDB, 0xBD, 0xBE, 0xBE]


def test_the_watchdog_is_set_before_the_laser_is_used_and_the_power_before_it_is_enabled():
    link = Babbler([], [])
    session = Session(link, clock=link.clock)
    wanted = ExposureSettings(integration_ms=50.0, laser_mw=100.0)
    unit = session.perform(DEVICE.open())
    session.perform(DEVICE.configure(unit, wanted))
    session.perform(DEVICE.scan(unit, wanted))
    enabled = link.told.index((0xBE, 1, 0))

    assert [told[:2] for told in link.told[:enabled] if told[0] == 0xFF] == [(0xFF, 0x18)]
    assert link.told.index((0xC7, 1_000, 0)) < enabled
    assert link.told.index((0xDB, 222, 0)) < enabled
    assert link.told.index((0xBD, 1, 0)) < enabled


def test_a_watchdog_that_does_not_take_its_value_forbids_the_laser():
    link = Babbler([], [])
    session = Session(link, clock=link.clock)
    unit = session.perform(DEVICE.open())
    usual = link._usual
    link._usual = lambda transfer: b"\0\0" if transfer.value == 0x17 else usual(transfer)  # type: ignore[method-assign]
    wanted = ExposureSettings(integration_ms=50.0, laser_mw=100.0)

    with pytest.raises(BadSettings, match="watchdog"):
        session.perform(DEVICE.configure(unit, wanted))
    with pytest.raises(BadSettings, match=r"watchdog|configure"):
        session.perform(DEVICE.scan(unit, wanted))
    assert (0xBE, 1, 0) not in link.told


@pytest.mark.parametrize(
    ("asked", "answer", "words", "told"),
    [
        (0xCB, "e7 03 00 00 00", "the period of its pulses was set to 1000 and reads 999", 999),
        (0xDC, "df 00 00 00 00", "the width of its pulses was set to 222 and reads 223", 223),
        (0xE3, "00 00 00 00 00", "its modulation was set to 1 and reads 0", 0),
    ],
)
def test_a_power_that_does_not_read_back_as_it_was_set_keeps_the_laser_off(
    asked: int, answer: str, words: str, told: int
):
    """Without modulation, or with wider pulses, there would be more light than was asked for."""
    link = Babbler([], [])
    session = Session(link, clock=link.clock)
    unit = session.perform(DEVICE.open())
    usual = link._usual
    link._usual = lambda transfer: bytes.fromhex(answer) if transfer.request == asked else usual(transfer)  # type: ignore[method-assign]
    wanted = ExposureSettings(integration_ms=50.0, laser_mw=100.0)
    session.perform(DEVICE.configure(unit, wanted))

    with pytest.raises(DeviceRefused, match=words) as refused:
        session.perform(DEVICE.scan(unit, wanted))

    assert refused.value.codes == {"power": told}
    assert [value for request, value, _ in link.told if request == 0xBE] == [0, 0]


def test_a_laser_that_is_enabled_but_gives_no_light_is_told_off_and_refused():
    link = Babbler([], [])
    session = Session(link, clock=link.clock)
    unit = session.perform(DEVICE.open())
    usual = link._usual
    link._usual = lambda transfer: b"\0" if transfer.value == 0x0D else usual(transfer)  # type: ignore[method-assign]
    wanted = ExposureSettings(integration_ms=50.0, laser_mw=100.0)
    session.perform(DEVICE.configure(unit, wanted))
    began_s = link.clock.now_s()

    with pytest.raises(DeviceRefused, match="enabled but gives no light") as refused:
        session.perform(DEVICE.scan(unit, wanted))

    assert refused.value.codes == {"firing": 0}
    assert link.clock.now_s() - began_s > 3.0  # it was given the time of its warning
    assert [value for request, value, _ in link.told if request == 0xBE] == [0, 1, 0]
