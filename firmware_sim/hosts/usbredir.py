"""A simulated instrument as a real USB device of a virtual machine: QEMU's usb-redir device is its cable.

    edged-sim ooi --usbredir 4000
    qemu-system-aarch64 ... -device qemu-xhci -chardev socket,id=c0,host=127.0.0.1,port=4000,reconnect=1
                            -device usb-redir,chardev=c0

The kernel of the machine enumerates it, so that its udev, usbfs, hidraw and libusb are the true ones. The end of this
process pulls the cable, and its new start plugs it in again. Not done: isochronous transfers, bulk streams.
"""

from __future__ import annotations

import contextlib
import select
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path

from firmware_sim.contract import Event, OperatorError, UsbFirmware
from firmware_sim.hosts.operator import Operator, seconds_of, wake_on_signals
from firmware_sim.hosts.usb_port import UsbPort
from firmware_sim.hosts.usbredir_machine import Machine
from firmware_sim.hosts.usbredir_wire import Malformed

LOOPBACK = "127.0.0.1"
IDLE_S = 0.5


def serve_usbredir(firmware: UsbFirmware, address: str, tell: Callable[[Event], None]) -> None:
    """Serve until SIGTERM, SIGINT, `quit`, or the end of an operator's pipe. Raises OperatorError for a bad address.

    address: a port of 127.0.0.1, 0 chooses one; or the path of a socket to make. Operator: `unplug [SECONDS]` (for good
    without them), `plug`, `hangup [SECONDS]`, and what the instrument understands.
    """
    listener, where = _listen(address)
    try:
        with wake_on_signals() as (wake, stopped):
            _Host(firmware, listener, tell).serve(where, wake, stopped)
    finally:
        listener.close()
        if listener.family == socket.AF_UNIX:
            Path(address).unlink(missing_ok=True)


class _Host:
    """The instrument at its place, the operator, and the machine if there is one. Lives in the main thread."""

    def __init__(self, firmware: UsbFirmware, listener: socket.socket, tell: Callable[[Event], None]) -> None:
        self._firmware = firmware
        self._listener = listener
        self._tell = tell
        self._port = UsbPort(firmware, tell=tell)
        self._machine: Machine | None = None
        self._operator = Operator()
        self._pulled = False
        self._stopping = False

    def serve(self, where: dict[str, object], wake: int, stopped: Callable[[], bool]) -> None:
        self._tell({"event": "ready", **where, "serial_number": self._firmware.serial_number})
        try:
            while not (self._stopping or self._operator.left or stopped()):
                self._turn(wake)
        finally:
            if self._machine is not None:
                self._machine.close()

    def _turn(self, wake: int) -> None:
        began_s = time.monotonic()
        if self._machine is not None:
            self._machine.answer(began_s)
        self._port.turn()
        self._show()
        if self._machine is not None and not self._machine.send():
            self._leave(self._machine)
        reading: list[int | socket.socket] = [wake]
        writing: list[socket.socket] = []
        if self._operator.handle is not None:
            reading.append(self._operator.handle)
        if self._machine is None:
            reading.append(self._listener)  # another machine waits until this one has gone
        else:
            if not self._machine.is_full:
                reading.append(self._machine.connection)
            if self._machine.unsent:
                writing.append(self._machine.connection)
        ready, _, _ = select.select(reading, writing, [], max(0.0, self._next_s(began_s) - time.monotonic()))
        if self._operator.handle in ready:
            for line in self._operator.lines():
                self._obey(line)
        if self._machine is not None and self._machine.connection in ready:
            self._hear(self._machine)
        if self._listener in ready:
            self._admit()

    def _next_s(self, began_s: float) -> float:
        """Return when to go on though nothing was heard. What has been there since before this turn, nobody wants."""
        moments = [began_s + IDLE_S]
        if self._machine is not None and self._machine.next_s is not None and not self._machine.is_full:
            moments.append(self._machine.next_s)
        moments += [at for at in (self._port.back_at_s, self._firmware.wake_at()) if at is not None and at > began_s]
        return min(moments)

    def _show(self) -> None:
        """Tell the machine what is plugged in now."""
        machine, address = self._machine, self._port.address
        if machine is None or not machine.greeted or machine.address == address:
            return
        if machine.address is not None:
            machine.disconnect()
            self._tell({"event": "unplugged", "serial_number": self._firmware.serial_number})
        if address is not None:
            machine.connect(address)
            self._tell({"event": "plugged", "address": address, "serial_number": self._firmware.serial_number})

    def _admit(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            self._machine = Machine(connection, self._port)
            if not self._pulled and self._port.back_at_s is None:
                self._port.plug()

    def _hear(self, machine: Machine) -> None:
        try:
            there = machine.hear()
        except Malformed as error:
            there = False
            self._tell({"event": "error", "serial_number": self._firmware.serial_number, "message": str(error)})
        if not there:
            self._leave(machine)

    def _leave(self, machine: Machine) -> None:
        machine.close()
        self._machine = None
        self._port.unplug()
        if machine.address is not None:
            self._tell({"event": "unplugged", "serial_number": self._firmware.serial_number})

    def _obey(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        try:
            match verb:
                case "":
                    pass
                case "quit":
                    self._stopping = True
                case "plug":
                    self._pulled = False
                    self._port.plug()
                case "unplug":
                    seconds = seconds_of(rest, "unplug") if rest.strip() else None
                    self._pulled = seconds is None
                    self._port.unplug(seconds)
                case "hangup":
                    self._port.unplug(seconds_of(rest))
                case _:
                    self._port.operate(line)
        except OperatorError as error:
            self._tell({"event": "error", "serial_number": self._firmware.serial_number, "message": str(error)})


def _listen(address: str) -> tuple[socket.socket, dict[str, object]]:
    """Return a listening socket, and how QEMU finds it. Raises OperatorError."""
    if not address.isdecimal():
        return _listen_at_path(Path(address))
    port = int(address)
    if port > 65_535:
        raise OperatorError(f"{address} is no port: 0 to 65535, or the path of a socket to make")
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(1)
    except OSError as error:
        listener.close()
        raise OperatorError(f"{LOOPBACK}:{port}: {error.strerror}; choose another port") from error
    port = listener.getsockname()[1]
    return listener, {"usbredir": f"{LOOPBACK}:{port}", "chardev": f"socket,host={LOOPBACK},port={port},reconnect=1"}


def _listen_at_path(path: Path) -> tuple[socket.socket, dict[str, object]]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists():
            if not stat.S_ISSOCK(path.stat().st_mode) or _is_served(path):
                raise OperatorError(f"{path} is there already, and not what a former simulator left; choose another")
            path.unlink()
        listener.bind(str(path))
        listener.listen(1)
    except OSError as error:
        listener.close()
        raise OperatorError(f"{path}: {error.strerror or error}; give a path in a folder that is there") from error
    except OperatorError:
        listener.close()
        raise
    return listener, {"usbredir": str(path), "chardev": f"socket,path={path},reconnect=1"}


def _is_served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0
