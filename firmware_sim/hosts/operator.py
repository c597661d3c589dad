"""The person, or the program, at a simulator's standard input, and the signals that stop it."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from firmware_sim.contract import OperatorError

READ_BYTES = 4096
MAX_LINE_BYTES = 4096


class Operator:
    """Lines from standard input. `handle` is what to wait for, None where nobody can say anything any more."""

    def __init__(self) -> None:
        self.handle: int | None = _operator_handle()
        self.left = False
        self._said = b""

    def lines(self) -> list[str]:
        """Return the lines that are complete by now; `left` is true from when the operator has gone."""
        assert self.handle is not None
        try:
            data = os.read(self.handle, READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self.left = _ends_with_its_writer(self.handle)
            self.handle = None
            return []
        *lines, self._said = (self._said + data).split(b"\n")
        if len(self._said) > MAX_LINE_BYTES:
            self._said = b""
        return [line.decode("utf-8", errors="replace").strip() for line in lines]


def seconds_of(text: str, word: str = "hangup") -> float:
    """Return what follows a word such as hangup: seconds, 1 if nothing does. Raises OperatorError."""
    try:
        seconds = float(text) if text.strip() else 1.0
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise OperatorError(f"{word} {text}: say {word}, or {word} and the seconds, at most a day")
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
def wake_on_signals() -> Iterator[tuple[int, Callable[[], bool]]]:
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
