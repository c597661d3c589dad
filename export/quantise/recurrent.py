"""GRU and LSTM as plain nodes: one step, all steps in a row, or a Scan. The arithmetic is that of the ONNX operators.

GRU with linear_before_reset = 1, as torch has it (gates in the order z, r, h):

    z, r = sigmoid(W x + R s + b)      n = tanh(Wn x + bwn + r (Rn s + brn))      s' = n + z (s - n)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from export.quantise.graph import Graph, attributes
from export.quantise.nodes import Nodes

Weights = NDArray[np.float32]
Product = Callable[[Nodes, str, Weights], str]
"""Adds x @ weights.T; takes the builder, the name of x and weights [rows, columns]; returns the product's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """One direction of a recurrent operator: of the input w [gates * hidden, size], of the state r [gates * hidden,
    hidden], both their biases [gates * hidden]."""

    w: Weights
    r: Weights
    bias_w: Weights
    bias_r: Weights
    hidden: int
    backward: bool


def directions(graph: Graph, node: onnx.NodeProto) -> list[Direction] | None:
    """Read a GRU or an LSTM; None for one that this file does not know how to take apart."""
    words = attributes(node)
    gates = {"GRU": 3, "LSTM": 4}[node.op_type]
    known = {"hidden_size", "direction", "linear_before_reset", "layout", "input_forget"}
    as_in_torch = words.get("linear_before_reset", 0) == (node.op_type == "GRU") and not words.get("input_forget")
    if set(words) - known or not as_in_torch or words.get("layout") or any(node.input[4:5]) or any(node.input[7:8]):
        return None
    if any(name not in graph.values for name in node.input[1:3]):
        return None
    w, r = graph.values[node.input[1]], graph.values[node.input[2]]
    hidden = words["hidden_size"]
    bias = np.zeros((len(w), 2 * gates * hidden), np.float32)
    if len(node.input) > 3 and node.input[3]:
        if node.input[3] not in graph.values:
            return None
        bias = graph.values[node.input[3]]
    only_backward = words.get("direction", b"forward") == b"reverse"
    return [
        Direction(
            w=w[i],
            r=r[i],
            bias_w=bias[i, : gates * hidden],
            bias_r=bias[i, gates * hidden :],
            hidden=hidden,
            backward=only_backward or i == 1,
        )
        for i in range(len(w))
    ]


def starts_at_zero(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether the first state is zero for certain: absent, or an expanded, sliced zero."""
    return all(_is_zero(graph, name) for name in node.input[5:7] if name)


def _is_zero(graph: Graph, name: str) -> bool:
    if name in graph.values:
        return not graph.values[name].any()
    made = graph.maker(name)
    if made is None:
        return False
    if made.op_type == "ConstantOfShape":
        return not any(float(a.t.float_data[0]) if a.t.float_data else any(a.t.raw_data) for a in made.attribute)
    moves = ("Expand", "Slice", "Reshape", "Unsqueeze", "Squeeze", "Transpose", "Identity", "Cast")
    return made.op_type in moves and _is_zero(graph, made.input[0])


def float_product(nodes: Nodes, x: str, weights: Weights) -> str:
    """In float."""
    return nodes.node("MatMul", [x, nodes.constant(np.ascontiguousarray(weights.T))])


def gru_input(nodes: Nodes, x: str, of: Direction, product: Product) -> str:
    """What the input adds to the gates, for all steps at once: the biases that can be added here are."""
    h = of.hidden
    bias = np.concatenate([of.bias_w[: 2 * h] + of.bias_r[: 2 * h], of.bias_w[2 * h :]])
    return nodes.node("Add", [product(nodes, x, of.w), nodes.constant(bias)])


def gru_step(nodes: Nodes, gates: str, state: str, of: Direction, product: Product) -> str:
    """The next state [..., hidden] from the input's part of the gates [..., 3 hidden]; state "" is zero."""
    h = of.hidden
    parts, inner = nodes.integers(2 * h, h), nodes.constant(of.bias_r[2 * h :])
    doors, new = nodes.nodes("Split", [gates, parts], 2, axis=-1)
    if state:
        memory_doors, memory_new = nodes.nodes("Split", [product(nodes, state, of.r), parts], 2, axis=-1)
        doors = nodes.node("Add", [doors, memory_doors])
        inner = nodes.node("Add", [memory_new, inner])
    z, reset = nodes.nodes("Split", [nodes.node("Sigmoid", [doors]), nodes.integers(h, h)], 2, axis=-1)
    fresh = nodes.node("Tanh", [nodes.node("Add", [new, nodes.node("Mul", [reset, inner])])])
    if not state:
        return nodes.node("Sub", [fresh, nodes.node("Mul", [z, fresh])])
    return nodes.node("Add", [fresh, nodes.node("Mul", [z, nodes.node("Sub", [state, fresh])])])


def lstm_first_step(nodes: Nodes, x: str, of: Direction, product: Product) -> tuple[str, str]:
    """State and cell after one step from zero, gates in the order i, o, f, c: nothing is there to forget."""
    h = of.hidden
    bias = of.bias_w + of.bias_r
    kept = np.r_[0 : 2 * h, 3 * h : 4 * h]
    gates = nodes.node("Add", [product(nodes, x, of.w[kept]), nodes.constant(bias[kept])])
    doors, new = nodes.nodes("Split", [gates, nodes.integers(2 * h, h)], 2, axis=-1)
    i, o = nodes.nodes("Split", [nodes.node("Sigmoid", [doors]), nodes.integers(h, h)], 2, axis=-1)
    cell = nodes.node("Mul", [i, nodes.node("Tanh", [new])])
    return nodes.node("Mul", [o, nodes.node("Tanh", [cell])]), cell


def give_states(graph: Graph, node: onnx.NodeProto, sequences: list[str], lasts: list[str]) -> None:
    """Write the operator's outputs: the sequence [steps, directions, n, hidden] and the last states [directions, n,
    hidden], from one [steps, n, hidden] and one [1, n, hidden] a direction."""
    if graph.is_read(node.output[0]):
        parts = [graph.node("Unsqueeze", [s, graph.integers(1)]) for s in sequences]
        graph.give("Concat", parts, node.output[0], axis=1)
    if len(node.output) > 1 and graph.is_read(node.output[1]):
        graph.give("Concat", lasts, node.output[1], axis=0)
