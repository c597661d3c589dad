"""An instrument has to prove itself before it is believed: the daemon, two Raman units on USB, their axes off."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.broker import Broker
from tests.bundle.tiny import POINTS, tiny_bytes
from tests.drivers.talking import Talking, talking
from tests.flow.plant import Plant, eventually
from tests.subscriber import Subscriber

SKEW_CM1 = 5.4  # 0.4 nm at 1001.4 1/cm from 784.82 nm
STATION = """[station.bench]
kind = "wasatch"
port = "usb"
[station.bench.settings]
integration_ms = 100
repeats = 2
laser_mw = 180
[station.bench.quality]
min_snr = 0
[station.bench.selftest]
gate = "required"
material = "polystyrene"
"""


@pytest.fixture
def bus() -> Iterator[Talking]:
    if shutil.which("umockdev-wrapper") is None:
        pytest.skip("umockdev is not installed: .ci/set-up test")
    with talking(sys.executable, "-m", "tests.flow.skewed_units") as simulator:
        yield simulator


def plant_on(bus: Talking, folder: Path, stations: str, mqtt: str = "enabled = false") -> Plant:
    axis = {"unit": "cm-1", "start": 990.0, "stop": 1_025.0, "points": POINTS}
    bundle = folder / "raman.edgebundle"
    bundle.write_bytes(tiny_bytes(technique="raman", quantity="intensity", axis=axis))
    shown = f"UMOCKDEV_DIR={bus.event('ready')['umockdev_dir']}"
    bus.say("2: unplug")
    return Plant(folder, stations=stations, bundle=bundle, mqtt=mqtt, through=("env", shown, "umockdev-wrapper"))


def measured(plant: Plant) -> dict[str, Any]:
    record = json.loads(plant.edged("measure", "bench", "--json").output)
    assert isinstance(record, dict)
    return record


def is_required(record: dict[str, Any]) -> bool:
    codes = [reason["code"] for reason in record["quality"]["reasons"]]
    assert (record["verdict"]["outcome"] == "rejected") == ("selftest_required" in codes)
    return "selftest_required" in codes


def strongest_cm1(plant: Plant, record: dict[str, Any]) -> float:
    """Where the strongest point of the spectrum that was judged is, as an independent reader finds it."""
    connection = sqlite3.connect(f"file:{plant.journal}?mode=ro", uri=True)
    try:
        ((data,),) = connection.execute(
            "SELECT data FROM attachments WHERE seq = ? AND name = 'spectrum.npz'", (record["seq"],)
        )
    finally:
        connection.close()
    with np.load(io.BytesIO(data)) as spectrum:
        return float(spectrum["axis"][np.argmax(spectrum["values"])])


def warnings_of(plant: Plant) -> dict[str, str]:
    return {w["code"]: w["detail"] for w in plant.ask({"do": "status"})["result"]["warnings"]}


def test_an_instrument_is_believed_from_its_self_test_on_until_it_fails_one(bus: Talking, tmp_path: Path) -> None:
    with plant_on(bus, tmp_path, STATION) as plant:
        plant.until_state("ready")
        before = measured(plant)
        due = warnings_of(plant)
        tested = plant.edged("selftest", "bench")
        after = measured(plant)
        screen = plant.edged("status").output
        found_before, found_after = strongest_cm1(plant, before), strongest_cm1(plant, after)

        bus.say("1: sample paracetamol")
        swapped = plant.edged("selftest", "bench", "--json")
        again = measured(plant)
        failed = warnings_of(plant)

    assert is_required(before)
    assert "selftest_due" in due
    assert tested.exit_code == 0, tested.output
    assert "pass  axis" in tested.output
    assert not is_required(after)
    assert [c for c in after["reading"]["corrections"] if c.startswith("axis/1")] == ["axis/1 linear, polystyrene"]
    assert found_before == pytest.approx(1001.4 + SKEW_CM1, abs=1.3)  # a pixel is 2.3 1/cm there
    assert found_after == pytest.approx(1001.4, abs=1.3)
    assert "self test with polystyrene: pass" in screen
    assert swapped.exit_code == 1
    assert json.loads(swapped.output)["selftest"]["correction"] is None
    assert is_required(again)
    assert not [c for c in again["reading"]["corrections"] if c.startswith("axis/1")]
    assert "polystyrene" in failed["selftest_failed"]
    assert "selftest_due" not in failed


def test_its_state_outlives_the_daemon_and_belongs_to_one_instrument(bus: Talking, tmp_path: Path) -> None:
    with plant_on(bus, tmp_path, STATION) as plant:
        plant.until_state("ready")
        assert plant.edged("selftest", "bench").exit_code == 0
        plant.stop()
        plant.start()
        plant.until_state("ready")
        restarted = measured(plant)

        bus.say("1: unplug")
        plant.until_state("absent")
        absent = warnings_of(plant)
        bus.say("2: plug")
        plant.until_state("ready")
        another = measured(plant)

        bus.say("2: unplug")
        plant.until_state("absent")
        bus.say("1: plug")
        plant.until_state("ready")
        back = measured(plant)

    assert not is_required(restarted)
    assert "axis/1 linear, polystyrene" in restarted["reading"]["corrections"]
    assert not {"selftest_due", "selftest_failed"} & set(absent)
    assert another["instrument"]["serial_number"] != back["instrument"]["serial_number"]
    assert is_required(another)
    assert not is_required(back)


def test_a_self_test_runs_by_itself_where_its_material_is_always_in_place(bus: Talking, tmp_path: Path) -> None:
    with plant_on(bus, tmp_path, STATION + "interval_h = 1\n") as plant:
        plant.until_state("ready")

        def by_itself() -> dict[str, Any] | None:
            return next((record for record in plant.records() if record["kind"] == "selftest"), None)

        record = eventually(by_itself, "a self test by itself")
        believed = measured(plant)

    assert record["selftest"]["verdict"] == "pass"
    assert not is_required(believed)


def test_a_self_test_by_command_is_answered_published_and_raises_an_alert_when_it_fails(
    bus: Talking, tmp_path: Path
) -> None:
    top = "edged/v1/lab/board"
    with (
        Broker(tmp_path / "broker") as broker,
        Subscriber(broker.port, f"{top}/#") as subscriber,
        plant_on(bus, tmp_path, STATION, mqtt=f'host = "127.0.0.1"\nport = {broker.port}') as plant,
    ):
        plant.until_state("ready")
        subscriber.wait_for(lambda heard: any(m.topic == f"{top}/status" for m in heard))
        bus.say("1: sample paracetamol")
        subscriber.publish(f"{top}/cmd/selftest", b'{"station":"bench","material":"polystyrene","request_id":"1"}')
        heard = subscriber.wait_for(
            lambda heard: (
                {f"{top}/cmd/selftest/reply", f"{top}/selftest/bench"} <= {m.topic for m in heard}
                and any(m.topic == f"{top}/alert" and m.json["code"] == "selftest_failed" for m in heard)
            )
        )

    of = {m.topic: m.json for m in heard}
    assert of[f"{top}/cmd/selftest/reply"]["result"]["record"] == of[f"{top}/selftest/bench"]
    assert of[f"{top}/selftest/bench"]["selftest"]["verdict"] == "fail"
    (alert,) = [m.json for m in heard if m.topic == f"{top}/alert" and m.json["code"] == "selftest_failed"]
    assert (alert["active"], alert["station"]) == (True, "bench")
    assert "polystyrene" in alert["text"]
    assert alert["hint"].endswith("edged selftest bench")
