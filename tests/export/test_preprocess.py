"""Each step in torch and in its exported graph, against scipy, pywt and plain numpy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
import onnxruntime
import pytest
import pywt
import torch
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import savgol_filter

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
from export.to_onnx import module_graph

PARITY = 1e-5
POINTS = 224
Array = NDArray[np.float64]


def spectra(count: int, points: int = POINTS) -> NDArray[np.float32]:
    """Broad bands of varying height on a slope, with noise: what absorbance of a powder looks like."""
    rng = np.random.default_rng(5)
    place = np.linspace(0.0, 1.0, points)
    widths, middles = rng.uniform(0.02, 0.08, 12), rng.uniform(size=12)
    bands = np.exp(-((place - middles[:, None]) ** 2) / (2 * widths[:, None] ** 2))
    heights = rng.uniform(0.05, 0.3, 12) * rng.normal(1.0, 0.2, (count, 12))
    level = 1.2 + 0.2 * rng.normal(size=(count, 1)) + 0.1 * place
    return (heights @ bands + level + 2e-3 * rng.normal(size=(count, points))).astype(np.float32)


FITTED_ON = spectra(40)[20:].astype(np.float64)


def snv(x: Array) -> Array:
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, ddof=1, keepdims=True)


def msc(x: Array) -> Array:
    reference = FITTED_ON.mean(axis=0)
    lines = [np.polyfit(reference, row, 1) for row in x]
    return np.array([(row - a) / b for row, (b, a) in zip(x, lines, strict=True)])


def wavelet(x: Array, name: str, levels: int, rule: str) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pywt warns of the level where all coefficients feel the ends
        parts = pywt.wavedec(x, name, mode="symmetric", level=levels)
    if rule == "drop":
        kept = [np.zeros_like(detail) for detail in parts[1:]]
    else:
        sigma = np.median(np.abs(parts[-1]), axis=1) / 0.6745
        limits = sigma * np.sqrt(2 * np.log(x.shape[1]))
        kept = [
            np.array([pywt.threshold(row, limit, "soft") for row, limit in zip(detail, limits, strict=True)])
            for detail in parts[1:]
        ]
    return np.asarray(pywt.waverec([parts[0], *kept], name, mode="symmetric"))[:, : x.shape[1]]


def savgol(window: int, order: int, derivative: int) -> Callable[[Array], Array]:
    return lambda x: savgol_filter(x, window, order, deriv=derivative, axis=1, mode="interp")


CASES: dict[str, tuple[list[StepWords], Callable[[Array], Array]]] = {
    "snv": ([SnvStep(kind="snv")], snv),
    "vector normalisation": (
        [VectorStep(kind="vector-normalise")],
        lambda x: x / np.linalg.norm(x, axis=1, keepdims=True),
    ),
    "msc": ([MscStep(kind="msc")], msc),
    "z-score": ([StandardiseStep(kind="standardise")], lambda x: (x - FITTED_ON.mean(0)) / FITTED_ON.std(0)),
    "moving average": (
        [SmoothStep(kind="smooth", window=11)],
        lambda x: uniform_filter1d(x, 11, axis=1, mode="nearest"),
    ),
    "savgol smoothing": ([SavgolStep(kind="savgol", window=15, order=2)], savgol(15, 2, 0)),
    "savgol first derivative": ([SavgolStep(kind="savgol", window=21, order=2, derivative=1)], savgol(21, 2, 1)),
    "savgol second derivative": ([SavgolStep(kind="savgol", window=27, order=3, derivative=2)], savgol(27, 3, 2)),
    "wavelet sym8 denoise": (
        [WaveletStep(kind="wavelet", wavelet="sym8", levels=3)],
        lambda x: wavelet(x, "sym8", 3, "universal"),
    ),
    "wavelet db8 denoise": (
        [WaveletStep(kind="wavelet", wavelet="db8", levels=4)],
        lambda x: wavelet(x, "db8", 4, "universal"),
    ),
    "wavelet db8 smooth": (
        [WaveletStep(kind="wavelet", wavelet="db8", levels=2, rule="drop")],
        lambda x: wavelet(x, "db8", 2, "drop"),
    ),
    "first derivative then snv": (
        [SavgolStep(kind="savgol", window=21, order=2, derivative=1), SnvStep(kind="snv")],
        lambda x: snv(savgol(21, 2, 1)(x)),
    ),
}


def fitted(steps: list[StepWords], points: int = POINTS) -> Pipeline:
    pipeline = build(steps, points)
    pipeline.fit(torch.from_numpy(FITTED_ON[:, :points].astype(np.float32)))
    return pipeline.eval()


@pytest.mark.parametrize("name", CASES)
def test_a_step_in_torch_agrees_with_the_reference_library(name: str) -> None:
    steps, reference = CASES[name]
    x = spectra(16)

    with torch.no_grad():
        got = fitted(steps)(torch.from_numpy(x)).numpy()

    assert np.abs(got - reference(x.astype(np.float64))).max() <= PARITY


class AllCases(torch.nn.Module):
    """Every case side by side: one export proves them all."""

    def __init__(self) -> None:
        super().__init__()
        self.pipelines = torch.nn.ModuleList([fitted(steps) for steps, _ in CASES.values()])

    def forward(self, spectrum: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(pipeline(spectrum) for pipeline in self.pipelines)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    outputs = tuple(name.replace(" ", "_") for name in CASES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("torch")))
        graph = module_graph(AllCases(), POINTS, outputs=outputs)
    return onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", CASES)
def test_a_step_exported_to_onnx_agrees_with_the_reference_library(
    name: str, exported: onnxruntime.InferenceSession
) -> None:
    _, reference = CASES[name]
    x, output = spectra(16), [name.replace(" ", "_")]

    whole = exported.run(output, {"spectrum": x})[0]
    single = np.concatenate([exported.run(output, {"spectrum": row[None]})[0] for row in x])

    assert np.abs(whole - reference(x.astype(np.float64))).max() <= PARITY
    assert np.abs(single - whole).max() <= PARITY


@pytest.mark.parametrize("name", CASES)
def test_a_spectrum_without_any_shape_stays_finite(name: str, exported: onnxruntime.InferenceSession) -> None:
    flat = np.stack([np.zeros(POINTS), np.full(POINTS, 0.7), np.full(POINTS, -1e-9)]).astype(np.float32)

    got = exported.run([name.replace(" ", "_")], {"spectrum": flat})[0]

    assert np.isfinite(got).all()


@pytest.mark.parametrize("points", [223, 224, 101])
@pytest.mark.parametrize("name", ["sym8", "db8"])
def test_a_wavelet_step_works_for_odd_and_even_lengths(name: Literal["sym8", "db8"], points: int) -> None:
    x = spectra(8, points)
    step = build([WaveletStep(kind="wavelet", wavelet=name, levels=2)], points)

    got = step(torch.from_numpy(x)).numpy()

    assert got.shape == x.shape
    assert np.abs(got - wavelet(x.astype(np.float64), name, 2, "universal")).max() <= PARITY


def test_steps_are_fitted_on_what_the_steps_before_them_give() -> None:
    pipeline = fitted([SnvStep(kind="snv"), StandardiseStep(kind="standardise")])

    with torch.no_grad():
        out = pipeline(torch.from_numpy(FITTED_ON.astype(np.float32))).numpy()

    assert np.abs(out.mean(axis=0)).max() < 1e-5
    assert np.abs(out.std(axis=0) - 1).max() < 1e-4
