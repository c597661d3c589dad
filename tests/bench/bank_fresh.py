"""What a bank costs a process that has nothing else: CPU seconds to the first answer, and memory.

`python -m tests.bench.bank_fresh RUNTIME POINTS` reads the names of files from standard input, one a line, and prints
one JSON object. The runtime itself is imported before anything is counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from tests.bench.bank_runtimes import load, opened

REPOSITORY = Path(__file__).resolve().parents[2]
RUNS = 3  # what a runtime sets aside while it works is counted too


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """load_s: CPU, files to first answer. memory_mb: growth of the resident set, in units of 1e6 bytes."""

    load_s: float
    memory_mb: float


def in_fresh_process(runtime: str, files: Sequence[Path], points: int) -> Fresh:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.bank_fresh", runtime, str(points)]
    names = "\n".join(map(str, files))
    done = subprocess.run(command, input=names, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return Fresh(**json.loads(done.stdout.splitlines()[-1]))


def main(runtime: str, points: int, files: Sequence[Path]) -> None:
    """Measure here, and print."""
    load(runtime)
    row = np.linspace(-1.0, 1.0, points, dtype=np.float32)[None]
    process = psutil.Process()
    before, began_s = process.memory_info().rss, time.process_time()
    call = opened(runtime, files)
    call(row)
    load_s = time.process_time() - began_s
    for _ in range(RUNS):
        call(row)
    print(json.dumps({"load_s": load_s, "memory_mb": (process.memory_info().rss - before) / 1e6}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), [Path(name) for name in sys.stdin.read().splitlines()])
