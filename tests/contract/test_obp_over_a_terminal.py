"""OBP over a real pseudo terminal: the rate is found, raised and kept, and bytes take their time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from drivers import registry
from drivers.contract import ExposureSettings, Unit
from drivers.links.serial import SerialLink
from drivers.links.tcp import TcpLink
from drivers.session import Session

DEVICE = registry.load("obp")
SETTINGS = ExposureSettings(integration_ms=10.0, repeats=2)
Simulate = Callable[..., AbstractContextManager[dict[str, str]]]


@pytest.fixture
def simulate(repository: Path) -> Simulate:
    """`edged-sim obp` until the block is left; yields what it says when it is ready."""

    @contextmanager
    def running(*options: str) -> Iterator[dict[str, str]]:
        command = [sys.executable, "-m", "firmware_sim.main", "obp", "--sample", "ramp", "--json", *options]
        with subprocess.Popen(
            command, cwd=repository, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                yield json.loads(process.stdout.readline())
            finally:
                process.terminate()

    return running


def opened(session: Session, medium: str = "serial") -> Unit:
    unit: Unit = session.perform(DEVICE.over(medium).open())  # type: ignore[arg-type]
    session.perform(DEVICE.configure(unit, SETTINGS))
    return unit


@pytest.mark.parametrize("baud", ["9600", "115200"])
def test_the_rate_is_found_and_a_spectrum_takes_as_long_as_its_bytes_at_115200(
    baud: str, tmp_path: Path, simulate: Simulate
):
    port = tmp_path / "sts"
    with simulate("--pty", str(port), "--baud", baud), Session(SerialLink.open(str(port))) as session:
        unit = opened(session)
        began_s = time.monotonic()
        scan = session.perform(DEVICE.scan(unit, SETTINGS))
        took_s = time.monotonic() - began_s
        session.perform(DEVICE.close())

    assert unit.identity.serial_number == "SIM0001"
    assert unit.notes == ()
    assert (len(scan.counts), scan.raw.shape) == (1024, (2, 1024))
    assert np.polyfit(np.arange(1024), scan.counts, 1)[0] > 0
    assert took_s > 2 * (2112 * 10 / 115_200 + 0.01)  # the line was as slow as it really is


def test_a_session_that_comes_after_one_that_died_finds_the_raised_rate_at_once(tmp_path: Path, simulate: Simulate):
    port = tmp_path / "sts"
    with simulate("--pty", str(port)):
        for _ in range(2):
            link = SerialLink.open(str(port))
            unit = opened(Session(link))
            link.close()  # nobody said good-bye

    assert unit.identity.model == "STS-NIR"


def test_an_instrument_with_a_socket_of_its_own_is_read_over_tcp(simulate: Simulate):
    with simulate("--tcp", "0", "--model", "fx") as ready:
        address = str(ready["tcp"])
        with Session(TcpLink.open(address if ":" in address else f"127.0.0.1:{address}")) as session:
            unit = opened(session, "tcp")
            scan = session.perform(DEVICE.scan(unit, SETTINGS))

    assert unit.identity.model == "Ocean FX"
    assert len(scan.counts) == 2136
