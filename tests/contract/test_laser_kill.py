"""A process that is killed while the laser shines: a true SIGKILL, an unmodified libusb, and a clock on the wall."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.drivers.talking import Talking, talking

SPEED = 4.0  # of the instrument's clock: its watchdog too


@contextmanager
def unit() -> Iterator[Talking]:
    if shutil.which("umockdev-wrapper") is None:
        pytest.skip("umockdev is not installed: .ci/set-up test")
    command = (sys.executable, "-m", "firmware_sim.main", "wasatch", "--usb", "--json", "--model", "xs-imx")
    with talking(*command, "--speed", f"{SPEED:g}") as simulator:
        yield simulator
        simulator.say("quit")


@contextmanager
def client(directory: str) -> Iterator[Talking]:
    command = ("umockdev-wrapper", sys.executable, "-m", "tests.contract.laser_client")
    with talking(*command, env={"UMOCKDEV_DIR": directory}) as program:
        yield program


@pytest.mark.deep
def test_after_a_kill_the_watchdog_ends_the_light_and_the_next_opening_finds_it_off() -> None:
    with unit() as simulator:
        directory = simulator.event("ready")["umockdev_dir"]
        with client(directory) as killed:
            watchdog_s = killed.event("ready")["watchdog_s"]
            killed.say("measure")
            assert simulator.event("light")["on"]
            lit_s = time.monotonic()
            killed.process.kill()
            killed.process.wait()
        assert not simulator.event("light")["on"]
        assert simulator.event("watchdog")["seconds"] == watchdog_s
        assert time.monotonic() - lit_s < watchdog_s / SPEED + 0.5

        with client(directory) as program:
            program.event("ready")
            assert program.ask("measure")["laser_mw"] == 40.0
            assert simulator.event("light")["on"]
            assert not simulator.event("light")["on"]


@pytest.mark.deep
def test_the_next_opening_ends_the_light_when_it_comes_before_the_watchdog() -> None:
    with unit() as simulator:
        directory = simulator.event("ready")["umockdev_dir"]
        with client(directory) as killed:
            killed.event("ready")
            killed.say("measure")
            assert simulator.event("light")["on"]
            killed.process.kill()
            killed.process.wait()
        with client(directory) as program:
            assert simulator.event("laser")["on"] is False
            assert not simulator.event("light")["on"]
            assert program.event("ready")["watchdog_s"] > 0
