"""Each step in torch, and in its exported graph, against scipy, pywt, pybaselines and numpy in float64."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.polynomial import Polynomial

from export.preprocess.pipeline import Pipeline, build
from export.preprocess.smooth import SavitzkyGolay
from export.preprocess.words import EmscStep, MscStep, WaveletStep
from export.to_onnx import module_graph
from tests.export.preprocess.cases import RealSet, Rows, Steps, cases, largest_difference, real_sets

PARITY = 1e-5
AXIS = np.linspace(904.0, 1698.0, 224)
CASES = cases(AXIS, knots=4, rounds=2)


def made_up(count: int, points: int = len(AXIS)) -> Rows:
    """Broad bands of varying height on a slope, with noise: what absorbance of a powder looks like."""
    rng = np.random.default_rng(5)
    place = np.linspace(0.0, 1.0, points)
    widths, middles = rng.uniform(0.02, 0.08, 12), rng.uniform(size=12)
    bands = np.exp(-((place - middles[:, None]) ** 2) / (2 * widths[:, None] ** 2))
    heights = rng.uniform(0.05, 0.3, 12) * rng.normal(1.0, 0.2, (count, 12))
    level = 1.2 + 0.2 * rng.normal(size=(count, 1)) + 0.1 * place
    return (heights @ bands + level + 2e-3 * rng.normal(size=(count, points))).astype(np.float32)


MADE_UP = RealSet(axis=AXIS, fitted_on=made_up(40)[20:], judged=made_up(40)[:16])


def fitted(steps: Steps, spectra: RealSet) -> Pipeline:
    pipeline = build(steps, spectra.axis)
    pipeline.fit(torch.from_numpy(spectra.fitted_on.copy()))
    return pipeline.eval()


class AllCases(torch.nn.Module):
    """Every case side by side: one export proves them all."""

    def __init__(self) -> None:
        super().__init__()
        self.pipelines = torch.nn.ModuleList([fitted(steps, MADE_UP) for steps in CASES.values()])

    def forward(self, spectrum: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(pipeline(spectrum) for pipeline in self.pipelines)


def output(name: str) -> str:
    return f"out{list(CASES).index(name)}"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("torch")))
        graph = module_graph(AllCases(), len(AXIS), outputs=tuple(output(name) for name in CASES))
    return onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", CASES)
def test_a_step_exported_to_onnx_agrees_with_the_reference_library(
    name: str, exported: onnxruntime.InferenceSession
) -> None:
    judge = MADE_UP.judge(CASES[name])
    rows = MADE_UP.rows_for(judge)
    expected = judge.way(rows.astype(np.float64))

    whole = exported.run([output(name)], {"spectrum": rows})[0]
    single = np.concatenate([exported.run([output(name)], {"spectrum": row[None]})[0] for row in rows])

    assert whole.dtype == np.float32
    assert largest_difference(whole, expected, rows) <= PARITY
    assert largest_difference(single, expected, rows) <= PARITY


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_spectrum_stays_finite_in_the_graph(name: str, exported: onnxruntime.InferenceSession) -> None:
    got = exported.run([output(name)], {"spectrum": hostile(len(AXIS))})[0]

    assert np.isfinite(got).all()


@pytest.mark.parametrize("training", ["ordinary", "one spectrum", "flat", "zero"])
def test_a_hostile_spectrum_stays_finite_whatever_the_steps_were_fitted_on(training: str) -> None:
    points = len(AXIS)
    trained = {
        "ordinary": made_up(20),
        "one spectrum": made_up(1),
        "flat": np.full((5, points), 0.7, dtype=np.float32),
        "zero": np.zeros((5, points), dtype=np.float32),
    }
    for steps in CASES.values():
        pipeline = build(steps, AXIS)
        pipeline.fit(torch.from_numpy(trained[training].copy()))

        got = pipeline(torch.from_numpy(hostile(points))).detach().numpy()

        assert np.isfinite(got).all(), steps


def hostile(points: int) -> Rows:
    """Flat, zero and denormal spectra, and single points of up to 1e30 in the middle and at both ends."""
    flat = [np.full(points, value) for value in (0.0, 0.7, -1e-9, 1e30, 1e-40)]
    plain = made_up(1)[0].astype(np.float64)
    spikes = [
        plain + height * (np.arange(points) == at)
        for height in (1e10, 1e20, 1e30, -1e30)
        for at in (0, 100, points - 1)
    ]
    return np.stack([*flat, *spikes, 1e-40 * plain, 1e-42 * np.arange(points)]).astype(np.float32)


@pytest.fixture(scope="module")
def sets(data_dir: Path) -> dict[str, RealSet]:
    return {name: replace(spectra, judged=spectra.judged[::6]) for name, spectra in real_sets(data_dir).items()}


@pytest.mark.parametrize("of", ["powders", "tablets", "Raman"])
def test_every_step_agrees_with_the_reference_library_on_real_spectra(of: str, sets: dict[str, RealSet]) -> None:
    spectra = sets[of]
    for name, steps in cases(spectra.axis).items():
        judge = spectra.judge(steps)
        rows = spectra.rows_for(judge)

        with torch.no_grad():
            got = fitted(steps, spectra)(torch.from_numpy(rows)).numpy()

        assert largest_difference(got, judge.way(rows.astype(np.float64)), rows) <= PARITY, name


@pytest.mark.parametrize("points", [223, 224, 101])
@pytest.mark.parametrize("wavelet", ["sym8", "db8"])
def test_a_wavelet_step_works_for_odd_and_even_lengths(wavelet: str, points: int) -> None:
    steps = (WaveletStep.model_validate({"kind": "wavelet", "wavelet": wavelet, "levels": 2}),)
    spectra = RealSet(axis=np.arange(points, dtype=np.float64), fitted_on=made_up(4, points), judged=made_up(8, points))
    judge = spectra.judge(steps)
    rows = spectra.rows_for(judge)

    got = fitted(steps, spectra)(torch.from_numpy(rows)).numpy()

    assert got.shape == rows.shape
    assert largest_difference(got, judge.way(rows.astype(np.float64)), rows) <= PARITY


def test_a_wide_window_of_high_order_is_the_polynomial_through_its_points() -> None:
    """Where scipy's filter itself loses all digits."""
    row = np.random.default_rng(0).normal(size=404).cumsum().astype(np.float32)
    half = 100
    polynomials = [
        Polynomial.fit(np.arange(-half, half + 1), row[at - half : at + half + 1].astype(np.float64), 8)
        for at in range(half, 404 - half)
    ]

    for derivative in (0, 1, 4):
        step = SavitzkyGolay(404, window=201, order=8, derivative=derivative)
        got = step(torch.from_numpy(row[None]).double())[0, half:-half].numpy()

        expected = np.array([p.deriv(derivative)(0.0) if derivative else p(0.0) for p in polynomials])
        assert np.abs(got - expected).max() <= PARITY * np.abs(expected).max()


def test_msc_is_a_straight_line_through_the_reference_and_emsc_of_order_0_is_msc() -> None:
    x = made_up(30)
    reference = x[10:].astype(np.float64).mean(axis=0)
    slope, offset = np.polyfit(reference, x[:10].T.astype(np.float64), 1)
    expected = (x[:10] - offset[:, None]) / slope[:, None]

    for words in (MscStep(kind="msc"), EmscStep(kind="emsc", order=0)):
        pipeline = build([words], len(AXIS))
        pipeline.fit(torch.from_numpy(x[10:]))

        assert np.abs(pipeline(torch.from_numpy(x[:10])).numpy() - expected).max() <= PARITY
