"""Long work in several processes that may be stopped with Ctrl-C and goes on later: what is at work is finished first.

Anything that is a `concurrent.futures.Executor` will do: processes here, or the workers of a Dask cluster, both from
`edged.bulk.crew`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from concurrent.futures import TimeoutError as FuturesTimeout
from contextlib import ExitStack, contextmanager
from typing import Final, TypeVar

from edged.bulk import crew
from edged.bulk.errors import WorkersMissing
from export.errors import ExportError

GLANCE_S: Final = 1.0  # between two looks at how far those at work are

Key = TypeVar("Key")
Result = TypeVar("Result")


def collect(
    waiting: Mapping[Future[Result], Key],
    keep: Callable[[Key, Result], None],
    *,
    interrupted: Callable[[], None],
    within_s: float | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Keep each result as soon as it is there. On Ctrl-C, or when `within_s` are over, what has not begun is dropped,
    and what has begun is waited for and kept; then the interrupt goes on. A second Ctrl-C waits for nothing.
    meanwhile: is called about once a second.

    Raises ExportError where a process has died.
    """
    kept: set[Future[Result]] = set()

    def keep_one(future: Future[Result]) -> None:
        keep(waiting[future], future.result())
        kept.add(future)

    try:
        for future in _as_done(set(waiting), math.inf if within_s is None else within_s, meanwhile):
            keep_one(future)
    except (KeyboardInterrupt, FuturesTimeout) as stop:
        interrupted()
        for future in waiting:
            if future not in kept and not future.cancel():
                keep_one(future)
        if isinstance(stop, KeyboardInterrupt):
            raise
    except BrokenExecutor as error:
        raise _died() from error
    finally:
        for future in waiting:
            future.cancel()


def _as_done(
    left: set[Future[Result]], within_s: float, meanwhile: Callable[[], None] | None
) -> Iterator[Future[Result]]:
    """Each as soon as it is there. Raises TimeoutError."""
    until = time.monotonic() + within_s
    while left:
        patience_s = max(0.0, min(GLANCE_S, until - time.monotonic()))
        done, left = wait(left, timeout=patience_s, return_when=FIRST_COMPLETED)
        yield from done
        if meanwhile is not None:
            meanwhile()
        if left and time.monotonic() >= until:
            raise FuturesTimeout


@contextmanager
def processes(workers: int) -> Iterator[Executor]:
    """Give so many processes of this machine, which leave Ctrl-C to this one and end with it.

    Raises ExportError where one has died before all had their work.
    """
    with crew.processes(workers) as found:
        try:
            yield found.executor
        except BrokenExecutor as error:
            raise _died() from error


def _died() -> ExportError:
    return ExportError(
        "a process died at its work", hint="was there memory enough? fewer at a time need less; a later run goes on"
    )


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
