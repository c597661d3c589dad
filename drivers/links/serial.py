"""A serial port: raw, exclusive, and never blocking for longer than asked.

pyserial opens and configures the port; reading and writing go to its file descriptor with poll, so that an error number
keeps its meaning and `interrupt` wakes a waiting read at once.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import termios
import threading
import time

import serial

from drivers.errors import DriverError, LinkDenied, LinkLost, LinkMissing
from drivers.links.holders import holders_of, owner_of

MISSING = {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO}  # EIO: a pty whose other end has gone
FORBIDDEN = {errno.EACCES, errno.EPERM}
BUSY = {errno.EBUSY, errno.EAGAIN}  # held by TIOCEXCL, held by flock
NOT_SERIAL = {errno.ENOTTY, errno.EINVAL, errno.EISDIR}
PTY_MAJORS = range(136, 144)  # Documentation/admin-guide/devices.txt: Unix98 pty slaves

PERMISSION_HINT = "add the service user to group dialout, or install the udev rule"


class SerialLink:
    """An open port. Made by `open`; `name` is the path that was asked for."""

    def __init__(self, port: serial.Serial, name: str) -> None:
        self.name = name
        self._port = port
        self._fd = port.fileno()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._open = True
        self._closing = threading.Lock()  # an interrupt must not write to a descriptor that has a new owner

    @classmethod
    def open(cls, port: str, *, baud: int = 115_200) -> SerialLink:
        """Open `port` 8N1 without flow control, for us alone. Raises LinkMissing or LinkDenied."""
        opened = serial.Serial(port=None, baudrate=baud, timeout=0, write_timeout=0, exclusive=True)
        opened.port = port
        try:
            opened.open()
        except (OSError, termios.error) as error:
            raise _refusal(port, error) from error
        try:
            _exclude_others(opened.fileno())
        except OSError as error:
            opened.close()
            raise _refusal(port, error) from error
        return cls(opened, port)

    def read(self, limit: int, within_s: float) -> bytes:
        """Return what has arrived, or b"" after `within_s` or an interrupt. Raises LinkLost."""
        if not self._ready(select.POLLIN, within_s):
            return b""
        try:
            data = os.read(self._fd, limit)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost(str(error)) from error
        if not data:
            raise self._lost("hung up")
        return data

    def write(self, data: bytes, within_s: float) -> None:
        """Write all of it, in one piece if the system takes it. Raises LinkLost, also when nobody takes the bytes."""
        deadline_s = time.monotonic() + within_s
        while data:
            try:
                written = os.write(self._fd, data)
            except BlockingIOError:
                written = 0
            except OSError as error:
                raise self._lost(str(error)) from error
            data = data[written:]
            left_s = deadline_s - time.monotonic()
            if data and (left_s <= 0 or not self._ready(select.POLLOUT, left_s)) and time.monotonic() >= deadline_s:
                raise self._lost(f"{len(data)} bytes were not taken within {within_s:g} s")

    def interrupt(self) -> None:
        """Make the read under way, or the next one, return. Any thread."""
        with self._closing, contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            if self._open:
                os.write(self._wake_write, b"!")

    def close(self) -> None:
        """Release the port. Never raises; closing twice is fine."""
        with self._closing:
            if not self._open:
                return
            self._open = False
            os.close(self._wake_read)
            os.close(self._wake_write)
        with contextlib.suppress(OSError, termios.error):  # a port that has gone is released all the same
            self._port.close()

    def _ready(self, event: int, within_s: float) -> bool:
        """Wait for the event or a hang-up; False after `within_s` or an interrupt."""
        if not self._open:
            raise self._lost("closed")
        poll = select.poll()
        poll.register(self._fd, event)
        if event == select.POLLIN:
            poll.register(self._wake_read, select.POLLIN)
        happened = dict(poll.poll(max(0.0, within_s) * 1000))
        if happened.pop(self._wake_read, 0):
            os.read(self._wake_read, 4096)
        return bool(happened)

    def _lost(self, why: str) -> LinkLost:
        return LinkLost(f"{self.name}: {why}", hint="is the instrument still plugged in and switched on?")


def _exclude_others(fd: int) -> None:
    """Refuse later opens by programs that ignore locks.

    Not on a pty: there the mark would outlive us while the other end stays open, and keep us out after a crash.
    """
    if os.major(os.fstat(fd).st_rdev) not in PTY_MAJORS:
        fcntl.ioctl(fd, termios.TIOCEXCL)


def _refusal(port: str, error: BaseException) -> DriverError:
    number = _error_number(error)
    if number in MISSING:
        return LinkMissing(f"{port}: no such port", hint="is the instrument plugged in and switched on?")
    if number in FORBIDDEN:
        return LinkDenied(f"{port}: permission denied, it belongs to {owner_of(port)}", hint=PERMISSION_HINT)
    if number in BUSY:
        by = holders_of(port)
        return LinkDenied(
            f"{port}: in use by {', '.join(by) if by else 'another program'}",
            hint="stop the other program; modem managers often open new serial ports",
        )
    if number in NOT_SERIAL:
        return LinkDenied(f"{port}: not a serial port", hint="name the port as `edged devices` lists it")
    return LinkDenied(f"{port}: {error}")


def _error_number(error: BaseException | None) -> int | None:
    """Find the error number in `error` or what it was raised from: pyserial and termios keep it in the arguments."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        if isinstance(error, termios.error) and error.args and isinstance(error.args[0], int):
            return error.args[0]
        error = error.__cause__ or error.__context__
    return None
