"""Small graphs as a bundle has them, written by hand: preprocessing, one network, and a gate's space beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

POINTS, CLASSES = 60, 4
Array = NDArray[np.float32]


class Sketch:
    """Collects nodes and constants; nodes of the network are named as the exporter names them."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, NDArray[np.generic]] = {}

    def weights(self, name: str, *shape: int) -> str:
        fan = shape[-1] if len(shape) < 4 else int(np.prod(shape[1:]))
        return self.constant(name, self.rng.normal(size=shape).astype(np.float32) * np.float32(1.5 / np.sqrt(fan)))

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants[name] = value
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, *, module: str = "members.0", **words: Any) -> str:
        name = f"{module}/{output}" if module else output
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=name, **words))
        return output

    def prepared(self) -> str:
        """Centre by training means; what follows is the network."""
        mean = self.weights("common.steps.0.mean", POINTS)
        return self.node("Sub", ["spectrum", mean], "prepared", module="common.steps.0")

    def model(self, logits: str) -> onnx.ModelProto:
        """Finish: logits from the value of that name through a dense layer, features from the gate's space."""
        directions = self.weights("discriminant.directions", POINTS, 3)
        self.node("MatMul", ["prepared", directions], "features", module="discriminant")
        self.node("Identity", [logits], "logits", module="")

        def port(name: str, width: int) -> onnx.ValueInfoProto:
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])

        graph = helper.make_graph(
            self.nodes,
            "sketch",
            [port("spectrum", POINTS)],
            [port("logits", CLASSES), port("features", 3)],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        model.ir_version = 9
        onnx.checker.check_model(model, full_check=True)
        return model

    def dense(self, x: str, inputs: int, outputs: int, output: str) -> str:
        weights = self.weights(f"members.0.{output}.weight", outputs, inputs)
        bias = self.weights(f"members.0.{output}.bias", outputs)
        return self.node("Gemm", [x, weights, bias], output, transB=1)


def recurrent_graph(
    kind: str, *, steps: int, hidden: int = 16, both: bool = False, sequence: bool = False, seed: int = 1
) -> onnx.ModelProto:
    """A GRU or an LSTM that reads the spectrum in so many steps; logits from the last states, or from all states."""
    sketch, size, ends = Sketch(seed), POINTS // steps, 2 if both else 1
    gates = {"GRU": 3, "LSTM": 4}[kind]
    patches = sketch.constant("shape", np.array([-1, steps, size], np.int64))
    x = sketch.node("Reshape", [sketch.prepared(), patches], "patches")
    x = sketch.node("Transpose", [x], "sequence", perm=[1, 0, 2])
    w = sketch.weights("w", ends, gates * hidden, size)
    r = sketch.weights("r", ends, gates * hidden, hidden)
    b = sketch.weights("b", ends, 2 * gates * hidden)
    words: dict[str, Any] = {"hidden_size": hidden, "direction": "bidirectional" if both else "forward"}
    if kind == "GRU":
        words["linear_before_reset"] = 1
    sketch.nodes.append(
        helper.make_node(kind, [x, w, r, b], ["states", "last"], name=f"members.0.cells/{kind}", **words)
    )
    if sequence:
        mean = sketch.node(
            "ReduceMean", ["states", sketch.constant("axis", np.array([0], np.int64))], "mean", keepdims=0
        )
        read = sketch.node("Transpose", [mean], "read", perm=[1, 0, 2])
    else:
        read = sketch.node("Transpose", ["last"], "read", perm=[1, 0, 2])
    flat = sketch.node("Reshape", [read, sketch.constant("flat", np.array([-1, ends * hidden], np.int64))], "flat_read")
    return sketch.model(sketch.dense(flat, ends * hidden, CLASSES, "out"))


def dense_graph(*, hidden: int = 32, seed: int = 2) -> onnx.ModelProto:
    """Two dense layers."""
    sketch = Sketch(seed)
    inner = sketch.node("Relu", [sketch.dense(sketch.prepared(), POINTS, hidden, "inner")], "kept")
    return sketch.model(sketch.dense(inner, hidden, CLASSES, "out"))


def convolutional_graph(*, channels: int = 8, seed: int = 3) -> onnx.ModelProto:
    """Two convolutions of height one with a residual between, pooled."""
    sketch = Sketch(seed)
    image = sketch.constant("image", np.array([-1, 1, 1, POINTS], np.int64))
    x = sketch.node("Reshape", [sketch.prepared(), image], "as_image")
    first = sketch.weights("members.0.first.weight", channels, 1, 1, 5)
    second = sketch.weights("members.0.second.weight", channels, channels, 1, 5)
    same: dict[str, Any] = {"kernel_shape": [1, 5], "pads": [0, 2, 0, 2]}
    x = sketch.node("Relu", [sketch.node("Conv", [x, first], "conv_1", **same)], "relu_1")
    y = sketch.node("Relu", [sketch.node("Conv", [x, second], "conv_2", **same)], "relu_2")
    pooled = sketch.node("GlobalAveragePool", [sketch.node("Add", [x, y], "sum")], "pooled")
    flat = sketch.node("Flatten", [pooled], "flat")
    return sketch.model(sketch.dense(flat, channels, CLASSES, "out"))


def spectra(n: int = 40, seed: int = 4) -> Array:
    """Smooth rows, each of its own shape."""
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(size=(n, POINTS)), axis=1).astype(np.float32) / np.float32(3)


def values_of(model: onnx.ModelProto) -> dict[str, NDArray[np.generic]]:
    """The constants by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def stored_as(model: onnx.ModelProto) -> dict[str, int]:
    """How many values of a graph's constants are stored as which type."""
    found: dict[str, int] = {}
    for tensor in model.graph.initializer:
        value = numpy_helper.to_array(tensor)
        found[str(value.dtype)] = found.get(str(value.dtype), 0) + value.size
    return found
