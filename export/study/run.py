"""Measure many cells at a time, keep each outcome in a file of its own, and go on where a stopped study was.

Anything that is a `concurrent.futures.Executor` does the work: processes here, or a Dask cluster elsewhere.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures import TimeoutError as FuturesTimeout
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from export.errors import ExportError
from export.progress import Report
from export.study.cell import Cell, Outcome
from export.study.measure import measure


def run(
    cells: Sequence[Cell],
    *,
    data: Path,
    folder: Path,
    known: Mapping[str, Outcome],
    executor: Executor,
    progress: Report,
    minutes: float | None = None,
) -> list[Outcome]:
    """Return the outcomes of the cells, in their order; of all of them unless `minutes` are over first.

    What is known, by the digest of its cell, or lies in `folder`, is not measured again.
    An outcome is written whole or not at all, as soon as it is there: a stop loses only the cells at work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {cell.digest(): cell for cell in cells}
    found = {digest: known[digest] for digest in wanted if digest in known}
    for digest in wanted.keys() - found.keys():
        if (outcome := _kept(folder, digest)) is not None:
            found[digest] = outcome
    missing = {digest: cell for digest, cell in wanted.items() if digest not in found}
    progress("cells", len(found), len(wanted))
    limit = None if minutes is None else 60.0 * minutes
    waiting: dict[Future[Outcome], str] = {
        executor.submit(measure, cell, data): digest for digest, cell in missing.items()
    }
    try:
        for future in as_completed(waiting, timeout=limit):
            outcome = future.result()
            _keep(folder, waiting[future], outcome)
            found[waiting[future]] = outcome
            progress(outcome.cell.name, len(found), len(wanted))
    except FuturesTimeout:
        pass  # the caller's time is over; what is at work is finished by the executor, and not waited for here
    finally:
        for future in waiting:
            future.cancel()
    return [found[digest] for digest in wanted if digest in found]


@contextmanager
def executor_of(*, workers: int, dask: str | None) -> Iterator[Executor]:
    """Processes on this machine, or, where `dask` names a scheduler, the workers of that cluster.

    A cluster's workers need this package and the data folder under the same path. Raises ExportError without a cluster.
    """
    if dask is None:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            yield pool
        return
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ExportError("a cluster needs the package distributed", hint="pip install distributed") from error
    try:
        client = Client(dask, timeout="10s")
    except (OSError, ValueError) as error:
        raise ExportError(f"no scheduler answers at {dask}: {error}", hint="start one: dask scheduler") from error
    with client:
        yield client.get_executor()


def default_workers() -> int:
    """As many processes as this process may use cores."""
    return len(os.sched_getaffinity(0))


def _kept(folder: Path, digest: str) -> Outcome | None:
    """The outcome that an earlier run left, or None; a file that is not whole counts as none."""
    path = folder / f"{digest}.json"
    try:
        return Outcome.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _keep(folder: Path, digest: str, outcome: Outcome) -> None:
    path = folder / f"{digest}.json"
    draft = path.with_suffix(".part")
    draft.write_text(outcome.model_dump_json() + "\n")
    draft.replace(path)
