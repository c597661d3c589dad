"""What explaining costs a process beyond judging: memory. `python -m tests.bench.explain_fresh BUNDLE` prints JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from edged.bundle.archive import read_bundle
from edged.infer.alone import Alone
from edged.infer.engine import Engine
from edged.infer.explain import CHUNK
from edged.infer.runtime import load_onnxruntime
from edged.infer.verdict import MAX_TARGETS

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Growth of the resident set in units of 1e6 bytes: by the bundle and its own graph, then by the second graph."""

    judging_mb: float
    explaining_mb: float


def in_fresh_process(bundle: Path) -> Memory:
    """Measure in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.explain_fresh", str(bundle)]
    done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return Memory(**json.loads(done.stdout.splitlines()[-1]))


def main(path: Path) -> None:
    """Measure here, and print."""
    load_onnxruntime()
    resident = psutil.Process().memory_info
    at_first = resident().rss
    bundle = read_bundle(path)
    engine = Engine.load(bundle)
    rows = np.resize(bundle.golden["spectra"], (CHUNK, bundle.manifest.axis.points))
    engine.run(rows)
    judging = resident().rss
    alone = Alone.load(bundle)
    for _ in range(3):  # what a runtime sets aside while it works is counted too
        alone.logits(rows, range(MAX_TARGETS))
    grown = (judging - at_first) / 1e6, (resident().rss - judging) / 1e6
    print(json.dumps({"judging_mb": grown[0], "explaining_mb": grown[1]}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
