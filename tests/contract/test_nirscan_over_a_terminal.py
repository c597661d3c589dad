"""The simulator as a process of its own behind a pseudo-terminal, the driver on a real serial link."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from drivers import registry
from drivers.contract import RawScan
from drivers.errors import DriverError, Interrupted
from drivers.links.replay import ReplayLink
from drivers.links.serial import SerialLink
from drivers.session import Session
from drivers.trace import RecordTrace
from tests.drivers.nirscan_bytes import UNIT

DEVICE = registry.load("nirscan")
SETTINGS = DEVICE.default_settings
READY_WITHIN_S = 3.0


@contextmanager
def simulator(port: Path, *options: str, repository: Path) -> Iterator[subprocess.Popen[str]]:
    """`edged-sim nirscan` until the block is left; ready when the block begins."""
    command = [sys.executable, "-m", "firmware_sim.main", "nirscan", "--pty", str(port), "--json", *options]
    process = subprocess.Popen(command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["event"] == "ready"
            yield process
        finally:
            process.terminate()


@pytest.fixture
def port(tmp_path: Path) -> Path:
    return tmp_path / "nirscan"


Simulate = Callable[..., AbstractContextManager[subprocess.Popen[str]]]


@pytest.fixture
def simulate(port: Path, repository: Path) -> Simulate:
    return lambda *options: simulator(port, *options, repository=repository)


def ready(port: Path) -> Session:
    """Open and configure, again and again, as a station does."""
    deadline_s = time.monotonic() + READY_WITHIN_S
    pause = threading.Event()
    while True:
        try:
            session = Session(SerialLink.open(str(port)))
        except DriverError:
            assert time.monotonic() < deadline_s, "not ready in time"
            pause.wait(0.05)
            continue
        try:
            session.perform(DEVICE.open())
            session.perform(DEVICE.configure(UNIT, SETTINGS))
            return session
        except DriverError:
            session.close()
            assert time.monotonic() < deadline_s, "not ready in time"


def test_scans_over_a_terminal_follow_each_other_and_can_be_replayed(port: Path, simulate: Simulate):
    recording = io.StringIO()
    with simulate("--speed", "0"):
        session = Session(SerialLink.open(str(port)), trace=RecordTrace(recording))
        unit = session.perform(DEVICE.open())
        session.perform(DEVICE.configure(unit, SETTINGS))
        scans = [session.perform(DEVICE.scan(UNIT, SETTINGS)) for _ in range(3)]
        session.perform(DEVICE.close())
        session.close()

    assert unit.identity.serial_number == "SIM0001"
    assert [(scan.scan_index or 0) & 0xFFFF for scan in scans] == [1, 2, 3]
    assert replayed(recording.getvalue()) == [scan.blob for scan in scans]


def replayed(recording: str) -> list[bytes]:
    with ReplayLink.from_text(recording) as link:
        session = Session(link, clock=link.clock)
        session.perform(DEVICE.open())
        session.perform(DEVICE.configure(UNIT, SETTINGS))
        scans: list[RawScan] = [session.perform(DEVICE.scan(UNIT, SETTINGS)) for _ in range(3)]
        session.perform(DEVICE.close())
    return [scan.blob for scan in scans]


def test_garbage_and_faults_on_a_real_line_are_cured(port: Path, simulate: Simulate):
    with simulate("--speed", "0", "--faults", "garbage=500,corrupt@9,truncate@20,stale@2"):
        session = ready(port)
        indices = [(session.perform(DEVICE.scan(UNIT, SETTINGS)).scan_index or 0) & 0xFFFF for _ in range(2)]
        session.close()

    assert indices == [1, 2]


@pytest.mark.parametrize("after_bytes", [0, 7, 200, 900, 3000])
def test_a_line_that_hangs_up_and_comes_back_is_ready_again_soon(port: Path, simulate: Simulate, after_bytes: int):
    with simulate("--speed", "0", "--faults", f"hangup={after_bytes}:0.2"):
        taken = 0
        while not taken:
            session = ready(port)
            try:
                taken = (session.perform(DEVICE.scan(UNIT, SETTINGS)).scan_index or 0) & 0xFFFF
            except DriverError:
                continue
            finally:
                session.close()

    assert 1 <= taken <= 2


def test_a_scan_in_real_time_is_interrupted_soon_and_the_lamp_command_still_gets_through(
    port: Path, simulate: Simulate
):
    with simulate("--strict-gap"):
        session = ready(port)
        begun, ended_s = threading.Event(), []

        def scan() -> None:
            begun.set()
            with pytest.raises(Interrupted):
                session.perform(DEVICE.scan(UNIT, SETTINGS))
            ended_s.append(time.monotonic())

        station = threading.Thread(target=scan)
        station.start()
        assert begun.wait(5.0)
        interrupted_s = time.monotonic()
        session.interrupt()
        station.join(5.0)
        session.perform(DEVICE.close(), interruptible=False)
        session.close()

    assert ended_s[0] - interrupted_s < 0.3
