"""The real processes that are measured: a simulated handheld behind a terminal, and `edged run` on top of it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edged.service.control import NotRunning, ask
from tests.bench.subject import REPOSITORY, Unavailable
from tests.bench.timing import as_installed, cpu_of_s
from tests.broker import Broker, find_mosquitto

STATION = "bench"
WITHIN_S = 60.0
STARTER = "from edged.cli.main import main; main()"


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """A daemon that is ready. cpu_at_ready_s: what it had used, user and system, when READY=1 came."""

    pid: int
    cpu_at_ready_s: float
    control: Path

    def ask(self, do: str) -> dict[str, Any]:
        """Make one request of the control socket, for the bench's station unless it is for none."""
        request = {"do": do} if do == "status" else {"do": do, "station": STATION}
        return ask(self.control, request, within_s=WITHIN_S)

    def until_station_ready(self) -> None:
        """Wait until the instrument is open."""
        deadline_s = time.monotonic() + WITHIN_S
        while self.ask("status")["stations"][0]["state"] != "ready":
            if time.monotonic() > deadline_s:
                raise NotRunning("the station did not become ready", hint="does the simulator run?")
            time.sleep(0.02)


@contextmanager
def simulator(port: Path, *options: str) -> Iterator[int]:
    """A simulated handheld in a process of its own that never waits; yields its process id."""
    command = [sys.executable, "-m", "firmware_sim.main", "nirscan", "--pty", str(port), "--speed", "0", *options]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        out = process.stdout
        assert out is not None
        assert json.loads(out.readline())["event"] == "ready"
        reader = threading.Thread(target=lambda: [None for _ in out], name="simulator's words")
        reader.start()
        try:
            yield process.pid
        finally:
            process.terminate()
            reader.join()


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """A real Mosquitto; yields its port. Raises Unavailable where it is not installed."""
    if find_mosquitto() is None:
        raise Unavailable("mosquitto is not installed: apt-get install mosquitto")
    with Broker(folder) as running:
        yield running.port


@contextmanager
def daemon(folder: Path, *, bundle: Path, port: Path, broker_port: int) -> Iterator[Daemon]:
    """`edged run` from its start to READY=1, then until the block is left. Its files stay in `folder`."""
    state, control, notify = folder / "state", folder / "control.sock", folder / "notify.sock"
    state.mkdir(exist_ok=True)
    config = folder / "edged.toml"
    config.write_text(_configuration(state, control, bundle, port, broker_port), encoding="utf-8")
    log = folder / "edged.log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, log.open("w") as err:
        manager.bind(str(notify))
        manager.settimeout(WITHIN_S)
        command = [sys.executable, "-c", STARTER, "run", "--config", str(config)]
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env={**as_installed(), "NOTIFY_SOCKET": str(notify)}, stdout=err, stderr=err
        )
        try:
            while b"READY=1" not in manager.recv(4096):
                pass
            yield Daemon(pid=process.pid, cpu_at_ready_s=cpu_of_s(process.pid), control=control)
        except TimeoutError as error:
            raise NotRunning("the daemon did not become ready", hint=log.read_text()[-800:]) from error
        finally:
            process.terminate()
            process.wait(WITHIN_S)
            notify.unlink()


def _configuration(state: Path, control: Path, bundle: Path, port: Path, broker_port: int) -> str:
    return f"""\
site = "bench"
device = "bench"

[storage]
path = {json.dumps(str(state))}

[bundle]
path = {json.dumps(str(bundle.resolve()))}

[mqtt]
host = "127.0.0.1"
port = {broker_port}

[control]
path = {json.dumps(str(control))}

[station.{STATION}]
kind = "nirscan"
port = {json.dumps(str(port))}
"""
