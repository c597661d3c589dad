"""What is done to an exported graph before it is kept."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from export.preprocess.pipeline import build
from export.preprocess.words import SmoothStep
from export.to_onnx import module_graph


def test_places_to_gather_from_take_four_bytes_each_and_give_the_same() -> None:
    rows = np.random.default_rng(0).normal(size=(3, 60)).astype(np.float32)

    graph = module_graph(build([SmoothStep(kind="smooth", window=5)], 60), 60, outputs=("smooth",))

    constants = {tensor.name: tensor for tensor in graph.graph.initializer}
    places = [constants[node.input[1]] for node in graph.graph.node if node.op_type == "Gather"]
    assert [tensor.data_type for tensor in places] == [onnx.TensorProto.INT32]
    assert numpy_helper.to_array(places[0]).max() == 63  # of 60 points and two beyond each end
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"spectrum": rows})
    expected = [np.convolve(np.pad(row, 2, mode="edge"), np.full(5, 0.2), mode="valid") for row in rows]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
