"""One daemon, stations with a model of their own: what each is judged by, and who is told of it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.broker import Broker
from tests.bundle.tiny import dose_bytes, tiny_bytes
from tests.flow.plant import Handheld, Plant, edged, station
from tests.subscriber import Subscriber


def test_each_station_is_judged_by_its_own_model_and_a_bad_one_stops_its_own_station_only(tmp_path: Path) -> None:
    doses = tmp_path / "state" / "bundles" / "doses-2.0.0.edgebundle"
    doses.parent.mkdir(parents=True)
    doses.write_bytes(dose_bytes(name="doses", version="2.0.0", quantity="intensity", gates=[]))
    usual = tmp_path / "usual.edgebundle"
    usual.write_bytes(tiny_bytes(name="usual", quantity="intensity"))
    options = ("--white", "0", "--sample", "100AC")
    with (
        Handheld(tmp_path / "nirscan", *options) as one,
        Handheld(tmp_path / "second", *options, serial_number="6100041") as two,
        Broker(tmp_path / "broker") as broker,
        Subscriber(broker.port, "edged/v1/lab/board/#") as subscriber,
        Plant(
            tmp_path,
            stations=station(one.port)
            + station(two.port, "dose", bundle='"doses"', procedure='"quantify"')
            + station(tmp_path / "none", "broken", bundle='"nothing"'),
            mqtt=f'host = "127.0.0.1"\nport = {broker.port}',
            bundle=usual,
        ) as plant,
    ):
        for name in ("bench", "dose"):
            plant.until_state("ready", name)
        records = [plant.ask({"do": "measure", "station": name})["result"] for name in ("bench", "dose")]
        refused = plant.ask({"do": "measure", "station": "broken"})
        status = plant.ask({"do": "status"})["result"]
        config = ("--config", plant.config)
        screen, doctor, listed = (
            edged(*words, *config).stdout for words in (["status"], ["doctor", "--json"], ["bundle", "list", "--json"])
        )
        heard = subscriber.wait_for(lambda all_: any("/dose" in m.topic for m in all_))

    assert [(r["bundle"]["name"], r["procedure"]) for r in records] == [("usual", "identify"), ("doses", "quantify")]
    assert refused["error"]["code"] == "model_fault"
    assert "no bundle 'nothing'" in refused["error"]["message"]
    assert status["bundle"]["name"] == "usual"
    own = {shown["name"]: shown["bundle"] for shown in status["stations"]}
    assert (own["bench"], own["dose"]["name"], own["broken"]["name"]) == (None, "doses", None)
    (fault,) = [warning for warning in status["warnings"] if warning["code"] == "bundle_unusable"]
    assert (fault["subject"], fault["severity"]) == ("broken", "fault")
    assert "model doses 2.0.0" in screen
    assert "no bundle 'nothing'" in screen
    findings = {finding["about"]: finding for finding in json.loads(doctor)}
    assert [findings[f"bundle{of}"]["level"] for of in ("", " of dose", " of broken")] == ["ok", "ok", "fail"]
    shown = {entry["name"]: (entry["state"], entry["stations"]) for entry in map(json.loads, listed.splitlines())}
    assert shown["usual"] == ("file", ["bench"])
    assert shown["doses-2.0.0"] == ("installed", ["dose"])
    assert shown["nothing"] == ("missing", ["broken"])
    assert shown["powders12-1.4.0"][1] == []
    report = [message.json for message in heard if message.topic.endswith("bundle/reported")][-1]
    assert (report["name"], report["labels"]) == ("usual", ["A", "B", "C"])
    assert {name: told["name"] for name, told in report["stations"].items()} == {"dose": "doses", "broken": None}
    assert report["stations"]["dose"]["digest"] == records[1]["bundle"]["digest"]
