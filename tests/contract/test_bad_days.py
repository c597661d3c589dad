"""Every device of the registry against its simulated firmware, on every bad day: the outcome is right or an error.

A scan may fail on a bad day, but one that is returned is equal, count by count, to the scan of that number on a good
day. After each bad day a good one follows on the same instrument, without anybody touching it.
"""

from __future__ import annotations

import contextlib
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import Device, Link, RawScan
from drivers.errors import DriverError, LinkLost
from drivers.links.faulty import Faults, FaultyLink
from drivers.session import Session
from firmware_sim.contract import Firmware
from tests.contract.far_ends import FAR_ENDS, Wire

KINDS = registry.kinds()
GOOD_SCANS = 8  # more than any bad day makes


def converse(device: Device, link: Link, clock: ManualClock, *, scans: int = 1) -> list[RawScan]:
    """A short life of a station."""
    taken: list[RawScan] = []
    live(device, link, clock, taken, scans=scans)
    return taken


def live(device: Device, link: Link, clock: ManualClock, taken: list[RawScan], *, scans: int = 1) -> None:
    """Open, configure, scan, look around, close; what was scanned before an error is in `taken`."""
    session = Session(link, clock=clock)
    try:
        unit = session.perform(device.open())
        session.perform(device.configure(unit, device.default_settings))
        for _ in range(scans):
            scan = session.perform(device.scan(unit, device.default_settings))
            assert scan.identity == unit.identity
            taken.append(scan)
        session.perform(device.environment(unit))
        session.perform(device.close())
    finally:
        session.close()


@cache
def good_counts(kind: str) -> dict[int, tuple[int, ...]]:
    """The counts of each scan by its number since the instrument was switched on."""
    clock = ManualClock()
    scans = converse(registry.load(kind), Wire(FAR_ENDS[kind](""), clock), clock, scans=GOOD_SCANS)
    return {scan.scan_index or 0: tuple(scan.counts) for scan in scans}


def is_right(kind: str, scan: RawScan) -> bool:
    return tuple(scan.counts) == good_counts(kind)[scan.scan_index or 0]


def bad_day(kind: str, faults: Faults, *, plan: str = "") -> tuple[list[RawScan], DriverError | None]:
    """Hold a life on a faulty link, then one on a good link with the same instrument, and judge both."""
    device, firmware, clock = registry.load(kind), FAR_ENDS[kind](plan), ManualClock()
    error: DriverError | None = None
    scans: list[RawScan] = []
    try:
        live(device, FaultyLink(Wire(firmware, clock), faults, clock=clock), clock, scans)
    except DriverError as caught:
        error = caught
    good = good_day(device, firmware, clock)
    assert all(is_right(kind, scan) for scan in [*scans, *good])
    return scans, error


def good_day(device: Device, firmware: Firmware, clock: ManualClock) -> list[RawScan]:
    (scan,) = converse(device, Wire(firmware, clock), clock)
    return [scan]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_far_end(kind: str):
    assert kind in FAR_ENDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_day_gives_scans_that_follow_each_other(kind: str):
    indices = list(good_counts(kind))

    assert len(set(indices)) == GOOD_SCANS
    assert indices == sorted(indices)


@pytest.mark.parametrize("kind", KINDS)
def test_one_byte_at_a_time_makes_no_difference(kind: str):
    scans, error = bad_day(kind, Faults(one_byte_at_a_time=True))

    assert (len(scans), error) == (1, None)


@pytest.mark.parametrize("kind", KINDS)
def test_every_answer_may_be_late(kind: str):
    scans, error = bad_day(kind, Faults(delay_s=0.09))

    assert (len(scans), error) == (1, None)


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_of_a_former_session_come_first(kind: str):
    for noise in (b"\0", b"ABCD", b"ABCD\x10\x27\0\0\xc0\x01\xff\x01", bytes(range(256)) * 8):
        scans, error = bad_day(kind, Faults(noise=noise))
        assert (len(scans), error) == (1, None)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    "faults", [{"loss": 0.0005}, {"loss": 0.01}, {"corruption": 0.0005}, {"corruption": 0.01}], ids=str
)
def test_lost_and_noisy_bytes_never_make_a_wrong_scan(kind: str, faults: dict[str, Any], seed: int):
    scans, error = bad_day(kind, Faults(**faults, both_ways=True, seed=seed))

    assert len(scans) == 1 or error is not None


@pytest.mark.parametrize("kind", KINDS)
def test_silence_ends_soon_and_says_so(kind: str):
    device, firmware, clock = registry.load(kind), FAR_ENDS[kind](""), ManualClock()

    with pytest.raises(DriverError, match="no answer"):
        converse(device, FaultyLink(Wire(firmware, clock), Faults(loss=1.0), clock=clock), clock)
    assert clock.now_s() < 10


class Counting:
    """Notes how many bytes had passed at each transfer."""

    name = "counting"

    def __init__(self, link: Link) -> None:
        self._link = link
        self.passed = [0]

    def read(self, limit: int, within_s: float) -> bytes:
        data = self._link.read(limit, within_s)
        self.passed.append(self.passed[-1] + len(data))
        return data

    def write(self, data: bytes, within_s: float) -> None:
        self._link.write(data, within_s)
        self.passed.append(self.passed[-1] + len(data))

    def interrupt(self) -> None:
        self._link.interrupt()

    def close(self) -> None:
        self._link.close()


def transfers(kind: str) -> list[int]:
    """The number of bytes that have passed after each transfer of a good day."""
    clock = ManualClock()
    link = Counting(Wire(FAR_ENDS[kind](""), clock))
    converse(registry.load(kind), link, clock)
    return sorted(set(link.passed))


@pytest.mark.parametrize("kind", KINDS)
def test_a_hang_up_at_and_within_every_transfer_is_a_lost_link(kind: str):
    ends = transfers(kind)
    moments = ends[:-1] + [(a + b) // 2 for a, b in pairwise(ends)]

    for moment in moments:
        _, error = bad_day(kind, Faults(hang_up_after_bytes=moment))
        assert isinstance(error, LinkLost), moment


@pytest.mark.deep
@pytest.mark.parametrize("kind", KINDS)
def test_a_hang_up_at_every_byte_is_a_lost_link(kind: str):
    for moment in range(transfers(kind)[-1]):
        _, error = bad_day(kind, Faults(hang_up_after_bytes=moment))
        assert isinstance(error, LinkLost), moment


@pytest.mark.parametrize("kind", KINDS)
def test_a_session_cut_off_anywhere_leaves_the_instrument_usable(kind: str):
    device, firmware, clock = registry.load(kind), FAR_ENDS[kind](""), ManualClock()

    for steps in range(0, 120, 3):
        wire = Wire(firmware, clock)
        session = Session(wire, clock=clock)
        unit = session.perform(device.open())
        session.perform(device.configure(unit, device.default_settings))
        with contextlib.suppress(Enough):
            Session(Until(wire, steps), clock=clock).perform(device.scan(unit, device.default_settings))
    (scan,) = converse(device, Wire(firmware, clock), clock)

    assert scan.identity.serial_number == firmware.serial_number


class Enough(Exception):
    """The process was killed here."""


class Until(Counting):
    """Dies after so many transfers."""

    def __init__(self, link: Link, transfers: int) -> None:
        super().__init__(link)
        self._left = transfers

    def read(self, limit: int, within_s: float) -> bytes:
        self._count()
        return super().read(limit, within_s)

    def write(self, data: bytes, within_s: float) -> None:
        self._count()
        super().write(data, within_s)

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Enough
