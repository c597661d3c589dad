"""What is plugged in: serial ports, and instruments on USB and HID; whether we may open them. Asks the system only."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from serial.tools.list_ports import comports

from drivers.contract import Device, UsbIds
from drivers.links.hidraw import NODES, hid_places
from drivers.links.holders import RULE_HINT, holders_of, owner_of
from drivers.links.usb import FIRMWARE_LOST

BY_ID = Path("/dev/serial/by-id")
USB_DEVICES = Path("/sys/bus/usb/devices")
USB_NODES = Path("/dev/bus/usb")
TEXT_LIMIT = 64  # USB strings are at most 126 characters; more than this is no name

Access = Literal["ok", "denied", "busy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPort:
    """One port. `vid`, `pid` and `serial_number` are None where the port is not USB or does not tell.

    by_id: the name that survives replugging, None where the system gives none. `note` says what `access` needs.
    """

    path: str
    by_id: str | None
    vid: int | None
    pid: int | None
    serial_number: str | None
    description: str
    access: Access
    note: str


def serial_ports(*, by_id: Path = BY_ID) -> tuple[SerialPort, ...]:
    """Return every serial port of this machine that has hardware behind it, sorted by path."""
    stable = _stable_names(by_id)
    found = []
    for port in sorted(comports(), key=lambda port: port.device):
        access, note = _access(port.device)
        found.append(
            SerialPort(
                path=port.device,
                by_id=stable.get(os.path.realpath(port.device)),
                vid=port.vid,
                pid=port.pid,
                serial_number=_clean(port.serial_number) or None,
                description=_clean(port.description),
                access=access,
                note=note,
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbUnit:
    """One instrument on the bus. `port` is what a station's configuration calls it: usb:1-2.4 or hid:1-2.4.

    kind: the family, "" for a controller that has lost its program. serial_number: what the bus tells, None if it
    does not; it need not be the instrument's. `path` is the node, None while there is none.
    """

    port: str
    kind: str
    vid: int
    pid: int
    serial_number: str | None
    description: str
    path: str | None
    access: Access
    note: str


def usb_units(
    families: Sequence[Device[Any]], *, devices: Path = USB_DEVICES, nodes: Path = USB_NODES, hid: Path = NODES
) -> tuple[UsbUnit, ...]:
    """Return every unit of these families on the bus, and controllers without a program, sorted by place."""
    found = []
    for entry in sorted(devices.iterdir()) if devices.is_dir() else ():
        ids = _number(entry, "idVendor", 16), _number(entry, "idProduct", 16)
        if ids in FIRMWARE_LOST:
            found.append(_lost(entry, ids))
        ours = (family for family in families if family.usb is not None and ids in family.usb.ids)
        found += [_unit(entry, ids, family, nodes, hid) for family in ours]
    return tuple(found)


def _unit(entry: Path, ids: tuple[int, int], family: Device[Any], nodes: Path, hid: Path) -> UsbUnit:
    assert family.usb is not None
    medium = "usb" if "usb" in family.links else "hid"
    if medium == "usb":
        path = str(nodes / f"{_number(entry, 'busnum'):03d}" / f"{_number(entry, 'devnum'):03d}")
    else:
        path = _hid_node(family.usb, entry.name, hid)
    if not path or not os.path.exists(path):  # noqa: PTH110  a string for whoever reads the note
        access: Access = "denied"
        note = "it has no node yet; if it stays so, unplug the instrument for ten seconds"
    else:
        access, note = _access(path)
        if access == "denied":
            note = f"it belongs to {owner_of(path)}; {RULE_HINT}"
    return UsbUnit(
        port=f"{medium}:{entry.name}",
        kind=family.kind,
        vid=ids[0],
        pid=ids[1],
        serial_number=_text(entry, "serial") or None,
        description=" ".join(filter(None, (_text(entry, "manufacturer"), _text(entry, "product")))),
        path=path or None,
        access=access,
        note=note,
    )


def _lost(entry: Path, ids: tuple[int, int]) -> UsbUnit:
    return UsbUnit(
        port=f"usb:{entry.name}",
        kind="",
        vid=ids[0],
        pid=ids[1],
        serial_number=None,
        description="a controller that has lost its program",
        path=None,
        access="denied",
        note="unplug the instrument for ten seconds; if it stays so, it needs repair",
    )


def _hid_node(ids: UsbIds, place: str, hid: Path) -> str:
    return hid_places(ids, nodes=hid).get(place, "")


def _number(entry: Path, name: str, base: int = 10) -> int:
    """Return a number that sysfs shows, -1 where there is none."""
    try:
        return int(_text(entry, name), base)
    except ValueError:
        return -1


def _text(entry: Path, name: str) -> str:
    try:
        return _clean((entry / name).read_text(errors="replace"))
    except OSError:
        return ""


def _stable_names(folder: Path) -> dict[str, str]:
    try:
        return {os.path.realpath(link): str(link) for link in sorted(folder.iterdir(), reverse=True)}
    except OSError:
        return {}


def _access(path: str) -> tuple[Access, str]:
    if not os.access(path, os.R_OK | os.W_OK):
        return "denied", f"it belongs to {owner_of(path)}; add the service user to that group, or install the udev rule"
    holders = holders_of(path)
    return ("busy", f"in use by {', '.join(holders)}") if holders else ("ok", "")


def _clean(text: str | None) -> str:
    return "".join(c for c in text or "" if c.isascii() and c.isprintable())[:TEXT_LIMIT].strip()
