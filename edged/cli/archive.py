"""`edged analyze --out FILE`: spectra of many files to one file of results, as `edged.bulk` does it, told to a human.

Exit status: 0 and 1 as `edged analyze`; 2 what is asked does not fit what lies there; 3 the run broke, 130 it was
stopped, and the same command goes on.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from edged.bulk.answers import Form
from edged.bulk.crew import Crew, cores, dask_workers, processes
from edged.bulk.errors import BulkError, NotThisRun
from edged.bulk.inputs import listings
from edged.bulk.run import Report, Run, plan_of, run
from edged.bulk.state import Mark
from edged.bulk.work import Order
from edged.bundle.archive import Bundle
from edged.infer.judge import Question
from edged.spectra.spectrum import AxisUnit, Quantity

FORMS: dict[str, Form] = {".jsonl": "jsonl", ".csv": "csv"}
EXIT_NOT_THIS, EXIT_BROKEN, EXIT_STOPPED = 2, 3, 128 + signal.SIGINT
TELL_EVERY_S = 60.0  # where nobody looks at a bar, a line in the log


def form_of(out: Path) -> Form:
    """Return the form that a file's name asks for. Raises UsageError for a name or a place that will not do."""
    if out.suffix not in FORMS:
        raise click.UsageError(f"--out {out}: the name must end in .jsonl or .csv")
    if not out.parent.is_dir():
        raise click.UsageError(f"--out {out}: there is no folder {out.parent}")
    return FORMS[out.suffix]


def analyze_archive(
    files: Sequence[Path],
    out: Path,
    bundle: Bundle,
    asked: Question,
    *,
    unit: AxisUnit | None,
    quantity: Quantity | None,
    match: str | None,
    workers: int | None,
    dask: str | None,
    as_json: bool,
) -> int:
    """Judge the spectra in files and folders, or go on with it, and tell how it went. Returns the exit status."""
    form = form_of(out)
    _check_places(files, out, dask=dask)
    assert bundle.path is not None
    order = Order(
        bundle=str(bundle.path.resolve()),
        bundle_digest=bundle.digest,
        question=asked,
        unit=unit,
        quantity=quantity,
        assumed=bundle.manifest.quantity,
        form=form,
    )
    at_work = processes(workers or cores()) if dask is None else dask_workers(dask)
    try:
        mark = _run(order, [str(file) for file in files], out, match, bundle, at_work)
    except BulkError as error:
        if as_json:
            click.echo(json.dumps({"complete": False, "error": {"message": error.message, "hint": error.hint}}))
        else:
            click.echo(str(error), err=True)
        return EXIT_NOT_THIS if isinstance(error, NotThisRun) else EXIT_BROKEN
    click.echo(json.dumps(_document(out, mark)) if as_json else _summary(out, mark))
    if not mark.complete:
        return EXIT_STOPPED
    return 1 if mark.tally.errors else 0


def _check_places(files: Sequence[Path], out: Path, *, dask: str | None) -> None:
    place = out.resolve()
    for file in files:
        if file.is_dir() and place.is_relative_to(file.resolve()):
            raise click.UsageError(f"--out {out}: lies in {file}, which is read: name a place elsewhere")
        if dask is not None and not file.is_absolute():
            raise click.UsageError(f"{file}: with --dask give the whole path, the same on every machine")


def _run(
    order: Order,
    names: Sequence[str],
    out: Path,
    match: str | None,
    bundle: Bundle,
    at_work: AbstractContextManager[Crew],
) -> Mark:
    listed = listings(names, match)
    identity = {"name": bundle.manifest.name, "version": bundle.manifest.version, "digest": bundle.digest}
    wanted = Run(order=order, listed=listed, match=match, out=out, plan=plan_of(order, listed, match, identity))
    total = sum(listing.size_bytes + listing.journal_bytes for listing in listed)
    with _stops() as stopping, at_work as crew, _progress(total, stopping) as report:
        return run(wanted, crew, report=report, stopping=stopping)


@contextmanager
def _stops() -> Iterator[Callable[[], bool]]:
    """Give a function that is true once Ctrl-C or SIGTERM came; the second one has its usual effect."""
    stop = threading.Event()
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        stop.set()
        for signal_, handler in before.items():
            signal.signal(signal_, handler)

    before |= {signal_: signal.signal(signal_, note) for signal_ in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop.is_set
    finally:
        for signal_, handler in before.items():
            signal.signal(signal_, handler)


@contextmanager
def _progress(total_bytes: int, stopping: Callable[[], bool]) -> Iterator[Report]:
    """Give what tells how far the run is: a bar at a terminal, else a line now and then. Both go to stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading what is done", total=total_bytes)
        pace = _Pace()

        def report(mark: Mark) -> None:
            words = pace.words(mark)
            if stopping():
                words = f"finishing what is at work; {words}"
            bar.update(task, description=words, completed=mark.read_bytes)
            if not console.is_terminal and pace.is_due():
                share = mark.read_bytes / total_bytes if total_bytes else 1.0
                click.echo(f"{words}; {share:.0%} read", err=True)

        yield report


class _Pace:
    """How many spectra are done and how many a second, since the first that was told."""

    def __init__(self) -> None:
        self._began_s = self._told_s = time.monotonic()
        self._first: int | None = None

    def words(self, mark: Mark) -> str:
        """Return it for people."""
        done = mark.tally.spectra
        if self._first is None:
            self._first, self._began_s = done, time.monotonic()
        took_s = time.monotonic() - self._began_s
        rate = (done - self._first) / took_s if took_s > 0 else 0.0
        return f"{done:,} spectra" + (f", {rate:,.0f} a second" if rate else "")

    def is_due(self) -> bool:
        """Whether it is time to tell again."""
        due = time.monotonic() - self._told_s >= TELL_EVERY_S
        if due:
            self._told_s = time.monotonic()
        return due


def _document(out: Path, mark: Mark) -> dict[str, Any]:
    tally = mark.tally
    return {
        "out": str(out),
        "complete": mark.complete,
        "spectra": tally.spectra,
        "errors": tally.errors,
        "outcomes": dict(sorted(tally.outcomes.items())),
    }


def _summary(out: Path, mark: Mark) -> str:
    tally = mark.tally
    counts = [f"{count:,} {outcome}" for outcome, count in tally.outcomes.most_common()]
    counts += [f"{tally.errors:,} error{'' if tally.errors == 1 else 's'}"] if tally.errors else []
    shares = ", ".join(counts) or "none"
    if mark.complete:
        return f"{tally.spectra:,} spectra in {out}: {shares}"
    return f"stopped after {tally.spectra:,} spectra ({shares}); the same command goes on"
