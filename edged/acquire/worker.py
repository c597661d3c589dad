"""One named thread that blocks on behalf of asyncio: functions go in by a bounded queue, results come back awaitable.

Full queue: the caller is told at once (WorkerFull); nothing is dropped in silence. Whether the thread is well is asked
with `ping`: an idle thread must answer, a busy one must stay within the time its job was given.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)

MAX_THREAD_NAME_BYTES = 15  # what the kernel keeps, and top -H, ps -L and debuggers show


class WorkerFull(Exception):
    """More work is waiting than the queue holds. Cure: ask later."""


class WorkerStopped(Exception):
    """The thread has ended or is about to. Cure: none; the service is stopping."""


@dataclass(frozen=True, slots=True)
class _Job:
    function: Callable[[], Any]
    within_s: float
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    counted: bool


class Worker:
    """Owns the thread. Every method is for the event loop's thread; functions given to `call` run on the worker's."""

    def __init__(self, name: str, *, size: int = 16, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._clock = clock
        self._jobs: queue.Queue[_Job | None] = queue.Queue()
        self._size = size
        self._taken = 0  # jobs that wait or run, pings not counted; the loop's
        self._busy_until: float | None = None  # written by the worker only
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs or waits at this moment."""
        return self._busy_until is None and self._jobs.empty()

    async def call(self, function: Callable[[], T], *, within_s: float = 10.0) -> T:
        """Run `function` on the thread and return what it returns or raise what it raises.

        within_s: the longest it may rightly take; beyond it `ping` fails. Cancelling the caller does not interrupt the
        function; its result is then dropped. Raises WorkerFull or WorkerStopped without running it.
        """
        if self._stopping:
            raise WorkerStopped(f"{self.name}: stopped")
        if self._taken > self._size:
            raise WorkerFull(f"{self.name}: {self._size} jobs are waiting already")
        self._taken += 1
        return await self._submit(function, within_s, counted=True)

    async def ping(self, within_s: float) -> bool:
        """True when the thread answers within this time, or is busy within the time its job was given."""
        if self._stopping:
            return True
        busy_until = self._busy_until
        if busy_until is not None:
            return self._clock() <= busy_until
        answer = asyncio.ensure_future(self._submit(_nothing, within_s, counted=False))
        done, _ = await asyncio.wait({answer}, timeout=within_s)
        if not done:
            answer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await answer
            busy_until = self._busy_until  # a job may have slipped in before ours
            return busy_until is not None and self._clock() <= busy_until
        return not isinstance(answer.exception(), WorkerStopped)

    async def stop(self, within_s: float) -> bool:
        """Finish what is queued, end the thread and join it; false when it did not end in time."""
        if not self._stopping:
            self._stopping = True
            self._jobs.put(None)
        deadline = time.monotonic() + within_s
        while self._thread.is_alive() and time.monotonic() < deadline:
            await asyncio.sleep(0.005)
        return not self._thread.is_alive()

    async def _submit(self, function: Callable[[], T], within_s: float, *, counted: bool) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(function, within_s, loop, future, counted))
        return await future

    def _run(self) -> None:
        _name_thread(self.name)
        while (job := self._jobs.get()) is not None:
            self._busy_until = self._clock() + job.within_s
            result: Any = None
            error: BaseException | None = None
            try:
                if not job.future.cancelled():
                    result = job.function()
            except BaseException as caught:  # noqa: BLE001 - handed to the caller, who knows what to do
                error = caught if not isinstance(caught, StopIteration) else RuntimeError("StopIteration in a job")
            self._busy_until = None
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits for this any more
                job.loop.call_soon_threadsafe(self._settle, job, result, error)
            del job, result, error

    def _settle(self, job: _Job, result: object, error: BaseException | None) -> None:
        """On the loop: free the place and wake who waits."""
        self._taken -= job.counted
        if job.future.done():
            if error is not None:
                log.debug("nobody waited for a failed job: %r", error)
        elif error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)


def _nothing() -> None:
    return None


def _name_thread(name: str) -> None:
    with contextlib.suppress(OSError):
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_bytes(name.encode()[:MAX_THREAD_NAME_BYTES])
