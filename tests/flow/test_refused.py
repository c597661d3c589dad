"""A broker that does not let the daemon publish its records: the operator hears of it wherever he looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.broker import Broker
from tests.flow.plant import Plant, edged, eventually, station
from tests.subscriber import Subscriber

PREFIX = "edged/v1/lab/board"
RULES = f"topic read #\ntopic write {PREFIX}/status\ntopic write {PREFIX}/health\ntopic write {PREFIX}/alert\n"


def test_a_record_that_the_broker_refuses_is_told_in_status_health_and_an_alert(tmp_path: Path) -> None:
    (tmp_path / "acl").write_text(RULES)
    with (
        Broker(tmp_path / "broker", extra=f"acl_file {tmp_path}/acl") as broker,
        Subscriber(broker.port, f"{PREFIX}/#") as subscriber,
        Plant(tmp_path, stations=station(tmp_path / "none"), mqtt=f'host = "127.0.0.1"\nport = {broker.port}') as plant,
    ):
        record = plant.ask({"do": "renew", "station": "bench", "note": "new lamp"})["result"]

        def told() -> dict[str, Any] | None:
            warnings = plant.ask({"do": "status"})["result"]["warnings"]
            return next((warning for warning in warnings if warning["code"] == "records_refused"), None)

        warning = eventually(told, "the refusal is told")
        screen = edged("status", "--config", plant.config)
        broker_shown = plant.ask({"do": "status"})["result"]["broker"]
        heard = subscriber.wait_for(
            lambda heard: any(m.topic.endswith("/alert") and m.json["code"] == "records_refused" for m in heard)
        )

        assert warning["severity"] == "warning"
        assert f"record {record['seq']} on {PREFIX}/drift/bench" in warning["detail"]
        assert (broker_shown["connected"], broker_shown["refused"]) == (True, warning["detail"])
        assert "refuses records" in screen.stdout
        assert warning["detail"] in screen.stdout
        assert screen.returncode == 0
        alerts = {m.json["code"]: m.json["text"] for m in heard if m.topic.endswith("/alert")}
        assert alerts["records_refused"] == warning["detail"]
        assert plant.log.count("records wait: ") == 1
