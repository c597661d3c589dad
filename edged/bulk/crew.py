"""Who does the work: processes of this machine, or the workers of a Dask cluster.

Ctrl-C reaches only the process that waits for the results: what is at work is left to finish.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edged.bulk.errors import WorkersMissing

CONNECT_WITHIN = "10s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Workers behind an executor. size: how many tasks they can do at a time just now; a cluster grows and shrinks."""

    executor: Executor
    size: Callable[[], int]


class _Processes(ProcessPoolExecutor):
    """A process is started when there is work for it. It inherits that SIGINT is blocked, and so cannot be interrupted
    before its initializer has said that it ignores it.
    """

    def submit(self, *args: Any, **words: Any) -> Future[Any]:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(*args, **words)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def processes(workers: int) -> Iterator[Crew]:
    """Give so many processes of this machine. They end with this one, however it ends."""
    pool = _Processes(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_the_parent)
    try:
        yield Crew(executor=pool, size=lambda: workers)
    finally:
        try:
            pool.shutdown(cancel_futures=True)
        except KeyboardInterrupt:  # the second one: wait for nothing
            for child in multiprocessing.active_children():
                child.terminate()
            raise


@contextmanager
def dask_workers(address: str) -> Iterator[Crew]:
    """Give the workers of a Dask scheduler. They need this package, and the files under the same paths.

    Raises WorkersMissing where there is no scheduler, or no `distributed`.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
    except ModuleNotFoundError as error:
        raise WorkersMissing("a cluster needs the package distributed", hint="pip install 'edged[cluster]'") from error
    try:
        client = distributed.Client(address, timeout=CONNECT_WITHIN)
    except (OSError, ValueError) as error:
        raise WorkersMissing(f"no scheduler answers at {address}: {error}", hint="start one: dask scheduler") from error
    with client:
        yield Crew(executor=client.get_executor(), size=lambda: _threads(client, address))


def _threads(client: Any, address: str) -> int:
    try:
        return sum(client.nthreads().values())
    except OSError as error:
        raise WorkersMissing(
            f"the scheduler at {address} does not answer any more: {error}",
            hint="start it again; the work then goes on",
        ) from error


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _end_with_the_parent() -> None:
    """Leave Ctrl-C to the parent, and watch for its end: killed outright, it closes no queue, and its workers would
    wait for ever.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_leave_after, args=(parent,), name="parent watch", daemon=True).start()


def _leave_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
