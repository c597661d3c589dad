"""Long work in several processes that may be stopped with Ctrl-C and goes on later: what is at work is finished first.

Anything that is a `concurrent.futures.Executor` will do: processes here, or the workers of a Dask cluster.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures import TimeoutError as FuturesTimeout
from contextlib import contextmanager
from typing import TypeVar

from export.errors import ExportError

Key = TypeVar("Key")
Result = TypeVar("Result")


def collect(
    waiting: Mapping[Future[Result], Key],
    keep: Callable[[Key, Result], None],
    *,
    interrupted: Callable[[], None],
    within_s: float | None = None,
) -> None:
    """Keep each result as soon as it is there. On Ctrl-C, or when `within_s` are over, what has not begun is dropped,
    and what has begun is waited for and kept; then the interrupt goes on. A second Ctrl-C waits for nothing.

    Raises ExportError where a process has died.
    """
    kept: set[Future[Result]] = set()

    def keep_one(future: Future[Result]) -> None:
        keep(waiting[future], future.result())
        kept.add(future)

    try:
        for future in as_completed(waiting, timeout=within_s):
            keep_one(future)
    except (KeyboardInterrupt, FuturesTimeout) as stop:
        interrupted()
        for future in waiting:
            if future not in kept and not future.cancel():
                keep_one(future)
        if isinstance(stop, KeyboardInterrupt):
            raise
    except BrokenExecutor as error:
        raise ExportError(
            "a process died at its work", hint="was there memory enough? fewer at a time need less; a later run goes on"
        ) from error
    finally:
        for future in waiting:
            future.cancel()


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Give so many processes of this machine, which leave Ctrl-C to this one."""
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited by the processes, one of which each task starts
    try:
        for _ in range(workers):
            pool.submit(int)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield pool
    finally:
        try:
            pool.shutdown(cancel_futures=True)
        except KeyboardInterrupt:  # the second one: wait for nothing
            for child in multiprocessing.active_children():
                child.terminate()
            raise


@contextmanager
def dask_workers(address: str) -> Iterator[Executor]:
    """Give the workers of a Dask scheduler. They need this package, and the spectra under the same path.

    Raises ExportError where there is no scheduler, or no `distributed`.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ExportError("a cluster needs the package distributed", hint="pip install 'edged[cluster]'") from error
    try:
        client = Client(address, timeout="10s")
    except (OSError, ValueError) as error:
        raise ExportError(f"no scheduler answers at {address}: {error}", hint="start one: dask scheduler") from error
    with client:
        yield client.get_executor()
