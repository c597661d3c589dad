"""A broker of one's own, and a publisher on its own loop with a journal behind it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from edged.publish.commands import Command
from edged.publish.mqtt import Publisher
from edged.publish.payloads import Description, Health, StationInfo
from edged.publish.settings import MqttSettings
from edged.store.journal import Journal
from edged.store.record import Record
from tests.broker import Broker
from tests.store.drafts import draft

T = TypeVar("T")
STATION = StationInfo(name="bench", kind="nirscan", procedure="identify", preset="balanced")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker") as running:
        yield running


class Rig:
    """A publisher and its journal. The journal lives on its own thread, as in the daemon."""

    def __init__(self, folder: Path, port: int, **settings: Any) -> None:
        self.path = folder / "journal.db"
        self.commands: list[Command] = []
        self.carried_out = asyncio.Event()
        self.carried_out.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._journal: Journal | None = None
        defaults: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": port,
            "site": "plant-1",
            "device": "edge-1",
            "backoff_min_s": 0.05,
            "backoff_max_s": 0.2,
        }
        self.publisher = Publisher(
            MqttSettings(**{**defaults, **settings}),
            store=lambda work: self.store(work),  # looked up at each call: a test may put another in its place
            on_command=self._carry_out,
            describe=lambda: Description(version="0", stations=(STATION,)),
            health=lambda: Health(state="well", uptime_s=1.0),
            rng=random.Random(1),
        )

    async def store(self, work: Callable[[Journal], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)

    async def append(self, count: int = 1, **fields: Any) -> list[Record]:
        records = await self.store(lambda journal: [journal.append(draft(**fields)) for _ in range(count)])
        self.publisher.notify()
        return records

    async def drained(self, within_s: float = 30.0) -> None:
        async with asyncio.timeout(within_s):
            while await self.store(lambda journal: journal.outbox.depth()):
                await asyncio.sleep(0.01)

    async def until(self, wanted: Callable[[], bool], within_s: float = 20.0) -> None:
        async with asyncio.timeout(within_s):
            while not wanted():
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Publisher]:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.publisher.run())
            try:
                yield self.publisher
            finally:
                self.publisher.stop()

    def close(self) -> None:
        if self._journal is not None:
            self._thread.submit(self._journal.close).result()
        self._thread.shutdown()

    def _work(self, work: Callable[[Journal], T]) -> T:
        if self._journal is None:
            self._journal = Journal.open(self.path)
        return work(self._journal)

    async def _carry_out(self, command: Command) -> dict[str, Any]:
        self.commands.append(command)
        await self.carried_out.wait()
        return {"count": len(self.commands)}


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    rigs: list[Rig] = []

    def make(port: int, **settings: Any) -> Rig:
        rigs.append(Rig(tmp_path, port, **settings))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()
