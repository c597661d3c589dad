"""From a whole spectrum to its verdict, in the daemon's own way, and `edged analyze` over a file of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edged.infer.analyze import Analyzer
from edged.infer.engine import INPUT
from edged.infer.resample import resample
from edged.spectra.spectrum import Spectrum
from export.compare import interleaved_us, session
from tests.bench.daemon import STARTER
from tests.bench.subject import REPOSITORY, Subject
from tests.bench.table import Row
from tests.bench.timing import child_s, quartile

SCRIPT = """
import sys, numpy as np
from edged.infer.runtime import load_onnxruntime
table = np.loadtxt(sys.argv[1], delimiter=",")
grid = np.linspace(*(float(word) for word in sys.argv[3:5]), int(sys.argv[5]))
ort = load_onnxruntime()
options = ort.SessionOptions()
options.intra_op_num_threads = 1  # by default a second thread spins, and burns CPU time for nothing
session = ort.InferenceSession(sys.argv[2], options)
for row in table[1:]:
    logits = session.run(["logits"], {"spectrum": np.interp(grid, table[0], row).astype(np.float32)[None]})[0]
    print(logits.argmax())
"""
"""The peer: what someone writes who needs the best class and nothing else: no gate, no probability, no checks."""


def verdict(subject: Subject) -> Iterator[Row]:
    """One spectrum at a time, CPU time; the peer is the bare graph on a row that is resampled already."""
    axis, values = subject.whole_set
    manifest = subject.bundle.manifest
    spectrum = Spectrum(axis=axis, values=values[0], axis_unit=manifest.axis.unit, quantity=manifest.quantity)
    analyzer = Analyzer(subject.bundle)
    asked = analyzer.question()
    row = np.atleast_2d(resample(spectrum, manifest))
    opened = session(subject.bundle.model)
    times = interleaved_us(
        {
            "ours": lambda: analyzer.analyze(spectrum, asked),
            "graph": lambda: opened.run(None, {INPUT: row}),
        },
        rounds=subject.scale.rounds,
    )
    yield Row(
        bench="verdict",
        what="one spectrum to its verdict, CPU",
        ours=times["ours"],
        other=times["graph"],
        against="its graph alone",
        unit="us",
    )


def analyze(subject: Subject) -> Iterator[Row]:
    """The command from its start to its end, output thrown away, next to a short script over the same file."""
    axis, values = subject.whole_set
    points = subject.bundle.manifest.axis
    with subject.scratch() as folder:
        table, graph = folder / "spectra.csv", folder / "model.onnx"
        _write(table, axis, values)
        graph.write_bytes(subject.bundle.model)
        ours = [sys.executable, "-c", STARTER, "analyze", str(table), "--bundle", str(subject.bundle_file), "--json"]
        peer = [sys.executable, "-c", SCRIPT, str(table), str(graph)]
        peer += [str(points.start), str(points.stop), str(points.points)]
        found: dict[str, list[tuple[float, float]]] = {"ours": [], "peer": []}
        for _ in range(subject.scale.analyses):
            for name, command in (("ours", ours), ("peer", peer)):
                found[name].append(child_s(command, cwd=str(REPOSITORY)))
    for index, kind in enumerate(("CPU", "wall")):
        best = {name: quartile([one[index] for one in all_of_it]) for name, all_of_it in found.items()}
        yield Row(
            bench="analyze",
            what=f"edged analyze of {len(values):,} spectra, start included, {kind}",
            ours=best["ours"],
            other=best["peer"],
            against="a short script: best class, no checks",
            unit="s",
        )


def _write(path: Path, axis: np.ndarray, values: np.ndarray) -> None:
    """A wide CSV without names, as plain as can be."""
    np.savetxt(path, np.vstack([axis, values]), delimiter=",", fmt="%.8g")
