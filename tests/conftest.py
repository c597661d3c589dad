"""What every test can count on: the shared spectra, fixed seeds, a temp folder of its own, and nothing left behind.

`EDGED_DATA` names the folder of public spectra (default: `../shared/data` beside the checkout). Where it is absent, the
tests that need it are skipped with that reason. With `EDGED_CI=1` nothing may be skipped: a skip is a failure.
"""

from __future__ import annotations

import asyncio
import asyncio.runners
import gc
import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parent.parent
SEED = 20261121
GRACE_S = 5.0  # threads and children that were told to stop may still be on their way out

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in a shell's background: children would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("edged", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("edged")


Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything has to run, a skipped test is a failed one."""
    return _allowed((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a skipped file."""
    return _allowed((yield))


def _allowed(report: Report) -> Report:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("EDGED_CI") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"EDGED_CI=1 allows no skips. {reason}"
    return report


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of public spectra; skips where there is none, fails where there must be one."""
    folder = Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data")
    if (folder / "nir_pharma_powders_notredame" / "RawNIRData.csv").is_file():
        return folder
    pytest.skip(f"no public spectra in {folder}: set EDGED_DATA to the folder that holds them")


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    """Libraries that draw from global generators draw the same in every run and every order of tests."""
    random.seed(SEED)
    np.random.seed(SEED)


@pytest.fixture(scope="session", autouse=True)
def _pytest_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let pytest choose its own temp folder before the tests get theirs."""
    tmp_path_factory.getbasetemp()


@pytest.fixture(autouse=True)
def _nothing_left_behind(_pytest_folders: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that leaves a thread, task, child process, open socket or terminal, or temp file.

    What fixtures of a wider scope hold is theirs: they are set up before this one looks.
    """
    temp = Path(tempfile.mkdtemp(prefix="edged-test-"))
    monkeypatch.setenv("TMPDIR", str(temp))
    monkeypatch.setattr(tempfile, "tempdir", str(temp))
    unfinished: list[str] = []
    monkeypatch.setattr(asyncio.runners, "_cancel_all_tasks", _noting(unfinished))
    threads, children, handles = set(threading.enumerate()), _children(), _handles()

    yield

    left = [f"asyncio task {name}" for name in unfinished]
    left += _after_grace(lambda: [f"thread {thread.name}" for thread in threading.enumerate() if thread not in threads])
    left += _after_grace(lambda: [f"child process {_words(pid)}" for pid in _children() - children])
    if _handles() - handles:
        gc.collect()  # cycles hold handles until the collector comes; unclosed ones then warn, and warnings are errors
    left += _after_grace(lambda: [f"handle {handle}" for handle in sorted(_handles() - handles)])
    left += [f"temp file {path.relative_to(temp)}" for path in sorted(temp.rglob("*"))]
    shutil.rmtree(temp, ignore_errors=True)
    if left:
        pytest.fail("left behind: " + ", ".join(left), pytrace=False)


def _noting(unfinished: list[str]) -> Callable[[asyncio.AbstractEventLoop], None]:
    """Return asyncio's own clean-up of a finished run, which notes what it had to cancel."""
    cancel_all = asyncio.runners._cancel_all_tasks  # type: ignore[attr-defined]

    def note_and_cancel(loop: asyncio.AbstractEventLoop) -> None:
        unfinished.extend(repr(task.get_coro()) for task in asyncio.all_tasks(loop))
        cancel_all(loop)

    return note_and_cancel


def _after_grace(look: Callable[[], list[str]]) -> list[str]:
    """Return what is still there when the grace is over; at once if nothing is."""
    deadline = time.monotonic() + GRACE_S
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


def _children() -> set[int]:
    """Return the child processes, finished ones that nobody waited for included."""
    try:
        lists = [(task / "children").read_text() for task in Path("/proc/self/task").iterdir()]
    except OSError:  # a kernel without these files, or a thread that ended meanwhile
        return {child.pid for child in psutil.Process().children()}
    return {int(pid) for pids in lists for pid in pids.split()}


def _words(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"{pid} ({process.status()}): {' '.join(process.cmdline()) or process.name()}"
    except psutil.Error:
        return str(pid)


def _handles() -> set[tuple[str, str]]:
    """Return the open sockets, terminals, pipes and selectors as (number, target)."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:  # the listing's own handle
            continue
        if target.startswith(("socket:", "pipe:", "anon_inode:[event", "/dev/pts/", "/dev/ptmx")):
            found.add((entry.name, target))
    return found
