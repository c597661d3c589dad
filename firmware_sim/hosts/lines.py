"""Where a simulated instrument hangs: in memory with a clock of its own, or on a pseudo terminal of this process.

`Memory` never waits and is for tests. `PtyHost.serve` runs in the main thread until it is told to stop.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import stat
import struct
import termios
import time
import tty
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from firmware_sim.contract import Deliver, Event, Firmware, HangUp, OperatorError, Output, RateAware

READ_BYTES = 4096
NOBODY_S = 0.005  # a pty whose other end nobody holds has no event to wait for
IDLE_S = 0.5
DRAIN_S = 0.2  # how long the reader gets to fetch what was sent before the line was lost
OUTPUT_S = 1.0
RATES = {getattr(termios, f"B{baud}"): baud for baud in (9600, 19200, 38400, 57600, 115200, 230400)}
MAX_OPERATOR_LINE_BYTES = 4096


class Memory:
    """A line in memory: bytes in, bytes out; time passes only in `advance`."""

    def __init__(self, device: Firmware) -> None:
        self.device = device
        self.now_s = 0.0
        self._due: deque[Output] = deque()
        self._back_at_s: float | None = None
        device.line_opened(self.now_s)

    @property
    def hung_up(self) -> bool:
        """The line is lost for now; `feed` has no effect."""
        return self._back_at_s is not None

    def feed(self, data: bytes) -> bytes:
        """Send bytes to the instrument; return those that are on the line by now."""
        if self.hung_up:
            return b""
        self._due.extend(self.device.receive(data, self.now_s))
        return self._arrived()

    def advance(self, seconds: float) -> bytes:
        """Let time pass; return the bytes that came meanwhile."""
        self.now_s += seconds
        self.device.wake(self.now_s)
        return self._arrived()

    def hang_up(self, seconds: float) -> None:
        """Lose the line for so long."""
        self._lost(self.now_s + seconds)

    def events(self) -> list[Event]:
        """Return what the instrument told since the last call."""
        return self.device.take_events()

    def _arrived(self) -> bytes:
        arrived = b""
        while self._due and self._due[0].at_s <= self.now_s:
            match self._due.popleft():
                case Deliver(data=data):
                    arrived += data
                case HangUp(at_s=at_s, seconds=seconds):
                    self._lost(at_s + seconds)
        if self._back_at_s is not None and self.now_s >= self._back_at_s:
            self._back_at_s = None
            self.device.line_opened(self.now_s)
        return arrived

    def _lost(self, back_at_s: float) -> None:
        self._due.clear()
        self._back_at_s = back_at_s


class PathTaken(Exception):
    """The path is something that is not ours to replace."""


class PtyHost:
    """A pseudo terminal behind a symbolic link, an instrument on it, an operator at standard input.

    tell: called with each event, in the main thread.
    """

    def __init__(self, device: Firmware, link: Path, tell: Callable[[Event], None]) -> None:
        self._device = device
        self._link = link
        self._tell = tell
        self._master: int | None = None
        self._slave_path = ""
        self._somebody = False
        self._due: deque[Output] = deque()
        self._back_at_s = 0.0
        self._operator: int | None = _operator_handle()
        self._said = b""
        self._stopping = False

    def serve(self) -> None:
        """Serve until SIGTERM, SIGINT, `quit`, or the end of an operator's pipe; the link is gone afterwards."""
        with _wake_on_signals() as (wake, stopped):
            try:
                self._open_line()
                self._tell({"event": "ready", "pty": str(self._link), "serial_number": self._device.serial_number})
                while not (self._stopping or stopped()):
                    self._turn(wake)
            finally:
                self._close_line()

    def _turn(self, wake: int) -> None:
        now = time.monotonic()
        if self._master is None and now >= self._back_at_s:
            self._open_line()
        self._device.wake(now)
        self._send_due(now)
        self._report()
        handles = [handle for handle in (self._master, self._operator) if handle is not None]
        watched = handles if self._somebody else [handle for handle in handles if handle != self._master]
        ready, _, _ = select.select([*watched, wake], [], [], self._patience(time.monotonic()))
        if self._operator in ready:
            self._listen()
        if self._master is not None and (self._master in ready or not self._somebody):
            self._read()
        self._report()

    def _patience(self, now: float) -> float:
        moments = [now + (IDLE_S if self._somebody or self._master is None else NOBODY_S)]
        if self._due:
            moments.append(self._due[0].at_s)
        if self._master is None:
            moments.append(self._back_at_s)
        if (wake_at := self._device.wake_at()) is not None:
            moments.append(wake_at)
        return max(0.0, min(moments) - now)

    def _read(self) -> None:
        assert self._master is not None
        try:
            data = os.read(self._master, READ_BYTES)
        except BlockingIOError:
            self._met()
            return
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            self._somebody = False  # the other end is closed; what is under way for it is lost, as on a wire
            self._due.clear()
            return
        self._met()
        if isinstance(self._device, RateAware):
            self._device.line_speed(_rate_of(self._master))
        now = time.monotonic()
        self._due.extend(self._device.receive(data, now))
        self._send_due(now)

    def _met(self) -> None:
        if not self._somebody:
            self._somebody = True
            self._device.line_opened(time.monotonic())

    def _send_due(self, now: float) -> None:
        while self._due and self._due[0].at_s <= now:
            match self._due.popleft():
                case Deliver(data=data):
                    self._write(data)
                case HangUp(seconds=seconds):
                    self._hang_up(seconds)

    def _write(self, data: bytes) -> None:
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

    def _hang_up(self, seconds: float) -> None:
        self._wait_until_read()
        self._close_line()
        self._due.clear()
        self._back_at_s = time.monotonic() + seconds

    def _wait_until_read(self) -> None:
        """Give the reader a moment: closing a pty discards what it has not fetched."""
        try:
            slave = os.open(self._slave_path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        except OSError:  # exclusively held: the reader loses the last bytes
            return
        try:
            deadline = time.monotonic() + DRAIN_S
            while self._somebody and time.monotonic() < deadline:
                if not struct.unpack("i", fcntl.ioctl(slave, termios.FIONREAD, bytes(4)))[0]:
                    return
                time.sleep(0.001)
        finally:
            os.close(slave)

    def _open_line(self) -> None:
        master, slave = os.openpty()
        tty.setraw(slave)
        self._slave_path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(master, False)
        self._master, self._somebody = master, False
        place_link(self._link, Path(self._slave_path))

    def _close_line(self) -> None:
        if self._master is None:
            return
        if self._link.is_symlink() and str(self._link.readlink()) == self._slave_path:
            self._link.unlink()
        os.close(self._master)
        self._master, self._somebody = None, False

    def _listen(self) -> None:
        assert self._operator is not None
        try:
            data = os.read(self._operator, READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._stopping = _ends_with_its_writer(self._operator)
            self._operator = None
            return
        *lines, self._said = (self._said + data).split(b"\n")
        if len(self._said) > MAX_OPERATOR_LINE_BYTES:
            self._said = b""
        for line in lines:
            self._obey(line.decode("utf-8", errors="replace").strip())

    def _obey(self, line: str) -> None:
        verb, _, rest = line.partition(" ")
        try:
            match verb:
                case "":
                    pass
                case "quit":
                    self._stopping = True
                case "hangup":
                    self._hang_up(_seconds(rest))
                case _:
                    self._device.operate(line)
        except OperatorError as error:
            self._tell({"event": "error", "serial_number": self._device.serial_number, "message": str(error)})

    def _report(self) -> None:
        for event in self._device.take_events():
            self._tell(event)


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


def _rate_of(master: int) -> int:
    """Return the baud rate that the program at the other end has set; a terminal itself knows none."""
    return RATES.get(termios.tcgetattr(master)[5], 0)


def _seconds(text: str) -> float:
    try:
        seconds = float(text) if text.strip() else 1.0
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise OperatorError(f"hangup {text}: say hangup, or hangup and the seconds, at most a day")
    return seconds


def _operator_handle() -> int | None:
    """Return standard input, or None where nobody can ever say anything there."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    return None if stat.S_ISCHR(mode) and not os.isatty(0) else 0


def _ends_with_its_writer(handle: int) -> bool:
    """Say whether the end of input means that the operator has gone: a pipe or terminal yes, a file no."""
    return not stat.S_ISREG(os.fstat(handle).st_mode)


@contextmanager
def _wake_on_signals() -> Iterator[tuple[int, Callable[[], bool]]]:
    """Turn SIGTERM and SIGINT into a readable handle and a flag, and put everything back afterwards."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    seen: list[int] = []
    former = {
        number: signal.signal(number, lambda got, _: seen.append(got)) for number in (signal.SIGTERM, signal.SIGINT)
    }
    former_wake = signal.set_wakeup_fd(writer)
    try:
        yield reader, lambda: bool(seen)
    finally:
        signal.set_wakeup_fd(former_wake)
        for number, handler in former.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
