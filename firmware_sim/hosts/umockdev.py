"""Simulated instruments as USB devices that an unmodified libusb sees: enumeration, hot-plug and transfers of usbfs.

umockdev's library, preloaded into a program, shows it another /sys and /dev and sends its ioctls here. A client needs
the line that the `ready` event tells: `UMOCKDEV_DIR=... umockdev-wrapper PROGRAM`. This process runs under the preload
too, so it starts itself again in its place. Packages of Debian: umockdev gir1.2-umockdev-1.0 python3-gi. Debian's
`gi` is compiled for Debian's python3, so a virtual environment has to be of the same minor version, as one that
`python3 -m venv` makes is; only `gi` is taken from there.

Not simulated: cgroup rules of the service's unit, isochronous transfers.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import os
import select
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from firmware_sim.contract import Event, OperatorError, UsbFirmware
from firmware_sim.hosts.operator import Operator, seconds_of, wake_on_signals
from firmware_sim.hosts.usb_port import FIRST_ADDRESS, UsbPort
from firmware_sim.hosts.usbfs import Node

PRELOAD = "libumockdev-preload"
DEBIAN_MODULES = "/usr/lib/python3/dist-packages"
PACKAGES = "apt install umockdev gir1.2-umockdev-1.0 python3-gi"
IDLE_S = 0.5


class NoTestbed(Exception):
    """umockdev is not there, or not usable with this Python."""


def serve_umockdev(firmware: Sequence[UsbFirmware], tell: Callable[[Event], None]) -> None:
    """Serve until SIGTERM, SIGINT, `quit`, or the end of an operator's pipe. Raises NoTestbed.

    The first call does not return: it starts the program again, under the preload. Operator: `unplug [SECONDS]` (for
    good without them), `plug`, `hangup [SECONDS]`, and what the instrument understands; `N:` in front means the Nth.
    """
    if PRELOAD not in os.environ.get("LD_PRELOAD", ""):
        if shutil.which("umockdev-wrapper") is None:
            raise NoTestbed(f"umockdev is not installed: {PACKAGES}")
        os.execvp("umockdev-wrapper", ["umockdev-wrapper", sys.executable, *sys.orig_argv[1:]])  # noqa: S606
    _Bus(firmware, tell, _umockdev()).serve()


def _umockdev() -> tuple[Any, Any]:
    """Return the modules UMockdev and GLib."""
    sys.path.append(DEBIAN_MODULES)
    try:
        gi = importlib.import_module("gi")
        gi.require_version("UMockdev", "1.0")
        return importlib.import_module("gi.repository.UMockdev"), importlib.import_module("gi.repository.GLib")
    except (ImportError, ValueError) as error:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise NoTestbed(
            f"Debian's gi does not load into this Python {version} ({error}): {PACKAGES}; "
            f"and make the virtual environment with /usr/bin/python3"
        ) from error
    finally:
        sys.path.remove(DEBIAN_MODULES)


class _Bus:
    """The test bed and what is plugged into it. Lives in the main thread."""

    def __init__(
        self, firmware: Sequence[UsbFirmware], tell: Callable[[Event], None], modules: tuple[Any, Any]
    ) -> None:
        self._tell = tell
        self._modules = modules
        self._bed = modules[0].Testbed.new()
        addresses = itertools.count(FIRST_ADDRESS)
        self._ports = [
            UsbPort(one, ports=(number,), next_address=lambda: next(addresses), tell=tell)
            for number, one in enumerate(firmware, start=1)
        ]
        self._shown: dict[str, Node] = {}  # by place
        self._operator = Operator()
        self._stopping = False
        self._changed, self._change = os.pipe()
        os.set_blocking(self._changed, False)
        os.set_blocking(self._change, False)

    def serve(self) -> None:
        with wake_on_signals() as (wake, stopped):
            try:
                self._show()
                directory = self._bed.get_root_dir()
                self._tell(
                    {
                        "event": "ready",
                        "usb": [port.place for port in self._ports],
                        "serial_number": self._ports[0].firmware.serial_number,
                        "umockdev_dir": directory,
                        "client": f"UMOCKDEV_DIR={directory} umockdev-wrapper PROGRAM",
                    }
                )
                while not (self._stopping or self._operator.left or stopped()):
                    self._turn(wake)
            finally:
                for node in self._shown.values():
                    node.vanish()
                os.close(self._changed)
                os.close(self._change)
                self._shown.clear()
                del self._bed  # its folders go with the last reference

    def _turn(self, wake: int) -> None:
        next_s = min(port.turn() for port in self._ports)
        self._show()
        patience_s = max(0.0, min(next_s - time.monotonic(), IDLE_S))
        typing = [] if self._operator.handle is None else [self._operator.handle]
        ready, _, _ = select.select([wake, self._changed, *typing], [], [], patience_s)
        with contextlib.suppress(BlockingIOError):
            os.read(self._changed, 4096)
        if any(handle in ready for handle in typing):
            for line in self._operator.lines():
                self._obey(line)

    def _show(self) -> None:
        """Let the test bed show what is plugged in now."""
        for port in self._ports:
            shown, address = self._shown.get(port.place), port.address
            if shown is not None and shown.address != address:
                self._shown.pop(port.place).vanish()
                self._tell({"event": "unplugged", "usb": port.place, "serial_number": port.firmware.serial_number})
            if address is not None and port.place not in self._shown:
                self._shown[port.place] = Node(self._bed, port, address, self._modules, self._wake)
                told: Event = {"usb": port.place, "address": address, "serial_number": port.firmware.serial_number}
                self._tell({"event": "plugged", **told})

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._change, b"\0")

    def _obey(self, line: str) -> None:
        number, colon, rest = line.partition(":")
        port = self._ports[0]
        if colon and number.isdecimal() and 1 <= int(number) <= len(self._ports):
            port, line = self._ports[int(number) - 1], rest.strip()
        verb, _, rest = line.partition(" ")
        try:
            match verb:
                case "":
                    pass
                case "quit":
                    self._stopping = True
                case "plug":
                    port.plug()
                case "unplug":
                    port.unplug(seconds_of(rest, "unplug") if rest.strip() else None)
                case "hangup":
                    port.unplug(seconds_of(rest))
                case _:
                    port.operate(line)
        except OperatorError as error:
            self._tell({"event": "error", "serial_number": port.firmware.serial_number, "message": str(error)})
