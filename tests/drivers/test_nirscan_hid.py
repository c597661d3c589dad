"""NIRscan over USB HID: the worked reports of protocols.md 4.7, the node that carries them, and a life through it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import registry
from drivers.clock import ManualClock
from drivers.contract import RawScan, ScanSettings, UsbIds
from drivers.devices._nirscan_message import READ, WRITE, HidFramer, HidWire, Request, decode_reply, encode_request
from drivers.devices._nirscan_scan import encode_configuration
from drivers.errors import DeviceBusy, DeviceRefused, LinkDenied, LinkLost, LinkMissing, WireError
from drivers.framing import NEED_MORE, Frame
from drivers.links.hidraw import HidrawLink, hid_places
from drivers.links.ports import BadPort, device_at
from drivers.links.replay import ReplayLink
from drivers.session import Session
from tests.contract.far_ends import FAR_ENDS, nirscan_hid, plug
from tests.contract.test_bad_days import converse, is_right
from tests.drivers.nirscan_bytes import scan_blob

DEVICE = registry.load("nirscan").over("hid")
END = next(end for end in FAR_ENDS if (end.kind, end.medium) == ("nirscan", "hid"))
WIRE = HidWire()
IDS = UsbIds(ids=((0x0451, 0x4200),))
RUBBISH = bytes(range(1, 65)) * 9

# protocols.md 4.7, typed from there: flags, sequence, command, data of the request; OUT; IN; data of the answer
VERSIONS = "00 01 02 00 00 00 02 00 00 01 02 00 03 00 02 00 01 00 00 00 03 00 00 00 01 00 00 00"
WORKED = {
    "version": (READ, 0, 0x0216, "", "c0 00 02 00 16 02", f"c0 00 1c 00 {VERSIONS}", VERSIONS),
    "status": (READ, 0, 0x0403, "", "c0 00 02 00 03 04", "c0 00 04 00 03 00 00 00", "03 00 00 00"),
    "file size": (
        READ, 0, 0x002D, "00 00 00 00", "c0 00 06 00 2d 00 00 00 00 00", "c0 00 04 00 ee 0e 00 00", "ee 0e 00 00",
    ),
    "scan to memory": (WRITE, 5, 0x0218, "00", "40 05 03 00 18 02 00", "40 05 00 00", ""),
    "DLPC and lamp on": (WRITE, 6, 0x0105, "01 01", "40 06 04 00 05 01 01 01", "40 06 00 00", ""),
    "6 repeats": (WRITE, 7, 0x022E, "06 00", "40 07 04 00 2e 02 06 00", "40 07 00 00", ""),
}  # fmt: skip
APPLY_COLUMN_1 = """
    40 00 7e 00 1e 02 74 70 6c 00 5b 00 00 00 53 28
    63 76 63 23 63 23 76 76 63 76 76 29 00 08 00 00
    00 28 00 00 00 00 08 00 36 31 30 30 30 32 33 00
    43 6f 6c 75 6d 6e 20 31 00 00 00 00 00 00 00 00
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    00 00 00 00 00 00 00 00 84 03 a4 06 06 e4 00 06
"""


def padded(message: bytes) -> bytes:
    """Whole reports, with what a used buffer holds behind the message."""
    return message + RUBBISH[: -len(message) % 64]


@pytest.mark.parametrize("name", WORKED)
def test_a_request_is_one_report_with_the_documented_bytes(name: str):
    flags, sequence, command, data, out, _, _ = WORKED[name]

    report = WIRE.wrap(
        encode_request(Request(flags=flags, sequence=sequence, command=command, data=bytes.fromhex(data)))
    )

    assert report == bytes.fromhex(out).ljust(64, b"\0")


def test_applying_column_1_is_three_reports_with_the_documented_bytes():
    settings = ScanSettings(name="Column 1", start_nm=900, end_nm=1700, points=228, width_px=6, repeats=6)
    image = encode_configuration(settings, "6100023").ljust(124, b"\0")

    reports = WIRE.wrap(encode_request(Request(flags=WRITE, sequence=0, command=0x021E, data=image)))

    assert reports == bytes.fromhex(APPLY_COLUMN_1).ljust(192, b"\0")


@pytest.mark.parametrize("name", WORKED)
def test_a_documented_answer_is_found_whole_byte_by_byte_and_with_reports_behind_it(name: str):
    flags, sequence, command, data, _, answer, expected = WORKED[name]
    report = padded(bytes.fromhex(answer))
    found = Frame(payload=report, size_bytes=64)

    assert HidFramer().find(report) == found
    for size in range(64):
        assert HidFramer().find(report[:size]) is NEED_MORE
    assert HidFramer().find(report + RUBBISH) == found
    request = Request(flags=flags, sequence=sequence, command=command, data=bytes.fromhex(data))
    assert WIRE.answer(decode_reply(report), request) == bytes.fromhex(expected)


@pytest.mark.parametrize(("size", "reports"), [(512, 9), (238, 4), (61, 2), (60, 1), (0, 1)])
def test_a_long_answer_continues_without_a_head(size: int, reports: int):
    message = b"\xc0\x01" + size.to_bytes(2, "little") + scan_blob()[:size]
    arrived = padded(message)

    assert len(arrived) == 64 * reports <= HidFramer().limit_bytes
    for at in range(len(arrived)):
        assert HidFramer().find(arrived[:at]) is NEED_MORE
    found = HidFramer().find(arrived + RUBBISH)
    assert found == Frame(payload=arrived, size_bytes=len(arrived))
    assert WIRE.answer(decode_reply(arrived), Request(flags=READ, sequence=1, command=0x2E)) == scan_blob()[:size]


def test_the_first_piece_of_a_scan_begins_as_documented():
    message = b"\xc0\x00\x00\x02" + scan_blob()[:512]

    assert message[:16] == bytes.fromhex("c0 00 00 02 74 70 6c 00 75 0e 00 00 53 28 75 63")


@pytest.mark.parametrize(
    "begins", ["00 00 00 00", "e8 03 00 00", "f2 03 00 00", "c0 01 01 02", "10 00 00 00", "80 01 00 00", "41 01 00 00"]
)
def test_a_report_that_continues_another_answer_is_refused(begins: str):
    found = HidFramer().find(bytes.fromhex(begins).ljust(64, b"\1"))

    assert isinstance(found, Frame)
    assert found.size_bytes == 64
    with pytest.raises(WireError):
        decode_reply(found.payload)


@pytest.mark.parametrize(
    ("answer", "error"),
    [("d0 09 00 00", DeviceRefused), ("50 09 00 00", DeviceRefused), ("e0 09 00 00", DeviceBusy)],
)
def test_error_and_busy_answers_raise_their_cure(answer: str, error: type[Exception]):
    request = Request(flags=READ, sequence=9, command=0x0402)

    with pytest.raises(error):
        WIRE.answer(decode_reply(padded(bytes.fromhex(answer))), request)


@pytest.mark.parametrize("answer", ["c0 08 00 00", "d0 08 00 00", "e0 00 00 00"])
def test_an_answer_to_another_question_is_told_apart_by_its_sequence(answer: str):
    reply = decode_reply(padded(bytes.fromhex(answer)))

    assert WIRE.answer(reply, Request(flags=READ, sequence=9, command=0x0402)) is None


OPENING = (
    ("40 01 03 00 25 02 01", "40 01 00 00"),  # lamp automatic
    ("c0 02 02 00 33 02", "c0 02 08 00 36 31 30 30 30 32 33 00"),
    ("c0 03 02 00 3c 02", "c0 03 10 00 4e 49 52 2d 4d 2d 52 32 00 00 00 00 00 00 00 00"),
    ("c0 04 02 00 16 02", f"c0 04 1c 00 {VERSIONS}"),
    ("40 05 03 00 0e 03 00", "40 05 00 00"),  # no hibernation
    ("40 06 02 00 05 04", "40 06 00 00"),  # old faults
)


def test_opening_over_reports_asks_for_the_true_serial_number():
    steps = [
        step
        for out, answer in OPENING
        for step in ((">", bytes.fromhex(out).ljust(64, b"\0")), ("<", padded(bytes.fromhex(answer))))
    ]
    with ReplayLink(steps) as link:
        unit = Session(link, clock=link.clock).perform(DEVICE.open())

    assert (unit.identity.serial_number, unit.identity.model) == ("6100023", "NIR-M-R2")
    assert unit.identity.versions["spectrum_library"] == "2.0.3"


def day(plan: str) -> list[RawScan]:
    clock, firmware = ManualClock(), nirscan_hid(plan)
    scans = converse(DEVICE, plug(firmware, clock), clock, scans=2)
    assert all(is_right(END, firmware, scan) for scan in scans)
    return scans


def counts(scans: list[RawScan]) -> list[list[float]]:
    return [scan.counts.tolist() for scan in scans]


GOOD = counts(day(""))


@pytest.mark.parametrize("reply", range(4, 60, 3))
@pytest.mark.parametrize("fault", ["drop", "delay", "duplicate", "sequence", "busy"])
def test_one_answer_that_goes_wrong_is_cured(fault: str, reply: int):
    assert len(day(f"{fault}@{reply}")) == 2


@pytest.mark.parametrize("lost", range(2, 10))
def test_a_lost_report_of_a_scan_is_noticed_and_the_scan_fetched_again(lost: int):
    for reply in range(15, 32):
        assert counts(day(f"continuation@{reply}:{lost}")) == GOOD


@pytest.mark.parametrize("lost", range(2, 10))
def test_a_report_lost_of_an_answer_that_comes_twice_never_mixes_the_two(lost: int):
    for reply in range(15, 32):
        assert counts(day(f"continuation@{reply}:{lost},duplicate@{reply}")) == GOOD


@pytest.mark.parametrize("plan", ["stale@2", "early_done@1", "early_done@2", "error@1", "short_light@2", "estimate=-1"])
def test_a_scan_that_failed_without_a_word_is_repeated(plan: str):
    assert len({scan.scan_index for scan in day(plan)}) == 2


def test_a_phone_that_stays_connected_is_reported():
    with pytest.raises(DeviceBusy, match="Bluetooth"):
        day("busy")


def test_the_family_is_found_by_its_usb_ids():
    assert DEVICE.usb == registry.load("nirscan").usb == IDS
    assert (
        device_at(registry.load("nirscan"), "/dev/hidraw3") == device_at(registry.load("nirscan"), "hid:1-2") == DEVICE
    )
    with pytest.raises(BadPort, match="serial, hid"):
        device_at(registry.load("nirscan"), "usb")


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    """The class folder of a system with a keyboard, and two units whose USB serial numbers are the same."""
    folder = tmp_path / "class"
    folder.mkdir()
    plug_node(folder, "hidraw0", "1-1.3", "0003:0000046D:0000C31C")
    plug_node(folder, "hidraw1", "1-1.4", "0003:00000451:00004200")
    plug_node(folder, "hidraw2", "1-2", "0003:00000451:00004200")
    plug_node(folder, "hidraw3", "1-4", "0005:00000451:00004200")  # over Bluetooth: another protocol
    return folder


def plug_node(folder: Path, node: str, place: str, ids: str) -> None:
    """As Linux does it: class/hidraw1/device leads to .../1-1.4/1-1.4:1.0/0003:0451:4200.0002."""
    device = folder.parent / "devices" / place / f"{place}:1.0" / f"{ids.replace('0000', '')}.{node[-1]:0>4}"
    device.mkdir(parents=True)
    (device / "uevent").write_text(f"DRIVER=hid-generic\nHID_ID={ids}\nHID_NAME=Nirscan Nano\nHID_UNIQ=12345678\n")
    (folder / node).mkdir()
    (folder / node / "device").symlink_to(device)


def test_units_with_the_same_usb_serial_number_are_told_apart_by_their_place(nodes: Path):
    assert hid_places(IDS, nodes=nodes) == {"1-1.4": "/dev/hidraw1", "1-2": "/dev/hidraw2"}
    with pytest.raises(LinkDenied, match=r"2 such instruments .* hid:1-1\.4, hid:1-2"):
        HidrawLink.open(IDS, nodes=nodes)
    with pytest.raises(LinkMissing, match=r"hid:1-3: no such instrument \(there is: hid:1-1\.4"):
        HidrawLink.open(IDS, "1-3", nodes=nodes)
    with pytest.raises(LinkMissing, match="plugged in"):
        HidrawLink.open(UsbIds(ids=((1, 2),)), nodes=nodes)
    with pytest.raises(LinkMissing):
        HidrawLink.open(IDS, nodes=nodes / "absent")


def test_a_unit_that_returns_under_another_number_has_the_same_place(nodes: Path):
    for path in (nodes / "hidraw2", nodes / "hidraw1"):
        (path / "device").unlink()
        path.rmdir()
    plug_node(nodes, "hidraw7", "1-6", "0003:00000451:00004200")

    assert hid_places(IDS, nodes=nodes) == {"1-6": "/dev/hidraw7"}


def test_a_node_that_is_not_there_or_closed_to_us_says_what_to_do(tmp_path: Path):
    with pytest.raises(LinkMissing, match="no such instrument"):
        HidrawLink.open(IDS, str(tmp_path / "hidraw9"))


@contextmanager
def node(tmp_path: Path, *options: str, repository: Path) -> Iterator[str]:
    """`edged-sim nirscan --hid` behind a terminal that stands in for a hidraw node."""
    path = tmp_path / "hidraw"
    command = [sys.executable, "-m", "firmware_sim.main", "nirscan", "--hid", "--pty", str(path), *options]
    process = subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["event"] == "ready"
            yield str(path)
        finally:
            process.terminate()


def test_scans_through_a_node_follow_each_other(tmp_path: Path, repository: Path):
    with node(tmp_path, "--speed", "0", "--faults", "continuation@22,garbage=64", repository=repository) as path:
        session = Session(HidrawLink.open(IDS, path))
        unit = session.perform(DEVICE.open())
        session.perform(DEVICE.configure(unit, DEVICE.default_settings))
        scans = [session.perform(DEVICE.scan(unit, DEVICE.default_settings)) for _ in range(2)]
        session.perform(DEVICE.close())
        session.close()

    assert unit.identity.serial_number == "SIM0001"
    assert [(scan.scan_index or 0) & 0xFFFF for scan in scans] == [1, 2]


def test_a_node_that_goes_away_is_a_lost_link_and_comes_back(tmp_path: Path, repository: Path):
    with node(tmp_path, "--speed", "0", "--faults", "hangup@3:64:0.05", repository=repository) as path:
        session = Session(HidrawLink.open(IDS, path))
        with pytest.raises(LinkLost):
            session.perform(DEVICE.open())
        session.close()
        deadline_s = time.monotonic() + 5.0
        while not Path(path).exists():
            assert time.monotonic() < deadline_s
        session = Session(HidrawLink.open(IDS, path))
        unit = session.perform(DEVICE.open())
        session.close()

    assert unit.identity.serial_number == "SIM0001"


def test_only_whole_reports_are_written(tmp_path: Path):
    near, far = os.openpty()
    link = HidrawLink.open(IDS, os.ttyname(far))
    try:
        with pytest.raises(ValueError, match="no whole reports"):
            link.write(bytes(63), 1.0)
        os.set_blocking(near, False)
        with pytest.raises(BlockingIOError):
            os.read(near, 65)
    finally:
        link.close()
        os.close(near)
        os.close(far)


@given(st.binary(max_size=700))
def test_any_bytes_make_a_message_or_an_error_and_get_on(data: bytes):
    found = HidFramer().find(data)

    if found is NEED_MORE:
        assert len(data) < HidFramer().limit_bytes
        return
    assert isinstance(found, Frame)
    assert found.size_bytes % 64 == 0 < found.size_bytes <= len(data)
    with contextlib.suppress(WireError):
        decode_reply(found.payload)
