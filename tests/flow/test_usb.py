"""The daemon and instruments on USB: an unmodified libusb, a bus that umockdev shows to it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.talking import Talking, talking
from tests.flow.plant import Plant

PARKED_S = 30.0  # how long a parked station waits before it looks by itself


@pytest.fixture
def bus() -> Iterator[Talking]:
    if shutil.which("umockdev-wrapper") is None:
        pytest.skip("umockdev is not installed: .ci/set-up test")
    with talking(sys.executable, "-m", "tests.flow.two_units") as simulator:
        yield simulator


def test_a_station_that_two_units_confuse_is_ready_as_soon_as_one_is_pulled_out(bus: Talking, tmp_path: Path) -> None:
    shown = f"UMOCKDEV_DIR={bus.event('ready')['umockdev_dir']}"
    stations = '[station.bench]\nkind = "ooi"\nport = "usb"\n'
    with Plant(tmp_path, stations=stations, through=("env", shown, "umockdev-wrapper")) as plant:
        parked = plant.until_state("parked")

        bus.say("1: unplug")
        began_s = time.monotonic()
        ready = plant.until_state("ready")
        waited_s = time.monotonic() - began_s

    assert "usb:1-1" in str(parked)
    assert "usb:1-2" in str(parked)
    assert "NQ2" in str(ready)
    assert waited_s < 3.0 < PARKED_S


def test_a_station_survives_unplugging_and_finds_its_instrument_at_its_place(bus: Talking, tmp_path: Path) -> None:
    shown = f"UMOCKDEV_DIR={bus.event('ready')['umockdev_dir']}"
    stations = '[station.bench]\nkind = "ooi"\nport = "usb:1-2"\n'
    with Plant(tmp_path, stations=stations, through=("env", shown, "umockdev-wrapper")) as plant:
        plant.until_state("ready")
        for _ in range(3):
            bus.say("2: unplug")
            plant.until_state("absent")
            bus.say("2: plug")
            began_s = time.monotonic()
            plant.until_state("ready")

            assert time.monotonic() - began_s < 3.0
