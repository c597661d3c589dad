"""A lamp that ages, from the filament to the alert, through a power cut, and out of it by order."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from edged.bundle.slots import built_in
from tests.broker import Broker
from tests.flow.plant import Handheld, Plant, eventually, station
from tests.subscriber import Heard, Subscriber

LEARNED_FROM = 40


def measured(plant: Plant, count: int) -> None:
    for _ in range(count):
        answer = plant.ask({"do": "measure", "station": "bench"})
        assert answer["result"]["verdict"]["label"] == "100AC", answer


def known(plant: Plant, state: str, readings: int) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = plant.station()["drift"]
        return found[0] if found and (found[0]["state"], found[0]["readings"]) == (state, readings) else None

    return eventually(look, f"{readings} readings, {state}")


def is_lamp_alert(message: Heard) -> bool:
    return message.topic.endswith("/alert") and message.json["code"] == "drift_lamp"


def drifts(plant: Plant) -> list[dict[str, Any]]:
    return [record for record in plant.records() if record["kind"] == "drift"]


def test_an_ageing_lamp_is_named_told_once_survives_a_power_cut_and_ends_with_a_new_one(tmp_path: Path) -> None:
    bundle = built_in()
    assert bundle is not None
    with (
        Handheld(tmp_path / "nirscan", "--sample", "100AC", speed=0) as handheld,
        Broker(tmp_path / "broker") as broker,
        Subscriber(broker.port, "edged/v1/lab/board/alert", "edged/v1/lab/board/drift/#") as subscriber,
        Plant(
            tmp_path,
            stations=station(handheld.port) + f"[drift]\nreadings = {LEARNED_FROM}\n",
            mqtt=f'host = "127.0.0.1"\nport = {broker.port}',
            bundle=bundle,
        ) as plant,
    ):
        plant.until_state("ready")
        assert plant.ask({"do": "reference", "station": "bench"})["ok"]
        measured(plant, LEARNED_FROM)
        known(plant, "steady", 0)
        handheld.tell("drift lamp=-0.02")
        measured(plant, 20)
        alarm = known(plant, "alarm", 20)
        subscriber.wait_for(lambda all_: any(is_lamp_alert(m) for m in all_))
        plant.stop(signal.SIGKILL)
        plant.start()
        plant.until_state("ready")
        measured(plant, 3)
        again = known(plant, "alarm", 23)
        shown, status = plant.edged("drift", "show"), plant.edged("status")
        replayed = [json.loads(line) for line in plant.edged("drift", "replay", "--json").output.splitlines()]
        heard = subscriber.wait_for(lambda all_: sum(is_lamp_alert(m) for m in all_) >= 2)  # one by each daemon
        refused = plant.edged("drift", "renew", "bench", "--product", "100XX", "--note", "no such")
        renewed = plant.edged("drift", "renew", "bench", "--operator", "kl", "--note", "new lamp")
        eventually(lambda: True if plant.station()["drift"] == [] else None, "nothing is known any more")
        over = subscriber.wait_for(lambda all_: any(is_lamp_alert(m) and not m.json["active"] for m in all_))
        records, verified = drifts(plant), plant.edged("journal", "verify")

    baseline, began, order = (record["drift"] for record in records)
    assert (baseline["event"], baseline["readings"]) == ("baseline", LEARNED_FROM)
    assert (began["event"], began["cause"], began["product"]) == ("began", "lamp", "100AC")
    first_dim = 1 + LEARNED_FROM + 1 + 1  # a reference, the readings, what was learned of them
    assert first_dim - 5 <= began["since_seq"] <= first_dim + 5
    assert began["hint"].endswith('edged drift renew bench --note "new lamp"')
    assert alarm["alarm"] == again["alarm"] == began["message"]
    for text in (shown.output, status.output):
        assert began["message"] in " ".join(text.split())
    assert [(told["event"], told.get("cause")) for told in replayed] == [("baseline", None), ("began", "lamp")]
    assert replayed[1]["since_seq"] == began["since_seq"]
    lamp = {(m.json["active"], m.json["station"], m.json["text"]) for m in heard if is_lamp_alert(m)}
    assert lamp == {(True, "bench", began["message"])}
    published = [message.json["drift"]["event"] for message in over if "/drift/bench" in message.topic]
    assert list(dict.fromkeys(published))[:2] == ["baseline", "began"]
    assert (order["event"], records[2]["operator"], records[2]["note"]) == ("renewed", "kl", "new lamp")
    assert (refused.exit_code, renewed.exit_code) == (1, 0)
    assert "there are: 100AC" in refused.output
    assert [m.json["active"] for m in over if is_lamp_alert(m)] == [True, True, False]
    assert verified.exit_code == 0, verified.output
