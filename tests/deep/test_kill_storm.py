"""The daemon killed 200 times and the broker restarted 20 times in one run that measures and publishes."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broker import Broker
from tests.flow.plant import Handheld, Plant, edged, eventually, station
from tests.store.drafts import assert_chain
from tests.subscriber import Heard, Subscriber

pytestmark = [pytest.mark.deep, pytest.mark.timeout(1200)]

SEED = 20261121
KILLS = 200
RESTARTS = 20
BEYOND_FIRST_RECORD_S = 1.0  # lives end at any moment from the start of the process to so long after its first record
BROKER_HANGS_S, BROKER_AWAY_S = 0.5, 1.5  # at most, before and after it ends; what it was sent while it hangs is lost


class Asker:
    """Somebody who runs `edged measure` all day, whatever happens; keeps each record that he was given."""

    def __init__(self, plant: Plant) -> None:
        self.acknowledged: list[dict[str, Any]] = []
        self._plant = plant
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, name="asker")

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _ask(self) -> None:
        while not self._stop.wait(0.005):
            with contextlib.suppress(OSError, ValueError):  # killed before we asked, or while
                while not self._stop.is_set():
                    answer = self._plant.ask({"do": "measure", "station": "bench", "lot": "storm"})
                    if not answer["ok"]:
                        break
                    self.acknowledged.append(answer["result"])


def test_nothing_acknowledged_is_lost_and_nothing_stored_stays_unsent_in_200_kills_and_20_restarts_of_the_broker(
    tmp_path: Path, shipped: Path, tell: Callable[[str], None]
) -> None:
    rng = random.Random(SEED)
    began_s = time.monotonic()
    with (
        Handheld(tmp_path / "bench", speed=0.0) as bench,
        Handheld(tmp_path / "line", speed=0.0, serial_number="6100024") as line,
        Broker(tmp_path / "broker") as broker,
        Subscriber(broker.port, "edged/v1/lab/board/result/#", "edged/v1/lab/board/reference/#") as subscriber,
    ):
        places = station(bench.port) + station(line.port, "line", trigger='"interval"', interval_s="1")
        plant = Plant(tmp_path, stations=places, mqtt=f'host = "127.0.0.1"\nport = {broker.port}', bundle=shipped)
        to_first_record_s = prepare(plant)

        lives: list[int] = []  # how many records each life acknowledged before it was killed
        restarts = set(rng.sample(range(KILLS), RESTARTS))
        with Asker(plant) as asker, contextlib.ExitStack() as under_way:
            for turn in range(KILLS):
                before = len(asker.acknowledged)
                life_s = rng.uniform(0.0, to_first_record_s + BEYOND_FIRST_RECORD_S)
                plant.launch()
                if turn in restarts:
                    under_way.close()
                    pauses = [rng.uniform(0.0, most) for most in (life_s, BROKER_HANGS_S, BROKER_AWAY_S)]
                    under_way.enter_context(restarting(broker, *pauses))
                threading.Event().wait(life_s)
                assert plant.stop(signal.SIGKILL)[0] == -signal.SIGKILL, plant.log
                lives.append(len(asker.acknowledged) - before)
            under_way.close()

        with plant.start():
            eventually(lambda: nothing_to_send(plant), "the outbox is empty", within_s=120)
        bodies = stored_bodies(plant.journal)
        heard = subscriber.wait_for(lambda heard: {m.json["id"] for m in heard} >= set(bodies), within_s=60)
        log = plant.log

    records = [json.loads(body) for body in bodies.values()]
    times_heard = Counter(message.json["id"] for message in heard)
    tell(f"{KILLS} kills ({sum(n == 0 for n in lives)} before the first record of that life), {RESTARTS} restarts")
    tell(
        f"{len(asker.acknowledged)} records acknowledged, {len(records)} in the journal, "
        f"{len(heard)} messages for {len(times_heard)} ids, {sum(n > 1 for n in times_heard.values())} ids repeated"
    )
    tell(f"{time.monotonic() - began_s:.0f} s; {to_first_record_s:.2f} s from start to the first record")
    assert "Traceback" not in log
    assert_chain(bodies.values())
    assert verified_by_the_command(plant) == len(records)
    assert [json.loads(bodies[record["id"]]) for record in asker.acknowledged] == asker.acknowledged
    assert_heard_as_stored(heard, bodies)
    assert len(asker.acknowledged) > KILLS
    assert sum(n > 0 for n in lives) > KILLS / 4


def prepare(plant: Plant) -> float:
    """Take the white references; return the seconds from the start of a second life to its first record."""
    with plant.start():
        for name in ("bench", "line"):
            plant.until_state("ready", name)
            answer = plant.ask({"do": "reference", "station": name})
            assert answer["ok"], answer
    began_s = time.monotonic()
    with plant.start():
        plant.until_state("ready")
        assert plant.ask({"do": "measure", "station": "bench"})["ok"]
        return time.monotonic() - began_s


@contextlib.contextmanager
def restarting(broker: Broker, after_s: float, hangs_s: float, away_s: float) -> Iterator[None]:
    """Let the broker hang and end in the middle of what goes on, and start it again; done when the block is left."""

    def restart() -> None:
        pause = threading.Event()
        pause.wait(after_s)
        broker.pause()
        pause.wait(hangs_s)
        broker.stop()
        pause.wait(away_s)
        broker.start()

    thread = threading.Thread(target=restart, name="restarting")
    thread.start()
    yield
    thread.join(30)


def nothing_to_send(plant: Plant) -> bool | None:
    return True if plant.ask({"do": "status"})["result"]["journal"]["to_send"] == 0 else None


def stored_bodies(journal: Path) -> dict[str, bytes]:
    """What an independent reader finds in the journal's file: the bytes of each record, by id, in order."""
    with contextlib.closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT id, CAST(body AS BLOB) FROM records ORDER BY seq").fetchall()
    bodies = {name: bytes(body) for name, body in rows}
    assert len(bodies) == len(rows)
    return bodies


def verified_by_the_command(plant: Plant) -> int:
    """How many records `edged journal verify` found in order."""
    done = edged("journal", "verify", "--json", "--journal", plant.journal)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(json.loads(done.stdout)["records"])


def assert_heard_as_stored(heard: list[Heard], bodies: dict[str, bytes]) -> None:
    """Every record at least once, nothing else, each time with the bytes of the journal, first times in its order."""
    first: dict[str, bytes] = {}
    for message in heard:
        assert message.payload == bodies[message.json["id"]]
        first.setdefault(message.json["id"], message.payload)
    assert list(first) == list(bodies)
