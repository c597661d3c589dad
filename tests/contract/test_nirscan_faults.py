"""Every fault that the NIRscan's simulator can plan, and what its driver makes of it."""

from __future__ import annotations

import pytest

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import RawScan
from drivers.errors import DeviceBusy, DeviceRefused, LinkLost
from drivers.session import Session
from tests.contract.far_ends import FAR_ENDS, Wire, nirscan
from tests.contract.test_bad_days import converse, is_right
from tests.drivers.nirscan_bytes import UNIT

DEVICE = registry.load("nirscan")
END = next(end for end in FAR_ENDS if end.kind == "nirscan" and end.medium == "serial")


def day(plan: str, *, scans: int = 2) -> list[RawScan]:
    clock = ManualClock()
    firmware = nirscan(plan)
    taken = converse(DEVICE, Wire(firmware, clock), clock, scans=scans)
    assert all(is_right(END, firmware, scan) for scan in taken)
    return taken


@pytest.mark.parametrize("reply", [1, 5, 12, 20, 30, 40, 50, 60, 70])
@pytest.mark.parametrize("fault", ["drop", "corrupt", "truncate", "delay", "duplicate", "sequence", "busy"])
def test_one_reply_that_goes_wrong_is_cured(fault: str, reply: int):
    assert len(day(f"{fault}@{reply}")) == 2


@pytest.mark.parametrize("plan", ["garbage=1", "garbage=4096", "estimate=-1", "estimate=0", "estimate=2147483647"])
def test_odd_answers_make_no_difference(plan: str):
    assert len(day(plan)) == 2


@pytest.mark.parametrize("plan", ["stale@2", "stale@1", "early_done@2", "early_done@1", "error@1", "error@2:16"])
def test_one_failed_scan_is_repeated(plan: str):
    scans = day(plan)

    assert len({scan.scan_index for scan in scans}) == 2


def test_one_scan_in_the_dark_is_repeated():
    assert len(day("short_light@2")) == 2


@pytest.mark.parametrize(
    ("plan", "codes"),
    [
        ("error", {"scan": 1, "scan_lamp": 4}),
        ("error@1-:1", {"scan": 1, "scan_dlpc_boot": 1}),
        ("error@1-:130", {"scan": 1, "scan_initialisation": 2, "scan_read": 128}),
        ("short_light", {"invalid_scan": 1}),
    ],
)
def test_a_scan_that_keeps_failing_says_why(plan: str, codes: dict[str, int]):
    with pytest.raises(DeviceRefused) as caught:
        day(plan)

    assert caught.value.codes == codes


def test_a_scan_that_stays_stale_is_never_taken_for_a_new_one():
    clock = ManualClock()
    wire = Wire(nirscan("stale@2-"), clock)
    session = Session(wire, clock=clock)
    session.perform(DEVICE.open())
    session.perform(DEVICE.configure(UNIT, DEVICE.default_settings))
    first = session.perform(DEVICE.scan(UNIT, DEVICE.default_settings))

    with pytest.raises(DeviceRefused, match="still offers scan") as caught:
        session.perform(DEVICE.scan(UNIT, DEVICE.default_settings))

    assert caught.value.codes == {"stale_scan": first.scan_index}


def test_a_busy_instrument_is_given_time_and_then_reported():
    with pytest.raises(DeviceBusy, match="busy"):
        day("busy")


def test_a_hang_up_is_a_lost_link():
    with pytest.raises(LinkLost):
        day("hangup=3000")


def test_a_glint_is_flagged_where_it_is():
    clock = ManualClock()
    scans = converse(DEVICE, Wire(nirscan("saturate@2"), clock), clock, scans=2)

    assert not scans[0].saturated.any()
    assert scans[1].saturated.any()
