"""Which nodes of a bundle's graph are the network: only they are quantised.

Preprocessing and the gate's space hold few weights, and a distance needs its digits. The exporter names each node
after the torch module that it comes from (`members.0.gru/node_gru`). A graph without such names is read by its
constants: what reads a preprocessing or gate constant, and all that leads there, is no network.
"""

from __future__ import annotations

import onnx

NETWORK = "members."
NOT_NETWORK = ("common.", "own.", "discriminant.", "gate.", "gates.")
LOGITS = "logits"


def network_outputs(model: onnx.ModelProto) -> frozenset[str]:
    """Return the names of all values that the network's nodes give."""
    nodes = list(model.graph.node)
    named = [node for node in nodes if node.name.startswith(NETWORK) and "/" in node.name]
    if not named:
        outside = _before(nodes, [node for node in nodes if any(name.startswith(NOT_NETWORK) for name in node.input)])
        inside = _before(nodes, [node for node in nodes if LOGITS in node.output])
        named = [node for index, node in enumerate(nodes) if index in inside and index not in outside]
    return frozenset(name for node in named for name in node.output if name)


def _before(nodes: list[onnx.NodeProto], last: list[onnx.NodeProto]) -> set[int]:
    """The indices of `last` and of all nodes that lead to them."""
    maker = {name: index for index, node in enumerate(nodes) for name in node.output}
    found: set[int] = set()
    waiting = [maker[name] for node in last for name in node.output[:1]]
    while waiting:
        index = waiting.pop()
        if index not in found:
            found.add(index)
            waiting += [maker[name] for name in nodes[index].input if name in maker]
    return found
