"""Start of `edged run`: CPU seconds until READY=1 arrives where systemd would hear it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.bench.daemon import daemon
from tests.bench.subject import REPOSITORY, Subject
from tests.bench.table import Row
from tests.bench.timing import child_s, quartile, turns
from tests.broker import free_port

LIMIT_S = 0.8
FLOOR = "from edged.infer.runtime import load_onnxruntime; load_onnxruntime(); import numpy"


def start(subject: Subject) -> Iterator[Row]:
    """One station whose instrument is away and a broker that is away: neither is needed to become ready."""
    with subject.scratch() as folder:

        def once() -> float:
            absent = folder / "absent"
            with daemon(folder, bundle=subject.bundle_file, port=absent, broker_port=free_port()) as running:
                return running.cpu_at_ready_s

        def floor() -> float:
            return child_s([sys.executable, "-c", FLOOR], cwd=str(REPOSITORY))[0]

        once()  # makes the journal and fills the caches of the disk
        found = turns({"ours": once, "floor": floor}, rounds=subject.scale.starts)
    ours, least = quartile(found["ours"]), quartile(found["floor"])
    yield Row(bench="start", what="edged run to READY, CPU", ours=ours, other=LIMIT_S, against="limit", unit="s")
    yield Row(
        bench="start", what="the same", ours=ours, other=least, against="python, numpy and onnxruntime alone", unit="s"
    )
