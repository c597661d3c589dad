"""A real Mosquitto as a private child process on loopback, which a test may stop, kill, freeze and start again."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

PLACES = ("/usr/sbin", "/usr/local/sbin")
UP_WITHIN_S = 10.0


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_mosquitto() -> str | None:
    return shutil.which("mosquitto") or next((f"{p}/mosquitto" for p in PLACES if Path(p, "mosquitto").exists()), None)


class Broker:
    """`extra`: further lines of mosquitto.conf. Retained messages and sessions outlive `stop`, not `kill`."""

    def __init__(self, folder: Path, *, extra: str = "", anonymous: bool = True) -> None:
        found = find_mosquitto()
        if found is None:
            pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
        self.program = found
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mosquitto.conf").write_text(
            f"user {Path(folder).owner()}\n"
            f"listener {self.port} 127.0.0.1\n"
            f"allow_anonymous {'true' if anonymous else 'false'}\n"
            f"persistence true\npersistence_location {folder}/\nautosave_interval 0\n"
            f"max_queued_messages 1000000\nlog_dest file {folder}/mosquitto.log\n{extra}\n"
        )

    def start(self) -> Broker:
        self._process = subprocess.Popen(
            [self.program, "-c", str(self.folder / "mosquitto.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + UP_WITHIN_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError((self.folder / "mosquitto.log").read_text()[-800:])
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
            except OSError:
                time.sleep(0.01)
            else:
                return self
        raise TimeoutError("mosquitto did not open its port")

    def stop(self) -> None:
        """End it in good order, also while it is paused; stopping twice is fine."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Pull its plug."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it hang: connections stay up, nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def reload(self) -> None:
        """Let it read its access rules again."""
        self._signal(signal.SIGHUP)

    def __enter__(self) -> Broker:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        self._process.send_signal(signal.SIGCONT)  # a paused one would not hear it
        self._process.wait(UP_WITHIN_S)
        self._process = None
