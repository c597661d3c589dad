"""How times are taken: CPU time where one thread works, turns instead of blocks, and the 25 % quantile.

Other work on the machine then disturbs a peer as much as us, and the quantile is nearer to the undisturbed machine than
the median is.
"""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Mapping

import numpy as np

from export.compare import QUANTILE

CPUCLOCK_SCHED = 2  # include/linux/posix-timers.h: the clock of a process is (~pid << 3) | 2


def cpu_of_s(pid: int) -> float:
    """Return the CPU seconds, user and system, that a running process has used in all of its threads."""
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)


def quartile(values: list[float]) -> float:
    """Return the quantile that all benches print, where they do not say otherwise."""
    return float(np.quantile(values, QUANTILE))


def turns(calls: Mapping[str, Callable[[], float]], *, rounds: int) -> dict[str, list[float]]:
    """Let calls that return their own measurement take turns; return what each returned.

    Who began a round ends the next one: the second finds a processor that has just learned the same work.
    """
    found: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    for _ in range(rounds):
        for name in order:
            found[name].append(calls[name]())
        order.reverse()
    return found


def as_installed() -> dict[str, str]:
    """Return the environment without what changes the program: an installed one has its bytecode on disk, and only
    its own settings."""
    return {name: text for name, text in os.environ.items() if not name.startswith(("EDGED_", "WATCHDOG_", "PYTHON"))}


def child_s(command: list[str], *, cwd: str | None = None) -> tuple[float, float]:
    """Run a program to its end; return its CPU seconds and the wall's. Raises when it fails."""
    began_s, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=cwd, env=as_installed(), check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall_s = time.perf_counter() - began_s
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall_s
