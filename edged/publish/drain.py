"""Moves records from the outbox to the broker: in order, a bounded number in flight, gone only when acknowledged.

One `Drain` serves one connection and lives on the loop; the outbox is reached through the store's caller.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

from edged.publish.connection import Acknowledged, Message
from edged.publish.payloads import AuditHead, to_json
from edged.publish.topics import AUDIT_HEAD, Names
from edged.recurring import Recurring
from edged.store.errors import StoreError
from edged.store.journal import Journal
from edged.store.outbox import Outgoing

log = logging.getLogger(__name__)
T = TypeVar("T")

FETCH = 500  # records read from the outbox at once
HEAD_EVERY_S = 1.0  # the head of the chain is told when all is sent, but no more often than this
LAST_MARK_WITHIN_S = 0.5  # a hanging disk must not hold up the end of a connection
PACKET_MARGIN_BYTES = 1024  # topic, properties and header beside the payload


class StoreCaller(Protocol):
    """Runs a function on the store's thread, with the open journal, and returns what it returns or raises."""

    def __call__(self, work: Callable[[Journal], T], /) -> Awaitable[T]:
        """Run it."""
        ...


class Refusals:
    """Records that the broker does not take, and why. They outlive a connection: the next one meets them again."""

    def __init__(self) -> None:
        self.waits = Recurring(log)
        self._reasons: dict[int, str] = {}  # no more than are in flight at once

    def add(self, seq: int, reason: str) -> None:
        """A record was refused."""
        self._reasons[seq] = reason

    def taken(self, seq: int) -> None:
        """A record was acknowledged."""
        self._reasons.pop(seq, None)
        if not self._reasons:
            self.waits.over()

    def __str__(self) -> str:
        if not self._reasons:
            return ""
        more = f", and {len(self._reasons) - 1} more" if len(self._reasons) > 1 else ""
        return f"{self._reasons[min(self._reasons)]}{more}"


class Drain:
    """`run` until cancelled. `sent` counts acknowledged records; `problem` says why nothing moves, or is empty."""

    def __init__(
        self,
        *,
        store: StoreCaller,
        names: Names,
        send: Callable[[Message], None],
        window: int,
        maximum_packet_bytes: int | None,
        historical_through_seq: int,
        retry_s: float,
        refusals: Refusals | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._names = names
        self._send = send
        self._window = window
        self._maximum = maximum_packet_bytes
        self._historical_through_seq = historical_through_seq
        self._retry_s = retry_s
        self._monotonic = monotonic
        self._refusals = refusals or Refusals()
        self._waiting: dict[int, str] = {}  # in flight: seq and topic
        self._acked: list[int] = []
        self._arrived = asyncio.Event()  # acknowledgements came
        self._room = asyncio.Event()
        self._fresh = asyncio.Event()  # a record was stored
        self._settled = asyncio.Event()
        self._settled.set()
        self._head_due = True
        self._head_told_s = float("-inf")
        self._finishing = False
        self.sent = 0
        self.problem = ""

    def notify(self) -> None:
        """A record was stored."""
        self._fresh.set()

    def acknowledged(self, event: Acknowledged) -> None:
        """The broker has answered for some of what was sent."""
        for token in event.tokens:
            if isinstance(token, int):
                self._waiting.pop(token, None)
                self._acked.append(token)
                self._refusals.taken(token)
        for token, reason in event.refused:
            if isinstance(token, int):
                topic = self._waiting.pop(token, "")
                self.problem = f"the broker refuses record {token} on {topic}: {reason}"
                self._refusals.add(token, self.problem)
        self._arrived.set()
        self._room.set()

    async def run(self) -> None:
        """Send what is there and what comes."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._mark_all(), name="mark sent")
            tasks.create_task(self._send_all(), name="send records")

    async def settle(self) -> None:
        """Send nothing more, and return when everything in flight is acknowledged and marked."""
        self._finishing = True
        self._arrived.set()
        self._fresh.set()
        await self._settled.wait()

    async def _send_all(self) -> None:
        cursor = 0
        while not self._finishing:
            self._fresh.clear()
            batch = await self._ask(partial(_pending, after_seq=cursor))
            for outgoing in batch:
                if not await self._hand_over(outgoing):
                    break
                cursor = outgoing.seq
            if self.problem:
                await self._wait_and_forget_problem()
                cursor = 0
            elif not batch:
                await self._rest()

    async def _hand_over(self, outgoing: Outgoing) -> bool:
        """Send one record when there is room for it; False when it must wait for another time."""
        while len(self._waiting) >= self._window and not self.problem:
            self._room.clear()
            await self._room.wait()
        if self._maximum is not None and len(outgoing.body) + PACKET_MARGIN_BYTES > self._maximum:
            self.problem = f"record {outgoing.seq} has {len(outgoing.body)} bytes; the broker takes {self._maximum}"
            self._refusals.add(outgoing.seq, self.problem)
        if self.problem or self._finishing:
            return False
        topic = self._names.of_record(outgoing.kind, outgoing.station)
        self._waiting[outgoing.seq] = topic
        self._settled.clear()
        self._head_due = True
        self._send(
            Message(
                topic=topic,
                payload=outgoing.body,
                token=outgoing.seq,
                historical=outgoing.seq <= self._historical_through_seq,
            )
        )
        return True

    async def _rest(self) -> None:
        """Everything was handed over: wait for a new record, and tell the head of the chain when all has arrived."""
        while not self._fresh.is_set() and not self._finishing:
            can_tell = self._head_due and self._settled.is_set()  # becoming settled sets `_fresh`
            due_s = self._head_told_s + HEAD_EVERY_S - self._monotonic()
            if can_tell and due_s <= 0:
                await self._tell_head()
                continue
            try:
                async with asyncio.timeout(due_s if can_tell else None):
                    await self._fresh.wait()
            except TimeoutError:
                pass

    async def _tell_head(self) -> None:
        self._head_due = False
        self._head_told_s = self._monotonic()
        head = await self._ask(lambda journal: journal.head())
        if head is not None:
            self._send(
                Message(
                    topic=self._names.of(AUDIT_HEAD),
                    payload=to_json(AuditHead(seq=head.seq, hash=head.hash)),
                    retain=True,
                )
            )

    async def _wait_and_forget_problem(self) -> None:
        self._refusals.waits.again(
            logging.WARNING, "records wait: %s; trying again in %.0f s", self.problem, self._retry_s
        )
        while self._waiting:  # what was sent after it may still be acknowledged
            self._room.clear()
            await self._room.wait()
        await asyncio.sleep(self._retry_s)
        self.problem = ""

    async def _mark_all(self) -> None:
        try:
            while True:
                await self._arrived.wait()
                self._arrived.clear()
                await self._mark(self._ask)
        finally:  # one try: what stays unmarked is sent once more, which subscribers are told to expect
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(LAST_MARK_WITHIN_S):
                    await self._mark(self._store)

    async def _mark(self, ask: StoreCaller) -> None:
        while self._acked:
            batch = tuple(self._acked)
            await ask(partial(_mark_sent, seqs=batch))
            del self._acked[: len(batch)]
            self.sent += len(batch)
        if not self._waiting and not self._settled.is_set():
            self._settled.set()
            self._fresh.set()

    async def _ask(self, work: Callable[[Journal], T], /) -> T:
        """Ask the store until it can answer."""
        failures = 0
        while True:
            try:
                return await self._store(work)
            except StoreError as error:
                failures += 1
                if failures == 10 ** (len(str(failures)) - 1):
                    log.error("outbox not reachable failures=%d: %s", failures, error)
                await asyncio.sleep(min(self._retry_s, 0.1 * 2 ** min(failures, 10)))


def _pending(journal: Journal, *, after_seq: int) -> list[Outgoing]:
    return journal.outbox.pending(FETCH, after_seq=after_seq)


def _mark_sent(journal: Journal, *, seqs: tuple[int, ...]) -> None:
    journal.outbox.mark_sent(seqs)
