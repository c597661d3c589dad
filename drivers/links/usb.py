"""The pipes of one USB interface, through pyusb and libusb. One thread, save `interrupt`.

A unit is found by the family's ids and, where there are several, by the place it is plugged into, written as the system
does: 1-2.4 is port 4 of the hub at port 2 of bus 1. A place survives unplugging, an address does not.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import threading
import time
from array import array
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NoReturn

import usb.core
import usb.util
from usb.backend import libusb1

from drivers.contract import Control, UsbIds
from drivers.errors import (
    DriverError,
    LinkDenied,
    LinkLost,
    LinkMissing,
    NoAnswer,
    Stalled,
    WireError,
    WrongInstrument,
)
from drivers.links.holders import RULE_HINT

INWARD = 0x80
PACKET_MASK = 0x7FF  # USB 2.0, 9.6.6: the bits above count further packets of a periodic endpoint
DEFAULT_PACKET_BYTES = 512  # where the descriptor says 0, which no bulk pipe may
GONE = {errno.ENODEV, errno.ENOENT, errno.ESHUTDOWN, errno.EIO, errno.EPROTO}
SILENT = {errno.ETIMEDOUT}
KEPT_BUFFERS = 16  # a family has a handful of answers; what is left of one that came in pieces may be of any length
BUSY_PAUSES_S = (0.05, 0.2, 0.5)  # a process that died a moment ago, or udev, may still hold the interface
FIRMWARE_LOST = {(0x04B4, 0x8613), (0x0547, 0x2131), (0x0547, 0x2235)}  # Cypress controllers without their program

Backend = Callable[[], Any]
Buffer = tuple["array[int]", memoryview]
Transfer = Callable[["array[int]", int], int]  # buffer or data, ms; returns the bytes that went


class UsbPipeLink:
    """An open interface. Made by `open`; `name` is "usb:" and the place."""

    def __init__(self, device: usb.core.Device, ids: UsbIds, packet_bytes: dict[int, int], name: str) -> None:
        self.name = name
        self._device = device
        self._ids = ids
        self._packet_bytes = packet_bytes  # largest packet by address
        self._ins = tuple(address for address in packet_bytes if address & INWARD)
        self._transfers = _transfers(device, ids.interface)
        self._surplus: dict[int, bytes] = {}
        self._buffers: dict[tuple[int, int], Buffer] = {}  # by address and limit: a spectrum's is large
        self._interrupted = threading.Event()
        self._open = True

    @classmethod
    def open(cls, ids: UsbIds, place: str = "", *, backend: Backend = libusb1.get_backend) -> UsbPipeLink:
        """Claim the interface of the unit at `place`, or of the only one there is.

        Raises LinkMissing, LinkDenied (also when `place` is needed), LinkLost.
        """
        device = _find(ids, place, backend)
        name = f"usb:{place_of(device)}"
        for pause_s in (*BUSY_PAUSES_S, None):
            try:
                packet_bytes = _claim(device, ids.interface)
            except usb.core.USBError as error:
                usb.util.dispose_resources(device)
                if error.errno == errno.EBUSY and pause_s is not None:
                    time.sleep(pause_s)
                    continue
                raise _refusal(name, error) from error
            return cls(device, ids, packet_bytes, name)
        raise AssertionError

    @property
    def in_endpoints(self) -> tuple[int, ...]:
        """The addresses of the pipes inward."""
        return self._ins

    def read_from(self, endpoint: int, limit: int, within_s: float) -> bytes:
        """Return what one transfer brought, or b"" after `within_s` or an interrupt. Raises LinkLost, WireError."""
        if self._surplus and (kept := self._surplus.pop(endpoint, b"")):
            return self._share(endpoint, kept, limit)
        if self._interrupted.is_set():
            self._interrupted.clear()
            return b""
        transfer = self._transfers.get(endpoint) or self._no_pipe(endpoint)
        buffer, view = self._buffers.get((endpoint, limit)) or self._make_buffer(endpoint, limit)
        try:
            came = transfer(buffer, _ms(within_s))
        except usb.core.USBError as error:
            if error.errno in SILENT:
                return b""
            raise self._fault(error, f"pipe {endpoint:#04x}") from error
        data = view[:came].tobytes()
        return data if came <= limit else self._share(endpoint, data, limit)

    def write_to(self, endpoint: int, data: bytes, within_s: float) -> None:
        """Write all of it. Raises LinkLost, also when the device takes only a part, and WireError for a stall."""
        transfer = self._transfers.get(endpoint) or self._no_pipe(endpoint)
        try:
            written = transfer(array("B", data), _ms(within_s))
        except usb.core.USBError as error:
            if error.errno in SILENT:
                raise self._lost(f"{len(data)} bytes were not taken within {within_s:g} s") from error
            raise self._fault(error, f"pipe {endpoint:#04x}") from error
        if written != len(data):
            raise self._lost(f"{written} of {len(data)} bytes were taken")

    def control(self, transfer: Control) -> bytes:
        """Perform it. Raises Stalled, NoAnswer, LinkLost."""
        inward = bool(transfer.request_type & INWARD)
        try:
            answer = self._opened().ctrl_transfer(
                transfer.request_type,
                transfer.request,
                transfer.value,
                transfer.index,
                transfer.length if inward else transfer.data,
                _ms(transfer.within_s),
            )
        except usb.core.USBError as error:
            what = f"request {transfer.request:#04x}"
            if error.errno in SILENT:
                raise NoAnswer(f"{self.name}: {what}: no answer within {transfer.within_s:g} s") from error
            if error.errno == errno.EPIPE:
                raise Stalled(f"{self.name}: {what} was refused", codes={"stall": transfer.request}) from error
            raise self._fault(error, what) from error
        return bytes(answer) if inward else b""

    def clear_halts(self) -> None:
        """Make stalled pipes usable again, and forget what was kept of earlier transfers. Raises LinkLost."""
        self._surplus.clear()
        for endpoint in self._packet_bytes:
            try:
                self._opened().clear_halt(endpoint)
            except usb.core.USBError as error:
                if error.errno in GONE:
                    raise self._lost(str(error)) from error

    def interrupt(self) -> None:
        """Make the next `read_from` return at once; one that waits returns at the end of its slice."""
        self._interrupted.set()

    def close(self) -> None:
        """Release the interface, after a reset where the family needs one. Never raises."""
        if not self._open:
            return
        self._open = False
        self._transfers = {}
        if self._ids.reset_on_close:
            with contextlib.suppress(usb.core.USBError):
                self._device.reset()
        with contextlib.suppress(usb.core.USBError):
            usb.util.dispose_resources(self._device)

    def _no_pipe(self, endpoint: int) -> NoReturn:
        if not self._open:
            raise self._lost("closed")
        there = ", ".join(f"{address:#04x}" for address in self._transfers)
        raise WrongInstrument(f"{self.name}: no pipe {endpoint:#04x}; there are {there}")

    def _make_buffer(self, endpoint: int, limit: int) -> Buffer:
        """Return one of whole packets, or a device that sends more makes the host lose all of it; not of one more, or
        the host waits for it where a transfer ends with a full one.
        """
        packet = self._packet_bytes[endpoint] or DEFAULT_PACKET_BYTES
        buffer: array[int] = usb.util.create_buffer(-(-limit // packet) * packet)
        made = buffer, memoryview(buffer)
        if len(self._buffers) < KEPT_BUFFERS:
            self._buffers[endpoint, limit] = made
        return made

    def _share(self, endpoint: int, data: bytes, limit: int) -> bytes:
        if len(data) > limit:
            self._surplus[endpoint] = data[limit:]
        return data[:limit]

    def _opened(self) -> usb.core.Device:
        if not self._open:
            raise self._lost("closed")
        return self._device

    def _fault(self, error: usb.core.USBError, where: str) -> DriverError:
        if error.errno == errno.EPIPE:
            return WireError(f"{self.name}: {where} is stalled")
        if error.errno == errno.EOVERFLOW:
            return WireError(f"{self.name}: {where} brought more than was asked for")
        return self._lost(f"{where}: {error.strerror or error}")

    def _lost(self, why: str) -> LinkLost:
        return LinkLost(f"{self.name}: {why}", hint="is the instrument still plugged in and switched on?")


def place_of(device: usb.core.Device) -> str:
    """Return where it is plugged in, as the system writes it: 1-2.4."""
    ports = device.port_numbers or (device.address,)
    return f"{device.bus}-{'.'.join(str(port) for port in ports)}"


def _find(ids: UsbIds, place: str, backend: Backend) -> usb.core.Device:
    made = backend()
    if made is None:
        raise LinkDenied(
            "usb: libusb-1.0 is not installed, or is kept from starting",
            hint="apt install libusb-1.0-0; in a systemd unit, RestrictAddressFamilies= has to name AF_NETLINK",
        )
    try:
        plugged = list(usb.core.find(find_all=True, backend=made))
    except usb.core.USBError as error:
        raise LinkDenied(f"usb: the bus cannot be read: {error}", hint=RULE_HINT) from error
    ours = [device for device in plugged if (device.idVendor, device.idProduct) in ids.ids]
    here = [device for device in ours if not place or place_of(device) == place]
    names = ", ".join(f"usb:{place_of(device)}" for device in ours)
    if not here:
        if any((device.idVendor, device.idProduct) in FIRMWARE_LOST for device in plugged):
            raise LinkMissing(
                "usb: a controller on the bus has lost its program, and no instrument is there",
                hint="unplug the instrument for ten seconds; if it stays so, it needs repair",
            )
        hint = f"there is: {names}" if names else "is it plugged in and switched on? see: edged devices"
        raise LinkMissing(f"usb:{place or '*'}: no such instrument", hint=hint)
    if len(here) > 1:
        raise LinkDenied(f"usb: {len(here)} such instruments are plugged in", hint=f"name one as the port: {names}")
    found: usb.core.Device = here[0]
    return found


def _claim(device: usb.core.Device, interface: int) -> dict[int, int]:
    """Configure if nobody has, take the interface, and return the largest packet of each of its endpoints."""
    try:
        configuration = device.get_active_configuration()
    except usb.core.USBError:
        device.set_configuration()
        configuration = device.get_active_configuration()
    with contextlib.suppress(NotImplementedError):
        if device.is_kernel_driver_active(interface):
            device.detach_kernel_driver(interface)
    usb.util.claim_interface(device, interface)
    return {
        endpoint.bEndpointAddress: endpoint.wMaxPacketSize & PACKET_MASK for endpoint in configuration[(interface, 0)]
    }


def _transfers(device: usb.core.Device, interface: int) -> dict[int, Transfer]:
    """Return what moves bytes over each pipe, by address: pyusb's own `read` and `write` look all of it up each time,
    which takes as long as the rest of a small transfer.
    """
    backend, handle = device.backend, device._ctx.handle  # noqa: SLF001
    moves = {
        (usb.util.ENDPOINT_TYPE_BULK, True): backend.bulk_read,
        (usb.util.ENDPOINT_TYPE_BULK, False): backend.bulk_write,
        (usb.util.ENDPOINT_TYPE_INTR, True): backend.intr_read,
        (usb.util.ENDPOINT_TYPE_INTR, False): backend.intr_write,
    }
    found: dict[int, Transfer] = {}
    for endpoint in device.get_active_configuration()[(interface, 0)]:
        address = endpoint.bEndpointAddress
        move = moves.get((usb.util.endpoint_type(endpoint.bmAttributes), bool(address & INWARD)))
        if move is not None:
            found[address] = partial(move, handle, address, interface)
    return found


def _refusal(name: str, error: usb.core.USBError) -> DriverError:
    if error.errno in (errno.EACCES, errno.EPERM):
        return LinkDenied(f"{name}: permission denied", hint=RULE_HINT)
    if error.errno == errno.EBUSY:
        return LinkDenied(f"{name}: in use by another program", hint="stop the maker's program or the other daemon")
    why = error.strerror or os.strerror(error.errno or errno.EIO)
    return LinkLost(f"{name}: {why}", hint="unplug the instrument and plug it in again")


@lru_cache
def _ms(seconds: float) -> int:
    """Return a time limit for libusb, to which 0 means for ever."""
    return max(1, math.ceil(seconds * 1000))
