"""A run: the spectra of many files to one file of results, in their order, by many workers, going on where it stopped.

    FILE        the results, whole; it appears when the run is complete
    FILE.part   the results so far
    FILE.run    what is asked, and how far the run is; it stays, and tells what the results are of

Results are written in order, and only marked as done when they are on disk. What was written after the last mark is
written again, so a run that was killed ends with the same bytes as one that was not. Only FILE.part and FILE.run hold
the state of a run: nothing is kept by the workers, which may be others, and more or fewer, when it goes on.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import edged
from edged.bulk.answers import head
from edged.bulk.crew import Crew
from edged.bulk.errors import BulkError, NotThisRun, RunBroken
from edged.bulk.inputs import Listing
from edged.bulk.jobs import Past, jobs
from edged.bulk.state import NEW_RUN, SCHEMA, Mark, State, failed
from edged.bulk.work import Job, Order, Result, work
from edged.infer.runtime import load_onnxruntime

MARK_EVERY_S = 2.0  # what a kill costs at most; a mark waits for the disk twice
AHEAD = 2  # jobs a worker: one at work, one waiting for it; and some more for the slowest
_SPARE = 2
_LATER = "the same command goes on when that is seen to"

Report = Callable[[Mark], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is to be done. plan: what is asked, as told in FILE.run; a run goes on only with the same."""

    order: Order
    listed: Sequence[Listing]
    match: str | None
    out: Path
    plan: dict[str, Any]

    @property
    def part(self) -> Path:
        """The results so far."""
        return self.out.with_name(f"{self.out.name}.part")

    @property
    def state(self) -> Path:
        """What is asked, and how far the run is."""
        return self.out.with_name(f"{self.out.name}.run")


def plan_of(order: Order, listed: Sequence[Listing], match: str | None, bundle: dict[str, str]) -> dict[str, Any]:
    """Return what is asked, for FILE.run. Programs of another version may judge otherwise, so they are named too."""
    return {
        "schema": SCHEMA,
        "edged": edged.__version__,
        "onnxruntime": load_onnxruntime().__version__,
        "bundle": bundle,
        "procedure": order.question.procedure,
        "preset": order.question.preset,
        "claimed": order.question.claimed,
        "unit": order.unit,
        "quantity": order.quantity,
        "match": match,
        "form": order.form,
        "inputs": [listing.document() for listing in listed],
    }


def run(wanted: Run, crew: Crew, *, report: Report, stopping: Callable[[], bool]) -> Mark:
    """Do what is left of a run; return how far it is then. `complete` in it is false where `stopping` has ended it.

    report: called with how far the run is, at the start and after each job. stopping: once it is true no job is begun,
    and those at work are waited for and kept. Raises NotThisRun, RunBroken, WorkersMissing.
    """
    with State(wanted.state) as state:
        marks = state.begin(wanted.plan)
        if marks and marks[-1].complete:
            _publish(wanted, marks[-1])
            return marks[-1]
        if wanted.out.exists():
            if not marks:
                with suppress(OSError):
                    wanted.state.unlink()
            raise NotThisRun(f"{wanted.out}: exists already", hint="give another --out, or remove it")
        todo = _left(jobs(wanted.order, wanted.listed, wanted.match, _past(marks)), marks)
        try:
            with _opened(wanted, marks) as out:
                writer = _Writer(out, state, marks or [Mark(out_bytes=out.tell())])
                report(writer.mark)
                _work_through(wanted.order, todo, crew, writer, report=report, stopping=stopping)
                writer.keep(complete=not stopping())
        except OSError as error:
            raise failed(wanted.part, error) from error
        if writer.mark.complete:
            _publish(wanted, writer.mark)
        return writer.mark


def _work_through(
    order: Order, todo: Iterator[Job], crew: Crew, writer: _Writer, *, report: Report, stopping: Callable[[], bool]
) -> None:
    waiting: deque[tuple[Job, Future[Result]]] = deque()
    room, asked_at = 0, float("-inf")
    try:
        while not stopping():
            if time.monotonic() - asked_at > MARK_EVERY_S:
                room, asked_at = AHEAD * max(1, crew.size()) + _SPARE, time.monotonic()
            if len(waiting) < room and (job := next(todo, None)) is not None:
                waiting.append((job, _given(crew, order, job)))
            elif waiting:
                _take(waiting, writer, report)
            else:
                return
        for _, future in reversed(waiting):
            future.cancel()
        while waiting and not waiting[0][1].cancelled():
            _take(waiting, writer, report)
    finally:
        for _, future in waiting:
            future.cancel()
        writer.keep()


def _given(crew: Crew, order: Order, job: Job) -> Future[Result]:
    try:
        return crew.executor.submit(work, order, job)
    except BrokenExecutor as error:  # a worker that dies early is seen here
        raise _died() from error


def _died() -> RunBroken:
    return RunBroken("a worker died at its work", hint=f"was there memory enough? {_LATER}")


def _take(waiting: deque[tuple[Job, Future[Result]]], writer: _Writer, report: Report) -> None:
    job, future = waiting[0]
    try:
        result = future.result()
    except BulkError:
        raise
    except BrokenExecutor as error:
        raise _died() from error
    except CancelledError as error:
        raise RunBroken("the cluster dropped what it was given", hint=f"does its scheduler run? {_LATER}") from error
    except MemoryError as error:
        raise RunBroken(
            "a worker had too little memory for its work", hint=f"fewer workers need less; {_LATER}"
        ) from error
    except ImportError as error:
        raise RunBroken(
            f"a worker lacks what the work needs: {error}", hint=f"install the same edged where it runs; {_LATER}"
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "distributed":
            raise
        raise RunBroken(f"the cluster failed: {error}", hint=_LATER) from error
    writer.add(job, result)
    waiting.popleft()
    report(writer.mark)


class _Writer:
    """The results, in order, and how far they are."""

    def __init__(self, out: BinaryIO, state: State, marks: Sequence[Mark]) -> None:
        self.mark = self._kept = replace(marks[-1], journal_ends=())
        self._journal_end = next((mark.journal_ends[-1] for mark in reversed(marks) if mark.journal_ends), None)
        self._out = out
        self._state = state
        self._kept_at = time.monotonic()

    def add(self, job: Job, result: Result) -> None:
        """Write the result of the next job; nothing of a file that has ended before."""
        mark = self.mark
        dropped = job.of_file is not None and job.of_file == mark.file_ended
        body, tally = (b"", mark.tally) if dropped else (result.body, mark.tally + result.tally)
        self._out.write(body)
        ends = mark.journal_ends
        if job.of_file is not None and job.journal_end is not None:
            end = job.of_file, job.journal_end
            if end != self._journal_end:
                ends, self._journal_end = (*ends, end), end
        self.mark = replace(
            mark,
            jobs=mark.jobs + 1,
            chain=_chained(mark.chain, job),
            read_bytes=mark.read_bytes + job.size_bytes,
            out_bytes=mark.out_bytes + len(body),
            tally=tally,
            journal_ends=ends,
            file_ended=job.of_file if result.file_ended and job.of_file is not None else mark.file_ended,
        )
        if time.monotonic() - self._kept_at > MARK_EVERY_S:
            self.keep()

    def keep(self, *, complete: bool = False) -> None:
        """Bring to disk what was written, and mark it."""
        self.mark = replace(self.mark, complete=complete)
        if self.mark == self._kept:
            return
        self._out.flush()
        os.fsync(self._out.fileno())
        self._state.keep(self.mark)
        self.mark = self._kept = replace(self.mark, journal_ends=())
        self._kept_at = time.monotonic()


def _past(marks: Sequence[Mark]) -> Past:
    ends = defaultdict[int, list[int]](list)
    for mark in marks:
        for number, seq in mark.journal_ends:
            ends[number].append(seq)
    return Past(jobs=marks[-1].jobs if marks else 0, journal_ends=ends)


def _left(all_jobs: Iterator[Job], marks: Sequence[Mark]) -> Iterator[Job]:
    """Pass over the jobs that are done; raise NotThisRun where they are not those that were."""
    chain, done = "", 0
    for mark in marks:
        names = []
        while done < mark.jobs:
            job = next(all_jobs, None)
            if job is None:
                raise NotThisRun("the files hold less than the run has judged", hint=NEW_RUN)
            chain, done = _chained(chain, job), done + 1
            names += [job.units[0].file, job.units[-1].file]
        if chain != mark.chain:
            first, last = (names[0], names[-1]) if names else ("the first file", "the last")
            which = first if first == last else f"a file from {first} to {last}"
            raise NotThisRun(f"{which}: holds something else than the run has judged", hint=NEW_RUN)
    yield from all_jobs


def _chained(chain: str, job: Job) -> str:
    return hashlib.sha256(chain.encode() + job.digest).hexdigest()


def _opened(wanted: Run, marks: Sequence[Mark]) -> BinaryIO:
    """Open the results so far, at the end of what is marked."""
    out: BinaryIO
    if not marks:
        out = wanted.part.open("wb")
        out.write(head(wanted.order.form).encode())
        return out
    end = marks[-1].out_bytes
    try:
        out = wanted.part.open("r+b")
    except FileNotFoundError:
        raise NotThisRun(f"{wanted.part}: is gone, which {wanted.state} speaks of", hint=NEW_RUN) from None
    if os.fstat(out.fileno()).st_size < end:
        out.close()
        raise NotThisRun(f"{wanted.part}: is shorter than {wanted.state} says", hint=NEW_RUN)
    out.seek(end)
    out.truncate()
    return out


def _publish(wanted: Run, mark: Mark) -> None:
    """Give whole results their name. Doing it twice is fine."""
    try:
        if wanted.part.exists():
            wanted.part.replace(wanted.out)
            folder = os.open(wanted.out.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        size = wanted.out.stat().st_size
    except FileNotFoundError:
        raise NotThisRun(f"{wanted.out}: is gone, which {wanted.state} calls complete", hint=NEW_RUN) from None
    except OSError as error:
        raise failed(wanted.out, error) from error
    if size != mark.out_bytes:
        raise NotThisRun(f"{wanted.out}: is not what {wanted.state} calls complete", hint=NEW_RUN)
