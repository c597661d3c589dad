"""A bundle's candidates measured on the machine at hand: a board as well as a workbench.

Needs edged; and onnx to make candidates of the bundle's graph, without which the graph itself is measured, and a float
graph that is given. Never torch. The known answers are the bundle's golden vectors, and fixed scales are measured on
them.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from edged.bundle.archive import Bundle
from edged.infer.engine import INPUT, OUTPUTS, Outputs
from export.compare import interleaved_rounds_us, run_all, session
from export.processor import Processor, processor
from export.quantise.measure import outcomes

AS_IT_IS, FLOAT = "bundle", "float"
ROUNDS_A_START = 20  # one fresh process opens each graph for so many rounds; the best start and growth count


class Benched(TypedDict):
    """One graph. Times are CPU times of one thread, memory that of a fresh process with the graph over one without.

    same_outcome: share of the golden vectors that get the outcome and name of the golden numbers.
    largest_logit_difference: from the golden logits.
    """

    graph: str
    file_bytes: int
    p50_us: float
    p95_us: float
    load_ms: float
    memory_kib: int
    same_outcome: float
    largest_logit_difference: float


class Bench(TypedDict):
    """What one run of the bench says. notes: what was left out, and why."""

    bundle: str
    digest: str
    golden_vectors: int
    onnxruntime: str
    processor: Processor
    graphs: list[Benched]
    notes: list[str]


def bench(bundle: Bundle, *, float_graph: bytes | None = None, rounds: int = 100) -> Bench:
    """Measure a bundle's graph and whatever can be made of it, or of the float graph that it was made from."""
    graphs, notes = _graphs(bundle, float_graph)
    golden = Outputs(**{name: bundle.golden.get(name, _nothing(bundle)) for name in OUTPUTS})
    rows = bundle.golden["spectra"]
    expected = outcomes(bundle.manifest, golden)
    one = np.ascontiguousarray(rows[:1])
    opened = {name: session(raw) for name, raw in graphs.items()}
    times = interleaved_rounds_us(
        {name: partial(graph.run, None, {INPUT: one}) for name, graph in opened.items()}, rounds=rounds
    )
    starts = _starts(graphs, times=max(1, rounds // ROUNDS_A_START))
    found: list[Benched] = []
    for name, raw in graphs.items():
        said = run_all(opened[name], rows)
        same = [a == b for a, b in zip(outcomes(bundle.manifest, said), expected, strict=True)]
        found.append(
            Benched(
                graph=name,
                file_bytes=len(raw),
                p50_us=round(float(np.quantile(times[name], 0.5)), 1),
                p95_us=round(float(np.quantile(times[name], 0.95)), 1),
                load_ms=starts[name][0],
                memory_kib=starts[name][1],
                same_outcome=round(float(np.mean(same)), 6),
                largest_logit_difference=round(float(np.abs(said.logits - golden.logits).max(initial=0.0)), 5),
            )
        )
    return Bench(
        bundle=f"{bundle.manifest.name} {bundle.manifest.version}",
        digest=bundle.digest,
        golden_vectors=len(rows),
        onnxruntime=_runtime_version(),
        processor=processor(),
        graphs=found,
        notes=notes,
    )


def _graphs(bundle: Bundle, float_graph: bytes | None) -> tuple[dict[str, bytes], list[str]]:
    """The graphs to measure, the bundle's own first, and what is to be said of them."""
    graphs, notes = {AS_IT_IS: bundle.model}, []
    if float_graph is not None:
        graphs[FLOAT] = float_graph
    if importlib.util.find_spec("onnx") is None:
        notes.append("onnx is not installed: no candidates are made. python -m pip install onnx")
        return graphs, notes
    import onnx

    from export.quantise.candidates import candidates
    from export.quantise.weights import is_quantised, unfolded

    source = onnx.load_from_string(float_graph or bundle.model)
    if float_graph is None:
        source = unfolded(source)
        notes.append("made of the bundle's own graph: what its rounding took is not in the candidates either")
        if is_quantised(source):
            notes.append("its graph has fixed scales: nothing else can be made of it. Give the float graph: --float")
            return graphs, notes
    built = candidates(source, bundle.golden["spectra"])
    notes.append(f"fixed scales are measured on the {len(bundle.golden['spectra'])} golden vectors")
    for scheme, model in built.items():
        graphs.setdefault(scheme, model.SerializeToString(deterministic=True))
    return graphs, notes


def _starts(graphs: Mapping[str, bytes], *, times: int) -> dict[str, tuple[float, int]]:
    """Milliseconds to make a session, and KiB that a fresh process grows by, for each graph."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{number}.onnx" for number, name in enumerate(graphs)}
        for name, path in paths.items():
            path.write_bytes(graphs[name])
        found: dict[str, list[dict[str, float]]] = {name: [] for name in graphs}
        for _ in range(times):
            for name, path in paths.items():
                done = subprocess.run(
                    [sys.executable, "-m", "export.start", str(path)], capture_output=True, text=True, check=True
                )
                found[name].append(json.loads(done.stdout))
    return {
        name: (round(min(r["load_ms"] for r in runs), 1), int(min(r["memory_kib"] for r in runs)))
        for name, runs in found.items()
    }


def _nothing(bundle: Bundle) -> Any:
    return np.empty((len(bundle.golden["spectra"]), 0), np.float32)


def _runtime_version() -> str:
    from edged.infer.runtime import load_onnxruntime

    return str(load_onnxruntime().__version__)
