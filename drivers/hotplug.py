"""Notices that USB, HID or serial hardware comes and goes. Asks the kernel and udev, opens no instrument.

Uevents come over a netlink socket, from the kernel at once and from udev when its rules have been applied (a node that
was denied a moment ago may be open by then). Their words only say "look again", so nobody has to be trusted. Where the
socket is refused, as in a hardened service or a container, the bus is listed from time to time, which always works.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from pathlib import Path

BUS = Path("/sys/bus/usb/devices")
POLL_S = 2.0  # how often to ask `changed` without a sign from `handle`
SETTLE_S = 0.2  # one plug makes a dozen events: the device, its interfaces, its nodes, and each again from udev
SUBSYSTEMS = {"usb", "hidraw", "tty"}
ACTIONS = {"add", "remove", "bind", "change"}
NETLINK_KOBJECT_UEVENT = 15
KERNEL_GROUP, UDEV_GROUP = 1, 2
MAX_MESSAGE_BYTES = 16_384  # the kernel's are at most 2 KiB, udev adds its own properties
MOST_MESSAGES = 1024  # in one look; the rest is read in the next
UDEV_PREFIX = b"libudev\0"
UDEV_PROPERTIES_AT = 16  # behind prefix, magic and size of header: where the properties are, and how long
UDEV_OFFSETS = struct.Struct("=II")

Connect = Callable[[], socket.socket]


def uevents() -> socket.socket:
    """Return a socket that hears the kernel and udev. Raises OSError where that is refused."""
    heard = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT)
    try:
        heard.bind((0, KERNEL_GROUP | UDEV_GROUP))
    except OSError:
        heard.close()
        raise
    return heard


class Hotplug:
    """Ask `changed` when `handle` is ready to read and every POLL_S. Not thread-safe.

    handle: a descriptor for a selector, None where the system tells nothing by itself.
    """

    def __init__(self, *, bus: Path = BUS, connect: Connect = uevents) -> None:
        self._bus = bus
        self._heard: socket.socket | None = None
        with contextlib.suppress(OSError):
            self._heard = connect()
        self._listed = self._listing()

    @property
    def handle(self) -> int | None:
        """What to wait for, None where there is nothing."""
        return None if self._heard is None else self._heard.fileno()

    def changed(self) -> bool:
        """Say whether anything came, went or was made accessible since the last call. Never blocks."""
        told = self._told()
        former, self._listed = self._listed, self._listing()
        return told or former != self._listed

    def close(self) -> None:
        """Close the socket; closing twice is fine."""
        if self._heard is not None:
            self._heard.close()
            self._heard = None

    def _told(self) -> bool:
        told = False
        for _ in range(MOST_MESSAGES):
            if self._heard is None:
                break
            try:
                message = self._heard.recv(MAX_MESSAGE_BYTES)
            except BlockingIOError:
                break
            except OSError:  # ENOBUFS: events were lost, so there were some
                return True
            if not message:
                self.close()
                break
            told = concerns_us(message) or told
        return told

    def _listing(self) -> frozenset[tuple[str, str]]:
        """Return places and addresses: a device that was replugged has another one."""
        found = set()
        with contextlib.suppress(OSError):
            for entry in self._bus.iterdir():
                if ":" not in entry.name:
                    with contextlib.suppress(OSError):
                        found.add((entry.name, (entry / "devnum").read_text(errors="replace").strip()))
        return frozenset(found)


def concerns_us(message: bytes) -> bool:
    """Say whether a uevent, the kernel's or udev's, is about hardware that could be an instrument."""
    words = dict(pair.split("=", 1) for pair in _pairs(message) if "=" in pair)
    return words.get("SUBSYSTEM") in SUBSYSTEMS and words.get("ACTION") in ACTIONS


def _pairs(message: bytes) -> list[str]:
    """Return the words KEY=VALUE: behind the first zero of the kernel's, behind the header of udev's."""
    if message.startswith(UDEV_PREFIX):
        if len(message) < UDEV_PROPERTIES_AT + UDEV_OFFSETS.size:
            return []
        start, length = UDEV_OFFSETS.unpack_from(message, UDEV_PROPERTIES_AT)
        message = message[start : start + length]
    return message.decode("utf-8", errors="replace").split("\0")
