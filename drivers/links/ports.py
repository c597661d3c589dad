"""The port of a configuration as a link.

/dev/serial/by-id/...   a serial port             usb, usb:1-2.4   the only unit on the bus, or the one at a place
/dev/hidraw2            a HID node                hid, hid:1-2.4   the same for HID
tcp:HOST:PORT           a network socket
"""

from __future__ import annotations

import re
from typing import Any

from drivers.contract import Device, Link, Medium, UsbLink
from drivers.links.address import BadPort as BadPort
from drivers.links.address import address_of

PLACE = re.compile(r"\d+-\d+(\.\d+)*")


def medium_of(port: str) -> Medium:
    """Return what kind of link a port's name asks for. Raises BadPort."""
    scheme, colon, place = port.partition(":")
    if scheme in ("usb", "hid") and (not colon or PLACE.fullmatch(place)):
        return "usb" if scheme == "usb" else "hid"
    if scheme == "tcp" and place:
        return "tcp"
    if port.startswith("/dev/hidraw"):
        return "hid"
    if port.startswith("/"):
        return "serial"
    raise BadPort(
        f"{port[:64]!r} is no port", hint="a path below /dev, usb, usb:1-2.4, hid, hid:1-2.4 or tcp:HOST:PORT"
    )


def device_at(device: Device[Any], port: str) -> Device[Any]:
    """Return the family as it is reached at this port. Raises BadPort when it has no such link, or nobody has."""
    medium = medium_of(port)
    if medium == "tcp":
        address_of(port.removeprefix("tcp:"))
    if medium not in device.links:
        raise BadPort(
            f"{port}: {device.kind} is not reached by {medium}", hint=f"it is reached by {', '.join(device.links)}"
        )
    return device.over(medium)


def open_port(device: Device[Any], port: str) -> Link | UsbLink:
    """Open the link at a port that fits the family. Raises what the link raises, and BadPort."""
    _, _, place = port.partition(":")
    match medium_of(port):
        case "serial":
            from drivers.links.serial import SerialLink

            return SerialLink.open(port)
        case "tcp":
            from drivers.links.tcp import TcpLink

            return TcpLink.open(place)
        case "usb":
            from drivers.links.usb import UsbPipeLink

            assert device.usb is not None
            return UsbPipeLink.open(device.usb, place)
        case "hid":
            from drivers.links.hidraw import HidrawLink

            assert device.usb is not None
            return HidrawLink.open(device.usb, port if port.startswith("/") else place)
