"""Members that learn at the same time, each kept as soon as it is there: a stop loses none, and a later run goes on,
with the last epoch of a member where it keeps those.

What is kept is named by what it was made from: the task, every line of this package and of what it judges with, and
the versions of the libraries that compute. Other code makes another member, and never passes for the one that it would
make.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from export.checkpoint import Checkpoint, Stopped, ask_to_stop, let_go_on
from export.errors import StageMissing
from export.processes import collect, processes
from export.progress import Report

ROOMS = ("spectra", "bundle", "infer")  # of edged: what reads, resamples and judges here as on the device
LIBRARIES = ("numpy", "onnx", "onnxruntime", "onnxscript", "scikit-learn", "scipy", "torch")


class Task(Protocol):
    """What one member is made from."""

    def digest(self) -> str:
        """Return the SHA-256 of all that the result depends on, the code apart, in hex."""


TaskT = TypeVar("TaskT", bound=Task)
MadeT = TypeVar("MadeT")


def made_or_kept(
    tasks: Sequence[TaskT],
    make: Callable[[TaskT, Checkpoint], Any],
    *,
    folder: Path,
    workers: int,
    progress: Report,
    what: str,
    epochs: int = 0,
) -> list[Any]:
    """Return what `make` makes of each task, in order; what an earlier run has left in `folder` is read again.

    Each is made in a process of its own. epochs: of a member that keeps each of them in the checkpoint that `make` is
    given; they are what progress counts, and Ctrl-C waits for the one at work. Raises StageMissing where what lies
    there no longer fits the code.
    """
    folder.mkdir(parents=True, exist_ok=True)
    let_go_on(folder)  # whoever asked was killed before it saw all ended
    checkpoints = [
        Checkpoint(folder=folder, name=digest, of=f"{digest} {maker()}") for digest in (task.digest() for task in tasks)
    ]
    paths = [folder / f"{hashlib.sha256(one.of.encode()).hexdigest()}.pt" for one in checkpoints]
    missing = [number for number, path in enumerate(paths) if not path.exists()]
    at_work = set(missing)

    def tell(said: str) -> None:
        done, each = len(tasks) - len(at_work), max(epochs, 1)
        progress(said, done * each + sum(checkpoints[number].epochs for number in at_work), len(tasks) * each)

    def keep(number: int, member: Any) -> None:
        if member is not None:
            _keep(member, paths[number])
            checkpoints[number].forget()
            at_work.remove(number)
            tell(what)

    def interrupted() -> None:
        if epochs:
            ask_to_stop(folder)
        tell(f"finishing {'epochs' if epochs else 'members'}; Ctrl-C again drops them")

    if epochs:
        what = "epochs" if len(tasks) == 1 else f"epochs of {len(tasks)} {what}"
    for number in set(range(len(tasks))) - at_work:
        checkpoints[number].forget()  # a run was killed between the two
    tell(what)
    if missing:
        with processes(min(workers, len(missing))) as executor:
            collect(
                {executor.submit(_made, make, tasks[number], checkpoints[number]): number for number in missing},
                keep,
                interrupted=interrupted,
                meanwhile=(lambda: tell(what)) if epochs else None,
            )
    return [kept(path) for path in paths]


def once(digest: str, make: Callable[[], MadeT], *, folder: Path) -> MadeT:
    """Return what `make` returns, or what an earlier run has left of it in `folder`; for what is made in this process.

    digest: tells all that the result depends on, the code apart. Raises StageMissing where what lies there no longer
    fits the code.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = _once(digest, folder)
    if not path.exists():
        _keep(make(), path)
    found: MadeT = kept(path)
    return found


def only(digests: Iterable[str], *, folder: Path) -> None:
    """Delete what lies in `folder` and is not what `once` keeps there of these: of other code, or half written."""
    named = {_once(digest, folder) for digest in digests}
    for path in set(folder.glob("*")) - named:
        path.unlink()


def _once(digest: str, folder: Path) -> Path:
    return folder / f"{hashlib.sha256(f'{digest} {maker()}'.encode()).hexdigest()}.pt"


def _made(make: Callable[[TaskT, Checkpoint], Any], task: TaskT, checkpoint: Checkpoint) -> Any:
    """The member, or None where it was asked to stop."""
    try:
        return make(task, checkpoint)
    except Stopped:
        return None


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
def maker() -> str:
    """Return the SHA-256 of what makes and judges members: sources, and versions of libraries."""
    root = Path(__file__).parents[1]
    found = hashlib.sha256(repr([(name, version(name)) for name in LIBRARIES]).encode())
    for folder in ("export", *(f"edged/{room}" for room in ROOMS)):
        for path in sorted((root / folder).rglob("*.py")):
            found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def _keep(member: Any, path: Path) -> None:
    """Write a member, whole or not at all."""
    draft = path.with_suffix(".part")
    torch.save(member, draft)
    draft.replace(path)
