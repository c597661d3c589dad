"""Integer products whose inputs are scaled as they come: `dynamic`, and for recurrent layers of many steps `scan`.

onnxruntime has integer kernels for MatMul (and Gemm) and for LSTM, none for GRU: that one is written out, step by step
or as a Scan. The state of a GRU lies between -1 and 1, so its scale is known and is not looked for at each step.
Convolutions keep folded weights: their dynamic kernel is slower than float. Weights keep to seven bits, see `weights`.

The products are the standard's own nodes, DynamicQuantizeLinear and MatMulInteger, which onnxruntime fuses.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import onnx
from onnx import TensorProto, helper

from export.quantise.graph import Graph, attributes
from export.quantise.nodes import MICROSOFT, Nodes
from export.quantise.recurrent import (
    Direction,
    Product,
    Weights,
    directions,
    float_product,
    give_states,
    gru_input,
    gru_step,
    starts_at_zero,
)
from export.quantise.weights import REDUCED_RANGE, fold_weights, int8_steps

MOST_STEPS = 64
"""Longest GRU that is written out: each step is some fifteen nodes, and a session of 64 steps takes half a second to
make."""


def dynamic(model: onnx.ModelProto, *, scan: bool) -> onnx.ModelProto:
    """Return the model with integer products; each GRU as a Scan, or as its steps where there are few enough."""
    graph = Graph(model)
    graph.replace(("Gemm", "MatMul"), partial(_dense, graph))
    graph.replace(("LSTM",), partial(_lstm, graph))
    graph.replace(("GRU",), partial(_scan if scan else _unrolled, graph))
    fold_weights(graph)
    return graph.finished()


def has_gru(model: onnx.ModelProto) -> bool:
    """Whether a Scan would change anything."""
    graph = Graph(model)
    return any(node.op_type == "GRU" and directions(graph, node) for node in graph.network())


def has_integer_kernel(model: onnx.ModelProto) -> bool:
    """Whether `dynamic` would make any product an integer one."""
    graph = Graph(model)
    kinds = ("Gemm", "MatMul", "LSTM", "GRU")
    return any(node.op_type in kinds and node.input[1] in graph.values for node in graph.network())


def dynamic_product(nodes: Nodes, x: str, weights: Weights) -> str:
    """x scaled to eight bits by its own range."""
    steps, scale = int8_steps(weights, (1,), REDUCED_RANGE)
    coded, of_x, zero = nodes.nodes("DynamicQuantizeLinear", [x], 3)
    right = nodes.constant(np.ascontiguousarray(steps.T))
    summed = nodes.node("MatMulInteger", [coded, right, zero, nodes.constant(np.array(0, np.int8))])
    real = nodes.node("Cast", [summed], to=TensorProto.FLOAT)
    return nodes.node("Mul", [real, nodes.node("Mul", [of_x, nodes.constant(scale[:, 0])])])


def state_product(nodes: Nodes, x: str, weights: Weights) -> str:
    """x is the state of a GRU that started at zero: tanh keeps it between -1 and 1."""
    steps, scale = int8_steps(weights, (1,), REDUCED_RANGE)
    zero = nodes.constant(np.array(128, np.uint8))
    coded = nodes.node("QuantizeLinear", [x, nodes.constant(np.array(1 / 127, np.float32)), zero])
    right = nodes.constant(np.ascontiguousarray(steps.T))
    summed = nodes.node("MatMulInteger", [coded, right, zero, nodes.constant(np.array(0, np.int8))])
    real = nodes.node("Cast", [summed], to=TensorProto.FLOAT)
    return nodes.node("Mul", [real, nodes.constant(scale[:, 0] / np.float32(127))])


def _dense(graph: Graph, node: onnx.NodeProto) -> bool:
    weights = graph.values.get(node.input[1])
    words = attributes(node)
    if weights is None or weights.ndim != 2 or words.get("transA") or words.get("alpha", 1.0) != 1.0:
        return False
    rows = weights if words.get("transB") else weights.T
    bias = node.input[2] if len(node.input) > 2 else ""
    if bias and words.get("beta", 1.0) != 1.0:
        return False
    product = dynamic_product(graph, node.input[0], np.ascontiguousarray(rows))
    graph.give("Add" if bias else "Identity", [product, bias] if bias else [product], node.output[0])
    return True


def _lstm(graph: Graph, node: onnx.NodeProto) -> bool:
    """The one recurrent operator with an integer kernel; it wants its weights the other way round."""
    words = attributes(node)
    if any(name not in graph.values for name in node.input[1:3]) or words.get("layout") or words.get("input_forget"):
        return False
    right, scales = [], []
    for name in node.input[1:3]:
        steps, scale = int8_steps(graph.values[name], (2,), REDUCED_RANGE)
        right.append(graph.constant(np.ascontiguousarray(steps.transpose(0, 2, 1))))
        scales.append(scale[:, :, 0])
    inputs = [node.input[0], *right, *node.input[3:], *[""] * (8 - len(node.input))]
    for scale in scales:
        inputs += [graph.constant(scale), graph.constant(np.zeros(scale.shape, np.int8))]
    made = helper.make_node("DynamicQuantizeLSTM", inputs, list(node.output), name=node.name, domain=MICROSOFT)
    made.attribute.extend(a for a in node.attribute if a.name not in ("layout", "input_forget"))
    graph.new.append(made)
    return True


def _unrolled(graph: Graph, node: onnx.NodeProto) -> bool:
    found = directions(graph, node)
    length = graph.length(node.input[0])
    if found is None or length is None or length > MOST_STEPS or not starts_at_zero(graph, node):
        return False
    sequences, lasts = [], []
    for of in found:
        gates = gru_input(graph, node.input[0], of, _input_product(of))
        read = graph.nodes("Split", [gates], length, axis=0, num_outputs=length) if length > 1 else [gates]
        state, states = "", []
        for step in reversed(read) if of.backward else read:
            state = gru_step(graph, step, state, of, state_product)
            states.append(state)
        lasts.append(state)
        ordered = states[::-1] if of.backward else states
        sequences.append(graph.node("Concat", ordered, axis=0) if graph.is_read(node.output[0]) else "")
    give_states(graph, node, sequences, lasts)
    return True


def _scan(graph: Graph, node: onnx.NodeProto) -> bool:
    found = directions(graph, node)
    if found is None or not starts_at_zero(graph, node):
        return False
    rows = graph.node("Shape", [node.input[0]], start=1, end=2)
    sequences, lasts = [], []
    for number, of in enumerate(found):
        gates = gru_input(graph, node.input[0], of, _input_product(of))
        shape = graph.node("Concat", [rows, graph.integers(of.hidden)], axis=0)
        first = graph.node("ConstantOfShape", [shape])
        body = _body(f"{node.output[0] or node.output[1]}_{number}_", of)
        last, sequence = graph.nodes(
            "Scan",
            [first, gates],
            2,
            body=body,
            num_scan_inputs=1,
            scan_input_directions=[int(of.backward)],
            scan_output_directions=[int(of.backward)],
        )
        lasts.append(graph.node("Unsqueeze", [last, graph.integers(0)]))
        sequences.append(sequence)
    give_states(graph, node, sequences, lasts)
    return True


def _body(prefix: str, of: Direction) -> onnx.GraphProto:
    nodes = Nodes(prefix)
    state, gates = f"{prefix}state", f"{prefix}gates"
    after = gru_step(nodes, gates, state, of, state_product)
    outputs = [nodes.node("Identity", [after]) for _ in range(2)]

    def port(name: str, width: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])

    ports = [port(state, of.hidden), port(gates, 3 * of.hidden)]
    return helper.make_graph(
        nodes.new, f"{prefix}step", ports, [port(name, of.hidden) for name in outputs], nodes.initialisers()
    )


def _input_product(of: Direction) -> Product:
    """An input narrower than this is multiplied sooner than its scale is found."""
    return dynamic_product if of.w.shape[1] >= 8 else float_product
