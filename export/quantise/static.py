"""Fixed scales, measured on spectra: Conv, Gemm and MatMul between QuantizeLinear and DequantizeLinear.

onnxruntime runs such groups by integer kernels. Signed activations suit ARM, unsigned ones x86; on x86 both become
unsigned. Weights have a scale a channel and keep to seven bits: with eight, processors without VNNI saturate sums that
others do not (measured: every third class changed). Recurrent operators have no such kernel; their weights are folded.
Logits and all between the products of a transformer stay float.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from edged.infer.runtime import load_onnxruntime
from export.quantise.graph import Graph
from export.quantise.region import network_outputs
from export.quantise.weights import fold_weights

WEIGHTED = ("Conv", "Gemm", "MatMul")
BETWEEN = ("Add", "Clip", "Relu", "MaxPool", "AveragePool", "GlobalAveragePool")
"""Run in int8 too where they stand among convolutions: a chain that stays int8 is not converted back and forth."""
FLOAT_OUTPUT = ["Gemm", "MatMul"]  # their kernels give float; a logit that is rounded to one of 256 steps says less
BATCH = 64
Activations = Literal["s8", "u8"]


def static(model: onnx.ModelProto, spectra: NDArray[np.float32], activations: Activations) -> onnx.ModelProto:
    """Return the model with scales measured on spectra [n, points]."""
    load_onnxruntime()
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Rows(CalibrationDataReader):
        """The spectra in batches, once."""

        def __init__(self) -> None:
            self._batches: Iterator[NDArray[np.float32]] = iter(
                np.array_split(spectra, -(-len(spectra) // BATCH)),
            )

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            batch = next(self._batches, None)
            return None if batch is None else {"spectrum": batch}

    unsigned = activations == "u8"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "static.onnx"
        quantize_static(
            _with_shapes(model),
            path,
            Rows(),
            quant_format=QuantFormat.QDQ,
            nodes_to_quantize=quantisable(model),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8 if unsigned else QuantType.QInt8,
            weight_type=QuantType.QInt8,
            extra_options=_options(),
        )
        rounded = onnx.load(path)
    _restore_outside(rounded, model)
    graph = Graph(rounded)
    fold_weights(graph)
    finished = graph.finished()
    del finished.metadata_props[:]
    finished.producer_name, finished.producer_version = model.producer_name, model.producer_version
    return finished


def quantisable(model: onnx.ModelProto) -> list[str]:
    """The names of the network's nodes that integer kernels can take."""
    graph = Graph(model)
    network = graph.network()
    weighted = [node for node in network if node.op_type in WEIGHTED and _has_weights(graph, node)]
    convolves = any(node.op_type == "Conv" for node in weighted)
    between = [node for node in network if node.op_type in BETWEEN] if convolves else []
    return [node.name for node in (*weighted, *between)]


def _restore_outside(rounded: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Let preprocessing and gates read again what they read before: the quantiser redirects every reader of a value."""
    network = network_outputs(model)
    before = {node.output[0]: list(node.input) for node in model.graph.node if node.output[0] not in network}
    there = {value.name for value in (*rounded.graph.input, *rounded.graph.initializer)} | {""}
    there.update(name for node in rounded.graph.node for name in node.output)
    for node in rounded.graph.node:
        inputs = before.get(node.output[0], [])
        if inputs and there.issuperset(inputs):
            node.input[:] = inputs


def _has_weights(graph: Graph, node: onnx.NodeProto) -> bool:
    return node.input[1] in graph.values and graph.values[node.input[1]].ndim >= 2


def _options() -> dict[str, Any]:
    return {"ActivationSymmetric": False, "WeightSymmetric": True, "OpTypesToExcludeOutputQuantization": FLOAT_OUTPUT}


def _with_shapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """The quantiser looks up the types of values in the graph, and advises to prepare it unless it says it is."""
    shaped = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shaped.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    return shaped
