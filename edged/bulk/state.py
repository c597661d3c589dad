"""What a run has asked and how far it is, kept beside its results so that a killed one goes on: FILE.run.

One JSON object a line. The first tells what is asked; each further one that so many bytes of the results are on disk,
and what they rest on. A line is written after what it speaks of; one that is cut off counts as none.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from edged.bulk.errors import NotThisRun, RunBroken
from edged.bulk.work import Tally

SCHEMA = "edged.bulk/1"
MAX_STATE_BYTES = 256 << 20  # two million lines, or ten thousands of files that are named one by one
NEW_RUN = "begin a new run, with another --out, or remove what it left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a run is. jobs: done in order; chain: the digest over theirs; out_bytes: of the results, on disk.

    file_ended: the number of a file whose further stretches give nothing. journal_ends: since the mark before, by the
    number of a journal up to which record it is read.
    """

    jobs: int = 0
    chain: str = ""
    read_bytes: int = 0
    out_bytes: int = 0
    tally: Tally = field(default_factory=Tally)
    file_ended: int | None = None
    journal_ends: tuple[tuple[int, int], ...] = ()
    complete: bool = False

    def document(self) -> dict[str, Any]:
        """Return it as it stands in the file."""
        return {
            "jobs": self.jobs,
            "chain": self.chain,
            "read_bytes": self.read_bytes,
            "out_bytes": self.out_bytes,
            "spectra": self.tally.spectra,
            "errors": self.tally.errors,
            "outcomes": dict(sorted(self.tally.outcomes.items())),
            "file_ended": self.file_ended,
            "journal_ends": self.journal_ends,
            "complete": self.complete,
        }


class State:
    """The open file of a run, which no other process may have open. Raises BulkError, and nothing else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: BinaryIO = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")
        except OSError as error:
            raise failed(path, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise NotThisRun(f"{path}: another run is at work on it", hint="wait for its end") from error
        except OSError as error:
            self._file.close()
            raise failed(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def begin(self, plan: dict[str, Any]) -> list[Mark]:
        """Compare with the plan that lies there, or write it; return the marks that were left, the first ones first.

        Raises NotThisRun where something else was asked.
        """
        try:
            lines = self._whole_lines()
            if not lines:
                self._append(plan)
                return []
        except OSError as error:
            raise failed(self.path, error) from error
        _compare(lines[0], plan, self.path)
        return [_mark(line, self.path) for line in lines[1:]]

    def keep(self, mark: Mark) -> None:
        """Write a mark; when this returns it is on disk."""
        try:
            self._append(mark.document())
        except OSError as error:
            raise failed(self.path, error) from error

    def _whole_lines(self) -> list[Any]:
        """The lines up to the first that is none, which goes with all after it."""
        data = self._file.read(MAX_STATE_BYTES + 1)
        if len(data) > MAX_STATE_BYTES:
            raise NotThisRun(f"{self.path}: is no state of a run: it is too large", hint=NEW_RUN)
        found, good = [], 0
        for raw in data.splitlines(keepends=True):
            try:
                told = json.loads(raw) if raw.endswith(b"\n") else None
            except (ValueError, RecursionError):
                told = None
            if not isinstance(told, dict):
                break
            found.append(told)
            good += len(raw)
        if not found and data.count(b"\n"):
            raise NotThisRun(f"{self.path}: is no state of a run", hint=NEW_RUN)
        self._file.seek(good)
        self._file.truncate()
        return found

    def _append(self, told: dict[str, Any]) -> None:
        self._file.write(json.dumps(told).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def failed(path: Path, error: OSError) -> RunBroken:
    """Return the error for what the operating system said of a file of the run."""
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    return RunBroken(f"{path}: {reason}", hint="see to the disk and its permissions; the same command then goes on")


def _compare(found: dict[str, Any], plan: dict[str, Any], path: Path) -> None:
    """Raise NotThisRun that names the first thing that differs."""
    wanted = json.loads(json.dumps(plan))
    if found.get("schema") != wanted["schema"]:
        raise NotThisRun(f"{path}: is no state of a run of this program", hint=NEW_RUN)
    for key, value in wanted.items():
        if key != "inputs" and found.get(key) != value:
            raise NotThisRun(
                f"{path}: the run began with {key} {_short(found.get(key))}; now it is {_short(value)}", hint=NEW_RUN
            )
    before = found.get("inputs")
    if not isinstance(before, list) or [_name(one) for one in before] != [_name(one) for one in wanted["inputs"]]:
        raise NotThisRun(f"{path}: the run began with other files, or in another order", hint=NEW_RUN)
    for old, new in zip(before, wanted["inputs"], strict=True):
        if old != new:
            then, now = _amount(old), _amount(new)
            how = f"{then} then, {now} now" if then != now else f"{now} as then, but a name or a time is another"
            raise NotThisRun(f"{new['name']}: has changed since the run began: {how}", hint=NEW_RUN)


def _mark(told: dict[str, Any], path: Path) -> Mark:
    try:
        tally = Tally(
            spectra=int(told["spectra"]), errors=int(told["errors"]), outcomes=Counter(dict(told["outcomes"]))
        )
        return Mark(
            jobs=int(told["jobs"]),
            chain=str(told["chain"]),
            read_bytes=int(told["read_bytes"]),
            out_bytes=int(told["out_bytes"]),
            tally=tally,
            file_ended=None if told["file_ended"] is None else int(told["file_ended"]),
            journal_ends=tuple(_pair(one) for one in told["journal_ends"]),
            complete=bool(told["complete"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NotThisRun(f"{path}: is no state of a run: {error!r}", hint=NEW_RUN) from error


def _pair(told: object) -> tuple[int, int]:
    match told:
        case [int(number), int(seq)] if bool not in (type(number), type(seq)):
            return number, seq
    raise ValueError(f"{told!r} is no number of a journal and record of it")


def _name(told: object) -> object:
    return told.get("name") if isinstance(told, dict) else None


def _amount(told: dict[str, Any]) -> str:
    files = told.get("files")
    return f"{files} file{'' if files == 1 else 's'} of {told.get('size_bytes')} bytes"


def _short(told: object) -> str:
    text = json.dumps(told)
    return text if len(text) <= 120 else text[:120] + "…"
