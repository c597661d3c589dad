"""An archive judged again: spectra a second of one core, next to one spectrum after the other; and what it takes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from edged.bulk.answers import Answer, line
from edged.bulk.inputs import listings
from edged.bulk.jobs import jobs
from edged.bulk.work import Order, work
from edged.infer.analyze import Analyzer
from edged.spectra.files import read_spectra
from edged.spectra.rows import Found
from tests.bench.archive import write_archive
from tests.bench.daemon import STARTER
from tests.bench.subject import REPOSITORY, Subject
from tests.bench.table import Row
from tests.bench.timing import as_installed, quartile, turns

LOOK_EVERY_S = 0.05
SPECTRA, MORE = 2_000, 10  # of the small archive; the large one has so many times as many


def bulk(subject: Subject) -> Iterator[Row]:
    """CPU time of what a worker does, in this process; and the memory of the command over ten times the archive."""
    spectra = subject.scale.spectra or SPECTRA
    with subject.scratch() as folder:
        small, large = folder / "small.csv", folder / "large.csv"
        write_archive(small, *subject.whole_set, spectra=spectra)
        write_archive(large, *subject.whole_set, spectra=MORE * spectra)
        yield from _speed(subject, small, spectra)
        peaks = {path: _peak_mb(subject, path, folder / f"{path.stem}.jsonl") for path in (small, large)}
    yield Row(
        bench="bulk",
        what=f"memory of edged analyze --out, one worker, {MORE * spectra:,} spectra",
        ours=peaks[large],
        other=peaks[small],
        against=f"the same over {spectra:,}",
        unit="MB",
    )


def _speed(subject: Subject, table: Path, spectra: int) -> Iterator[Row]:
    analyzer = Analyzer(subject.bundle)
    asked = analyzer.question()
    order = Order(
        bundle=str(subject.bundle_file),
        bundle_digest=subject.bundle.digest,
        question=asked,
        unit=None,
        quantity=None,
        assumed=subject.bundle.manifest.quantity,
        form="jsonl",
    )
    listed = listings([str(table)], None)

    def together() -> float:
        began_s = time.process_time()
        for job in jobs(order, listed, None):
            work(order, job)
        return time.process_time() - began_s

    def one_by_one() -> float:
        began_s = time.process_time()
        for row in read_spectra(table):
            assert isinstance(row, Found)
            found = analyzer.analyze(row.spectrum, asked)
            line(Answer(file=str(table), row=row.row, title="", spectrum=row.spectrum, analysis=found), "jsonl")
        return time.process_time() - began_s

    together()  # loads the model
    took = turns({"ours": together, "other": one_by_one}, rounds=subject.scale.analyses)
    yield Row(
        bench="bulk",
        what="spectra a second of a core, wide CSV to JSON lines",
        ours=spectra / quartile(took["ours"]),
        other=spectra / quartile(took["other"]),
        against="the same, one graph call each",
        unit="1/s",
        more_is_better=True,
    )


def _peak_mb(subject: Subject, table: Path, out: Path) -> float:
    """The most that the command and its worker held at a time; what both map counts twice."""
    words = ["analyze", str(table), "--bundle", str(subject.bundle_file), "--out", str(out), "--workers", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, *words], cwd=REPOSITORY, env=as_installed(), stdout=subprocess.DEVNULL
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, _held(psutil.Process(process.pid)))
        time.sleep(LOOK_EVERY_S)
    assert process.returncode == 0, f"the run ended with {process.returncode}"
    return peak / 1e6


def _held(process: psutil.Process) -> int:
    held = 0
    with suppress(psutil.NoSuchProcess):
        for one in (process, *process.children(recursive=True)):
            held += one.memory_info().rss
    return held
