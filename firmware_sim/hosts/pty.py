"""A pseudo terminal of this process behind a symbolic link: the line of an instrument with a serial port."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import struct
import termios
import time
import tty
from pathlib import Path

from firmware_sim.contract import Event

READ_BYTES = 4096
NOBODY_S = 0.005  # a pty whose other end nobody holds has no event to wait for
DRAIN_S = 0.2  # how long the reader gets to fetch what was sent before the line was lost
SETTLE_S = 0.008  # what was written reaches the other end by a task of the kernel's, not at once
OUTPUT_S = 1.0
RATES = {getattr(termios, f"B{baud}"): baud for baud in (9600, 19200, 38400, 57600, 115200, 230400)}


class PathTaken(Exception):
    """The path is something that is not ours to replace."""


class PtyLine:
    """The terminal. It cannot tell whether somebody holds the other end, other than by trying to read."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._master: int | None = None
        self._slave_path = ""
        self._somebody = False

    @property
    def told(self) -> Event:
        """How a client finds it."""
        return {"pty": str(self._link)}

    @property
    def is_open(self) -> bool:
        """The terminal is there."""
        return self._master is not None

    @property
    def patience_s(self) -> float | None:
        """When to try again although no handle is ready, None for no need."""
        return NOBODY_S if self._master is not None and not self._somebody else None

    @property
    def handles(self) -> list[int]:
        """What to wait for."""
        return [self._master] if self._master is not None and self._somebody else []

    @property
    def baud(self) -> int | None:
        """The rate that the other end has set, 0 for an odd one; a terminal itself knows none."""
        return None if self._master is None else RATES.get(termios.tcgetattr(self._master)[5], 0)

    def open(self) -> None:
        """Make the terminal and the link. Raises PathTaken."""
        master, slave = os.openpty()
        tty.setraw(slave)
        self._slave_path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(master, False)
        self._master, self._somebody = master, False
        place_link(self._link, Path(self._slave_path))

    def close(self) -> None:
        """Take both away."""
        if self._master is None:
            return
        if self._link.is_symlink() and str(self._link.readlink()) == self._slave_path:
            self._link.unlink()
        os.close(self._master)
        self._master, self._somebody = None, False

    def read(self) -> bytes | None:
        """Return what came, b"" for nothing yet; None when nobody is there."""
        assert self._master is not None
        try:
            data = os.read(self._master, READ_BYTES)
        except BlockingIOError:
            data = b""
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._somebody = False
            return None
        self._somebody = True
        return data

    def write(self, data: bytes) -> None:
        """Write what the terminal takes; a host that does not read for a second loses bytes, as on a wire."""
        deadline = time.monotonic() + OUTPUT_S
        while data and self._master is not None:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([], [self._master], [], left)[1]:
                    return
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                return

    def flush(self) -> None:
        """Give the reader a moment: closing a pty discards what it has not fetched."""
        try:
            slave = os.open(self._slave_path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:  # exclusively held: the reader loses the last bytes
            return
        try:
            empty_since = started = time.monotonic()
            while self._somebody and (now := time.monotonic()) < started + DRAIN_S:
                if struct.unpack("i", fcntl.ioctl(slave, termios.FIONREAD, bytes(4)))[0]:
                    empty_since = now
                elif now > empty_since + SETTLE_S:
                    return
                time.sleep(0.001)
        finally:
            os.close(slave)


def place_link(link: Path, target: Path) -> None:
    """Make or replace a link to a terminal. Raises PathTaken when the path is anything else, or cannot be made."""
    if not link.parent.is_dir():
        raise PathTaken(f"{link}: there is no folder {link.parent}")
    if link.is_symlink():
        former = str(link.readlink())
        if link.exists() and not former.startswith("/dev/pts/"):
            raise PathTaken(f"{link}: links to {former}, which is no simulator's; remove it or choose another path")
    elif link.exists():
        raise PathTaken(f"{link}: exists and is no simulator's link; remove it or choose another path")
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    try:
        fresh.symlink_to(target)
        fresh.replace(link)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise PathTaken(f"{link}: {error.strerror}") from error
