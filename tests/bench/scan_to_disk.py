"""From the last byte of a scan on the wire to its record on disk, as the daemon itself times it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.bench.daemon import broker, daemon, simulator
from tests.bench.records import RawTable
from tests.bench.subject import Subject
from tests.bench.table import Row
from tests.bench.timing import quartile

LIMIT_MS = 10.0  # beside the inference
INFERENCE = ("resample", "graph", "judge")


def scan_to_disk(subject: Subject) -> Iterator[Row]:
    """Wall time: what a human waits for. A raw commit of the same size beside each measurement tells of the disk."""
    to_disk, inference, commits = [], [], []
    with (
        subject.scratch() as folder,
        simulator(folder / "port"),
        broker(folder / "broker") as broker_port,
        daemon(folder, bundle=subject.bundle_file, port=folder / "port", broker_port=broker_port) as running,
        RawTable(folder / "raw.db") as raw,
    ):
        running.until_station_ready()
        running.ask("reference")
        for _ in range(subject.scale.scans):
            record = running.ask("measure")
            to_disk.append(running.ask("status")["stations"][0]["latest"]["to_disk_ms"])
            inference.append(sum(record["timing_ms"].get(stage, 0.0) for stage in INFERENCE))
            commits.append(raw.append_s(1) * 1e3)
    limit = float(np.median(inference)) + LIMIT_MS
    for name, share in (("median", 0.5), ("p95", 0.95)):
        ours = float(np.quantile(to_disk, share))
        yield Row(
            bench="scan-to-disk",
            what=f"last byte to record on disk, {name}",
            ours=ours,
            other=limit,
            against="limit: inference + 10 ms",
            unit="ms",
        )
    rest = [whole - part for whole, part in zip(to_disk, inference, strict=True)]
    yield Row(
        bench="scan-to-disk",
        what="the same without inference",
        ours=quartile(rest),
        other=quartile(commits),
        against="one raw SQLite commit, synchronous=FULL",
        unit="ms",
    )
