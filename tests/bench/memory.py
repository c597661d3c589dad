"""Memory of the daemon after some measurements, publishing to a broker."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.daemon import broker, daemon, simulator
from tests.bench.start import FLOOR
from tests.bench.subject import REPOSITORY, Subject
from tests.bench.table import Row
from tests.bench.timing import as_installed

LIMIT_MB = 100.0


def memory(subject: Subject) -> Iterator[Row]:
    """Resident (with every shared page) and proportional (shared pages split among those who share them)."""
    with subject.scratch() as folder, simulator(folder / "port"), broker(folder / "broker") as broker_port:
        with daemon(folder, bundle=subject.bundle_file, port=folder / "port", broker_port=broker_port) as running:
            running.until_station_ready()
            running.ask("reference")
            for _ in range(subject.scale.measurements):
                running.ask("measure")
            ours = memory_mb(running.pid)
        floor = _floor_mb()
    count = subject.scale.measurements
    for kind, words in (("Rss", "resident"), ("Pss", "proportional")):
        yield Row(
            bench="memory",
            what=f"after {count} measurements, {words}",
            ours=ours[kind],
            other=LIMIT_MB,
            against="limit",
            unit="MB",
        )
    yield Row(
        bench="memory",
        what="the same, resident",
        ours=ours["Rss"],
        other=floor,
        against="python, numpy and onnxruntime alone",
        unit="MB",
    )


def memory_mb(pid: int) -> dict[str, float]:
    """Return Rss and Pss of a process in units of 1e6 bytes."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {name: int(kib) * 1024 / 1e6 for name, kib in re.findall(r"^(Rss|Pss):\s+(\d+) kB", text, re.MULTILINE)}


def _floor_mb() -> float:
    wait = f"{FLOOR}; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", wait],
        cwd=REPOSITORY,
        env=as_installed(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = memory_mb(process.pid)["Rss"]
        process.communicate("\n")
    return found
