"""Preprocessing inside the graph against scipy, pywt, pybaselines and numpy: time of one spectrum, parity over many.

`python -m tests.bench.preprocessing` prints the table of docs/results/preprocessing.md: every step, on three real sets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import onnx
import torch
from torch import Tensor, nn

from export.compare import interleaved_us, session
from export.preprocess.named import NAMED
from export.preprocess.pipeline import Pipeline, build
from export.to_onnx import OPSET, module_graph
from tests.bench.subject import REPOSITORY, Rows, Subject
from tests.bench.table import Row
from tests.export.preprocess.cases import RealSet, Steps, cases, largest_difference, real_sets

if TYPE_CHECKING:
    import onnxruntime

PARITY = 1e-5
FASTER = 5.0
RECIPE_CASE = "the recipe's steps together"
TITLES = {  # of the seven of the literature
    "vector": ("vector normalisation", "numpy"),
    "sg-smoothing": ("smoothing, Savitzky-Golay", "scipy"),
    "msc": ("scatter correction, MSC", "numpy"),
    "first-derivative": ("first derivative, Savitzky-Golay", "scipy"),
    "z-score": ("z-score", "numpy"),
    "wavelet-smoothing": ("wavelet smoothing, db8", "pywt"),
    "wavelet-denoising": ("wavelet denoising, sym8", "pywt"),
}


def preprocessing(subject: Subject) -> Iterator[Row]:
    """The seven of the literature, then the recipe's own row of steps. One thread, CPU time.

    Each graph stands alone here and pays for being called, as much as the graph that does nothing; inside a bundle the
    steps share one call with the network.
    """
    spectra = RealSet(axis=subject.grid, fitted_on=subject.development, judged=subject.held_out)
    steps = {title: NAMED[name] for name, (title, _) in TITLES.items()} | {RECIPE_CASE: subject.recipe.steps}
    libraries = dict(TITLES.values()) | {RECIPE_CASE: "scipy and numpy"}
    graphs = _graphs(steps, spectra)
    one = spectra.judged[:1]
    calls: dict[str, Callable[[], object]] = {}
    parity: dict[str, float] = {}
    for title, graph in graphs.items():
        opened, way = session(graph), spectra.judge(steps[title]).way
        calls[title] = partial(opened.run, None, {"spectrum": one})
        calls[f"{title}, peer"] = partial(way, one.astype(np.float64))
        found = _singly(opened, spectra.judged)
        parity[title] = float(np.abs(found - way(spectra.judged.astype(np.float64))).max())
    nothing = session(_nothing(one.shape[1]))
    calls["nothing"] = partial(nothing.run, None, {"spectrum": one})
    calls["nothing, peer"] = one.astype(np.float64).copy
    times = interleaved_us(calls, rounds=subject.scale.rounds)
    row = partial(Row, bench="preprocessing")
    yield row(
        what="a graph that does nothing",
        ours=times["nothing"],
        other=times["nothing, peer"],
        against="numpy, a copy",
        unit="us",
    )
    for title in steps:
        yield row(what=title, ours=times[title], other=times[f"{title}, peer"], against=libraries[title], unit="us")
    yield row(
        what=f"{RECIPE_CASE}, times faster",
        ours=times[f"{RECIPE_CASE}, peer"] / times[RECIPE_CASE],
        other=FASTER,
        against="limit",
        unit="times",
        more_is_better=True,
    )
    for title in steps:
        yield row(
            what=f"{title}, largest error",
            ours=parity[title],
            other=PARITY,
            against=f"limit, from {libraries[title]}",
            unit="-",
        )


@dataclass(frozen=True, kw_only=True)
class Found:
    """Of one step on one set: the largest difference of real rows and of nasty ones, and the times of one spectrum."""

    real: float
    nasty: float
    ours_us: float
    judge_us: float


def measured(steps: Mapping[str, Steps], spectra: RealSet, *, rounds: int) -> dict[str, Found]:
    """Measure every step on one set. Differences are relative to the largest value of each expected spectrum."""
    graphs = _graphs(steps, spectra)
    one = spectra.judged[:1]
    calls: dict[str, Callable[[], object]] = {}
    off: dict[str, tuple[float, float]] = {}
    for name, graph in graphs.items():
        opened, judge = session(graph), spectra.judge(steps[name])
        rows, many = spectra.rows_for(judge), len(spectra.judged)
        found, expected = _singly(opened, rows), judge.way(rows.astype(np.float64))
        off[name] = (
            largest_difference(found[:many], expected[:many], rows[:many]),
            largest_difference(found[many:], expected[many:], rows[many:]),
        )
        calls[name] = partial(opened.run, None, {"spectrum": one})
        calls[f"{name}, judge"] = partial(judge.way, one.astype(np.float64))
    times = interleaved_us(calls, rounds=rounds)
    return {
        name: Found(real=off[name][0], nasty=off[name][1], ours_us=times[name], judge_us=times[f"{name}, judge"])
        for name in graphs
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--quick", is_flag=True, help="Few spectra and rounds: shows that it works, not how fast it is.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Public spectra.  [default: $EDGED_DATA or ../shared/data]"
)
def main(data: Path | None, *, quick: bool) -> None:
    """Compare every step with its judge on handheld NIR, FT-NIR and Raman spectra, and print one table.

    Example: python -m tests.bench.preprocessing
    """
    torch.set_num_threads(1)
    sets = real_sets(data or Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data"))
    if quick:
        sets = {name: replace(spectra, judged=spectra.judged[:4]) for name, spectra in sets.items()}
    found: dict[str, dict[str, Found]] = {}
    for name, spectra in sets.items():
        click.echo(f"measuring: {name}, {len(spectra.axis)} points", err=True)
        found[name] = measured(cases(spectra.axis), spectra, rounds=2 if quick else 40)
    heads = [f"{name}, {len(spectra.axis)}" for name, spectra in sets.items()]
    click.echo("| step | judge |" + "".join(f" {head} | nasty | times |" for head in heads))
    click.echo("|---|---|" + "--:|--:|--:|" * len(heads))
    first = next(iter(sets.values()))
    for step, steps in cases(first.axis).items():
        cells = [_cells(found[name][step]) for name in sets]
        click.echo(f"| {step} | {first.judge(steps).name} | " + " | ".join(cells) + " |")


def _cells(found: Found) -> str:
    times = found.judge_us / found.ours_us
    digits = 2 if times < 10 else 0
    return f"{found.real:.1e} | {found.nasty:.1e} | {found.judge_us:,.0f} / {found.ours_us:,.0f} = {times:.{digits}f}"


def _singly(opened: onnxruntime.InferenceSession, spectra: Rows) -> Rows:
    return np.concatenate([opened.run(None, {"spectrum": row[None]})[0] for row in spectra])


class _SideBySide(nn.Module):
    """Every case on the same input, so that the exporter, which is slow, runs once."""

    def __init__(self, pipelines: list[Pipeline]) -> None:
        super().__init__()
        self.pipelines = nn.ModuleList(pipelines)

    def forward(self, spectrum: Tensor) -> tuple[Tensor, ...]:
        return tuple(pipeline(spectrum) for pipeline in self.pipelines)


def _nothing(points: int) -> onnx.ModelProto:
    ports = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, ["N", points]) for n in ("spectrum", "out")]
    node = onnx.helper.make_node("Identity", ["spectrum"], ["out"])
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "nothing", ports[:1], ports[1:]),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
    )
    model.ir_version = 10
    return model


def _graphs(steps: Mapping[str, Steps], spectra: RealSet) -> dict[str, onnx.ModelProto]:
    """One graph a case, cut out of the common one."""
    pipelines = [build(each, spectra.axis) for each in steps.values()]
    for pipeline in pipelines:
        pipeline.fit(torch.from_numpy(spectra.fitted_on.copy()))
    outputs = tuple(f"out{index}" for index in range(len(steps)))
    together = onnx.utils.Extractor(module_graph(_SideBySide(pipelines), len(spectra.axis), outputs=outputs))
    return {name: together.extract_model(["spectrum"], [out]) for name, out in zip(steps, outputs, strict=True)}


if __name__ == "__main__":
    main()
