"""usbfs, the kernel's way to let a program use a USB device: its ioctls, answered by a simulated instrument.

A `Node` is one plugging in. umockdev serves every ioctl of every client in one thread of its own; what is not ready is
left open with a timer, so that none of them waits for another. The mock node always polls ready: a program with a
transfer under way asks 1 / HOLD_S times a second, one without asks nothing. Isochronous transfers are refused.
"""

from __future__ import annotations

import errno
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware_sim.contract import Late, Setup, Stall
from firmware_sim.hosts.chapter9 import configuration_descriptor, device_descriptor
from firmware_sim.hosts.usb_port import INWARD, Gone, UsbPort

HOLD_S = 0.02  # how long an ioctl that reaps a transfer is left open: libusb's time limits are coarser by so much
HIGH_SPEED_PACKET_BYTES = 512


def _ioctl(direction: int, number: int, size: int) -> int:
    return direction << 30 | size << 16 | ord("U") << 8 | number


# linux/usbdevice_fs.h, 64 bit
RESET_ENDPOINT, SET_INTERFACE, SET_CONFIGURATION = _ioctl(2, 3, 4), _ioctl(2, 4, 8), _ioctl(2, 5, 4)
GET_DRIVER, SUBMIT, DISCARD = _ioctl(1, 8, 260), _ioctl(2, 10, 56), _ioctl(0, 11, 0)
REAP, REAP_NO_DELAY, CLAIM, RELEASE = _ioctl(1, 12, 8), _ioctl(1, 13, 8), _ioctl(2, 15, 4), _ioctl(2, 16, 4)
DRIVER_IOCTL, RESET, CLEAR_HALT = _ioctl(3, 18, 16), _ioctl(0, 20, 0), _ioctl(2, 21, 4)
DISCONNECT, CONNECT = _ioctl(0, 22, 0), _ioctl(0, 23, 0)
CAPABILITIES, DISCONNECT_CLAIM, GET_SPEED = _ioctl(2, 26, 4), _ioctl(2, 27, 264), _ioctl(0, 31, 0)
ZERO_PACKET, NO_PACKET_LIMIT, REAP_AFTER_DISCONNECT = 0x01, 0x04, 0x10
URB = struct.Struct("<BBxxiIxxxxQii")  # type, endpoint, status, flags, buffer, length, actual
URB_BYTES, STATUS_AT, BUFFER_AT, ACTUAL_AT = 56, 4, 16, 28
ISOCHRONOUS, CONTROL = 0, 2
SETUP = struct.Struct("<BBHHH")


@dataclass(slots=True, eq=False)
class _Urb:
    """One transfer that a program has submitted. data: a control answer that is late; due_s: when it comes."""

    client: Any
    memory: Any
    buffer: Any
    at: int
    kind: int
    endpoint: int
    length: int
    status: int = 0
    actual: int = 0
    due_s: float | None = None
    data: bytes = b""


class Node:
    """One plugging in of one device: its entries in the test bed, and its ioctls, which come in umockdev's thread."""

    def __init__(
        self, bed: Any, port: UsbPort, address: int, modules: tuple[Any, Any], changed: Callable[[], None]
    ) -> None:
        self.address = address
        self._bed = bed
        self._port = port
        self._changed = changed
        self._glib = modules[1]
        self._flying: list[_Urb] = []
        self._done: deque[_Urb] = deque()
        self._reaping: list[tuple[Any, Any, float]] = []  # client, argument, and when to answer that nothing is there
        self._owner: Any = None
        self._kernel_holds = bool(port.firmware.descriptors.hid_report)
        self._node = f"/dev/bus/usb/{port.bus:03d}/{address:03d}"
        self._sys = self._appear()
        self._handler = _handler_class(modules[0])(self)
        bed.attach_ioctl(self._node, self._handler)
        bed.uevent(self._sys, "add")  # adding the device told it before its node was there

    def _appear(self) -> str:
        told, port = self._port.firmware.descriptors, self._port
        ids = f"{told.vendor_id:04x}", f"{told.product_id:04x}"
        attributes = {
            "busnum": str(port.bus),
            "devnum": str(self.address),
            "devpath": ".".join(str(number) for number in port.ports),
            "speed": "480" if told.packet_bytes >= HIGH_SPEED_PACKET_BYTES else "12",
            "bConfigurationValue": "1",
            "bNumConfigurations": "1",
            "bDeviceClass": "00",
            "bcdDevice": f"{told.release:04x}",
            "idVendor": ids[0],
            "idProduct": ids[1],
            "manufacturer": told.strings[0],
            "product": told.strings[1],
            "serial": told.strings[2],
        }
        properties = {
            "DEVTYPE": "usb_device",
            "DEVNAME": self._node,
            "BUSNUM": f"{port.bus:03d}",
            "DEVNUM": f"{self.address:03d}",
            "MAJOR": "189",
            "MINOR": str((port.bus - 1) * 128 + self.address - 1),
            "ID_VENDOR_ID": ids[0],
            "ID_MODEL_ID": ids[1],
            "ID_SERIAL_SHORT": told.strings[2],
            "SUBSYSTEM": "usb",
        }
        descriptors = device_descriptor(told) + configuration_descriptor(told)
        path: str = self._bed.add_device("usb", port.place, None, _flat(attributes), _flat(properties))
        self._bed.set_attribute_binary(path, "descriptors", descriptors)
        node = Path(self._bed.get_root_dir() + self._node)
        node.parent.mkdir(parents=True, exist_ok=True)
        node.write_bytes(descriptors)
        return path

    def vanish(self) -> None:
        """Take the entries away; what is under way ends with the device's absence."""
        self._bed.uevent(self._sys, "remove")
        self._bed.detach_ioctl(self._node)
        self._bed.remove_device(self._sys)
        Path(self._bed.get_root_dir() + self._node).unlink(missing_ok=True)
        self._bed = None

    def on_ioctl(self, client: Any) -> None:
        """Answer an ioctl, now or by a timer."""
        self._forget_the_gone()
        request, argument = client.get_request() & 0xFFFFFFFF, client.get_arg()
        try:
            if request in (REAP, REAP_NO_DELAY):
                self._reaping.append((client, argument, time.monotonic() + HOLD_S))
            else:
                client.complete(*self._serve(request, argument, client))
        except Stall:
            client.complete(-1, errno.EPIPE)
        except Gone:
            client.complete(-1, errno.ENODEV)
        self._advance()

    def _forget_the_gone(self) -> None:
        """Forget programs that have closed the device or ended."""
        self._flying = [urb for urb in self._flying if urb.client.get_connected()]
        self._done = deque(urb for urb in self._done if urb.client.get_connected())
        self._reaping = [held for held in self._reaping if held[0].get_connected()]
        if self._owner is not None and not self._owner.get_connected():
            self._owner = None

    def _serve(self, request: int, argument: Any, client: Any) -> tuple[int, int]:
        """Do what is asked; return the result and the error number."""
        match request:
            case _ if request == DISCARD:
                return self._discard(argument)
            case _ if self._port.address != self.address:
                raise Gone
            case _ if request == SUBMIT:
                return self._submit(argument, client)
            case _ if request == CAPABILITIES:
                flags = ZERO_PACKET | NO_PACKET_LIMIT | REAP_AFTER_DISCONNECT
                argument.resolve(0, 4).update(0, struct.pack("<I", flags))
            case _ if request in (CLAIM, DISCONNECT_CLAIM):
                if request == DISCONNECT_CLAIM:
                    self._kernel_holds = False
                if self._kernel_holds or self._owner not in (None, client):
                    return -1, errno.EBUSY
                self._owner = client
            case _ if request == RELEASE:
                if self._owner is client:
                    self._owner = None
            case _ if request == CLEAR_HALT:
                (endpoint,) = struct.unpack("<I", bytes(argument.resolve(0, 4).retrieve()))
                self._port.clear_halt(self.address, endpoint)
            case _ if request == RESET:
                self._port.reset(self.address)
            case _ if request == GET_DRIVER:
                if not self._kernel_holds:
                    return -1, errno.ENODATA
                argument.resolve(0, 260).update(4, b"usbhid\0")
            case _ if request == DRIVER_IOCTL:
                (code,) = struct.unpack_from("<I", bytes(argument.resolve(0, 16).retrieve()), 4)
                if code not in (DISCONNECT, CONNECT):
                    return -1, errno.ENOTTY
                self._kernel_holds = code == CONNECT and bool(self._port.firmware.descriptors.hid_report)
            case _ if request == GET_SPEED:
                return (3 if self._port.firmware.descriptors.packet_bytes >= HIGH_SPEED_PACKET_BYTES else 2), 0
            case _ if request not in (SET_CONFIGURATION, SET_INTERFACE, RESET_ENDPOINT):
                return -1, errno.ENOTTY
        return 0, 0

    def _submit(self, argument: Any, client: Any) -> tuple[int, int]:
        memory = argument.resolve(0, URB_BYTES)
        kind, endpoint, _, _, _, length, _ = URB.unpack_from(bytes(memory.retrieve()))
        if kind == ISOCHRONOUS:
            return -1, errno.EINVAL
        at = memory.client_addr
        buffer = memory.resolve(BUFFER_AT, length) if length else None
        self._flying.append(
            _Urb(client=client, memory=memory, buffer=buffer, at=at, kind=kind, endpoint=endpoint, length=length)
        )
        return 0, 0

    def _discard(self, argument: Any) -> tuple[int, int]:
        (at,) = struct.unpack_from("<Q", bytes(argument.retrieve()))
        for urb in self._flying:
            if urb.at == at:
                urb.status = -errno.ENOENT
                self._flying.remove(urb)
                self._done.append(urb)
                return 0, 0
        return -1, errno.EINVAL

    def _advance(self) -> bool:
        """Finish what can be finished, and come again in time for the rest. False ends the timer that called."""
        self._forget_the_gone()
        blocked: set[int] = set()  # transfers on one pipe end in the order they were submitted
        for urb in list(self._flying):
            pipe = urb.endpoint if urb.kind != CONTROL else 0
            if pipe in blocked:
                continue
            if self._ended(urb):
                self._flying.remove(urb)
                self._done.append(urb)
            else:
                blocked.add(pipe)
        now_s = time.monotonic()
        gone = self._port.address != self.address
        for held in list(self._reaping):
            client, argument, until_s = held
            mine = next((urb for urb in self._done if urb.client is client), None)
            if mine is not None:
                self._done.remove(mine)
                mine.memory.update(STATUS_AT, struct.pack("<i", mine.status))
                mine.memory.update(ACTUAL_AT, struct.pack("<i", mine.actual))
                argument.resolve(0, 8).set_ptr(0, mine.memory)
                client.complete(0, 0)
            elif gone:
                client.complete(-1, errno.ENODEV)
            elif now_s >= until_s or all(urb.client is not client for urb in self._flying):
                client.complete(-1, errno.EAGAIN)
            else:
                continue
            self._reaping.remove(held)
        if self._reaping:
            self._come_again(now_s)
        if gone:
            self._changed()
        return False

    def _come_again(self, now_s: float) -> None:
        moments = [until_s for _, _, until_s in self._reaping]
        moments += [urb.due_s for urb in self._flying if urb.due_s is not None]
        if self._flying and (wake_at_s := self._port.firmware.wake_at()) is not None:
            moments.append(max(wake_at_s, now_s))
        timer = self._glib.timeout_source_new(max(1, round(1000 * (min(moments) - now_s))))
        timer.set_callback(lambda *_: self._advance())
        timer.attach(self._glib.MainContext.ref_thread_default())

    def _ended(self, urb: _Urb) -> bool:
        """Try to perform a transfer; True when it has come to an end, good or bad."""
        try:
            if urb.kind == CONTROL:
                return self._control(urb)
            if urb.endpoint & INWARD:
                data = self._port.poll(self.address, urb.endpoint, urb.length)
                if data is None:
                    return False
                _fill(urb, 0, data)
            else:
                self._port.write(self.address, urb.endpoint, bytes(urb.buffer.retrieve()) if urb.buffer else b"")
                urb.actual = urb.length
        except Stall:
            urb.status = -errno.EPIPE
        except Gone:
            urb.status = -errno.ENODEV
        return True

    def _control(self, urb: _Urb) -> bool:
        whole = bytes(urb.buffer.retrieve())
        request_type, request, value, index, length = SETUP.unpack_from(whole)
        inward = bool(request_type & INWARD)
        if urb.due_s is None:
            setup = Setup(request_type=request_type, request=request, value=value, index=index, length=length)
            try:
                outward = b"" if inward else whole[SETUP.size : SETUP.size + length]
                urb.data = self._port.control(self.address, setup, outward)
            except Late as late:
                urb.due_s, urb.data = time.monotonic() + late.seconds, late.data
                return False
        elif self._port.address != self.address:
            raise Gone
        elif time.monotonic() < urb.due_s:
            return False
        if inward:
            _fill(urb, SETUP.size, urb.data)
        else:
            urb.actual = length
        return True


def _fill(urb: _Urb, at: int, data: bytes) -> None:
    if data:
        urb.buffer.update(at, data)
    urb.actual = len(data)


def _flat(words: dict[str, str]) -> list[str]:
    return [word for pair in words.items() for word in pair]


def _handler_class(umockdev: Any) -> Any:
    """Return the class that umockdev calls; it can only be made once its base class is there."""

    class Handler(umockdev.IoctlBase):  # type: ignore[misc]
        def __init__(self, node: Node) -> None:
            super().__init__()
            self._node = node

        def do_handle_ioctl(self, client: Any) -> bool:
            self._node.on_ioctl(client)
            return True

    return Handler
