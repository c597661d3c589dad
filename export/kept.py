"""Members that learn at the same time, each kept as soon as it is there: a stop loses none, and a later run goes on.

What is kept is named by what it was made from: the task, every line of this package, and the version of torch. Other
code makes another member, and never passes for the one that it would make.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from export.errors import StageMissing
from export.processes import collect, processes
from export.progress import Report


class Task(Protocol):
    """What one member is made from."""

    def digest(self) -> str:
        """Return the SHA-256 of all that the result depends on, the code apart, in hex."""


TaskT = TypeVar("TaskT", bound=Task)


def made_or_kept(
    tasks: Sequence[TaskT],
    make: Callable[[TaskT], Any],
    *,
    folder: Path,
    workers: int,
    progress: Report,
    what: str,
) -> list[Any]:
    """Return what `make` makes of each task, in order; what an earlier run has left in `folder` is read again.

    Each is made in a process of its own. Raises StageMissing where what lies there no longer fits the code.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{hashlib.sha256(f'{task.digest()} {_maker()}'.encode()).hexdigest()}.pt" for task in tasks]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    there = len(tasks) - len(missing)
    progress(what, there, len(tasks))
    made: list[int] = []

    def keep(number: int, member: Any) -> None:
        _keep(member, paths[number])
        made.append(number)
        progress(what, there + len(made), len(tasks))

    if missing:
        with processes(min(workers, len(missing))) as executor:
            collect(
                {executor.submit(make, tasks[number]): number for number in missing},
                keep,
                interrupted=lambda: progress(
                    "finishing members; Ctrl-C again drops them", there + len(made), len(tasks)
                ),
            )
    return [kept(path) for path in paths]


def kept(path: Path) -> Any:
    """Read what this program has written below its own work folder. Raises StageMissing where it no longer fits."""
    try:
        return torch.load(
            path, weights_only=False
        )  # whole modules: classical heads have no shape before they are fitted
    except (AttributeError, ImportError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        raise StageMissing(
            f"{path}: made by another version: {(str(error).splitlines() or [type(error).__name__])[0]}",
            hint=f"delete {path.parent} and train again",
        ) from error


@cache
def _maker() -> str:
    """The SHA-256 of what makes members: this package's sources, and torch's version."""
    package = Path(__file__).parent
    found = hashlib.sha256(torch.__version__.encode())
    for path in sorted(package.rglob("*.py")):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def _keep(member: Any, path: Path) -> None:
    """Write a member, whole or not at all."""
    draft = path.with_suffix(".part")
    torch.save(member, draft)
    draft.replace(path)
