"""Simulated USB instruments as pyusb sees them."""

from __future__ import annotations

import errno
import threading
import time

import pytest
import usb.core
import usb.util

from firmware_sim.hosts.pyusb_backend import SimulatedUsb
from tests.firmware_sim.usb_bench import IN, OUT, Bench


def found(bus: SimulatedUsb) -> usb.core.Device:
    device = usb.core.find(backend=bus)
    assert device is not None
    return device


def test_an_instrument_is_enumerated_with_its_strings_and_endpoints() -> None:
    device = found(SimulatedUsb(Bench()))

    assert (device.idVendor, device.idProduct, device.bcdDevice) == (0x1209, 0x5EC7, 0x0123)
    assert (device.manufacturer, device.product, device.serial_number) == ("edged", "bench", "BENCH01")
    assert (device.bus, device.port_numbers, device.address) == (1, (1,), 2)
    assert [endpoint.bEndpointAddress for endpoint in device.get_active_configuration()[(0, 0)]] == [OUT, IN]


def test_bytes_go_out_and_come_back() -> None:
    device = found(SimulatedUsb(Bench()))

    assert device.write(OUT, b"hello") == 5
    assert bytes(device.read(IN, 64)) == b"hello"


def test_a_transfer_longer_than_the_buffer_comes_in_parts() -> None:
    device = found(SimulatedUsb(Bench()))
    device.write(OUT, b"0123456789")

    assert [bytes(device.read(IN, 6)), bytes(device.read(IN, 6))] == [b"012345", b"6789"]


def test_control_transfers_go_both_ways() -> None:
    device = found(SimulatedUsb(Bench()))

    assert device.ctrl_transfer(0x40, 2, 0, 0, b"noted") == 5
    assert bytes(device.ctrl_transfer(0xC0, 3, 0, 0, 64)) == b"noted"
    assert bytes(device.ctrl_transfer(0xC0, 3, 0, 0, 2)) == b"no"


def test_silence_is_a_timeout_as_libusb_tells_it() -> None:
    device = found(SimulatedUsb(Bench()))
    started = time.monotonic()

    with pytest.raises(usb.core.USBTimeoutError) as caught:
        device.read(IN, 64, timeout=50)

    assert (caught.value.backend_error_code, caught.value.errno) == (-7, errno.ETIMEDOUT)
    assert 0.05 <= time.monotonic() - started < 1


def test_a_late_answer_is_waited_for() -> None:
    device = found(SimulatedUsb(Bench()))
    started = time.monotonic()
    device.write(OUT, b"after 0.1:late")

    assert bytes(device.read(IN, 64, timeout=2000)) == b"late"
    assert 0.1 <= time.monotonic() - started < 1


def test_a_stalled_pipe_works_again_once_it_is_cleared() -> None:
    device = found(SimulatedUsb(Bench()))
    device.write(OUT, b"stall:")

    with pytest.raises(usb.core.USBError) as caught:
        device.read(IN, 64)
    device.clear_halt(IN)
    device.write(OUT, b"again")

    assert (caught.value.backend_error_code, caught.value.errno) == (-9, errno.EPIPE)
    assert bytes(device.read(IN, 64)) == b"again"


def test_an_unknown_request_stalls() -> None:
    device = found(SimulatedUsb(Bench()))

    with pytest.raises(usb.core.USBError) as caught:
        device.ctrl_transfer(0xC0, 0x77, 0, 0, 4)

    assert caught.value.errno == errno.EPIPE


def test_a_read_ends_when_the_cable_is_pulled() -> None:
    bus = SimulatedUsb(Bench())
    device = found(bus)
    caught: list[usb.core.USBError] = []
    reading = threading.Event()

    def read() -> None:
        reading.set()
        try:
            device.read(IN, 64, timeout=5000)
        except usb.core.USBError as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    reading.wait()
    bus.ports[0].unplug()
    thread.join()

    assert [(error.backend_error_code, error.errno) for error in caught] == [(-4, errno.ENODEV)]
    assert usb.core.find(backend=bus) is None


def test_a_device_that_comes_back_has_another_address_and_the_old_handle_stays_dead() -> None:
    bus = SimulatedUsb(Bench())
    device = found(bus)
    device.write(OUT, b"x")
    bus.ports[0].unplug()
    bus.ports[0].plug()

    with pytest.raises(usb.core.USBError, match="No such device"):
        device.read(IN, 64)
    again = found(bus)

    assert (again.address, again.port_numbers) == (3, (1,))


def test_a_device_that_leaves_by_itself_is_back_after_the_time_it_said() -> None:
    bench = Bench()
    bus = SimulatedUsb(bench)

    with pytest.raises(usb.core.USBError, match="No such device"):
        found(bus).write(OUT, b"unplug 0.05:")
    assert usb.core.find(backend=bus) is None
    deadline = time.monotonic() + 2
    while (again := usb.core.find(backend=bus)) is None and time.monotonic() < deadline:
        pass

    assert again is not None
    assert bench.boots == 2


def test_two_instruments_are_told_apart_by_place_and_address() -> None:
    bus = SimulatedUsb(Bench("A"), Bench("B"))

    devices = list(usb.core.find(find_all=True, backend=bus))

    assert [(device.serial_number, device.port_numbers, device.address) for device in devices] == [
        ("A", (1,), 2),
        ("B", (2,), 3),
    ]


def test_an_interface_is_for_one_at_a_time() -> None:
    bus = SimulatedUsb(Bench())
    first, second = found(bus), found(bus)
    usb.util.claim_interface(first, 0)

    with pytest.raises(usb.core.USBError) as caught:
        usb.util.claim_interface(second, 0)
    usb.util.dispose_resources(first)
    usb.util.claim_interface(second, 0)

    assert (caught.value.backend_error_code, caught.value.errno) == (-6, errno.EBUSY)


def test_eight_threads_share_one_instrument() -> None:
    device = found(SimulatedUsb(Bench()))
    answers: list[bytes] = []

    def ask() -> None:
        answers.append(bytes(device.ctrl_transfer(0xC0, 1, 0, 0, 64)))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [b"BENCH01"] * 8
