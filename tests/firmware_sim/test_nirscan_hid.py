"""The NIRscan's simulator on USB HID: worked reports of protocols.md 4.7, what it ignores, and how it leaves the bus.

pyusb is the host, over the bus in this process; it knows nothing of our driver.
"""

from __future__ import annotations

import struct
import time
from itertools import count

import numpy as np
import pytest
import usb.core
import usb.util

from firmware_sim.contract import Deliver, HangUp, Output
from firmware_sim.devices.nirscan import OWN_FAULTS, NirscanOnHid, NirscanOnHidraw, Unit
from firmware_sim.faults import FaultPlan
from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from firmware_sim.hosts.usb_port import Gone, UsbPort
from firmware_sim.sample import Products, Tray, Twin
from tests.firmware_sim.raw_client import APPLY_COLUMN_1, scan_index

IN, OUT = 0x81, 0x01
TRAY = Products(None, Twin.load())
SCAN = bytes.fromhex("40 05 03 00 18 02 00")
STATUS = bytes.fromhex("c0 00 02 00 03 04")

WORKED = {  # protocols.md 4.7: OUT report, IN report
    "version": (
        "c0 00 02 00 16 02",
        "c0 00 1c 00 00 01 02 00 00 00 02 00 00 01 02 00 03 00 02 00 01 00 00 00 03 00 00 00 01 00 00 00",
    ),
    "scan to memory": ("40 05 03 00 18 02 00", "40 05 00 00"),
    "DLPC and lamp on": ("40 06 04 00 05 01 01 01", "40 06 00 00"),
    "6 repeats": ("40 07 04 00 2e 02 06 00", "40 07 00 00"),
    "an error to a read": ("c0 00 02 00 2e 00", "d0 00 00 00"),
    "an error to a write": ("40 00 02 00 77 77", "50 00 00 00"),
}


def firmware(plan: str = "", *, speed: float = 0.0, serial_number: str = "6100023") -> NirscanOnHid:
    return NirscanOnHid(
        Tray(TRAY, white=1, seed=0),
        unit=Unit(serial_number=serial_number),
        speed=speed,
        faults=FaultPlan.parse(plan, own=OWN_FAULTS),
    )


def host(*units: NirscanOnHid) -> list[usb.core.Device]:
    """The units as pyusb finds them, taken from the kernel's driver."""
    found = list(usb.core.find(find_all=True, backend=SimulatedUsb(*(units or (firmware(),)))))
    for device in found:
        device.detach_kernel_driver(0)
    return found


def said(device: usb.core.Device, message: bytes) -> bytes:
    """Write the reports of a request and read those of its answer, padding included."""
    for at in range(0, len(message), 64):
        assert device.write(OUT, message[at : at + 64].ljust(64, b"\xa5")) == 64
    answer = bytes(device.read(IN, 64, timeout=500))
    while len(answer) < 4 + int.from_bytes(answer[2:4], "little"):
        answer += bytes(device.read(IN, 64, timeout=500))
    return answer


def read(device: usb.core.Device, command: int, data: bytes = b"") -> bytes:
    body = struct.pack("<H", command) + data
    answer = said(device, b"\xc0\x00" + struct.pack("<H", len(body)) + body)
    assert answer[:2] == b"\xc0\x00", answer.hex(" ")
    return answer[4 : 4 + int.from_bytes(answer[2:4], "little")]


def is_silent(device: usb.core.Device) -> bool:
    try:
        device.read(IN, 64, timeout=10)
    except usb.core.USBTimeoutError:
        return True
    return False


def scanned(device: usb.core.Device) -> bytes:
    """The transfer of one more scan."""
    said(device, SCAN)
    (size,) = struct.unpack("<I", read(device, 0x002D, bytes(4)))
    blob = b""
    while len(blob) < size:
        blob += read(device, 0x002E)
    return blob


def test_it_looks_like_the_real_one_on_the_bus() -> None:
    (device,) = host()
    endpoints = device.get_active_configuration()[(0, 0)]

    assert (device.idVendor, device.idProduct) == (0x0451, 0x4200)
    assert (device.product, device.serial_number) == ("Nirscan Nano", "12345678")
    assert endpoints.bInterfaceClass == 3
    assert sorted(endpoint.bEndpointAddress for endpoint in endpoints) == [OUT, IN]
    assert {(endpoint.bmAttributes, endpoint.wMaxPacketSize, endpoint.bInterval) for endpoint in endpoints} == {
        (3, 64, 1)
    }


def test_its_report_descriptor_means_64_bytes_each_way_without_a_number() -> None:
    (device,) = host()
    described = bytes(device.ctrl_transfer(0x81, 6, 0x2200, 0, 256))
    items: list[tuple[int, int]] = []  # HID 1.11, 6.2.2.2: tag and type, size in the two lowest bits
    while described:
        size = (0, 1, 2, 4)[described[0] & 3]
        items.append((described[0] & 0xFC, int.from_bytes(described[1 : 1 + size], "little")))
        described = described[1 + size :]

    assert items[0] == (0x04, 0xFF00)
    assert [tag for tag, _ in items].count(0x84) == 0  # no report number
    assert {tag: value for tag, value in items if tag in (0x74, 0x94)} == {0x74: 8, 0x94: 64}
    assert [tag for tag, _ in items if tag in (0x80, 0x90)] == [0x80, 0x90]
    assert (items[2], items[-1]) == ((0xA0, 1), (0xC0, 0))


@pytest.mark.parametrize("name", WORKED)
def test_a_worked_report_is_answered_as_documented(name: str) -> None:
    out, answer = (bytes.fromhex(text) for text in WORKED[name])
    (device,) = host()

    told = said(device, out)

    assert (told[: len(answer)], len(told)) == (answer, 64)


def test_scanning_shows_in_the_status_as_documented() -> None:
    (device,) = host(firmware(speed=1.0))
    said(device, SCAN)

    assert said(device, STATUS)[:8] == bytes.fromhex("c0 00 04 00 03 00 00 00")


def test_a_file_has_the_documented_size_and_comes_in_pieces_of_512_bytes_over_nine_reports() -> None:
    (device,) = host()
    said(device, SCAN)

    assert said(device, bytes.fromhex("c0 00 06 00 2d 00 00 00 00 00"))[:8] == bytes.fromhex("c0 00 04 00 ee 0e 00 00")
    pieces = [said(device, bytes.fromhex("c0 00 02 00 2e 00")) for _ in range(8)]
    assert pieces[0][:16] == bytes.fromhex("c0 00 00 02 74 70 6c 00 75 0e 00 00 53 28 75 63")
    assert [len(piece) // 64 for piece in pieces] == [9] * 7 + [4]  # 3822 is seven times 512, and 238
    assert pieces[7][:4] == bytes.fromhex("c0 00 ee 00")


def test_the_worked_configuration_of_three_reports_is_applied() -> None:
    (device,) = host()
    message = bytes.fromhex("40 00 7e 00 1e 02") + APPLY_COLUMN_1

    assert said(device, message)[:8] == bytes.fromhex("40 00 04 00 e4 00 00 00")
    assert scanned(device)[185:245] == APPLY_COLUMN_1[31:91]


def test_the_padding_of_an_answer_is_what_the_buffer_held_before() -> None:
    (device,) = host()
    long = said(device, bytes.fromhex(WORKED["version"][0]))

    short = said(device, STATUS)

    assert short[8:] == long[8:] != bytes(56)


@pytest.mark.parametrize(
    "dropped",
    ["c0 00 01 00 16 02", "c0 00 01 02 16 02", "c4 00 02 00 16 02", "d0 00 02 00 16 02", "c3 00 02 00 16 02"],
    ids=["too short", "too long", "reserved bit", "response bit", "another destination"],
)
def test_what_makes_no_request_is_dropped_without_a_word(dropped: str) -> None:
    (device,) = host()
    device.write(OUT, bytes.fromhex(dropped).ljust(64, b"\0"))

    assert is_silent(device)
    assert said(device, STATUS)[:4] == bytes.fromhex("c0 00 04 00")


def test_a_request_that_does_not_go_on_is_forgotten_after_a_second() -> None:
    unit = firmware()
    unit.plugged(0.0)
    begun = (bytes.fromhex("40 00 7e 00 1e 02") + APPLY_COLUMN_1)[:64]

    unit.write(OUT, begun, 1.0)
    unit.write(OUT, STATUS.ljust(64, b"\0"), 2.1)

    assert (unit.read(IN, 64, 2.1) or b"")[:4] == bytes.fromhex("c0 00 04 00")


def test_reports_follow_each_other_in_milliseconds() -> None:
    unit = firmware(speed=1.0)
    unit.plugged(0.0)
    unit.write(OUT, SCAN.ljust(64, b"\0"), 0.0)
    unit.wake(5.0)
    unit.write(OUT, bytes.fromhex("c0 00 06 00 2d 00 00 00 00 00").ljust(64, b"\0"), 5.0)
    while unit.read(IN, 64, 5.1):
        pass
    unit.write(OUT, bytes.fromhex("c0 00 02 00 2e 00").ljust(64, b"\0"), 6.0)

    arrived = [sum(unit.read(IN, 64, 6.0 + 0.002 + ms / 1000 + 1e-6) is not None for _ in range(9)) for ms in range(10)]
    assert arrived == [0, 1, 1, 1, 1, 1, 1, 1, 1, 1]


def test_a_host_without_an_interrupt_pipe_outward_may_set_the_report() -> None:
    (device,) = host()

    device.ctrl_transfer(0x21, 0x0A, 0, 0)  # SET_IDLE, as every host does first
    device.ctrl_transfer(0x21, 0x09, 0x0200, 0, STATUS.ljust(64, b"\0"))

    assert bytes(device.read(IN, 64))[:4] == bytes.fromhex("c0 00 04 00")
    with pytest.raises(usb.core.USBError):
        device.ctrl_transfer(0xA1, 0x01, 0x0100, 0, 64)


def test_two_units_say_the_same_on_the_bus_and_differ_when_asked() -> None:
    devices = host(firmware(serial_number="6100023"), firmware(serial_number="6100039"))

    assert [device.serial_number for device in devices] == ["12345678", "12345678"]
    assert [read(device, 0x0233) for device in devices] == [b"6100023\0", b"6100039\0"]


def test_while_a_phone_is_connected_every_command_is_busy() -> None:
    (device,) = host(firmware("busy@1-2"))

    assert said(device, STATUS)[:4] == bytes.fromhex("e0 00 00 00")
    assert said(device, SCAN)[:4] == bytes.fromhex("60 05 00 00")
    assert said(device, STATUS)[:4] == bytes.fromhex("c0 00 04 00")


def test_a_sequence_that_does_not_match_is_the_next_one() -> None:
    (device,) = host(firmware("sequence@1"))

    assert said(device, SCAN)[:2] == b"\x40\x06"


@pytest.mark.parametrize("lost", [2, 5, 9])
def test_a_continuation_that_is_lost_leaves_eight_reports(lost: int) -> None:
    (device,) = host(firmware(f"continuation@3:{lost}"))
    said(device, SCAN)
    read(device, 0x002D, bytes(4))
    device.write(OUT, bytes.fromhex("c0 00 02 00 2e 00").ljust(64, b"\0"))

    assert [len(device.read(IN, 64)) for _ in range(8)] == [64] * 8
    assert is_silent(device)


@pytest.mark.parametrize(("plan", "indices"), [("stale@2", [1, 1, 2]), ("early_done@2", [1, 1, 3])])
def test_a_stale_transfer_is_of_the_scan_before(plan: str, indices: list[int]) -> None:
    (device,) = host(firmware(plan))

    assert [scan_index(scanned(device)) & 0xFFFF for _ in range(3)] == indices


def test_a_glint_drives_the_converter_to_its_full_scale() -> None:
    (device,) = host(firmware("saturate@1"))
    blob = scanned(device)

    assert np.frombuffer(blob, "<i4", 237, 245).max() == 0x7FFFFF


class Hands:
    """Moves the clock of a bus."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_after_a_reset_it_leaves_the_bus_and_returns_under_another_address() -> None:
    clock = Hands()
    port = UsbPort(firmware(speed=1.0), clock=clock, next_address=count(5).__next__)
    port.write(5, OUT, bytes.fromhex("40 01 02 00 1a 02").ljust(64, b"\0"))
    clock.now_s += 0.01
    assert (port.poll(5, IN, 64) or b"")[:4] == b"\x40\x01\0\0"

    clock.now_s += 0.1
    with pytest.raises(Gone):
        port.poll(5, IN, 64)
    assert port.address is None
    clock.now_s += 3.0
    assert port.address == 6


def test_after_five_minutes_without_a_command_it_falls_asleep_and_comes_back() -> None:
    clock = Hands()
    port = UsbPort(firmware(speed=1.0), clock=clock)
    clock.now_s += 299.0
    port.write(2, OUT, STATUS.ljust(64, b"\0"))
    clock.now_s += 299.0
    assert port.poll(2, IN, 64)

    clock.now_s += 2.0
    with pytest.raises(Gone):
        port.poll(2, IN, 64)
    clock.now_s += 10.0
    assert port.address == 3


def test_it_stays_awake_when_it_was_told_to() -> None:
    clock = Hands()
    port = UsbPort(firmware(speed=1.0), clock=clock)
    port.write(2, OUT, bytes.fromhex("40 01 03 00 0e 03 00").ljust(64, b"\0"))
    clock.now_s += 86_400.0

    assert port.poll(2, IN, 64)
    assert port.address == 2


def test_another_plugging_in_is_another_session_of_scans() -> None:
    unit = firmware()
    bus = SimulatedUsb(unit)
    indices = []
    for _ in range(2):
        device = usb.core.find(backend=bus)
        device.detach_kernel_driver(0)
        indices.append(scan_index(scanned(device)))
        bus.ports[0].unplug()
        bus.ports[0].plug()

    assert indices == [0x10001, 0x20001]


def hidraw(plan: str = "", *, speed: float = 0.0) -> NirscanOnHidraw:
    unit = NirscanOnHidraw(Tray(TRAY, white=1, seed=0), speed=speed, faults=FaultPlan.parse(plan, own=OWN_FAULTS))
    unit.line_opened(0.0)
    return unit


def delivered(outputs: list[Output]) -> bytes:
    return b"".join(output.data for output in outputs if isinstance(output, Deliver))


def test_a_node_takes_65_bytes_a_report_and_gives_64() -> None:
    unit = hidraw()
    written = b"\0" + STATUS.ljust(64, b"\0")

    assert unit.receive(written[:30], 0.0) == []
    told = delivered(unit.receive(written[30:] + written, 0.0))

    assert len(told) == 128
    assert told[:8] == told[64:72] == bytes.fromhex("c0 00 04 00 01 00 00 00")


def test_a_node_goes_away_with_a_reset_and_with_sleep() -> None:
    unit = hidraw(speed=1.0)
    reset = b"\0" + bytes.fromhex("40 01 02 00 1a 02").ljust(64, b"\0")

    told = unit.receive(reset, 10.0)
    assert delivered(told)[:4] == b"\x40\x01\0\0"
    assert told[-1] == HangUp(at_s=10.05, seconds=3.0)

    unit.line_opened(20.0)
    assert unit.receive(b"\0" + STATUS.ljust(64, b"\0"), 400.0) == [HangUp(at_s=400.0, seconds=10.0)]
    assert unit.take_events()[-1]["event"] == "hibernates"


def test_answers_over_a_node_are_counted_from_each_new_plan() -> None:
    unit = hidraw()
    unit.operate("faults sequence@1,continuation@1")
    first = delivered(unit.receive(b"\0" + STATUS.ljust(64, b"\0"), 0.0))
    second = delivered(unit.receive(b"\0" + STATUS.ljust(64, b"\0"), 0.0))

    assert (first[1], second[1]) == (1, 0)


def test_a_scan_takes_its_time_on_the_bus() -> None:
    (device,) = host(firmware(speed=20.0))
    said(device, SCAN)
    begun_s = time.monotonic()
    while read(device, 0x0219) != b"\1":
        assert time.monotonic() - begun_s < 5.0

    assert time.monotonic() - begun_s > 2.691 / 20 - 0.05
