"""What a demo is played with, each a child process of its own: simulated handhelds, a broker, the daemon.

Every child is started in its own session, so that Ctrl-C reaches only us and we end the others in order.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

from edged.infer.verdict import Procedure
from edged.service.control import NotRunning, Refusal, ask

T = TypeVar("T")
BrokerKind = Literal["auto", "mosquitto", "embedded"]
Technique = Literal["nir", "raman"]

START_WITHIN_S = 30.0
END_WITHIN_S = 6.0
SPEED = 20.0  # simulated seconds a second: a scan of 2.7 s takes 0.14 s
SBIN = "/usr/sbin:/usr/local/sbin"  # where Debian keeps mosquitto, which an ordinary user's PATH does not name


class DemoFailed(Exception):
    """A part of the demo did not do its part. `hint` tells what to try."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(slots=True)
class Child:
    """A process of ours, and the file that holds what it said on stderr."""

    name: str
    process: subprocess.Popen[str]
    log: Path

    def require_alive(self) -> None:
        """Raise DemoFailed with its last words if it has ended."""
        if (status := self.process.poll()) is not None:
            words = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
            raise DemoFailed(f"{self.name} ended with status {status}", hint="\n".join(words))

    def end(self) -> int | None:
        """Ask it to stop, insist when it does not, and return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        return self.process.returncode


def start(name: str, command: list[str], folder: Path, *, pipes: bool = False) -> Child:
    """Start one child; `pipes` connects its standard input and output to us."""
    log = folder / f"{name}.log"
    with log.open("w", encoding="utf-8") as err:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else err,
            stderr=err,
            text=True,
            bufsize=1,
            start_new_session=True,
            env=_environment(),
        )
    return Child(name, process, log)


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A model of handheld. simulator: its command up to the name of its samples. station: keys that it needs, TOML."""

    kind: str
    title: str
    simulator: tuple[str, ...]
    station: str = ""


BUILDS: Mapping[Technique, Build] = {
    "nir": Build(kind="nirscan", title="NIRscan Nano", simulator=("nirscan", "--twin")),
    "raman": Build(
        kind="obp",
        title="Ventana-785L, Raman",
        simulator=("obp", "--model", "ventana", "--baud", "115200", "--library"),
        station="""\
settings.integration_ms = 100
settings.repeats = 3
settings.laser_mw = 50
settings.laser_unattended = true     # nobody is hurt by simulated light
quality.min_snr = 15                 # counted at the median, and most of a Raman spectrum is no band
""",
    ),
}


@dataclass(slots=True)
class Handheld:
    """A simulated instrument: what lies before its window is said on its standard input, its events come out.

    What was really there is kept by the number that its scans have or, of an instrument that numbers none, by how often
    its laser has gone off: once a measurement, and once more for each that was done again.
    """

    name: str
    serial_number: str
    build: Build
    port: Path
    child: Child
    _truths: dict[int, str] = field(default_factory=dict)
    _before: str = ""  # the window at the latest scan
    _measured: int = 0
    _asked: int = 0
    _is_ready: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _reader: threading.Thread | None = None

    @classmethod
    def start(
        cls, name: str, serial_number: str, folder: Path, *, seed: int, build: Build, samples: str | None = None
    ) -> Handheld:
        """Start the simulator; wait with `until_ready`. samples: its twin or library, None for its usual one."""
        port = folder / f"{name}.pty"
        *simulator, samples_option = build.simulator
        command = [sys.executable, "-m", "firmware_sim.main", *simulator, "--pty", str(port)]
        command += ["--serial-number", serial_number, "--seed", str(seed), "--speed", f"{SPEED:g}"]
        command += [samples_option, samples] if samples is not None else []
        child = start(f"sim-{name}", command, folder, pipes=True)
        handheld = cls(name, serial_number, build, port, child)
        out = handheld.child.process.stdout
        assert out is not None
        handheld._reader = threading.Thread(target=handheld._read, args=(out,), name=f"sim-{name}", daemon=True)
        handheld._reader.start()
        return handheld

    def put(self, what: str) -> None:
        """Put the white tile (`white`) or a product before the window."""
        line = "white" if what == "white" else f"sample {what}"
        with self._changed:
            self._asked = self._measured  # what was measured until now was something else
        assert self.child.process.stdin is not None
        try:
            self.child.process.stdin.write(line + "\n")
            self.child.process.stdin.flush()
        except OSError:
            self.child.require_alive()
            raise

    def until_ready(self) -> None:
        """Wait until the simulator answers on its port."""
        self._wait(lambda: self._is_ready or None, "is not ready")

    def truth(self, scan_index: int | None) -> str:
        """Return what was before the window at this scan, as the simulator says. None: at the first after `put`."""
        number = self._asked + 1 if scan_index is None else scan_index
        return self._wait(lambda: self._truths.get(number), f"did not tell of scan {number}")

    def end(self) -> None:
        """Stop it."""
        self.child.end()
        if self._reader is not None:
            self._reader.join(END_WITHIN_S)

    def _wait(self, look: Callable[[], T | None], complaint: str) -> T:
        deadline_s = time.monotonic() + START_WITHIN_S
        with self._changed:
            while (found := look()) is None:
                self.child.require_alive()
                if time.monotonic() > deadline_s:
                    raise DemoFailed(f"the simulator {self.name} {complaint}", hint=f"{self.child.log} says more")
                self._changed.wait(0.2)
            return found

    def _read(self, out: IO[str]) -> None:
        with contextlib.suppress(ValueError):  # closed while we read: it is the end
            for line in out:
                said = json.loads(line)
                with self._changed:
                    self._heed(said)
                    self._changed.notify_all()

    def _heed(self, said: Mapping[str, Any]) -> None:
        match said:
            case {"event": "ready"}:
                self._is_ready = True
            case {"event": "scan", "scan_index": int(number), "sample": str(sample)}:
                self._truths[number] = sample
            case {"event": "scan", "sample": str(sample)}:
                self._before = sample
            case {"event": "laser", "on": False}:
                self._measured += 1
                self._truths[self._measured] = self._before


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerChild:
    """The broker: where it is, and what it is."""

    title: str
    port: int
    mqtt5: bool
    child: Child


def start_broker(kind: BrokerKind, port: int | None, folder: Path) -> BrokerChild:
    """Start Mosquitto if it is installed, else the embedded broker; on a free port unless one is named."""
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":" + SBIN)
    port = port or free_port()
    if kind == "mosquitto" and program is None:
        raise DemoFailed("mosquitto is not installed", hint="apt-get install mosquitto")
    if program is not None and kind != "embedded":
        conf = folder / "mosquitto.conf"
        conf.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n", encoding="utf-8")
        child = start("broker", [program, "-c", str(conf)], folder)
        broker = BrokerChild(title="Mosquitto", port=port, mqtt5=True, child=child)
    else:
        if importlib.util.find_spec("amqtt") is None:
            raise DemoFailed(
                "there is no broker: neither mosquitto nor the package amqtt is installed",
                hint="apt-get install mosquitto, or in a checkout: .venv/bin/python -m pip install -e '.[demo]'",
            )
        child = start("broker", [sys.executable, "-m", "edged.cli.embedded_broker", str(port)], folder, pipes=True)
        broker = BrokerChild(title="the embedded broker (amqtt, MQTT 3.1.1)", port=port, mqtt5=False, child=child)
    try:
        until(lambda: listens(port) or None, f"the broker does not listen on port {port}", alive=child)
    except BaseException:
        child.end()
        raise
    return broker


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A station of the demo's daemon: its handheld, what it is asked, its bundle; None is the one edged would take."""

    handheld: Handheld
    procedure: Procedure
    bundle: str | None


def start_daemon(folder: Path, places: Sequence[Place], broker: BrokerChild) -> Child:
    """Write a configuration and start `edged run` with it."""
    config = folder / "edged.toml"
    config.write_text(_configuration(folder, places, broker), encoding="utf-8")
    command = [sys.executable, "-c", "from edged.cli.main import main; main()", "run", "--config", str(config)]
    return start("edged", [*command, "--no-web"], folder)


def until_stations_ready(folder: Path, daemon: Child) -> None:
    """Wait until the daemon says that every station is ready."""

    def look() -> bool | None:
        try:
            status = ask(control_socket(folder), {"do": "status"}, within_s=5.0)
        except (NotRunning, Refusal):
            return None
        stations = status["stations"]
        ready = all(one["state"] == "ready" and (one["bundle"] or status["bundle"])["name"] for one in stations)
        return True if ready and status["broker"]["connected"] else None

    until(look, "the daemon's stations are not ready", alive=daemon)


def control_socket(folder: Path) -> Path:
    """Where the demo's daemon listens."""
    return folder / "control.sock"


def journal_file(folder: Path) -> Path:
    """Where the demo's daemon keeps its journal."""
    return folder / "state" / "journal.db"


def until(look: Callable[[], T | None], complaint: str, *, alive: Child, within_s: float = START_WITHIN_S) -> T:
    """Look until it gives something. Raises DemoFailed when the child ends or the time is over."""
    deadline_s = time.monotonic() + within_s
    while (found := look()) is None:
        alive.require_alive()
        if time.monotonic() > deadline_s:
            raise DemoFailed(f"{complaint} after {within_s:g} s", hint=f"{alive.log} says more")
        time.sleep(0.02)
    return found


def _environment() -> dict[str, str]:
    """Ours, without what would overrule the demo's own settings; but which model judges may be chosen."""
    return {
        name: text
        for name, text in os.environ.items()
        if not name.startswith("EDGED_") or name.startswith("EDGED_BUNDLE__")
    }


def listens(port: int) -> bool:
    """Whether something accepts connections on this port of the loopback."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a port of the loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _configuration(folder: Path, places: Sequence[Place], broker: BrokerChild) -> str:
    (folder / "state").mkdir(exist_ok=True)
    text = f"""\
site = "demo"
device = "edge"

[storage]
path = {json.dumps(str(folder / "state"))}

[mqtt]
host = "127.0.0.1"
port = {broker.port}
protocol = "{"auto" if broker.mqtt5 else "3.1.1"}"

[control]
path = {json.dumps(str(control_socket(folder)))}
"""
    for place in places:
        handheld = place.handheld
        text += f"""
[station.{handheld.name}]
kind = {json.dumps(handheld.build.kind)}
port = {json.dumps(str(handheld.port))}
serial_number = {json.dumps(handheld.serial_number)}
procedure = {json.dumps(place.procedure)}
"""
        text += "" if place.bundle is None else f"bundle = {json.dumps(place.bundle)}\n"
        text += handheld.build.station
    return text
