"""A bank as one ONNX graph in int8: all members side by side, and the answer of each independent of the others, bit by
bit.

Convolutions are grouped by member and sum integers, which is exact in any order; what they round to is decided channel
by channel. The last layer multiplies integers in float64, whose sums are exact too. So a compound's logits are the same
bytes in every bank, on every processor whose kernels round alike.

A large bank goes through its layers in stretches of members whose maps stay in a core's second cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, compose, helper

from export.bank.bank import Bank
from export.bank.integers import AFTER_RELU, Integers, convolutions_of, head_of, units_of
from export.bank.layers import (
    FEWEST_SHARING,
    Layers,
    Numbers,
    Scale,
    numbers_of,
    real_of,
    rounded,
    steps_of,
)
from export.bank.plan import Convolution, Plan, member_layout, plan_of, trunk_layout
from export.errors import BankUnfit
from export.to_onnx import OPSET, PRODUCER

STRETCH_BYTES: Final = 384 * 1024  # of its largest maps; 368 networks of `resuca` all at once took a third longer
IR_VERSION: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Members that go through the layers together: the column of the first one, how many, and their numbers."""

    first: int
    members: int
    numbers: Numbers


def fused(bank: Bank) -> onnx.ModelProto:
    """Return the graph: `prepared` float32 [N, points] to `logits` float32 [N, compounds].

    Raises BankUnfit where the numbers of a member are too far apart to be rounded.
    """
    plan, stretches = plan_of(bank.words), stretches_of(bank)
    parts = []
    for number, stretch in enumerate(stretches):
        prefix = f"bank{number}_" if len(stretches) > 1 else "bank"
        part = Fused(prefix, plan, stretch.numbers, members=stretch.members, of=_separate(bank))
        steps = steps_of(part, "prepared", points=bank.points, input_range=bank.input_range)
        logits = part.logits(part.maps(steps), places=plan.places(bank.points))
        assert logits == part.new[-1].output[0]
        parts.append(part)
    return _model(parts, bank)


def stretches_of(bank: Bank) -> list[Stretch]:
    """Return the numbers of all members, stretch after stretch; where they share a trunk there is one.

    Raises BankUnfit where the numbers of a member are too far apart to be rounded.
    """
    plan, own = plan_of(bank.words), member_layout(bank.words)
    arrays = own.split(np.stack([member.numbers for member in bank.members]))
    shared = trunk_layout(bank.words)
    together = arrays if shared is None or bank.trunk is None else shared.split(bank.trunk[None])
    integers = convolutions_of(plan, together, input_range=bank.input_range)
    _check_scales(bank, integers)
    head = head_of(plan, arrays, units_of(plan, together)[plan.last.writes], points=bank.points)
    if shared is not None:
        return [Stretch(first=0, members=1, numbers=numbers_of(plan, integers, head, members=1, of=1))]
    found = []
    for cut in _cuts(plan, bank):
        members = cut.stop - cut.start
        theirs = {name: one.of(cut) for name, one in integers.items()}
        numbers = numbers_of(plan, theirs, head.of(cut), members=members, of=len(bank.members))
        found.append(Stretch(first=cut.start, members=members, numbers=numbers))
    return found


def joined(
    preparation: onnx.ModelProto, bank: onnx.ModelProto, *, prepared: str = "prepared", only_logits: bool = False
) -> onnx.ModelProto:
    """Return one graph of preprocessing and a bank, whose other inputs and outputs keep their names.

    prepared: the name of preprocessing's output, which stays one. only_logits: what preprocessing gives besides is left
    out, it and all that nothing else needs.
    """
    behind = onnx.ModelProto()
    behind.CopyFrom(bank)
    behind.ir_version = preparation.ir_version
    renamed = compose.add_prefix(behind, "bank/", rename_inputs=True, rename_outputs=False, rename_edges=True)
    outputs = [value.name for value in ([] if only_logits else preparation.graph.output)]
    outputs += [value.name for value in bank.graph.output]
    model = compose.merge_models(preparation, renamed, io_map=[(prepared, "bank/prepared")], outputs=outputs)
    for port in model.graph.input:
        if port.name.startswith("bank/"):
            _rename(model, port.name, port.name.removeprefix("bank/"))
    model.producer_name, model.producer_version, model.doc_string = PRODUCER, "", ""
    onnx.checker.check_model(model, full_check=True)
    return model


class Fused(Layers):
    """Members whose numbers are constants of the graph."""

    def __init__(self, prefix: str, plan: Plan, numbers: Numbers, *, members: int, of: int) -> None:
        super().__init__(prefix, plan, members=members, of=of)
        self._numbers = numbers

    def number(self, name: str) -> str:
        """Return the constant."""
        return self.constant(self._numbers[name])

    def convolved(self, x: str, convolution: Convolution, writes: Scale) -> str:
        """Add a convolution that onnxruntime, since all its numbers are constants, makes one of integers."""
        name = convolution.name
        weights = self.node(
            "DequantizeLinear",
            [self.number(f"{name}/weights"), self.number(f"{name}/scales"), self.zeros(np.int8, convolution)],
            axis=0,
        )
        biases = self.node(
            "DequantizeLinear",
            [self.number(f"{name}/biases"), self.number(f"{name}/bias scales"), self.zeros(np.int32, convolution)],
            axis=0,
        )
        half = convolution.kernel // 2
        real = self.node(
            "Conv",
            [real_of(self, x, AFTER_RELU), weights, biases],
            kernel_shape=[1, convolution.kernel],
            strides=[1, convolution.stride],
            pads=[0, half, 0, half],
            group=self.seats // self.sharing[name],
        )
        return rounded(self, real, writes)


def _rename(model: onnx.ModelProto, before: str, after: str) -> None:
    """Give an input of the graph another name; no body of a node reads it."""
    for port in model.graph.input:
        port.name = after if port.name == before else port.name
    for node in model.graph.node:
        node.input[:] = [after if name == before else name for name in node.input]


def _separate(bank: Bank) -> int:
    """How many networks a bank is made of."""
    return len(bank.members) if bank.trunk is None else 1


def _check_scales(bank: Bank, integers: dict[str, Integers]) -> None:
    for name, found in integers.items():
        for member in np.flatnonzero(~np.isfinite(found.scales).all(axis=1)):
            whose = bank.compounds[member] if bank.trunk is None else "the trunk"
            raise BankUnfit(f"{whose}: the numbers of {name} are too far apart for int8", hint="train it again")


def _cuts(plan: Plan, bank: Bank) -> list[slice]:
    """Cut the members into even stretches. Their sizes leave nobody to fill up groups, but perhaps in the last."""
    members, places = len(bank.members), plan.places_of(bank.points)
    largest_bytes = max(channels * places[name] for name, channels in plan.channels.items())
    fitting = max(1, STRETCH_BYTES // (largest_bytes * FEWEST_SHARING)) * FEWEST_SHARING
    even = -(-members // -(-members // fitting))
    size = -(-even // FEWEST_SHARING) * FEWEST_SHARING
    return [slice(first, min(first + size, members)) for first in range(0, members, size)]


def _model(parts: list[Fused], bank: Bank) -> onnx.ModelProto:
    nodes = [node for part in parts for node in part.new]
    if len(parts) > 1:
        logits = [part.new[-1].output[0] for part in parts]
        nodes.append(helper.make_node("Concat", logits, ["logits"], name="logits", axis=1))
    return finished(
        nodes,
        [initialiser for part in parts for initialiser in part.initialisers()],
        inputs=[prepared_port(bank)],
        columns=len(bank.members),
    )


def prepared_port(bank: Bank) -> onnx.ValueInfoProto:
    """Return the input of a bank's graphs."""
    return helper.make_tensor_value_info("prepared", TensorProto.FLOAT, ["N", bank.points])


def finished(
    nodes: list[onnx.NodeProto],
    initialisers: list[onnx.TensorProto],
    *,
    inputs: list[onnx.ValueInfoProto],
    columns: int | str,
) -> onnx.ModelProto:
    """Return a checked graph of these nodes, the last of which gives the logits."""
    nodes[-1].output[0] = "logits"
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", columns])
    model = helper.make_model(
        helper.make_graph(nodes, "bank", inputs, [logits], initialisers),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name=PRODUCER,
    )
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model
