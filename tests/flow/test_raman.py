"""A Raman instrument with its laser, from the bus to the record: self test, gate, and the session's axis."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drivers.talking import Talking, talking
from tests.flow.plant import Plant

STATION = """[station.bench]
kind = "wasatch"
port = "usb"
settings.integration_ms = 300
settings.repeats = 3
settings.laser_mw = 60
selftest.gate = "required"
selftest.material = "polystyrene"
"""


@pytest.fixture
def bus() -> Iterator[Talking]:
    if shutil.which("umockdev-wrapper") is None:
        pytest.skip("umockdev is not installed: .ci/set-up test")
    words = ("--usb", "--sample", "polystyrene", "--json")
    with talking(sys.executable, "-m", "firmware_sim.main", "wasatch", *words) as simulator:
        yield simulator


@pytest.mark.deep  # a laser warns for three real seconds before each scan
def test_an_instrument_has_to_prove_itself_before_it_is_believed(bus: Talking, tmp_path: Path) -> None:
    shown = f"UMOCKDEV_DIR={bus.event('ready')['umockdev_dir']}"
    with Plant(tmp_path, stations=STATION, through=("env", shown, "umockdev-wrapper")) as plant:
        plant.until_state("ready")

        before = json.loads(plant.edged("measure", "bench", "--json").output)
        tested = plant.edged("selftest", "bench")
        after = json.loads(plant.edged("measure", "bench", "--json").output)
        bus.say("sample paracetamol")
        swapped = plant.edged("selftest", "bench", "--json")

    assert "selftest_required" in [reason["code"] for reason in before["quality"]["reasons"]]
    assert before["verdict"]["outcome"] == "rejected"
    assert tested.exit_code == 0, tested.output
    assert "1001.4" in tested.output
    assert not [reason for reason in after["quality"]["reasons"] if reason["code"].startswith("selftest")]
    assert after["reading"]["settings"]["laser_mw"] <= 60
    assert swapped.exit_code == 1
    assert json.loads(swapped.output)["selftest"]["verdict"] == "fail"
