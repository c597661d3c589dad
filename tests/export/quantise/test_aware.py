"""Learning with the rounding in the loop: what it computes, what it exports, and what it is worth."""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from export.compare import run_rows, session
from export.quantise.aware import RoundedInput, RoundedWeights, folded, follow, round_layers, settle
from export.quantise.candidates import quantised
from export.to_onnx import module_graph
from tests.export.quantise.graphs import Array, spectra, stored_as

POINTS, CLASSES, OUTLIER = 60, 6, 100.0


class Uneven(nn.Module):
    """Two hidden units are a hundred times as large as the others, to which one scale for all leaves few steps."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(POINTS, 32)
        self.out = nn.Linear(32, CLASSES)
        with torch.no_grad():
            self.inner.weight[:2] *= OUTLIER
            self.inner.bias[:2] *= OUTLIER
            self.out.weight[:, :2] /= OUTLIER

    def forward(self, prepared: Tensor) -> Tensor:
        logits: Tensor = self.out(torch.relu(self.inner(prepared)))
        return logits


class Whole(nn.Module):
    """A network, and a gate's space beside it."""

    directions: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.members = nn.ModuleList([network])
        self.register_buffer("directions", torch.linspace(-1, 1, 3 * POINTS).reshape(POINTS, 3))

    def forward(self, spectrum: Tensor) -> tuple[Tensor, Tensor]:
        return self.members[0](spectrum), spectrum @ self.directions


@pytest.fixture(scope="module")
def rows() -> Array:
    return spectra(400)


@pytest.fixture(scope="module")
def network() -> Uneven:
    torch.manual_seed(1)
    return Uneven().eval()


@pytest.fixture(scope="module")
def followed(network: Uneven, rows: Array) -> nn.Module:
    return taught(network, rows)


@pytest.fixture(scope="module")
def graphs(
    network: Uneven, followed: nn.Module, rows: Array, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, onnx.ModelProto]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path_factory.mktemp("torch")))
        plain, aware = (
            module_graph(Whole(copy.deepcopy(module)), POINTS, outputs=("logits", "features"))
            for module in (network, followed)
        )
    return {"float": plain, "static": quantised(plain, "static-s8s8", rows), "aware": folded(aware)}


def taught(network: nn.Module, rows: Array) -> nn.Module:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    return follow(network, lambda: torch.from_numpy(rows), epochs=40, batch=50, learning_rate=2e-3, generator=generator)


def test_learning_with_the_rounding_agrees_where_rounding_afterwards_falls_short(
    graphs: dict[str, onnx.ModelProto], rows: Array
) -> None:
    logits = {name: run_rows(session(graph), rows, "logits") for name, graph in graphs.items()}
    same = {name: float((said.argmax(1) == logits["float"].argmax(1)).mean()) for name, said in logits.items()}
    off = {name: float(np.abs(said - logits["float"]).mean()) for name, said in logits.items()}

    assert same["static"] < 0.85
    assert same["aware"] > 0.91
    assert off["aware"] < 0.6 * off["static"]


def test_the_exported_graph_runs_integer_products_and_says_what_torch_says(
    graphs: dict[str, onnx.ModelProto], followed: nn.Module, rows: Array
) -> None:
    graph = graphs["aware"]
    kinds = Counter(node.op_type for node in graph.graph.node)
    with torch.no_grad():
        expected = followed(torch.from_numpy(rows)).numpy()

    off = np.abs(run_rows(session(graph), rows, "logits") - expected)

    assert (kinds["QuantizeLinear"], kinds["DequantizeLinear"]) == (2, 4)
    assert stored_as(graph)["int8"] >= POINTS * 32 + 32 * CLASSES
    assert np.median(off) < 1e-5
    assert off.max() < 0.05 * np.abs(expected).max()  # an input on the edge between two steps


def test_the_gate_is_left_alone(graphs: dict[str, onnx.ModelProto], rows: Array) -> None:
    features = {name: run_rows(session(graph), rows, "features") for name, graph in graphs.items()}

    assert np.array_equal(features["aware"], features["float"])


def test_one_seed_teaches_one_network(network: Uneven, followed: nn.Module, rows: Array) -> None:
    again = taught(network, rows)

    for one, two in zip(followed.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one, two)


def test_the_network_that_is_followed_stays_as_it_was(network: Uneven, followed: nn.Module) -> None:
    torch.manual_seed(1)
    fresh = Uneven()

    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), fresh.parameters(), strict=True))
    assert not [module for module in network.modules() if isinstance(module, RoundedInput)]


def test_rounded_weights_lie_on_127_steps_and_pass_the_gradient() -> None:
    weights = torch.randn(4, 9, generator=torch.Generator().manual_seed(3), requires_grad=True)

    rounded = RoundedWeights()(weights)
    rounded.sum().backward()

    steps = rounded.detach() / (weights.detach().abs().amax(dim=1, keepdim=True) / 63)
    assert torch.allclose(steps, steps.round(), atol=1e-4)
    assert float(steps.abs().max()) == pytest.approx(63, abs=1e-3)
    assert weights.grad is not None
    assert torch.equal(weights.grad, torch.ones_like(weights))


def test_an_input_is_rounded_over_the_range_it_has_been_seen_to_take() -> None:
    rounded = RoundedInput().train()
    x = torch.linspace(-1.0, 3.0, 1001)

    rounded(x)
    scale, zero = rounded.eval().grid()

    assert scale == pytest.approx(4 / 255, rel=1e-4)
    assert zero == round(-128 + 1 / (4 / 255))
    assert float((rounded(x) - x).abs().max()) <= scale
    assert len(torch.unique(rounded(torch.linspace(-9.0, 9.0, 5000)))) == 256


def test_settled_convolutions_keep_their_grid_through_batch_normalisation() -> None:
    torch.manual_seed(2)
    first = nn.Conv2d(1, 4, (1, 5), bias=False)
    layers = nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, (1, 3)))
    round_layers(layers)
    layers.train()
    layers(torch.from_numpy(spectra(30))[:, None, None])

    settle(layers)

    weights = first.weight.detach().flatten(1)
    factor = torch.rand(4, 1) + 0.5  # what folding multiplies a channel by
    for rows in (weights, weights * factor):
        steps = rows / (rows.abs().amax(dim=1, keepdim=True) / 63)
        assert torch.allclose(steps, steps.round(), atol=1e-3)
