"""Opens one graph in this process, runs it once, and prints what that took: `python -m export.start GRAPH`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from edged.infer.engine import INPUT
from export.compare import session


def main(path: str) -> None:
    """Print milliseconds of CPU to make the session, and KiB by which the process grew until it had run once."""
    raw = Path(path).read_bytes()
    warm = session(_smallest())
    warm.run(None, {INPUT: np.zeros((1, 1), np.float32)})
    before = _resident_kib()
    started = time.process_time()
    opened = session(raw)
    load_ms = (time.process_time() - started) * 1e3
    points = opened.get_inputs()[0].shape[1]
    opened.run(None, {INPUT: np.zeros((1, points), np.float32)})
    sys.stdout.write(json.dumps({"load_ms": load_ms, "memory_kib": max(0, _resident_kib() - before)}) + "\n")


def _resident_kib() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("the kernel does not tell a process its size")


def _smallest() -> bytes:
    """A graph that gives back its spectrum [N, 1]: what onnxruntime needs for itself is loaded with it."""
    return bytes.fromhex(SMALLEST)


SMALLEST = (
    "08093a4f0a170a08737065637472756d12016f22084964656e746974791201675a1b0a08737065637472756d120f"
    "0a0d080112090a0312014e0a02080162140a016f120f0a0d080112090a0312014e0a02080142040a001012"
)

if __name__ == "__main__":
    main(sys.argv[1])
