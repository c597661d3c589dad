"""A job, and what a worker makes of it: some spectra of some files in, the lines that tell their verdicts out.

A job and its result travel between processes and machines. A worker keeps the model of its last job, one a thread.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edged.bulk.answers import Form, answers, line
from edged.bulk.errors import NotThisRun, RunBroken
from edged.bulk.records import Records
from edged.bulk.sources import Read, read_source
from edged.bundle.archive import read_bundle
from edged.bundle.errors import BundleError
from edged.infer.analyze import Analyzer
from edged.infer.errors import InferError
from edged.infer.judge import Question
from edged.spectra.formats.lines import Stretch
from edged.spectra.spectrum import AxisUnit, Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is the same for all jobs of a run. bundle: its absolute path, and the SHA-256 of the file in hex."""

    bundle: str
    bundle_digest: str
    question: Question
    unit: AxisUnit | None
    quantity: Quantity | None
    assumed: Quantity
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """By what a file is known not to have changed while it was read; `mode` as the system gives it: kind and rights."""

    size_bytes: int
    mtime_ns: int
    mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A file to be read, or a part of one. stamp: None for a journal, and for what was no file when looked at."""

    file: str
    stamp: Stamp | None
    part: Stretch | Records | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Some units, in order. digest: SHA-256 over what they are called and hold; size_bytes: how much that is.

    of_file: the number of the one file that this is a part of; None for whole files. journal_end: up to which record
    its journal is read; None for what is no part of one.
    """

    units: tuple[Unit, ...]
    digest: bytes
    size_bytes: int
    of_file: int | None = None
    journal_end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many spectra were looked at, how many lines tell of an error, and how often each outcome was found."""

    spectra: int = 0
    errors: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            spectra=self.spectra + other.spectra,
            errors=self.errors + other.errors,
            outcomes=self.outcomes + other.outcomes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The lines on a job's spectra. file_ended: its last file gives no spectra after these."""

    body: bytes
    tally: Tally
    file_ended: bool


def work(order: Order, job: Job) -> Result:
    """Do a job. Raises NotThisRun where file or bundle are not what they were, RunBroken where the model fails here."""
    analyzer = _analyzer(order)
    lines: list[str] = []
    spectra, errors, outcomes = 0, 0, Counter[str]()
    ended = False
    for answer in answers(_rows(order, job), analyzer, order.question):
        lines.append(line(answer, order.form))
        spectra += answer.row is not None
        ended = answer.row is None
        if answer.analysis is not None:
            outcomes[answer.analysis.verdict.outcome] += 1
        else:
            errors += 1
    return Result(
        body="".join(lines).encode("utf-8", "surrogateescape"),
        tally=Tally(spectra=spectra, errors=errors, outcomes=outcomes),
        file_ended=ended,
    )


def stamp_of(file: str) -> Stamp | None:
    """Return the stamp of a file as it is now; None where there is none."""
    try:
        found = Path(file).stat()
    except (OSError, ValueError):
        return None
    return Stamp(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, mode=found.st_mode)


def changed(file: str) -> NotThisRun:
    """Return the error for a file that is not what it was."""
    return NotThisRun(
        f"{file}: has changed since the run began",
        hint="begin a new run, with another --out, once it is at rest",
    )


def _rows(order: Order, job: Job) -> Iterator[Read]:
    for unit in job.units:
        if unit.stamp is not None and stamp_of(unit.file) != unit.stamp:
            raise changed(unit.file)
        yield from read_source(unit.file, unit.part, unit=order.unit, quantity=order.quantity, assumed=order.assumed)
        if unit.stamp is not None and stamp_of(unit.file) != unit.stamp:
            raise changed(unit.file)


_kept = threading.local()


def _analyzer(order: Order) -> Analyzer:
    if getattr(_kept, "digest", None) == order.bundle_digest:
        analyzer: Analyzer = _kept.analyzer
        return analyzer
    try:
        bundle = read_bundle(order.bundle)
        if bundle.digest != order.bundle_digest:
            raise NotThisRun(
                f"{order.bundle}: is another bundle than the run began with", hint="begin a new run, with another --out"
            )
        analyzer = Analyzer(bundle)
    except (BundleError, InferError) as error:
        raise RunBroken(error.message, hint=error.hint) from error
    _kept.digest, _kept.analyzer = bundle.digest, analyzer
    return analyzer
