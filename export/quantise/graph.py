"""One model under change: nodes of the network are replaced, everything else stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from onnx import helper, numpy_helper

from export.quantise.nodes import MICROSOFT, Nodes
from export.quantise.region import network_outputs

Replace = Callable[[onnx.NodeProto], bool]
"""Looks at a node; adds what stands in its place and returns True, or returns False."""


class Graph(Nodes):
    """A copy of a model. New nodes go in front of the node that is being replaced; `finished` gives the new model."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__(_unused_prefix(model))
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        self.values.update((tensor.name, numpy_helper.to_array(tensor)) for tensor in model.graph.initializer)
        self._network = network_outputs(model)
        self._shapes: dict[str, list[int]] | None = None

    def network(self) -> list[onnx.NodeProto]:
        """The nodes of the network, in order."""
        return [node for node in self._model.graph.node if self.in_network(node)]

    def in_network(self, node: onnx.NodeProto) -> bool:
        """Whether a node of the original graph belongs to the network."""
        return any(name in self._network for name in node.output)

    def readers(self, name: str) -> list[onnx.NodeProto]:
        """The nodes that read a value."""
        return [node for node in self._model.graph.node if name in node.input]

    def is_read(self, name: str) -> bool:
        """Whether a value is used at all."""
        return bool(name) and (bool(self.readers(name)) or any(name == out.name for out in self._model.graph.output))

    def maker(self, name: str) -> onnx.NodeProto | None:
        """The node that gives a value; None for inputs and constants."""
        return next((node for node in self._model.graph.node if name in node.output), None)

    def replace(self, kinds: tuple[str, ...], replace: Replace) -> None:
        """Offer every node of the network of one of these kinds for replacement."""
        out: list[onnx.NodeProto] = []
        for node in list(self._model.graph.node):
            self.new = []
            taken = node.op_type in kinds and self.in_network(node) and replace(node)
            scope, slash, _ = node.name.rpartition("/")
            for new in self.new if taken and slash else []:
                new.name = f"{scope}/{new.name}"
            out.extend(self.new if taken else [node])
        del self._model.graph.node[:]
        self._model.graph.node.extend(out)

    def drop(self, outputs: frozenset[str]) -> None:
        """Take out the nodes that give these values, which are constants now."""
        kept = [node for node in self._model.graph.node if not outputs & set(node.output)]
        del self._model.graph.node[:]
        self._model.graph.node.extend(kept)

    def prepend(self) -> None:
        """Put the new nodes in front of all others: they read constants only."""
        kept = list(self._model.graph.node)
        del self._model.graph.node[:]
        self._model.graph.node.extend([*self.new, *kept])
        self.new = []

    def give(self, kind: str, inputs: list[str], name: str, **attributes: Any) -> None:
        """Add a node whose output takes the place of the value `name`."""
        made = helper.make_node(kind, inputs, [name], name=f"{self.prefix}{kind}_of_{name}", **attributes)
        self.new.append(made)

    def length(self, x: str) -> int | None:
        """The number of steps of a sequence [steps, n, size], from the graph's own shapes; None where it is open."""
        if self._shapes is None:
            inferred = onnx.shape_inference.infer_shapes(self._model, data_prop=True)
            self._shapes = {
                value.name: [int(d.dim_value) for d in value.type.tensor_type.shape.dim]
                for value in inferred.graph.value_info
            }
        shape = self._shapes.get(x, [])
        return shape[0] or None if shape else None

    def finished(self) -> onnx.ModelProto:
        """Drop what nothing reads any more, write the initialisers, check the graph, and return it."""
        graph = self._model.graph
        wanted = {value.name for value in graph.output}
        kept = []
        for node in reversed(graph.node):
            if wanted & set(node.output):
                kept.append(node)
                wanted.update(node.input)
        del graph.node[:]
        graph.node.extend(reversed(kept))
        del graph.initializer[:]
        graph.initializer.extend(
            numpy_helper.from_array(value, name) for name, value in self.values.items() if name in wanted
        )
        if any(node.domain == MICROSOFT for node in kept):
            if all(entry.domain != MICROSOFT for entry in self._model.opset_import):
                self._model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
        else:
            onnx.checker.check_model(self._model, full_check=True)
        return self._model


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The attributes of a node by name."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _unused_prefix(model: onnx.ModelProto) -> str:
    names = [
        *(tensor.name for tensor in model.graph.initializer),
        *(n for node in model.graph.node for n in node.output),
    ]
    prefix = "q"
    while any(name.startswith(prefix) for name in names):
        prefix += "q"
    return prefix
