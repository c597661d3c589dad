"""A serial port: raw, exclusive, and never blocking for longer than asked.

pyserial opens and configures the port; reading and writing go to its file descriptor, so that an error number keeps its
meaning.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import termios

import serial

from drivers.errors import DriverError, LinkDenied, LinkMissing
from drivers.links.handle import HandleLink
from drivers.links.holders import holders_of, owner_of

MISSING = {errno.ENOENT, errno.ENXIO, errno.ENODEV, errno.EIO}  # EIO: a pty whose other end has gone
FORBIDDEN = {errno.EACCES, errno.EPERM}
BUSY = {errno.EBUSY, errno.EAGAIN}  # held by TIOCEXCL, held by flock
NOT_SERIAL = {errno.ENOTTY, errno.EINVAL, errno.EISDIR}
PTY_MAJORS = range(136, 144)  # Documentation/admin-guide/devices.txt: Unix98 pty slaves

PERMISSION_HINT = "add the service user to group dialout, or install the udev rule"


class SerialLink(HandleLink):
    """An open port. Made by `open`; `name` is the path that was asked for."""

    def __init__(self, opened: serial.Serial, port: str) -> None:
        super().__init__(opened.fileno(), port, lambda: _release(opened))
        self._opened = opened

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

    def set_baud(self, baud: int) -> None:
        """Send and receive at this rate from now on. Raises LinkLost."""
        try:
            self._opened.baudrate = baud
        except (OSError, ValueError, termios.error) as error:
            raise self._lost(f"{baud} baud: {error}") from error


def _release(port: serial.Serial) -> None:
    with contextlib.suppress(OSError, termios.error):  # a port that has gone is released all the same
        port.close()


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
