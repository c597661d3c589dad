"""Measure many cells at a time, keep each outcome in a file of its own, and go on where a stopped study was."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

from pydantic import ValidationError

from export.processes import collect
from export.progress import Report
from export.study.study import CellT, OutcomeT


def run(
    cells: Sequence[CellT],
    *,
    measure: Callable[[CellT, Path], OutcomeT],
    kind: type[OutcomeT],
    data: Path,
    folder: Path,
    known: Mapping[str, OutcomeT],
    executor: Executor,
    progress: Report,
    minutes: float | None = None,
) -> list[OutcomeT]:
    """Return the outcomes of the cells, in their order; of all of them unless `minutes` are over first.

    measure: a plain function of a cell and the data folder, which a process can import; it gives outcomes of `kind`.

    What is known, by the digest of its cell, or lies in `folder`, is not measured again. An outcome is written whole or
    not at all, as soon as it is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {cell.digest(): cell for cell in cells}
    found = {digest: known[digest] for digest in wanted if digest in known}
    for digest in wanted.keys() - found.keys():
        if (outcome := _kept(folder, digest, kind)) is not None:
            found[digest] = outcome
    progress("cells", len(found), len(wanted))

    def keep(digest: str, outcome: OutcomeT) -> None:
        path = folder / f"{digest}.json"
        draft = path.with_suffix(".part")
        draft.write_text(outcome.model_dump_json() + "\n")
        draft.replace(path)
        found[digest] = outcome
        progress(outcome.cell.name, len(found), len(wanted))

    missing = {digest: cell for digest, cell in wanted.items() if digest not in found}
    collect(
        {executor.submit(measure, cell, data): digest for digest, cell in missing.items()},
        keep,
        interrupted=lambda: progress("finishing what is at work", len(found), len(wanted)),
        within_s=None if minutes is None else 60.0 * minutes,
    )
    return [found[digest] for digest in wanted if digest in found]


def _kept(folder: Path, digest: str, kind: type[OutcomeT]) -> OutcomeT | None:
    """The outcome that an earlier run left, or None; a file that is not whole counts as none."""
    path = folder / f"{digest}.json"
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
