"""Each network as an ONNX graph: what torch computes, for any number of spectra, from operators that int8 knows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import quantization

from export.compare import session
from export.models.network import Network
from export.to_onnx import module_graph
from tests.export.models.small import POINTS, SMALL, built, two_classes

QUICK = {"lstm"}  # the export takes seconds; that of a GRU is judged with the quantisers, too
OPERATORS = {
    "gru": {"GRU": 1},
    "gru-mean": {"GRU": 2},
    "lstm": {"LSTM": 1},
    "bilstm": {"LSTM": 3},
    "cnn": {"Conv": 2, "MaxPool": 2, "Gemm": 1},
    "invertresnet": {"Conv": 8, "AveragePool": 1, "Gemm": 1},
    "resnet1d": {"Conv": 6, "AveragePool": 1, "MaxPool": 2, "Gemm": 1},
    "sae": {"Gemm": 3},
}


@pytest.fixture(autouse=True)
def _torch_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "torch"))


def settled(name: str) -> Network:
    """A network whose batch normalisations have seen spectra, so that folding them is put to the test."""
    network = built(SMALL[name], classes=3)
    with torch.no_grad():
        for seed in range(20):
            network(two_classes(24, seed=seed)[0])
    return network.eval()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.deep]) for name in SMALL]
)
def test_the_graph_computes_what_torch_computes(name: str) -> None:
    network = settled(name)

    graph = module_graph(network, POINTS, outputs=("logits",))

    opened = session(graph)
    for count in (1, 3):
        spectra, _ = two_classes(count, seed=30 + count)
        with torch.no_grad():
            expected = network(spectra).numpy()
        logits = opened.run(["logits"], {"spectrum": spectra.numpy()})[0]
        assert logits.shape == (count, 3)
        assert np.abs(logits - expected).max() < 1e-5
    kinds = Counter(node.op_type for node in graph.graph.node)
    assert "BatchNormalization" not in kinds
    assert {kind: kinds[kind] for kind in OPERATORS.get(name, {})} == OPERATORS.get(name, {})


@pytest.mark.parametrize(
    "name", ["invertresnet", *(pytest.param(name, marks=pytest.mark.deep) for name in ("resnet1d", "cnn"))]
)
def test_a_convolutional_network_survives_static_int8(name: str, tmp_path: Path) -> None:
    """onnxruntime's own quantiser, per channel, learns its ranges from spectra that are not the judged ones."""
    network = settled(name)
    source, target = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    onnx.save(module_graph(network, POINTS, outputs=("logits",)), source)
    rows = [{"spectrum": two_classes(16, seed=seed)[0].numpy()} for seed in range(40, 44)]

    quantization.quantize_static(source, target, _Rows(rows), per_channel=True)

    spectra, _ = two_classes(64, seed=50)
    with torch.no_grad():
        expected = network(spectra).numpy()
    model = onnx.load(target)
    logits = session(model).run(["logits"], {"spectrum": spectra.numpy()})[0]
    off = logits - expected
    assert np.sqrt((off**2).mean()) < 0.03 * np.ptp(expected)
    rounded = {name for node in model.graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    products = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(products) == OPERATORS[name]["Conv"] + 1
    assert all(rounded.issuperset(node.input) for node in products)


class _Rows(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, rows: list[dict[str, np.ndarray]]) -> None:
        self._rest = iter(rows)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rest, None)
