"""Every device of the registry on every medium against its simulated firmware, on every bad day: right or an error.

A scan may fail on a bad day, but one that is returned is equal, count by count, to one that the instrument meant. After
each bad day a good one follows on the same instrument, without anybody touching it.
"""

from __future__ import annotations

import contextlib
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import Control, Device, Link, RawScan, UsbLink
from drivers.errors import DriverError, LinkLost
from drivers.links.faulty import Faults
from drivers.session import Session
from firmware_sim.contract import Firmware, UsbFirmware
from tests.contract.far_ends import FAR_ENDS, FarEnd, plug, spoiled

BAD_CABLES = {  # mildest first, and how often a byte suffers; on the bus a whole transfer, for it has a checksum for
    "usb": ({"loss": 0.005}, {"loss": 0.1}),  # every packet, and repeats what was damaged
    "hid": ({"loss": 0.0005}, {"loss": 0.005}, {"loss": 0.1}),  # a scan is hundreds of them
}
BAD_LINES = ({"loss": 0.0005}, {"corruption": 0.0005}, {"loss": 0.01}, {"corruption": 0.01})
GOOD_SCANS = 8  # more than any bad day makes
EVERY = pytest.mark.parametrize("end", FAR_ENDS, ids=str)


def converse(device: Device[Any], link: Link | UsbLink, clock: ManualClock, *, scans: int = 1) -> list[RawScan]:
    """A short life of a station."""
    taken: list[RawScan] = []
    live(device, link, clock, taken, scans=scans)
    return taken


def live(
    device: Device[Any], link: Link | UsbLink, clock: ManualClock, taken: list[RawScan], *, scans: int = 1
) -> None:
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
def good_counts(end: FarEnd) -> dict[int, tuple[float, ...]]:
    """The counts of each scan by its number since the instrument was switched on, for one that counts its scans."""
    clock = ManualClock()
    scans = converse(end.device(), plug(end.make(""), clock), clock, scans=GOOD_SCANS)
    return {scan.scan_index: tuple(scan.counts) for scan in scans if scan.scan_index is not None}


def is_right(end: FarEnd, firmware: Firmware | UsbFirmware, scan: RawScan) -> bool:
    meant = getattr(firmware, "meant", None)
    if meant is None:
        return tuple(scan.counts) == good_counts(end)[scan.scan_index or 0]
    return all(any(np.array_equal(frame, true) for true in meant) for frame in scan.raw)


def bad_day(end: FarEnd, faults: Faults, *, plan: str = "") -> tuple[list[RawScan], DriverError | None]:
    """Hold a life on a faulty link, then one on a good link with the same instrument, and judge both."""
    device, firmware, clock = end.device(), end.make(plan), ManualClock()
    error: DriverError | None = None
    scans: list[RawScan] = []
    try:
        live(device, spoiled(plug(firmware, clock), faults, clock), clock, scans)
    except DriverError as caught:
        error = caught
    assert all(is_right(end, firmware, scan) for scan in scans), faults
    (good,) = converse(device, plug(firmware, clock), clock)
    assert is_right(end, firmware, good), faults
    return scans, error


def test_every_kind_has_a_far_end_on_each_of_its_media():
    expected = {(kind, medium) for kind in registry.kinds() for medium in registry.load(kind).links}

    assert {(end.kind, end.medium) for end in FAR_ENDS} == expected


@EVERY
def test_a_good_day_gives_scans_that_follow_each_other(end: FarEnd):
    firmware, clock = end.make(""), ManualClock()
    scans = converse(end.device(), plug(firmware, clock), clock, scans=GOOD_SCANS)
    indices = [scan.scan_index for scan in scans if scan.scan_index is not None]

    assert all(is_right(end, firmware, scan) for scan in scans)
    assert len({tuple(scan.raw.flat) for scan in scans}) == GOOD_SCANS
    assert indices == sorted(set(indices))


@EVERY
def test_one_byte_at_a_time_makes_no_difference(end: FarEnd):
    scans, error = bad_day(end, Faults(one_byte_at_a_time=True))

    assert (len(scans), error) == (1, None)


@EVERY
def test_every_answer_may_be_late(end: FarEnd):
    scans, error = bad_day(end, Faults(delay_s=0.09))

    assert (len(scans), error) == (1, None)


@EVERY
def test_bytes_of_a_former_session_come_first(end: FarEnd):
    for noise in (b"\0", b"ABCD", b"ABCD\x10\x27\0\0\xc0\x01\xff\x01", bytes(range(256)) * 8):
        scans, error = bad_day(end, Faults(noise=noise))
        assert (len(scans), error) == (1, None)


@pytest.mark.parametrize(
    ("end", "faults"),
    [(end, faults) for end in FAR_ENDS for faults in BAD_CABLES.get(end.medium, BAD_LINES)],
    ids=str,
)
def test_lost_and_noisy_bytes_never_make_a_wrong_scan(end: FarEnd, faults: dict[str, Any]):
    """On the mildest of bad cables some scans get through."""
    days = [bad_day(end, Faults(**faults, both_ways=True, seed=seed)) for seed in range(10)]

    assert any(scans for scans, _ in days) or faults != BAD_CABLES.get(end.medium, BAD_LINES)[0]


@EVERY
def test_silence_ends_soon_and_says_so(end: FarEnd):
    firmware, clock = end.make(""), ManualClock()

    with pytest.raises(DriverError, match="no answer"):
        converse(end.device(), spoiled(plug(firmware, clock), Faults(loss=1.0), clock), clock)
    assert clock.now_s() < end.patience_s


class Passing:
    """A link of either sort that hands everything on, and lets a subclass hear of each transfer."""

    def __init__(self, link: Any) -> None:
        self._link = link
        self.name = link.name
        if isinstance(link, UsbLink):
            self.in_endpoints = link.in_endpoints
            self.read_from = lambda endpoint, limit, within_s: self._heard(link.read_from(endpoint, limit, within_s))
            self.write_to = lambda endpoint, data, within_s: self._said(
                data, lambda: link.write_to(endpoint, data, within_s)
            )
            self.control = self._controlled
            self.clear_halts = link.clear_halts
        else:
            self.read = lambda limit, within_s: self._heard(link.read(limit, within_s))
            self.write = lambda data, within_s: self._said(data, lambda: link.write(data, within_s))

    def interrupt(self) -> None:
        self._link.interrupt()

    def close(self) -> None:
        self._link.close()

    def _controlled(self, transfer: Control) -> bytes:
        self._said(bytes(8) + transfer.data, lambda: None)
        return self._heard(self._link.control(transfer))

    def _heard(self, data: bytes) -> bytes:
        self.passes(len(data))
        return data

    def _said(self, data: bytes, pass_on: Any) -> None:
        pass_on()
        self.passes(len(data))

    def passes(self, size: int) -> None:
        pass


class Counting(Passing):
    """Notes how many bytes had passed at each transfer."""

    def __init__(self, link: Any) -> None:
        super().__init__(link)
        self.passed = [0]

    def passes(self, size: int) -> None:
        self.passed.append(self.passed[-1] + size)


def transfers(end: FarEnd) -> list[int]:
    """The number of bytes that have passed after each transfer of a good day."""
    clock = ManualClock()
    link = Counting(plug(end.make(""), clock))
    converse(end.device(), link, clock)
    return sorted(set(link.passed))


@EVERY
def test_a_hang_up_at_and_within_every_transfer_is_a_lost_link(end: FarEnd):
    ends = transfers(end)
    moments = ends[:-1] + [(a + b) // 2 for a, b in pairwise(ends)]

    for moment in moments:
        _, error = bad_day(end, Faults(hang_up_after_bytes=moment))
        assert isinstance(error, LinkLost), moment


@pytest.mark.deep
@pytest.mark.timeout(600)  # tens of thousands of openings: a minute of CPU, more on a busy machine
@EVERY
def test_a_hang_up_at_every_byte_is_a_lost_link(end: FarEnd):
    for moment in range(transfers(end)[-1]):
        _, error = bad_day(end, Faults(hang_up_after_bytes=moment))
        assert isinstance(error, LinkLost), moment


@EVERY
def test_a_session_cut_off_anywhere_leaves_the_instrument_usable(end: FarEnd):
    device, firmware, clock = end.device(), end.make(""), ManualClock()

    for steps in range(100):  # killed and reopened a hundred times, each plugged in anew
        wire = plug(firmware, clock)
        session = Session(wire, clock=clock)
        unit = session.perform(device.open())
        session.perform(device.configure(unit, device.default_settings))
        with contextlib.suppress(Enough):
            Session(Until(wire, steps), clock=clock).perform(device.scan(unit, device.default_settings))
    (scan,) = converse(device, plug(firmware, clock), clock)

    assert scan.identity.serial_number == firmware.serial_number
    assert not hasattr(firmware, "meant") or is_right(end, firmware, scan)


class Enough(Exception):
    """The process was killed here."""


class Until(Passing):
    """Dies after so many transfers."""

    def __init__(self, link: Any, transfers: int) -> None:
        super().__init__(link)
        self._left = transfers

    def passes(self, size: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise Enough


@EVERY
def test_another_instrument_on_the_port_never_gives_a_scan(end: FarEnd):
    others = [other for other in FAR_ENDS if other.kind != end.kind]
    for other in others:
        if hasattr(other.make(""), "descriptors") != hasattr(end.make(""), "descriptors"):
            continue
        clock = ManualClock()
        with pytest.raises(DriverError):
            converse(end.device(), plug(other.make(""), clock), clock)


@EVERY
def test_a_memory_that_is_not_programmed_is_an_error_in_words_or_a_note(end: FarEnd):
    if end.blank is None:
        assert end.kind == "nirscan"  # keeps its calibration in each scan, and has no memory of ours to lose
        return
    clock = ManualClock()
    session = Session(plug(end.blank(), clock), clock=clock)
    told: DriverError | None = None
    notes: tuple[str, ...] = ()
    try:
        notes = session.perform(end.device().open()).notes
    except DriverError as error:
        told = error

    assert notes or (told is not None and told.hint)
