"""The graph of a bundle: it says what its parts say, alone and as ONNX, and int8 touches the networks only."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from export.compare import run_all, session
from export.components.gate import MixtureGate
from export.components.graph import DISTANCE, FEATURES, OUTPUTS, ComponentsGraph
from export.components.learn import Detector
from export.components.recipe import GateWords
from export.models.resnet1d import ResNet1dWords
from export.preprocess.pipeline import build
from export.preprocess.words import ReflectanceStep, SavgolStep, SnvStep, StandardiseStep
from export.quantise.candidates import quantised
from export.to_onnx import module_graph
from tests.export.quantise.graphs import stored_as

POINTS, COMPOUNDS = 96, 3
GRID = np.linspace(1000.0, 1285.0, POINTS)
SLOPE = SavgolStep(kind="savgol", window=9, order=2, derivative=1)
STEPS = (SLOPE, SnvStep(kind="snv"), StandardiseStep(kind="standardise"))


def spectra(count: int, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    bands = np.exp(-0.5 * ((np.arange(POINTS) - np.array([[20.0], [48.0], [77.0]])) / 5.0) ** 2)
    return (rng.dirichlet(np.ones(3), size=count) @ bands + 0.01 * rng.random((count, POINTS))).astype(np.float32)


def detector(seed: int) -> Detector:
    """Weights as they are drawn; constants of the steps from spectra of its own."""
    torch.manual_seed(seed)
    steps = build(STEPS, GRID)
    steps.fit(torch.from_numpy(spectra(40, seed)))
    network = ResNet1dWords(stem=8, widths=(8, 16), strides=(1, 2)).build(points=POINTS, classes=COMPOUNDS)
    return Detector(steps, network).eval()


@pytest.fixture(scope="module")
def parts() -> tuple[list[Detector], ComponentsGraph]:
    detectors = [detector(1), detector(2)]
    unmixing = build((ReflectanceStep(kind="reflectance"), SLOPE), GRID)
    gate = MixtureGate(GateWords(steps=(SnvStep(kind="snv"),), explained=0.9, slack={}), GRID, spectra(60, 9))
    return detectors, ComponentsGraph(detectors, STEPS, unmixing, gate, height=0.5).eval()


@pytest.fixture(scope="module")
def whole(parts: tuple[list[Detector], ComponentsGraph]) -> onnx.ModelProto:
    return module_graph(parts[1], POINTS, outputs=OUTPUTS)


def test_logits_are_the_mean_of_members_that_keep_their_own_constants(
    parts: tuple[list[Detector], ComponentsGraph],
) -> None:
    detectors, graph = parts
    rows = spectra(5, 3)

    with torch.no_grad():
        logits, features, _ = (part.numpy() for part in graph(torch.from_numpy(rows)))

    each = np.stack([one.say(rows) for one in detectors])
    assert logits == pytest.approx(each.mean(axis=0), abs=1e-6)
    assert features[:, FEATURES.index("disagreement")] == pytest.approx(each.std(axis=0).max(axis=1), abs=1e-6)
    assert features[:, slice(*DISTANCE)][:, 0] == pytest.approx(graph.gate.distances(rows), rel=1e-6)


def test_onnx_says_what_torch_says(parts: tuple[list[Detector], ComponentsGraph], whole: onnx.ModelProto) -> None:
    _, graph = parts
    rows = spectra(6, 4)

    out = run_all(session(whole), rows)

    with torch.no_grad():
        wanted = dict(zip(OUTPUTS, (part.numpy() for part in graph(torch.from_numpy(rows))), strict=True))
    for name in OUTPUTS:
        scale = np.abs(wanted[name]).max()
        assert getattr(out, name) == pytest.approx(wanted[name], abs=float(2e-5 * scale)), name


def test_int8_weights_are_those_of_the_networks_and_prepared_stays_to_the_bit(
    parts: tuple[list[Detector], ComponentsGraph], whole: onnx.ModelProto
) -> None:
    _, graph = parts
    rows = spectra(6, 5)

    small = quantised(whole, "weights")

    out, reference = run_all(session(small), rows), run_all(session(whole), rows)
    assert (out.prepared == reference.prepared).all()
    assert (out.features[:, slice(*DISTANCE)] == reference.features[:, slice(*DISTANCE)]).all()
    convolutions = sum(p.numel() for p in graph.members.parameters() if p.ndim > 1 and p.numel() >= 64)
    assert stored_as(small)["int8"] == convolutions
    assert out.logits == pytest.approx(reference.logits, abs=0.1)
