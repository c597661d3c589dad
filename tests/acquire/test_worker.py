"""One thread, spoken to through a bounded queue."""

from __future__ import annotations

import asyncio
import functools
import threading
from pathlib import Path

import pytest

from edged.acquire.worker import Worker, WorkerFull, WorkerStopped


def fail_with(error: BaseException) -> None:
    raise error


def test_functions_run_in_order_on_the_one_named_thread() -> None:
    async def life() -> None:
        worker = Worker("st-bench")
        names = await asyncio.gather(*(worker.call(lambda: threading.current_thread().name) for _ in range(5)))
        comm = await worker.call(lambda: Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text())

        assert names == ["st-bench"] * 5
        assert comm == "st-bench\n"
        assert await worker.stop(2)

    asyncio.run(life())


def test_what_a_function_raises_reaches_the_caller_and_the_thread_goes_on() -> None:
    async def life() -> None:
        worker = Worker("w")
        for error in (ValueError("x"), StopIteration(), SystemExit(1)):
            with pytest.raises((ValueError, RuntimeError, SystemExit)):
                await worker.call(functools.partial(fail_with, error))
        assert await worker.call(lambda: 3) == 3
        assert await worker.stop(2)

    asyncio.run(life())


def test_a_full_queue_is_told_at_once_and_nothing_is_dropped() -> None:
    async def life() -> None:
        worker, gate = Worker("w", size=2), threading.Event()
        busy = asyncio.ensure_future(worker.call(gate.wait))
        while worker.is_idle or worker._jobs.qsize():
            await asyncio.sleep(0)
        queued = [asyncio.ensure_future(worker.call(lambda: 1)) for _ in range(2)]
        await asyncio.sleep(0)

        with pytest.raises(WorkerFull):
            await worker.call(lambda: 2)
        gate.set()

        assert await asyncio.gather(busy, *queued) == [True, 1, 1]
        assert await worker.stop(2)

    asyncio.run(life())


def test_a_ping_fails_when_a_job_outlives_the_time_it_was_given() -> None:
    async def life() -> None:
        now_s = 0.0
        worker, gate = Worker("w", clock=lambda: now_s), threading.Event()
        assert await worker.ping(1.0)
        busy = asyncio.ensure_future(worker.call(gate.wait, within_s=5.0))
        while worker.is_idle or worker._jobs.qsize():
            await asyncio.sleep(0)

        assert await worker.ping(0.01)
        now_s = 6.0
        assert not await worker.ping(0.01)

        gate.set()
        await busy
        assert await worker.ping(1.0)
        assert await worker.stop(2)

    asyncio.run(life())


def test_a_stopped_worker_finishes_what_was_queued_and_refuses_more() -> None:
    async def life() -> None:
        worker = Worker("w")
        queued = asyncio.ensure_future(worker.call(lambda: 1))
        await asyncio.sleep(0)

        assert await worker.stop(2)
        assert await queued == 1
        with pytest.raises(WorkerStopped):
            await worker.call(lambda: 2)

    asyncio.run(life())


def test_a_thread_that_hangs_is_reported_by_stop() -> None:
    async def life() -> None:
        worker, gate = Worker("w"), threading.Event()
        busy = asyncio.ensure_future(worker.call(gate.wait))
        await asyncio.sleep(0)

        assert not await worker.stop(0.02)
        gate.set()
        await busy
        assert await worker.stop(2)

    asyncio.run(life())
