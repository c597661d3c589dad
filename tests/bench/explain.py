"""What an explanation takes, against its limit and against the same windows asked one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from edged.bundle.archive import Bundle, bundle_bytes, bundle_from_bytes, pack_golden
from edged.bundle.vocabulary import Axis
from edged.infer.analyze import Analyzer
from edged.infer.engine import Engine
from edged.infer.explain import positions, windows
from edged.infer.runtime import load_onnxruntime
from edged.infer.verdict import MAX_TARGETS, Candidate, Verdict
from edged.spectra.spectrum import Spectrum
from export.models.resnet1d import ResNet1dWords
from export.to_onnx import module_graph
from tests.bench.subject import Subject
from tests.bench.table import Row
from tests.bench.timing import quartile, turns
from tests.bundle.mixed import POINT, mixed_fields

LIMIT_MS = 300.0
COMPOUNDS, POINTS = 368, 1024
MOST_ROUNDS = 5


class Trunk(nn.Module):
    """The shared trunk of many compounds with random weights: what it answers does not matter to the time it takes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = ResNet1dWords().build(points=POINTS, classes=COMPOUNDS)

    def forward(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits, and one of them as a feature."""
        logits: Tensor = self.network(spectrum)
        return logits, logits[:, :1]


def explain(subject: Subject) -> Iterator[Row]:
    """CPU time of one explanation: of the shipped bundle, and of a shared trunk for 368 compounds."""
    rounds = min(subject.scale.rounds, MOST_ROUNDS)
    shipped = subject.bundle
    values = shipped.golden["spectra"][0]
    analyzer = Analyzer(shipped)
    verdict = analyzer.analyze(_spectrum(shipped, values)).verdict
    yield from _rows(shipped, values, verdict, f"{shipped.manifest.name}, 1 class", rounds)
    large = large_bundle()
    many = tuple(Candidate(label=f"c{i}", title=f"C{i}", probability=0.5) for i in range(MAX_TARGETS))
    verdict = Verdict(procedure="components", preset="screen", outcome="inconclusive", candidates=many)
    what = f"shared trunk, {COMPOUNDS} compounds, {POINTS} points, {MAX_TARGETS} explained"
    yield from _rows(large, large.golden["spectra"][0], verdict, what, rounds)


def _rows(bundle: Bundle, values: np.ndarray, verdict: Verdict, what: str, rounds: int) -> Iterator[Row]:
    """As the daemon does it, and as `edged analyze` does it once batches have been tried."""
    spectrum = _spectrum(bundle, values)
    alone, batched, engine = Analyzer(bundle), Analyzer(bundle), Engine.load(bundle)
    batched.analyze_many([(spectrum, ())] * 2)
    count = sum(map(len, windows(bundle.manifest.axis)))
    rows = np.resize(values, (count, len(values)))
    took = turns(
        {
            "alone": lambda: _ms(lambda: alone.explain(spectrum, verdict)),
            "batched": lambda: _ms(lambda: batched.explain(spectrum, verdict)),
            "bare": lambda: _ms(lambda: engine.run(rows)),
        },
        rounds=rounds,
    )
    ours = {which: quartile(times) for which, times in took.items()}
    bare = f"its {count} windows asked one by one, nothing else"
    for which, other, against in (
        ("alone", LIMIT_MS, "limit"),
        ("alone", ours["bare"], bare),
        ("batched", ours["bare"], bare),
    ):
        name = f"{what}, {'one by one' if which == 'alone' else 'in batches'}, CPU"
        yield Row(bench="explain", what=name, ours=ours[which], other=other, against=against, unit="ms")


def large_bundle() -> Bundle:
    """A bundle that names 368 compounds by score, its weights random."""
    session = load_onnxruntime().InferenceSession
    model = module_graph(Trunk(), POINTS, outputs=("logits", "features")).SerializeToString()
    axis = Axis(unit="cm-1", start=200.0, stop=2000.0, points=POINTS)
    at = positions(axis)
    golden = np.stack([np.exp(-(((at - centre) / 6.0) ** 2)) for centre in (620.0, 1003.0)]).astype(np.float32)
    logits, features = session(model, providers=["CPUExecutionProvider"]).run(None, {"spectrum": golden})
    columns = {"thresholds": 0.0, "negatives": 10**6, "named": 0, "detection_limits": None}
    screen = (
        POINT | {"confirm": False, "false_names": 1.0} | {key: [value] * COMPOUNDS for key, value in columns.items()}
    )
    del screen["min_support"], screen["max_rest"]
    fields = mixed_fields(
        technique="raman",
        quantity="intensity",
        axis=axis.model_dump(),
        golden_tolerance=1e-2,
        default_preset="screen",
        gates=[{"name": "level", "metric": "norm", "columns": [0, 1], "limits": {"screen": 1e6}}],
        components={
            "compounds": [{"label": f"c{i}", "title": f"C{i}"} for i in range(COMPOUNDS)],
            "presets": {"screen": screen},
        },
    )
    members = {"model.onnx": model, "golden.npz": pack_golden(golden, logits, features), "report.html": b"<p>none</p>"}
    return bundle_from_bytes(bundle_bytes(fields, members))


def _spectrum(bundle: Bundle, values: np.ndarray) -> Spectrum:
    manifest = bundle.manifest
    return Spectrum(
        axis=positions(manifest.axis),
        values=values.astype(np.float32),
        axis_unit=manifest.axis.unit,
        quantity=manifest.quantity,
    )


def _ms(work: Callable[[], object]) -> float:
    began_s = time.process_time()
    work()
    return (time.process_time() - began_s) * 1e3
