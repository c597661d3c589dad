"""Measure many cells at a time, keep each outcome in a file of its own, and go on where a stopped study was.

Anything that is a `concurrent.futures.Executor` does the work: processes here, or a Dask cluster elsewhere.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from export.errors import ExportError
from export.study.cell import Cell, Outcome
from export.study.measure import measure

Progress = Callable[[str, int, int], None]


def run(cells: Sequence[Cell], *, data: Path, folder: Path, executor: Executor, progress: Progress) -> list[Outcome]:
    """Return the outcome of every cell, in their order. What `folder` holds already is not measured again.

    An outcome is written whole or not at all, as soon as it is there: a stop loses only the cells at work.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {cell.digest(): cell for cell in cells}
    known = {digest: outcome for digest, cell in wanted.items() if (outcome := _kept(folder, cell)) is not None}
    missing = {digest: cell for digest, cell in wanted.items() if digest not in known}
    progress("cells", len(known), len(wanted))
    waiting: dict[Future[Outcome], str] = {
        executor.submit(measure, cell, data): digest for digest, cell in missing.items()
    }
    try:
        for future in as_completed(waiting):
            outcome = future.result()
            _keep(folder, waiting[future], outcome)
            known[waiting[future]] = outcome
            progress(outcome.cell.name, len(known), len(wanted))
    except BaseException:
        for future in waiting:
            future.cancel()
        raise
    return [known[cell.digest()] for cell in cells]


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


def _kept(folder: Path, cell: Cell) -> Outcome | None:
    """The outcome that an earlier run left, or None; a file that is not whole counts as none."""
    path = folder / f"{cell.digest()}.json"
    try:
        return Outcome.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _keep(folder: Path, digest: str, outcome: Outcome) -> None:
    path = folder / f"{digest}.json"
    draft = path.with_suffix(".part")
    draft.write_text(outcome.model_dump_json() + "\n")
    draft.replace(path)
