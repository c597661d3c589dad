"""Long work in several processes that may be stopped with Ctrl-C and goes on later: what is at work is finished first.

Anything that is a `concurrent.futures.Executor` will do: processes here, or the workers of a Dask cluster, both from
`edged.bulk.crew`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from concurrent.futures import TimeoutError as FuturesTimeout
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from edged.bulk import crew
from edged.bulk.errors import WorkersMissing
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
    """Give so many processes of this machine, which leave Ctrl-C to this one and end with it."""
    with crew.processes(workers) as found:
        yield found.executor


@contextmanager
def dask_workers(address: str) -> Iterator[Executor]:
    """Give the workers of a Dask scheduler. They need this package, and the spectra under the same path.

    Raises ExportError where there is no scheduler, or no `distributed`.
    """
    with ExitStack() as stack:
        try:
            found = stack.enter_context(crew.dask_workers(address))
        except WorkersMissing as error:
            raise ExportError(error.message, hint=error.hint) from error
        yield found.executor
