"""Programs that obey lines at standard input and answer with lines of JSON."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

DEADLINE_S = 20.0

Said = dict[str, Any]


class Talking:
    """One such program."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._heard = b""

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self) -> Said:
        """Return the next line. Fails when there is none in time."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + DEADLINE_S
        while b"\n" not in self._heard:
            left_s = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([self.process.stdout], [], [], left_s)
            data = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not data:
                raise AssertionError(f"it says nothing more; it said {self._heard!r}")
            self._heard += data
        line, self._heard = self._heard.split(b"\n", 1)
        said: Said = json.loads(line)
        return said

    def ask(self, line: str) -> Said:
        self.say(line)
        return self.hear()

    def event(self, name: str) -> Said:
        """Return the next event of this name; others on the way are dropped."""
        while (said := self.hear())["event"] != name:
            pass
        return said


@contextmanager
def talking(*command: str, env: Mapping[str, str] | None = None) -> Iterator[Talking]:
    """Run a program until the block ends: its input is closed then, and it has to end well,
    unless the test killed it."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=None if env is None else {**os.environ, **env}
    )
    try:
        yield Talking(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(DEADLINE_S) in (0, -signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
