"""USB HID without report numbers, through the kernel's hidraw node: reports of 64 bytes as one stream.

No driver is detached and no root needed, only a udev rule. Kernel documentation: Documentation/hid/hidraw.rst.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from drivers.contract import UsbIds
from drivers.errors import DriverError, LinkDenied, LinkLost, LinkMissing
from drivers.links.handle import HandleLink
from drivers.links.holders import RULE_HINT, owner_of

REPORT_BYTES = 64
NO_REPORT_NUMBER = b"\0"  # goes before each report that is written
NODES = Path("/sys/class/hidraw")


class HidrawLink(HandleLink):
    """An open node. Made by `open`; what is written has to be whole reports."""

    @classmethod
    def open(cls, ids: UsbIds, place: str = "", *, nodes: Path = NODES) -> HidrawLink:
        """Open the node of the unit at `place`, of the only one there is, or the path that `place` is.

        Raises LinkMissing, LinkDenied (also when `place` is needed), LinkLost.
        """
        path = place if place.startswith("/") else _find(ids, place, nodes)
        try:
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        except OSError as error:
            raise _refusal(path, error) from error
        return cls(fd, path, lambda: os.close(fd))

    def read(self, limit: int, within_s: float) -> bytes:
        """Return one report, or b"" after `within_s` or an interrupt. Raises LinkLost. `limit` must hold a report."""
        return super().read(max(limit, REPORT_BYTES), within_s)

    def write(self, data: bytes, within_s: float) -> None:
        """Write reports, one at a time. Raises LinkLost."""
        if len(data) % REPORT_BYTES:
            raise ValueError(f"{len(data)} bytes are no whole reports of {REPORT_BYTES}")
        for start in range(0, len(data), REPORT_BYTES):
            super().write(NO_REPORT_NUMBER + data[start : start + REPORT_BYTES], within_s)


def hid_places(ids: UsbIds, *, nodes: Path = NODES) -> dict[str, str]:
    """Return where units of this family are plugged in (1-2.4), and the path of each one's node."""
    found = {}
    for node in sorted(nodes.iterdir()) if nodes.is_dir() else ():
        if _ids_of(node) in ids.ids:
            found[_place_of(node)] = f"/dev/{node.name}"
    return found


def _find(ids: UsbIds, place: str, nodes: Path) -> str:
    places = hid_places(ids, nodes=nodes)
    names = ", ".join(f"hid:{name}" for name in places)
    if place and place in places:
        return places[place]
    if place or not places:
        hint = f"there is: {names}" if names else "is it plugged in and switched on? see: edged devices"
        raise LinkMissing(f"hid:{place or '*'}: no such instrument", hint=hint)
    if len(places) > 1:
        raise LinkDenied(f"hid: {len(places)} such instruments are plugged in", hint=f"name one as the port: {names}")
    return next(iter(places.values()))


def _ids_of(node: Path) -> tuple[int, int] | None:
    """Read HID_ID=BUS:VENDOR:PRODUCT, all in hex."""
    try:
        lines = (node / "device" / "uevent").read_text(errors="replace").splitlines()
        bus, vendor, product = next(line[7:] for line in lines if line.startswith("HID_ID=")).split(":")
        return (int(vendor, 16), int(product, 16)) if int(bus, 16) == 3 else None  # BUS_USB
    except (OSError, StopIteration, ValueError):
        return None


def _place_of(node: Path) -> str:
    """Return the USB place in the node's path through sysfs: .../1-2.4/1-2.4:1.0/0003:0451:4200.0001."""
    for folder in (node / "device").resolve().parents:
        place, colon, _ = folder.name.partition(":")
        if colon and "-" in place:
            return place
    return node.name


def _refusal(path: str, error: OSError) -> DriverError:
    if error.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return LinkMissing(f"{path}: no such instrument", hint="is it plugged in and switched on?")
    if error.errno in (errno.EACCES, errno.EPERM):
        return LinkDenied(f"{path}: permission denied, it belongs to {owner_of(path)}", hint=RULE_HINT)
    return LinkLost(f"{path}: {error.strerror}", hint="unplug the instrument and plug it in again")
