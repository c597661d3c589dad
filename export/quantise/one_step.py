"""A recurrent layer that reads its whole input in one step is a small dense network, and is written as one.

From a state of zero the recurrent weights multiply nothing: they are left out, and of an LSTM the forget gate as well.
Exact to the rounding of float32. What remains are products and element-wise nodes, which every family can quantise.
"""

from __future__ import annotations

import onnx

from export.quantise.graph import Graph
from export.quantise.recurrent import (
    directions,
    float_product,
    give_states,
    gru_input,
    gru_step,
    lstm_first_step,
    starts_at_zero,
)


def without_recurrence(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with each GRU and LSTM of one step rewritten; others stay as they are."""
    graph = Graph(model)

    def replace(node: onnx.NodeProto) -> bool:
        found = directions(graph, node)
        if found is None or graph.length(node.input[0]) != 1 or not starts_at_zero(graph, node):
            return False
        states, cells = [], []
        for of in found:
            if node.op_type == "GRU":
                states.append(
                    gru_step(graph, gru_input(graph, node.input[0], of, float_product), "", of, float_product)
                )
            else:
                state, cell = lstm_first_step(graph, node.input[0], of, float_product)
                states.append(state)
                cells.append(cell)
        give_states(graph, node, states, states)
        if cells and len(node.output) > 2 and graph.is_read(node.output[2]):
            graph.give("Concat", cells, node.output[2], axis=0)
        return True

    graph.replace(("GRU", "LSTM"), replace)
    return graph.finished()
