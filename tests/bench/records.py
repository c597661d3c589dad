"""Records a second: into the journal, and from the outbox to a broker."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from edged.store.journal import Journal
from edged.store.retention import Retention, require_room
from tests.bench.daemon import broker
from tests.bench.subject import Subject
from tests.bench.table import Row
from tests.bench.timing import quartile, turns
from tests.publish.conftest import Rig
from tests.store.drafts import draft

FILES = {"scan": b"s" * 3822, "spectrum.npz": b"n" * 4200}  # as large as a NIRscan's
BODY = b"b" * 2000
BATCH = 20
LIMIT_PER_S = 2000.0
IN_FLIGHT = 256  # as the publisher's
WITHIN_S = 120.0


class RawTable:
    """The peer: one table, one insert, one commit, with the journal's own durability."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("CREATE TABLE r (seq INTEGER PRIMARY KEY, body BLOB, scan BLOB, spectrum BLOB)")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def append_s(self, count: int, clock: Callable[[], float] = time.perf_counter) -> float:
        """Append records one by one and return the seconds a record."""
        began_s = clock()
        for _ in range(count):
            self._connection.execute(
                "INSERT INTO r (body, scan, spectrum) VALUES (?,?,?)", (BODY, FILES["scan"], FILES["spectrum.npz"])
            )
        return (clock() - began_s) / count


def append(subject: Subject) -> Iterator[Row]:
    """Wall time tells of the disk, CPU time of what hash, chain, schema and outbox cost."""
    rounds = max(1, subject.scale.appends // BATCH)
    policy = Retention(max_age_days=90, max_attachment_bytes=2**31, reserve_bytes=2**20)
    with (
        subject.scratch() as folder,
        Journal.open(folder / "journal.db") as journal,
        RawTable(folder / "raw.db") as raw,
    ):

        def append_s(clock: Callable[[], float]) -> float:
            drafts = [draft(note="n" * 800) for _ in range(BATCH)]
            began_s = clock()
            for one in drafts:
                require_room(journal, policy)
                journal.append(one, attachments=FILES)
            return (clock() - began_s) / BATCH

        found = turns(
            {
                "journal": lambda: append_s(time.perf_counter),
                "raw": lambda: raw.append_s(BATCH),
                "journal, CPU": lambda: append_s(time.process_time),
                "raw, CPU": lambda: raw.append_s(BATCH, time.process_time),
            },
            rounds=rounds,
        )
    best = {name: quartile(values) for name, values in found.items()}
    peer = "raw SQLite insert, same bytes and sync"
    yield Row(
        bench="append",
        what="journal, durable",
        ours=1 / best["journal"],
        other=1 / best["raw"],
        against=peer,
        unit="records/s",
        more_is_better=True,
    )
    yield Row(
        bench="append",
        what="the same, CPU a record",
        ours=best["journal, CPU"] * 1e6,
        other=best["raw, CPU"] * 1e6,
        against=peer,
        unit="us",
    )


def drain(subject: Subject) -> Iterator[Row]:
    """A backlog from connecting to the last acknowledged and marked record, next to a client that only publishes."""
    count = subject.scale.backlog
    with subject.scratch() as folder, broker(folder / "broker") as port:
        bodies = _backlog(folder / "journal.db", count)
        works: dict[str, Callable[[], None]] = {
            "5": lambda: _drain_once(folder, port, "5"),
            "5, peer": lambda: _publish_all(port, bodies, MQTTProtocolVersion.MQTTv5),
            "3.1.1": lambda: _drain_once(folder, port, "3.1.1"),
            "3.1.1, peer": lambda: _publish_all(port, bodies, MQTTProtocolVersion.MQTTv311),
        }
        walls: dict[str, list[float]] = {name: [] for name in works}
        cpus: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(subject.scale.drains):
            for name, work in works.items():
                _refill(folder / "journal.db")
                cpu_s, wall_s = time.process_time(), time.perf_counter()
                work()
                walls[name].append((time.perf_counter() - wall_s) / count)
                cpus[name].append((time.process_time() - cpu_s) / count)
    peer = "a paho loop, QoS 1, nothing kept"
    for version in ("5", "3.1.1"):
        for against, other in (("limit", LIMIT_PER_S), (peer, 1 / quartile(walls[f"{version}, peer"]))):
            yield Row(
                bench="drain",
                what=f"backlog of {count:,} to Mosquitto, MQTT {version}",
                ours=1 / quartile(walls[version]),
                other=other,
                against=against,
                unit="records/s",
                more_is_better=True,
            )
        yield Row(
            bench="drain",
            what=f"MQTT {version}, CPU a record",
            ours=quartile(cpus[version]) * 1e6,
            other=quartile(cpus[f"{version}, peer"]) * 1e6,
            against=peer,
            unit="us",
        )


def _backlog(path: Path, count: int) -> list[bytes]:
    with Journal.open(path) as journal:
        for _ in range(count):
            journal.append(draft(note="n" * 800))
        return list(journal.bodies())


def _refill(path: Path) -> None:
    with Journal.open(path) as journal, journal.database.transaction("enter all again"):
        journal.database.execute("INSERT OR IGNORE INTO outbox (seq) SELECT seq FROM records")


def _drain_once(folder: Path, port: int, protocol: str) -> None:
    rig = Rig(folder, port, in_flight=IN_FLIGHT, protocol=protocol)

    async def scene() -> None:
        async with rig.running():
            await rig.drained(WITHIN_S)

    try:
        asyncio.run(scene())
    finally:
        rig.close()


def _publish_all(port: int, bodies: list[bytes], version: MQTTProtocolVersion) -> None:
    connected, done, left = threading.Event(), threading.Event(), [len(bodies)]

    def published(*_: object) -> None:
        left[0] -= 1
        if not left[0]:
            done.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
    client.max_inflight_messages_set(IN_FLIGHT)
    client.on_connect = lambda *_: connected.set()
    client.on_publish = published
    client.connect("127.0.0.1", port)
    client.loop_start()
    assert connected.wait(WITHIN_S)
    for body in bodies:
        client.publish("edged/v1/bench/bench/result/bench", body, 1)
    assert done.wait(WITHIN_S)
    client.disconnect()
    client.loop_stop()
