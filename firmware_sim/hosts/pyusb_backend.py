"""A bus of simulated instruments in this process, as a backend of pyusb: no libusb, no root, real time.

    bus = SimulatedUsb(firmware)
    usb.core.find(backend=bus)          a client that takes a backend
    bus.ports[0].unplug()               every transfer on it fails from now on
    bus.ports[0].plug()                 another device, at the same place and another address

Each firmware has a port of its own: the first is at 1-1, the second at 1-2. Errors are those of pyusb over libusb-1.0.
"""

from __future__ import annotations

import errno
import itertools
import math
import struct
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace

import usb.core
from usb.backend import IBackend

from firmware_sim.contract import Event, Late, Setup, Stall, UsbFirmware
from firmware_sim.hosts.chapter9 import BULK, INTERRUPT, device_descriptor
from firmware_sim.hosts.usb_port import FIRST_ADDRESS, INWARD, Gone, UsbPort

HIGH_SPEED, FULL_SPEED = 3, 2  # libusb's numbers
HIGH_SPEED_PACKET_BYTES = 512
DEVICE_FIELDS = (
    "bLength",
    "bDescriptorType",
    "bcdUSB",
    "bDeviceClass",
    "bDeviceSubClass",
    "bDeviceProtocol",
    "bMaxPacketSize0",
    "idVendor",
    "idProduct",
    "bcdDevice",
    "iManufacturer",
    "iProduct",
    "iSerialNumber",
    "bNumConfigurations",
)


@dataclass(frozen=True, slots=True)
class Plugged:
    """One plugging in of a device: what pyusb calls the device's identification."""

    port: UsbPort
    address: int


@dataclass(slots=True, eq=False)
class Handle:
    """One opening of a device."""

    device: Plugged
    claimed: set[int] = field(default_factory=set)


class SimulatedUsb(IBackend):  # type: ignore[misc]  # pyusb has no types
    """The bus. `ports` are in the order of the firmware given; tell: called with each event of any of them."""

    def __init__(self, *firmware: UsbFirmware, tell: Callable[[Event], None] | None = None) -> None:
        addresses = itertools.count(FIRST_ADDRESS)
        self.ports = [
            UsbPort(one, ports=(number,), next_address=lambda: next(addresses), tell=tell)
            for number, one in enumerate(firmware, start=1)
        ]
        self._handles: list[Handle] = []
        self._detached: set[Plugged] = set()

    def enumerate_devices(self) -> Iterator[Plugged]:
        """Tell what is plugged in."""
        plugged = [Plugged(port, address) for port in self.ports if (address := port.address) is not None]
        return iter(plugged)

    def get_parent(self, dev: Plugged) -> None:
        """There are no hubs."""

    def get_device_descriptor(self, dev: Plugged) -> SimpleNamespace:
        """Return table 9-8, with where the device is."""
        told = dev.port.firmware.descriptors
        values = struct.unpack("<BBHBBBBHHHBBBB", device_descriptor(told))
        fast = told.packet_bytes >= HIGH_SPEED_PACKET_BYTES
        return SimpleNamespace(
            **dict(zip(DEVICE_FIELDS, values, strict=True)),
            bus=dev.port.bus,
            address=dev.address,
            port_number=dev.port.ports[-1],
            port_numbers=dev.port.ports,
            speed=HIGH_SPEED if fast else FULL_SPEED,
        )

    def get_configuration_descriptor(self, dev: Plugged, config: int) -> SimpleNamespace:
        """Return table 9-10."""
        _only(config)
        return SimpleNamespace(
            bLength=9,
            bDescriptorType=2,
            wTotalLength=18 + 7 * len(dev.port.firmware.descriptors.endpoints),
            bNumInterfaces=1,
            bConfigurationValue=1,
            iConfiguration=0,
            bmAttributes=0x80,
            bMaxPower=250,
            extra_descriptors=[],
        )

    def get_interface_descriptor(self, dev: Plugged, intf: int, alt: int, config: int) -> SimpleNamespace:
        """Return table 9-12."""
        _only(intf, alt, config)
        told = dev.port.firmware.descriptors
        return SimpleNamespace(
            bLength=9,
            bDescriptorType=4,
            bInterfaceNumber=0,
            bAlternateSetting=0,
            bNumEndpoints=len(told.endpoints),
            bInterfaceClass=0x03 if told.hid_report else 0xFF,
            bInterfaceSubClass=0,
            bInterfaceProtocol=0,
            iInterface=0,
            extra_descriptors=[],
        )

    def get_endpoint_descriptor(self, dev: Plugged, ep: int, intf: int, alt: int, config: int) -> SimpleNamespace:
        """Return table 9-13."""
        _only(intf, alt, config)
        told = dev.port.firmware.descriptors
        return SimpleNamespace(
            bLength=7,
            bDescriptorType=5,
            bEndpointAddress=told.endpoints[ep],
            bmAttributes=INTERRUPT if told.hid_report else BULK,
            wMaxPacketSize=told.packet_bytes,
            bInterval=1 if told.hid_report else 0,
            bRefresh=0,
            bSynchAddress=0,
            extra_descriptors=[],
        )

    def open_device(self, dev: Plugged) -> Handle:
        """Open it. Several programs may; an interface is for one of them."""
        _alive(dev)
        handle = Handle(dev)
        self._handles.append(handle)
        return handle

    def close_device(self, dev_handle: Handle) -> None:
        """Close it, with what it held."""
        dev_handle.claimed.clear()
        if dev_handle in self._handles:
            self._handles.remove(dev_handle)

    def set_configuration(self, dev_handle: Handle, config_value: int) -> None:
        """Set the only one there is."""
        _alive(dev_handle.device)
        if config_value != 1:
            raise _error("Entity not found", -5, errno.ENOENT)

    def get_configuration(self, dev_handle: Handle) -> int:
        """Return the only one there is."""
        _alive(dev_handle.device)
        return 1

    def set_interface_altsetting(self, dev_handle: Handle, intf: int, altsetting: int) -> None:
        """Set the only one there is."""
        _alive(dev_handle.device)

    def claim_interface(self, dev_handle: Handle, intf: int) -> None:
        """Take the interface, unless another handle or the kernel's driver has it."""
        _alive(dev_handle.device)
        others = (handle for handle in self._handles if handle is not dev_handle and handle.device == dev_handle.device)
        if self.is_kernel_driver_active(dev_handle, intf) or any(intf in handle.claimed for handle in others):
            raise _error("Resource busy", -6, errno.EBUSY)
        dev_handle.claimed.add(intf)

    def release_interface(self, dev_handle: Handle, intf: int) -> None:
        """Let the interface go."""
        dev_handle.claimed.discard(intf)

    def bulk_write(self, dev_handle: Handle, ep: int, intf: int, data: array[int], timeout: int) -> int:
        """Hand over one transfer."""
        content = data.tobytes()
        with _as_pyusb_tells_it():
            dev_handle.device.port.write(dev_handle.device.address, ep, content)
        return len(content)

    intr_write = bulk_write

    def bulk_read(self, dev_handle: Handle, ep: int, intf: int, buff: array[int], timeout: int) -> int:
        """Wait for one transfer."""
        with _as_pyusb_tells_it():
            data = dev_handle.device.port.read(
                dev_handle.device.address, ep, len(buff) * buff.itemsize, _deadline_s(timeout)
            )
        if data is None:
            raise _timeout()
        return _fill(buff, data)

    intr_read = bulk_read

    def ctrl_transfer(
        self,
        dev_handle: Handle,
        request_type: int,
        request: int,
        value: int,
        index: int,
        data: array[int],
        timeout: int,
    ) -> int:
        """Serve a control transfer."""
        inward = bool(request_type & INWARD)
        setup = Setup(
            request_type=request_type,
            request=request,
            value=value,
            index=index,
            length=len(data) * data.itemsize,
        )
        address, deadline_s = dev_handle.device.address, _deadline_s(timeout)
        with _as_pyusb_tells_it():
            try:
                answer = dev_handle.device.port.control(address, setup, b"" if inward else data.tobytes())
            except Late as late:
                due_s = time.monotonic() + late.seconds
                dev_handle.device.port.pause(address, min(due_s, deadline_s))
                if due_s > deadline_s:
                    raise _timeout() from late
                answer = late.data
        return _fill(data, answer) if inward else setup.length

    def clear_halt(self, dev_handle: Handle, ep: int) -> None:
        """Make a stalled endpoint work again."""
        with _as_pyusb_tells_it():
            dev_handle.device.port.clear_halt(dev_handle.device.address, ep)

    def reset_device(self, dev_handle: Handle) -> None:
        """Reset it; it keeps its address."""
        with _as_pyusb_tells_it():
            dev_handle.device.port.reset(dev_handle.device.address)

    def is_kernel_driver_active(self, dev_handle: Handle, intf: int) -> bool:
        """Say whether the kernel holds the interface, as it does with HID."""
        return bool(dev_handle.device.port.firmware.descriptors.hid_report) and dev_handle.device not in self._detached

    def detach_kernel_driver(self, dev_handle: Handle, intf: int) -> None:
        """Take the interface from the kernel."""
        self._detached.add(dev_handle.device)

    def attach_kernel_driver(self, dev_handle: Handle, intf: int) -> None:
        """Give it back."""
        self._detached.discard(dev_handle.device)


@contextmanager
def _as_pyusb_tells_it() -> Iterator[None]:
    """Turn what a port raises into pyusb's errors."""
    try:
        yield
    except Stall as stall:
        raise _error("Pipe error", -9, errno.EPIPE) from stall
    except Gone as gone:
        raise _error("No such device (it may have been disconnected)", -4, errno.ENODEV) from gone


def _error(message: str, code: int, number: int) -> usb.core.USBError:
    return usb.core.USBError(message, code, number)


def _timeout() -> usb.core.USBTimeoutError:
    return usb.core.USBTimeoutError("Operation timed out", -7, errno.ETIMEDOUT)


def _deadline_s(timeout_ms: int) -> float:
    """Return when a transfer is given up; 0 is never."""
    return time.monotonic() + timeout_ms / 1000 if timeout_ms else math.inf


def _alive(device: Plugged) -> None:
    if device.port.address != device.address:
        raise _error("No such device (it may have been disconnected)", -4, errno.ENODEV)


def _fill(buffer: array[int], data: bytes) -> int:
    """Copy into pyusb's array of bytes, and return the count."""
    buffer[: len(data)] = array("B", data)
    return len(data)


def _only(*numbers: int) -> None:
    """Raise what tells pyusb that there are no more, past the first of each."""
    if any(numbers):
        raise IndexError
