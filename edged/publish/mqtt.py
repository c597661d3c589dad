"""The publisher: keeps one connection to the broker for as long as the daemon lives, and everything that goes over it.

It lives on the loop; the connection's thread reaches it through `loop.call_soon_threadsafe` and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from edged import __version__
from edged.infer.verdict import Model
from edged.publish.commands import CommandHandler, Commands
from edged.publish.connection import Acknowledged, Arrived, Closed, Connected, Connection, Event, Message, Version
from edged.publish.drain import Drain, Refusals, StoreCaller
from edged.publish.payloads import Alert, BundleReport, Description, Health, Status, to_json
from edged.publish.schema import editions
from edged.publish.settings import MqttSettings
from edged.publish.topics import ALERT, BUNDLE, DESCRIPTION, HEALTH, STATUS, Names, Topic
from edged.store.errors import StoreError

log = logging.getLogger(__name__)

STEADY_S = 10.0  # a connection that lasted so long was a good one: the next failure starts from the shortest wait
MAX_ALERTS = 64  # kept while there is no broker; then the oldest go, since health tells what holds at present
GRACE_S = 0.5  # for a thread that has nothing left to do
GOODBYE = "goodbye"  # token of the last message
PATIENCE = 2  # silences after which a broker that once spoke MQTT 5 is asked with 3.1.1; a stranger is at once


@dataclass(frozen=True, slots=True, kw_only=True)
class PublisherState:
    """How publishing does. `error` is why there is no connection or no progress at this moment; "" when all is well.

    refused: the oldest record that the broker does not take and why, until it does; "" when there is none.
    """

    connected: bool = False
    protocol: Version | None = None
    failures: int = 0
    sent: int = 0
    error: str = ""
    refused: str = ""


class Publisher:
    """Sends the outbox and the daemon's state, takes commands. `run` it as one task; all methods belong to the loop.

    store: runs a function on the store's thread. on_command: carries out a command, returns the reply's `result` or
    raises CommandRefused. describe, health, bundle: what to say at each connection; called on the loop, must not block
    (`schemas` of the description is filled in here).
    """

    def __init__(
        self,
        settings: MqttSettings,
        *,
        store: StoreCaller,
        on_command: CommandHandler,
        describe: Callable[[], Description],
        health: Callable[[], Health],
        bundle: Callable[[], BundleReport] = BundleReport,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings
        self.names = Names(site=settings.site, device=settings.device)
        self._store = store
        self._describe = describe
        self._health = health
        self._bundle = bundle
        self._monotonic = monotonic
        self._wall = wall
        self._rng = rng or random.Random()  # noqa: S311  (spreads reconnections, hides nothing)
        self._commands = Commands(names=self.names, handler=on_command, send=self._send)
        self._stopping = False
        self._stop: asyncio.Future[None] | None = None  # belongs to the loop that runs us
        self._refreshing = asyncio.Event()
        self._alerts: deque[Alert] = deque(maxlen=MAX_ALERTS)
        self._connection: Connection | None = None  # set while the broker listens
        self._drain: Drain | None = None
        self._five_spoken = False
        self._sent_before = 0
        self._refusals = Refusals()
        self._state = PublisherState()

    @property
    def state(self) -> PublisherState:
        """How publishing does at this moment."""
        if self._drain is None:
            return replace(self._state, sent=self._sent_before, refused=str(self._refusals))
        error, sent = self._drain.problem or self._state.error, self._sent_before + self._drain.sent
        return replace(self._state, sent=sent, error=error, refused=str(self._refusals))

    def notify(self) -> None:
        """A record was stored: send it."""
        if self._drain is not None:
            self._drain.notify()

    def refresh(self) -> None:
        """Something changed that description, bundle or health tell: say it now."""
        self._refreshing.set()

    def alert(self, alert: Alert) -> None:
        """Say that a fault began or ended, now or when there is a broker again."""
        if self._connection is not None:
            self._say(self._connection, ALERT, alert)
        else:
            self._alerts.append(alert)

    def stop(self) -> None:
        """Make `run` say goodbye and return, within `stop_within_s`."""
        self._stopping = True
        if self._stop is not None and not self._stop.done():
            self._stop.set_result(None)

    async def run(self) -> None:
        """Keep publishing until `stop` or cancellation; both say goodbye first. Raises nothing for a broker's sake."""
        self._stop = asyncio.get_running_loop().create_future()
        if self._stopping:
            return
        async with asyncio.TaskGroup() as jobs:
            try:
                await self._keep_connected(jobs)
            finally:
                self._commands.cancel()

    async def _keep_connected(self, jobs: asyncio.TaskGroup) -> None:
        preferred: Version = "3.1.1" if self.settings.protocol == "3.1.1" else "5"
        version, silent, failures = preferred, 0, 0
        while not self._stopping:
            self._state = replace(self._state, protocol=version, failures=failures)
            began_s = self._monotonic()
            closed = await self._live(version, jobs)
            if self._stopping:
                return
            silent = silent + 1 if closed.silent else 0
            refused = closed.version_refused or silent >= (PATIENCE if self._five_spoken else 1)
            if refused and version == "5" and self.settings.protocol == "auto":
                log.info("broker does not speak MQTT 5, trying 3.1.1 broker=%s", self.settings.name)
                version, silent = "3.1.1", 0
                continue
            version = preferred
            steady = closed.was_connected and self._monotonic() - began_s >= STEADY_S
            failures = 1 if steady else failures + 1
            await self._pause(closed.reason, failures)

    async def _pause(self, reason: str, failures: int) -> None:
        self._state = replace(self._state, connected=False, failures=failures, error=reason)
        longest_s = min(self.settings.backoff_max_s, self.settings.backoff_min_s * 2.0 ** min(failures - 1, 30))
        wait_s = longest_s * self._rng.uniform(0.5, 1.0)
        if failures == 10 ** (len(str(failures)) - 1):
            log.warning(
                "broker not reachable, trying again broker=%s reason=%s failures=%d wait_s=%.1f",
                self.settings.name,
                reason,
                failures,
                wait_s,
            )
        await asyncio.wait({self._stop_wanted()}, timeout=wait_s)

    async def _live(self, version: Version, jobs: asyncio.TaskGroup) -> Closed:
        """Live one connection to its end and return why it ended."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Connected] = loop.create_future()
        heard: asyncio.Future[None] = loop.create_future()
        closed: asyncio.Future[Closed] = loop.create_future()
        since = self._now()

        def handle(event: Event) -> None:
            match event:
                case Connected():
                    opened.set_result(event)
                case Closed():
                    if self._connection is connection:  # one that was abandoned may end after the next has begun
                        self._connection = None
                    closed.set_result(event)
                case Acknowledged():
                    if GOODBYE in event.tokens:
                        heard.set_result(None)
                    if self._drain is not None:
                        self._drain.acknowledged(event)
                case Arrived():
                    self._commands.receive(event, jobs)

        def post(event: Event) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits for this connection any more
                loop.call_soon_threadsafe(handle, event)

        connection = Connection(
            self.settings,
            version=version,
            will=self._message(STATUS, self._status("offline", "lost", since)),
            subscribe=self.names.commands,
            post=post,
            monotonic=self._monotonic,
        )
        connection.start()
        try:
            await self._first_of(opened, closed)
            if opened.done() and not closed.done():
                await self._serve(connection, opened.result(), closed, since)
        finally:
            self._connection = None
            if opened.done() and not closed.done():
                await self._say_goodbye(connection, heard, closed)
            if not closed.done():  # it hangs in a resolver or a handshake; its thread ends when that does
                connection.abandon()
                await asyncio.wait({closed}, timeout=GRACE_S)
        if not closed.done():
            return Closed(reason="abandoned", was_connected=False)
        connection.join(GRACE_S)  # its last event was posted: the thread is at its end
        return closed.result()

    async def _serve(
        self, connection: Connection, connected: Connected, closed: asyncio.Future[Closed], since: str
    ) -> None:
        """Publish until the connection is closed or we are to stop."""
        try:
            head = await self._store(lambda journal: journal.head())
        except StoreError as error:
            log.error("journal not readable, not publishing: %s", error)
            return
        through = head.seq if head is not None else 0
        log.info("broker connected broker=%s mqtt=%s", self.settings.name, connection.version)
        self._state = replace(self._state, connected=True, error="")
        self._five_spoken = self._five_spoken or connection.version == "5"
        self._say(connection, STATUS, self._status("online", "connected", since, through))
        self._say(connection, DESCRIPTION, self._described())
        self._say(connection, BUNDLE, self._bundle())
        while self._alerts:
            self._say(connection, ALERT, self._alerts.popleft())
        self._connection = connection
        self._drain = drain = Drain(
            store=self._store,
            names=self.names,
            send=connection.publish,
            window=min(self.settings.in_flight, connected.receive_maximum),
            maximum_packet_bytes=connected.maximum_packet_bytes,
            historical_through_seq=through,
            retry_s=self.settings.refused_retry_s,
            refusals=self._refusals,
            monotonic=self._monotonic,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                draining = tasks.create_task(drain.run(), name="drain the outbox")
                beating = tasks.create_task(self._beat(connection), name="publish health")
                await self._first_of(closed)
                if not closed.done():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(self.settings.stop_within_s / 2):
                            await drain.settle()
                draining.cancel()
                beating.cancel()
        finally:
            self._sent_before += drain.sent
            self._drain = None
            self._state = replace(self._state, connected=False)

    async def _beat(self, connection: Connection) -> None:
        while True:
            self._refreshing.clear()
            self._say(connection, HEALTH, self._health())
            try:
                async with asyncio.timeout(self.settings.health_every_s):
                    await self._refreshing.wait()
            except TimeoutError:
                continue
            self._say(connection, DESCRIPTION, self._described())
            self._say(connection, BUNDLE, self._bundle())

    async def _say_goodbye(
        self, connection: Connection, heard: asyncio.Future[None], closed: asyncio.Future[Closed]
    ) -> None:
        farewell = self._message(STATUS, self._status("offline", "stopped", self._now()))
        connection.publish(replace(farewell, token=GOODBYE))
        half_s = self.settings.stop_within_s / 4
        either: set[asyncio.Future[Any]] = {heard, closed}
        await asyncio.wait(either, timeout=half_s, return_when=asyncio.FIRST_COMPLETED)
        connection.close()
        await asyncio.wait({closed}, timeout=half_s)

    async def _first_of(self, *futures: asyncio.Future[Any]) -> None:
        wanted: set[asyncio.Future[Any]] = {*futures, self._stop_wanted()}
        await asyncio.wait(wanted, return_when=asyncio.FIRST_COMPLETED)

    def _stop_wanted(self) -> asyncio.Future[None]:
        assert self._stop is not None
        return self._stop

    def _described(self) -> Description:
        return self._describe().model_copy(update={"schemas": editions()})

    def _send(self, message: Message) -> None:
        if self._connection is not None:
            self._connection.publish(message)

    def _say(self, connection: Connection, topic: Topic, payload: Model) -> None:
        connection.publish(self._message(topic, payload))

    def _message(self, topic: Topic, payload: Model) -> Message:
        return Message(topic=self.names.of(topic), payload=to_json(payload), qos=topic.qos, retain=topic.retained)

    def _status(
        self,
        state: Literal["online", "offline"],
        reason: Literal["connected", "stopped", "lost"],
        since: str,
        historical_through_seq: int = 0,
    ) -> Status:
        return Status(
            state=state,
            reason=reason,
            since=since,
            version=__version__,
            historical_through_seq=historical_through_seq,
        )

    def _now(self) -> str:
        return self._wall().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
