"""A small plant of real processes: simulated handhelds and the daemon, spoken to only from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner, Result

from edged.cli.main import main
from tests.bundle.tiny import tiny_bytes

T = TypeVar("T")
WITHIN_S = 30.0
REPOSITORY = Path(__file__).resolve().parents[2]
EDGED = [sys.executable, "-c", "from edged.cli.main import main; main()"]


def edged(*arguments: object, within_s: float = 120.0) -> subprocess.CompletedProcess[str]:
    """One command as a process of its own."""
    return subprocess.run(
        [*EDGED, *map(str, arguments)],
        cwd=REPOSITORY,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def eventually(look: Callable[[], T | None], what: str, within_s: float = WITHIN_S) -> T:
    """Look until something is there; fail when that takes too long."""
    deadline_s = time.monotonic() + within_s
    while (found := look()) is None:
        if time.monotonic() > deadline_s:
            pytest.fail(f"not within {within_s:g} s: {what}")
        time.sleep(0.01)
    return found


class Handheld:
    """`edged-sim nirscan` as a process, with further `options`; `events` is what it said."""

    def __init__(
        self, port: Path, *options: str, serial_number: str = "6100023", speed: float = 20.0, faults: str = ""
    ) -> None:
        self.port = port
        self.events: list[dict[str, Any]] = []
        command = [sys.executable, "-m", "firmware_sim.main", "nirscan", "--pty", str(port), "--speed", str(speed)]
        command += ["--serial-number", serial_number, "--seed", "3", "--faults", faults, *options]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, cwd=REPOSITORY
        )
        self._reader = threading.Thread(target=self._read, name="handheld")
        self._reader.start()
        eventually(lambda: True if self.said("ready") else None, "the simulator is ready")

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def said(self, event: str) -> list[dict[str, Any]]:
        return [e for e in list(self.events) if e["event"] == event]

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(WITHIN_S)
        self._reader.join(WITHIN_S)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()

    def __enter__(self) -> Handheld:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.events.append(json.loads(line))


class Plant:
    """`edged run` with a folder of its own, and what one can do to it from outside.

    `bundle` None: a tiny model. `through`: a program that turns into the daemon, with its options.
    """

    def __init__(
        self,
        folder: Path,
        *,
        stations: str = "",
        mqtt: str = "enabled = false",
        bundle: Path | None = None,
        through: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.config = folder / "edged.toml"
        self.control = folder / "control.sock"
        self.journal = folder / "state" / "journal.db"
        self.notifications: list[str] = []
        self._through = through
        self._process: subprocess.Popen[str] | None = None
        (folder / "state").mkdir(parents=True, exist_ok=True)
        if bundle is None:
            bundle = folder / "tiny.edgebundle"
            bundle.write_bytes(tiny_bytes())
        self.config.write_text(
            f'site = "lab"\ndevice = "board"\n[storage]\npath = "{folder}/state"\n[control]\npath = "{self.control}"\n'
            f'[bundle]\npath = "{bundle}"\n[mqtt]\n{mqtt}\n{stations}'
        )

    def start(self, **environ: str) -> Plant:
        self.launch(**environ)
        eventually(lambda: True if self.answers() else None, "the daemon answers")
        return self

    def launch(self, **environ: str) -> None:
        """Start it and wait for nothing."""
        with (self.folder / "edged.log").open("a") as log:
            self._process = subprocess.Popen(
                [*self._through, *EDGED, "run", "--config", str(self.config)],
                stderr=log,
                text=True,
                cwd=REPOSITORY,
                env=clean_environment() | environ,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        return (self.folder / "edged.log").read_text()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def answers(self) -> bool:
        assert self.is_running, self.log
        try:
            return bool(self.ask({"do": "status"})["ok"])
        except OSError:
            return False

    def ask(self, request: dict[str, Any], within_s: float = WITHIN_S) -> dict[str, Any]:
        """One request on a connection of its own; the answer as it came."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(within_s)
            connection.connect(str(self.control))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile() as stream:
                answer = json.loads(stream.readline())
        assert isinstance(answer, dict)
        return answer

    def edged(self, *words: str) -> Result:
        """One command, in the test's own process: it finds the daemon by the configuration."""
        return CliRunner().invoke(main, [*words, "--config", str(self.config)], catch_exceptions=False)

    def station(self, name: str = "bench") -> dict[str, Any]:
        found = next(s for s in self.ask({"do": "status"})["result"]["stations"] if s["name"] == name)
        assert isinstance(found, dict)
        return found

    def until_state(self, state: str, name: str = "bench", within_s: float = WITHIN_S) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            station = self.station(name)
            return station if station["state"] == state else None

        return eventually(look, f"{name} is {state}", within_s)

    def records(self, **arguments: Any) -> list[dict[str, Any]]:
        """What an independent reader finds in the journal's file."""
        import sqlite3

        connection = sqlite3.connect(f"file:{self.journal}?mode=ro", uri=True)
        try:
            return [json.loads(body) for (body,) in connection.execute("SELECT body FROM records ORDER BY seq")]
        finally:
            connection.close()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Signal it; return its exit status and the seconds that it took."""
        assert self._process is not None
        began_s = time.monotonic()
        self._process.send_signal(number)
        status = self._process.wait(WITHIN_S)
        return status, time.monotonic() - began_s

    def __enter__(self) -> Plant:
        return self if self._process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        if self.is_running:
            self.stop()


def station(port: Path, name: str = "bench", **keys: str) -> str:
    """A station's table; the values are TOML."""
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f'[station.{name}]\nkind = "nirscan"\nport = "{port}"\n{lines}'


def clean_environment() -> dict[str, str]:
    """Ours, without settings for edged."""
    return {name: text for name, text in os.environ.items() if not name.startswith("EDGED_")}


@contextlib.contextmanager
def manager_socket(folder: Path) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """A stand-in for systemd's notification socket: its path, and a function that returns what has come since."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        path = folder / "notify.sock"
        listener.bind(str(path))
        listener.setblocking(False)

        def fetch() -> list[str]:
            came = []
            with contextlib.suppress(BlockingIOError):
                while True:
                    came.append(listener.recv(4096).decode())
            return came

        yield str(path), fetch
