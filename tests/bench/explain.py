"""What an explanation takes, against its limit and against the same windows put to everyone, one by one.

Of a bank of separate networks too, random ones: only the compounds that are explained are asked, by a graph that holds
no numbers of its own. What that graph costs besides is measured when it is first opened.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edged.bundle.archive import SUFFIX, Bundle, bundle_bytes, bundle_from_bytes, pack_golden, read_bundle
from edged.bundle.vocabulary import Axis
from edged.infer.alone import Alone
from edged.infer.analyze import Analyzer
from edged.infer.engine import Engine
from edged.infer.explain import positions, windows
from edged.infer.runtime import load_onnxruntime
from edged.infer.verdict import MAX_TARGETS, Candidate, Verdict
from edged.spectra.spectrum import Spectrum
from export.bank.alone import why_graph
from export.bank.fuse import fused, joined
from export.bank.ranges import bank_from
from export.models.catalogue import named
from export.models.resnet1d import ResNet1dWords
from export.models.resuca import ResucaWords
from export.preprocess.pipeline import build
from export.preprocess.words import SavgolStep, SnvStep
from export.to_onnx import module_graph
from tests.bench.bank import Size, random_members
from tests.bench.explain_fresh import in_fresh_process
from tests.bench.subject import Subject
from tests.bench.table import Row
from tests.bench.timing import quartile, turns
from tests.bundle.mixed import POINT, mixed_fields
from tests.export.bank.made import prepared

LIMIT_MS = 300.0
COMPOUNDS, POINTS = 368, 1024
MOST_ROUNDS = 5
FEW = 16  # windows that a whole bank is asked: all of them take it seconds
STEPS = (SavgolStep(kind="savgol", window=9, order=2, derivative=1), SnvStep(kind="snv"))


class Front(nn.Module):
    """What stands before a bank: a spectrum to what the bank reads, and to a feature."""

    def __init__(self, points: int) -> None:
        super().__init__()
        self.steps = build(STEPS, points)

    def forward(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        """Return both."""
        return self.steps(spectrum), spectrum.mean(dim=1, keepdim=True)


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
    """CPU time of one explanation: of the shipped bundle, of a shared trunk for 368 compounds, and of banks of 368
    separate networks."""
    rounds = min(subject.scale.rounds, MOST_ROUNDS)
    shipped = subject.bundle
    values = shipped.golden["spectra"][0]
    analyzer = Analyzer(shipped)
    verdict = analyzer.analyze(_spectrum(shipped, values)).verdict
    yield from _rows(shipped, values, verdict, f"{shipped.manifest.name}, 1 class", rounds)
    large = large_bundle()
    verdict = _naming_many()
    what = f"shared trunk, {COMPOUNDS} compounds, {POINTS} points, {MAX_TARGETS} explained"
    yield from _rows(large, large.golden["spectra"][0], verdict, what, rounds)
    size = Size.of(subject.scale)
    with subject.scratch() as folder:
        for kind in size.kinds:
            yield from _rows_of_bank(kind, size, rounds, folder)


def _rows_of_bank(kind: str, size: Size, rounds: int, folder: Path) -> Iterator[Row]:
    path = folder / f"{kind}{SUFFIX}"
    path.write_bytes(bank_bytes(kind, size))
    bundle = read_bundle(path)
    spectrum, verdict = _spectrum(bundle, bundle.golden["spectra"][0]), _naming_many()
    analyzer, alone, engine = Analyzer(bundle), Alone.load(bundle), Engine.load(bundle)
    first_ms = _ms(lambda: analyzer.explain(spectrum, verdict))
    count = sum(map(len, windows(bundle.manifest.axis)))
    few = np.resize(bundle.golden["spectra"], (FEW, size.points))
    took = turns(
        {
            "ours": lambda: _ms(lambda: analyzer.explain(spectrum, verdict)),
            "bare": lambda: _ms(lambda: [alone.logits(few, range(MAX_TARGETS)) for _ in range(count // FEW)]),
            "all": lambda: _ms(lambda: engine.run(few)) * count / FEW,
        },
        rounds=rounds,
    )
    ours, bare, everyone = (quartile(took[which]) for which in ("ours", "bare", "all"))
    what = f"{size.compounds} networks of {kind}, {size.points} points, {MAX_TARGETS} explained"
    for ms, other, against, when in (
        (ours, LIMIT_MS, "limit", ""),
        (first_ms, LIMIT_MS, "limit", ", the first, the graph opened and tried"),
        (ours, everyone, f"its {count} windows put to all networks, of {FEW} of them", ""),
        (ours, bare, "the same compounds asked, nothing else", ""),
    ):
        yield Row(bench="explain", what=f"{what}{when}, CPU", ours=ms, other=other, against=against, unit="ms")
    own = partial(Row, bench="explain", unit="MB")
    graphs = len(bundle.why) / 1e6, len(bundle.model) / 1e6
    yield own(what=f"{what}, graph", ours=graphs[0], other=graphs[1], against="the bank's own graph")
    if not size.quick:  # little memory grows by whole pages, or not at all
        memory = in_fresh_process(path)
        grown = memory.explaining_mb, memory.judging_mb
        yield own(what=f"{what}, memory besides", ours=grown[0], other=grown[1], against="the bundle at work")


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
    model = module_graph(Trunk(), POINTS, outputs=("logits", "features")).SerializeToString()
    return bundle_from_bytes(_bytes_of(model, POINTS, COMPOUNDS, b""))


def _bytes_of(model: bytes, points: int, compounds: int, why: bytes) -> bytes:
    session = load_onnxruntime().InferenceSession
    axis = Axis(unit="cm-1", start=200.0, stop=2000.0, points=points)
    at = positions(axis)
    golden = np.stack([np.exp(-(((at - centre) / 6.0) ** 2)) for centre in (620.0, 1003.0)]).astype(np.float32)
    said = session(model, providers=["CPUExecutionProvider"]).run(["logits", "features"], {"spectrum": golden})
    columns = {"thresholds": 0.0, "negatives": 10**6, "named": 0, "detection_limits": None}
    screen = (
        POINT | {"confirm": False, "false_names": 1.0} | {key: [value] * compounds for key, value in columns.items()}
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
            "compounds": [{"label": f"c{i}", "title": f"C{i}"} for i in range(compounds)],
            "presets": {"screen": screen},
        },
    )
    members = {"model.onnx": model, "golden.npz": pack_golden(golden, *said), "report.html": b"<p>none</p>"}
    return bundle_bytes(fields, members | ({"why.onnx": why} if why else {}))


def bank_bytes(kind: str, size: Size) -> bytes:
    """Return a bundle that names its compounds by separate networks, their weights random."""
    words = named(kind, points=size.points)
    assert isinstance(words, ResucaWords)
    names = [f"c{number}" for number in range(size.compounds)]
    seen = prepared(size.calibration, seed=2, points=size.points)
    bank = bank_from(words, random_members(words, size), names, seen)
    front = module_graph(Front(size.points), size.points, outputs=("read_by_bank", "features"))
    model = joined(front, fused(bank), prepared="read_by_bank").SerializeToString()
    why = why_graph(model, bank, prepared="read_by_bank").SerializeToString()
    return _bytes_of(model, size.points, size.compounds, why)


def _naming_many() -> Verdict:
    many = tuple(Candidate(label=f"c{i}", title=f"C{i}", probability=0.5) for i in range(MAX_TARGETS))
    return Verdict(procedure="components", preset="screen", outcome="inconclusive", candidates=many)


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
