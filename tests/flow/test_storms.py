"""Long bad days: cables pulled at every place of a scan, the daemon killed and the broker restarted again and again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import signal
import sqlite3
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tests.broker import Broker
from tests.flow.plant import Handheld, Plant, eventually, station
from tests.subscriber import Subscriber

pytestmark = [pytest.mark.deep, pytest.mark.timeout(1800)]

MEASURE = {"do": "measure", "station": "bench"}
STRIDE_BYTES = 29  # prime to every length of a reply, so all places in a frame are met; about 150 cuts
KILLS = 200
BROKER_RESTARTS = 20


def test_a_cable_pulled_anywhere_in_a_scan_leaves_no_record_and_the_station_is_back_within_3_s(
    tmp_path: Path,
) -> None:
    with (
        Handheld(tmp_path / "nirscan", speed=50.0) as handheld,
        Plant(tmp_path, stations=station(handheld.port)) as plant,
    ):
        plant.until_state("ready")
        handheld.tell("white")
        records = [plant.ask({"do": "reference", "station": "bench"})["result"]["id"]]
        pid, cuts, cut_at = plant.pid, 0, 0
        while True:
            lost = len(handheld.said("fault"))
            handheld.tell(f"faults hangup={cut_at}:0.1")
            answer = plant.ask(MEASURE)
            if answer["ok"]:
                records.append(answer["result"]["id"])
            if len(handheld.said("fault")) == lost:
                break  # the scan was over before so many bytes had been sent: every place was met
            began_s = time.monotonic()
            plant.until_state("ready", within_s=3.2)
            assert time.monotonic() - began_s < 3.2
            assert [record["id"] for record in plant.records()] == records
            cuts += 1
            cut_at += STRIDE_BYTES

        assert cuts > 100
        assert (plant.pid, plant.is_running) == (pid, True)


def test_whatever_was_acknowledged_survives_200_kills_and_20_restarts_of_the_broker(tmp_path: Path) -> None:
    rng = random.Random(20261121)
    acknowledged: list[dict[str, Any]] = []
    restarts = set(rng.sample(range(KILLS), BROKER_RESTARTS))
    with (
        Handheld(tmp_path / "nirscan", speed=50.0) as handheld,
        Broker(tmp_path / "broker") as broker,
        Subscriber(broker.port, "edged/v1/lab/board/result/#", "edged/v1/lab/board/reference/#") as subscriber,
    ):
        mqtt = f'host = "127.0.0.1"\nport = {broker.port}'
        plant = Plant(tmp_path, stations=station(handheld.port), mqtt=mqtt)
        for turn in range(KILLS):
            plant.start()
            stop = threading.Event()
            asking = threading.Thread(target=ask_until, args=(plant, stop, acknowledged))
            asking.start()
            if turn in restarts:
                broker.stop()
            time.sleep(rng.uniform(0.05, 1.0))
            plant.stop(signal.SIGKILL)
            stop.set()
            asking.join(30)
            if turn in restarts:
                broker.start()
        with plant.start():
            eventually(
                lambda: True if plant.ask({"do": "status"})["result"]["journal"]["to_send"] == 0 else None,
                "the outbox is empty",
                within_s=120,
            )
        stored = {record["id"]: record for record in plant.records()}
        heard = subscriber.wait_for(lambda heard: {m.json["id"] for m in heard} >= set(stored), within_s=60)

    delivered = defaultdict(set)
    for message in heard:
        delivered[message.json["id"]].add(message.payload)
    print(f"{len(acknowledged)} acknowledged, {len(stored)} stored, {len(heard)} delivered")
    assert len(acknowledged) > KILLS
    assert [stored.get(record["id"]) for record in acknowledged] == acknowledged
    assert_chain_holds(plant.journal)
    assert set(delivered) == set(stored)
    assert all(len(payloads) == 1 for payloads in delivered.values())


def ask_until(plant: Plant, stop: threading.Event, acknowledged: list[dict[str, Any]]) -> None:
    """Measure again and again; keep each record that was acknowledged."""
    with contextlib.suppress(OSError, ValueError):  # killed while we asked
        while not stop.is_set():
            answer = plant.ask(MEASURE if acknowledged else {"do": "reference", "station": "bench"})
            if answer["ok"]:
                acknowledged.append(answer["result"])
            else:
                stop.wait(0.02)


def assert_chain_holds(journal: Path) -> None:
    """By the words of the journal's own description, with none of its code."""
    connection = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        bodies = [bytes(body) for (body,) in connection.execute("SELECT body FROM records ORDER BY seq")]
    finally:
        connection.close()
    before = "0" * 64
    for seq, body in enumerate(bodies, 1):
        record = json.loads(body)
        bare = body.replace(f'"hash":"{record["hash"]}",'.encode(), b"")
        assert (record["seq"], record["prev_hash"]) == (seq, before)
        assert hashlib.sha256(bare).hexdigest() == record["hash"]
        before = record["hash"]
