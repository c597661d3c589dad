"""Weights as int8: symmetric, one scale a channel, in the file only or beside integer kernels.

In the file only (`weights`): Cast and Mul in the graph make them float again. onnxruntime folds both when the session
is made, so a run is that of the float graph. DequantizeLinear, the standard's own word for it, is kept for integer
kernels and, where there is none, computed at every call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from export.quantise.graph import Graph, attributes

FULL_RANGE = 127
REDUCED_RANGE = 63
"""Largest weight next to unsigned activations: two products of 255 x 63 still fit the 16-bit sums of x86 without
VNNI."""
FEWEST = 64  # values; a smaller array does not repay its scales and two nodes


def int8_steps(
    weights: NDArray[np.float32], reduced: tuple[int, ...], limit: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return symmetric int8 weights and their scales, which keep the axes `reduced` with length one."""
    largest = np.abs(weights).max(axis=reduced, keepdims=True)
    scale = np.maximum(largest, np.float32(1e-8)) / np.float32(limit)
    return np.clip(np.rint(weights / scale), -limit, limit).astype(np.int8), scale.astype(np.float32)


def channel_axes(node: onnx.NodeProto, position: int, dimensions: int) -> tuple[int, ...] | None:
    """Return the axes that share a scale in the weights at an input of a node, or None where that is no place for
    int8."""
    match node.op_type:
        case "GRU" | "LSTM" | "RNN":
            return (2,) if position in (1, 2) else None
        case "Conv":
            return tuple(range(1, dimensions)) if position == 1 else None
        case "Gemm":
            return (1,) if attributes(node).get("transB") else (0,)
        case "MatMul":
            return (dimensions - 2,) if position == 1 else (dimensions - 1,)
        case "Add" | "Gather" | "Concat":  # tables of positions
            return (dimensions - 1,)
        case _:
            return None


def fold_weights(graph: Graph) -> None:
    """Store the network's weights as int8 that are folded to float when the session is made."""
    done: set[str] = set()
    for node in graph.network():
        for position, name in enumerate(node.input):
            if name in done or not _is_weights(graph, name):
                continue
            axes = channel_axes(node, position, graph.values[name].ndim)
            if axes is not None:
                done.add(name)
                steps, scale = int8_steps(graph.values.pop(name), axes, FULL_RANGE)
                real = graph.node("Cast", [graph.constant(steps)], to=TensorProto.FLOAT)
                graph.give("Mul", [real, graph.constant(scale)], name)
    graph.prepend()


def unfolded(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the float graph of a `weights` graph: the weights as they are after rounding, as constants."""
    graph = Graph(model)
    constants: set[str] = set()
    made = {node.output[0]: node for node in model.graph.node if node.op_type == "Cast"}
    for node in model.graph.node:
        cast = made.get(node.input[0]) if node.op_type == "Mul" else None
        if cast is not None and cast.input[0] in graph.values and node.input[1] in graph.values:
            steps, scale = graph.values[cast.input[0]], graph.values[node.input[1]]
            if steps.dtype == np.int8:
                graph.values[node.output[0]] = (steps.astype(np.float32) * scale).astype(np.float32)
                constants.add(node.output[0])
    graph.drop(frozenset(constants))
    return graph.finished()


def is_quantised(model: onnx.ModelProto) -> bool:
    """Whether a graph rounds what goes through it: no float graph can be had from that."""
    kinds = ("QuantizeLinear", "DynamicQuantizeLinear", "DynamicQuantizeLSTM")
    return any(node.op_type in kinds for node in model.graph.node)


def _is_weights(graph: Graph, name: str) -> bool:
    value: NDArray[Any] | None = graph.values.get(name)
    if value is None or value.dtype != np.float32 or value.ndim < 2 or value.size < FEWEST:
        return False
    return all(graph.in_network(reader) for reader in graph.readers(name))
