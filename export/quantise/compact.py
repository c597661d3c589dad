"""Short names inside a graph: of a small network the names would be a tenth of the file."""

from __future__ import annotations

import onnx

from export.quantise.region import NETWORK, network_outputs

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def compact(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rename values and nodes, in place, and return the model. Inputs and outputs keep their names, and the network's
    nodes a name that tells them from the others."""
    graph, network = model.graph, network_outputs(model)
    kept = {value.name for value in (*graph.input, *graph.output)} | {""}
    names: dict[str, str] = {}

    def short(name: str) -> str:
        if name in kept:
            return name
        if name not in names:
            names[name] = f"_{_base36(len(names))}"
        return names[name]

    for number, node in enumerate(graph.node):
        inside = any(name in network for name in node.output)
        node.name = f"{NETWORK}/{_base36(number)}" if inside else _base36(number)
        node.input[:] = [short(name) for name in node.input]
        node.output[:] = [short(name) for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _shorten_body(attribute.g)
    for tensor in graph.initializer:
        tensor.name = short(tensor.name)
    del graph.value_info[:]
    return model


def _shorten_body(body: onnx.GraphProto) -> None:
    """A Scan's body reads nothing from outside: its names are its own."""
    names: dict[str, str] = {"": ""}

    def short(name: str) -> str:
        return names.setdefault(name, f"b{_base36(len(names))}")

    for node in body.node:
        node.name = ""
        node.input[:] = [short(name) for name in node.input]
        node.output[:] = [short(name) for name in node.output]
    for value in (*body.input, *body.output, *body.initializer):
        value.name = short(value.name)


def _base36(number: int) -> str:
    digits = ""
    while number or not digits:
        number, last = divmod(number, 36)
        digits = _DIGITS[last] + digits
    return digits
