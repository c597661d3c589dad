"""Ctrl-C at a terminal reaches every process of it: the workers leave it to the one that waits for them."""

from __future__ import annotations

import os
import signal
import time
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path

import psutil
import pytest

from edged.bulk.crew import processes

WITHIN_S = 60.0


@pytest.fixture(scope="module", autouse=True)
def _tracker() -> None:
    """Python's own helper of processes that are started afresh: it stays until this process ends, so it begins here."""
    ensure_running()


def _at_work(path: Path, wait_s: float) -> int:
    path.touch(exist_ok=False)  # twice would mean that a worker had died
    time.sleep(wait_s)
    return os.getpid()


def workers() -> set[int]:
    """The processes that were started for work, Python's own helper left out."""
    return {p.pid for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())}


def test_a_worker_leaves_ctrl_c_alone_whenever_it_was_started(tmp_path: Path) -> None:
    """The second one starts when the first has long been at work; each is interrupted from its first moment on."""
    with processes(2) as crew:
        first = crew.executor.submit(_at_work, tmp_path / "1", 0.0)
        first.result(timeout=WITHIN_S)
        both = [crew.executor.submit(_at_work, tmp_path / f"{n}", 1.0) for n in (2, 3)]
        deadline_s = time.monotonic() + WITHIN_S
        while not all(future.done() for future in both) and time.monotonic() < deadline_s:
            for pid in workers():
                os.kill(pid, signal.SIGINT)
            time.sleep(0.001)
        ids = {future.result(timeout=WITHIN_S) for future in both}

    assert len(ids) == 2


def test_ctrl_c_still_ends_the_process_that_waits() -> None:
    handler = signal.getsignal(signal.SIGINT)
    with processes(1) as crew:
        crew.executor.submit(int).result(timeout=WITHIN_S)

        assert signal.getsignal(signal.SIGINT) is handler
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
