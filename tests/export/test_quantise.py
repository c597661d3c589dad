"""Every way of quantising a small GRU graph, against the float graph and plain numpy."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from export.compare import compare, run_rows, session
from export.models.gru import PatchGru
from export.quantise import SCHEMES, int8_rows, quantised
from export.recipe import Scheme
from export.to_onnx import module_graph

POINTS, CLASSES = 60, 4


class Small(nn.Module):
    """A GRU of two directions, as a bundle's graph has it: logits and features."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = PatchGru(
            points=POINTS, classes=CLASSES, patch=12, hidden=16, layers=1, bidirectional=True, features=8, dropout=0.1
        )

    def forward(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        return self.gru(spectrum), spectrum[:, :3] * 2.0


@pytest.fixture(scope="module")
def small() -> Small:
    torch.manual_seed(1)
    module = Small().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2.0)
    return module


@pytest.fixture(scope="module")
def graph(small: Small, tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("torch")))
        return module_graph(small, POINTS, outputs=("logits", "features"))


@pytest.fixture
def rows() -> NDArray[np.float32]:
    return np.random.default_rng(2).normal(size=(40, POINTS)).astype(np.float32)


def test_the_float_graph_computes_what_torch_computes(
    small: Small, graph: onnx.ModelProto, rows: NDArray[np.float32]
) -> None:
    with torch.no_grad():
        expected = small(torch.from_numpy(rows))[0].numpy()

    opened = session(graph)

    assert np.abs(run_rows(opened, rows, "logits") - expected).max() < 1e-5
    assert np.abs(opened.run(["logits"], {"spectrum": rows})[0] - expected).max() < 1e-5


def test_a_graph_holds_one_gru_and_nothing_of_the_builders_machine(graph: onnx.ModelProto) -> None:
    assert Counter(node.op_type for node in graph.graph.node)["GRU"] == 1
    raw = graph.SerializeToString()
    assert b"site-packages" not in raw
    assert b".py" not in raw


@pytest.mark.parametrize(
    ("scheme", "tolerance"),
    [
        ("float", 0.0),
        ("weights", 0.1),
        ("weights-qdq", 0.1),
        ("unrolled-float", 1e-5),
        ("unrolled-dynamic", 0.3),
        ("unrolled-static", 0.3),
    ],
)
def test_a_scheme_stays_close_to_float(
    scheme: Scheme, tolerance: float, graph: onnx.ModelProto, rows: NDArray[np.float32]
) -> None:
    expected = run_rows(session(graph), rows, "logits")

    opened = session(quantised(graph, scheme))

    assert np.abs(run_rows(opened, rows, "logits") - expected).max() <= tolerance
    assert np.array_equal(run_rows(opened, rows, "features"), rows[:, :3] * np.float32(2.0))


@pytest.mark.parametrize("scheme", ["weights", "weights-qdq", "unrolled-dynamic", "unrolled-static"])
def test_the_weights_of_a_quantised_graph_are_int8(scheme: Scheme, graph: onnx.ModelProto) -> None:
    sizes: Counter[str] = Counter()
    for tensor in quantised(graph, scheme).graph.initializer:
        array = numpy_helper.to_array(tensor)
        sizes[str(array.dtype)] += array.size

    assert sizes["int8"] == 2 * 48 * (12 + 16) + 8 * 32 + 4 * 8
    assert sizes["float32"] < 0.25 * sizes["int8"]


@pytest.mark.parametrize("scheme", ["unrolled-dynamic", "unrolled-static"])
def test_weights_beside_unsigned_activations_keep_to_seven_bits(scheme: Scheme, graph: onnx.ModelProto) -> None:
    """255 x 63 twice is 32,130: it fits the 16-bit sums of x86 without VNNI, where 255 x 127 does not."""
    model = quantised(graph, scheme)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}

    weights = [
        values[node.input[1]] for node in model.graph.node if node.op_type in ("DynamicQuantizeMatMul", "MatMulInteger")
    ]

    assert weights
    assert max(int(np.abs(array.astype(int)).max()) for array in weights) == 63


def test_rounding_to_int8_is_off_by_half_a_step_at_most() -> None:
    weights = np.random.default_rng(3).normal(size=(2, 5, 9)).astype(np.float32)

    steps, scale = int8_rows(weights, 127)

    assert np.abs(steps).max() == 127
    assert np.abs(steps * scale[..., None] - weights).max() <= 0.5001 * scale.max()


def test_quantising_leaves_the_float_graph_as_it_was(graph: onnx.ModelProto) -> None:
    before = graph.SerializeToString(deterministic=True)

    for scheme in SCHEMES:
        quantised(graph, scheme)

    assert graph.SerializeToString(deterministic=True) == before


def test_graphs_are_compared_with_the_first(graph: onnx.ModelProto, rows: NDArray[np.float32]) -> None:
    models = {scheme: quantised(graph, scheme) for scheme in ("float", "weights")}

    facts = compare(models, rows, rounds=2)

    assert [fact["scheme"] for fact in facts] == ["float", "weights"]
    assert facts[0]["ratio"] == 1.0
    assert facts[0]["largest_logit_difference"] == 0.0
    assert facts[1]["file_bytes"] < 0.6 * facts[0]["file_bytes"]
