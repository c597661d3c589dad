"""Preprocessing inside the graph against scipy, pywt and numpy: time of one spectrum, and parity over many."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pywt
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import savgol_filter
from torch import Tensor, nn

from export.compare import interleaved_us, session
from export.preprocess.pipeline import (
    MscStep,
    Pipeline,
    SavgolStep,
    SmoothStep,
    SnvStep,
    StandardiseStep,
    StepWords,
    VectorStep,
    WaveletStep,
    build,
)
from export.to_onnx import OPSET, module_graph
from tests.bench.subject import Rows, Subject
from tests.bench.table import Row

if TYPE_CHECKING:
    import onnxruntime

PARITY = 1e-5
FASTER = 5.0
RECIPE_CASE = "the recipe's steps together"
Array = NDArray[np.float64]
Way = Callable[[Array], Array]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Steps as a recipe writes them, and the same with the libraries that everybody uses. `peer` takes [n, points]."""

    name: str
    steps: tuple[StepWords, ...]
    library: str
    peer: Way


def preprocessing(subject: Subject) -> Iterator[Row]:
    """The seven of the literature, then the recipe's own row of steps. One thread, CPU time.

    Each graph stands alone here and pays for being called, as much as the graph that does nothing; inside a bundle the
    steps share one call with the network.
    """
    fitted_on = subject.development
    cases = _cases(fitted_on.astype(np.float64), subject.recipe.steps)
    graphs = _graphs(cases, fitted_on)
    spectra = subject.held_out
    one, one64 = spectra[:1], spectra[:1].astype(np.float64)
    calls: dict[str, Callable[[], object]] = {}
    parity: dict[str, float] = {}
    for case in cases:
        opened = session(graphs[case.name])
        calls[case.name] = partial(opened.run, None, {"spectrum": one})
        calls[f"{case.name}, peer"] = partial(case.peer, one64)
        parity[case.name] = _off(opened, case.peer, spectra)
    nothing = session(_nothing(one.shape[1]))
    calls["nothing"] = partial(nothing.run, None, {"spectrum": one})
    calls["nothing, peer"] = one64.copy
    times = interleaved_us(calls, rounds=subject.scale.rounds)
    yield Row(
        bench="preprocessing",
        what="a graph that does nothing",
        ours=times["nothing"],
        other=times["nothing, peer"],
        against="numpy, a copy",
        unit="us",
    )
    for case in cases:
        yield Row(
            bench="preprocessing",
            what=case.name,
            ours=times[case.name],
            other=times[f"{case.name}, peer"],
            against=case.library,
            unit="us",
        )
    yield Row(
        bench="preprocessing",
        what=f"{RECIPE_CASE}, times faster",
        ours=times[f"{RECIPE_CASE}, peer"] / times[RECIPE_CASE],
        other=FASTER,
        against="limit",
        unit="times",
        more_is_better=True,
    )
    for case in cases:
        yield Row(
            bench="preprocessing",
            what=f"{case.name}, largest error",
            ours=parity[case.name],
            other=PARITY,
            against=f"limit, from {case.library}",
            unit="-",
        )


def _off(opened: onnxruntime.InferenceSession, peer: Way, spectra: Rows) -> float:
    found = np.concatenate([opened.run(None, {"spectrum": row[None]})[0] for row in spectra])
    return float(np.abs(found - peer(spectra.astype(np.float64))).max())


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


def _graphs(cases: list[Case], fitted_on: Rows) -> dict[str, onnx.ModelProto]:
    """One graph a case, cut out of the common one."""
    points = fitted_on.shape[1]
    pipelines = [build(case.steps, points) for case in cases]
    for pipeline in pipelines:
        pipeline.fit(torch.from_numpy(fitted_on.copy()))
    outputs = tuple(f"out{index}" for index in range(len(cases)))
    together = onnx.utils.Extractor(module_graph(_SideBySide(pipelines), points, outputs=outputs))
    return {c.name: together.extract_model(["spectrum"], [out]) for c, out in zip(cases, outputs, strict=True)}


def _cases(fitted_on: Array, recipe: tuple[StepWords, ...]) -> list[Case]:
    z_score, msc = _z_score(fitted_on), _msc(fitted_on)
    cases = [
        Case(
            name="vector normalisation",
            steps=(VectorStep(kind="vector-normalise"),),
            library="numpy",
            peer=lambda x: x / np.linalg.norm(x, axis=1, keepdims=True),
        ),
        Case(
            name="smoothing, Savitzky-Golay",
            steps=(SavgolStep(kind="savgol", window=15, order=2),),
            library="scipy",
            peer=_savgol(15, 2, 0),
        ),
        Case(name="scatter correction, MSC", steps=(MscStep(kind="msc"),), library="numpy", peer=msc),
        Case(
            name="first derivative, Savitzky-Golay",
            steps=(SavgolStep(kind="savgol", window=21, order=2, derivative=1),),
            library="scipy",
            peer=_savgol(21, 2, 1),
        ),
        Case(name="z-score", steps=(StandardiseStep(kind="standardise"),), library="numpy", peer=z_score),
        Case(
            name="wavelet smoothing, db8",
            steps=(WaveletStep(kind="wavelet", wavelet="db8", levels=2, rule="drop"),),
            library="pywt",
            peer=_wavelet("db8", 2, "drop"),
        ),
        Case(
            name="wavelet denoising, sym8",
            steps=(WaveletStep(kind="wavelet", wavelet="sym8", levels=3),),
            library="pywt",
            peer=_wavelet("sym8", 3, "universal"),
        ),
    ]
    return [*cases, _recipe_case(recipe, fitted_on)]


def _recipe_case(steps: tuple[StepWords, ...], fitted_on: Array) -> Case:
    ways: list[Way] = []
    for words in steps:
        way = _way(words, fitted_on)
        ways.append(way)
        fitted_on = way(fitted_on)

    def all_of_them(x: Array) -> Array:
        for way in ways:
            x = way(x)
        return x

    return Case(name=RECIPE_CASE, steps=steps, library="scipy and numpy", peer=all_of_them)


def _way(words: StepWords, fitted_on: Array) -> Way:
    match words:
        case SnvStep():
            return lambda x: (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, ddof=1, keepdims=True)
        case VectorStep():
            return lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
        case MscStep():
            return _msc(fitted_on)
        case StandardiseStep():
            return _z_score(fitted_on)
        case SavgolStep():
            return _savgol(words.window, words.order, words.derivative)
        case SmoothStep():
            return lambda x: uniform_filter1d(x, words.window, axis=1, mode="nearest")
        case WaveletStep():
            return _wavelet(words.wavelet, words.levels, words.rule)


def _savgol(window: int, order: int, derivative: int) -> Way:
    return lambda x: savgol_filter(x, window, order, deriv=derivative, axis=1, mode="interp")


def _z_score(fitted_on: Array) -> Way:
    mean, spread = fitted_on.mean(axis=0), fitted_on.std(axis=0)
    return lambda x: (x - mean) / spread


def _msc(fitted_on: Array) -> Way:
    reference = fitted_on.mean(axis=0)
    middle, centred = reference.mean(), reference - reference.mean()
    length = centred @ centred

    def way(x: Array) -> Array:
        offset = x - x.mean(axis=1, keepdims=True)
        return offset / (offset @ centred / length)[:, None] + middle

    return way


def _wavelet(name: str, levels: int, rule: str) -> Way:
    def way(x: Array) -> Array:
        parts = pywt.wavedec(x, name, mode="symmetric", level=levels)
        if rule == "drop":
            kept = [np.zeros_like(detail) for detail in parts[1:]]
        else:
            sigma = np.median(np.abs(parts[-1]), axis=1, keepdims=True) / 0.6745
            limit = sigma * np.sqrt(2 * np.log(x.shape[1]))
            kept = [pywt.threshold(detail, limit, "soft") for detail in parts[1:]]
        return np.asarray(pywt.waverec([parts[0], *kept], name, mode="symmetric"))[:, : x.shape[1]]

    with warnings.catch_warnings():  # pywt warns once, in the first call, of a level where the ends reach all points
        warnings.simplefilter("ignore", UserWarning)
        way(np.linspace(0.0, 1.0, 224)[None])
    return way
