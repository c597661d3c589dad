"""A bank as one ONNX graph in int8: all members side by side, and the answer of each independent of the others, bit by
bit.

Convolutions are grouped by member and sum integers, which is exact in any order; what they round to is decided channel
by channel. The last layer multiplies integers in float64, whose sums are exact too. So a compound's logits are the same
bytes in every bank, on every processor whose kernels round alike.

A large bank goes through its layers in stretches of members whose maps stay in a core's second cache.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper

from export.bank.bank import Bank
from export.bank.integers import (
    AFTER_RELU,
    BEFORE_SUM,
    INPUT_STEPS,
    Head,
    Integers,
    convolutions_of,
    head_of,
    units_of,
)
from export.bank.plan import Block, Convolution, Plan, member_layout, plan_of, trunk_layout
from export.errors import BankUnfit
from export.quantise.nodes import Nodes
from export.to_onnx import OPSET, PRODUCER

WIDE: Final = 32  # channels that the kernels like to see in a group
FEWEST_SHARING: Final = 16  # members: in a smaller bank the ones that fill up would cost more than is gained
STRETCH_BYTES: Final = 384 * 1024  # of its largest maps; 368 networks of `resuca` all at once took a third longer
IR_VERSION: Final = 10
Scale = tuple[np.float32, int]


def fused(bank: Bank) -> onnx.ModelProto:
    """Return the graph: `prepared` float32 [N, points] to `logits` float32 [N, compounds].

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
        return _model([_part("bank", plan, integers, head, bank, members=1)], bank)
    parts = []
    for number, stretch in enumerate(stretches := _stretches(plan, bank)):
        prefix = f"bank{number}_" if len(stretches) > 1 else "bank"
        theirs = {name: found.of(stretch) for name, found in integers.items()}
        members = stretch.stop - stretch.start
        parts.append(_part(prefix, plan, theirs, head.of(stretch), bank, members=members))
    return _model(parts, bank)


def joined(preparation: onnx.ModelProto, bank: onnx.ModelProto, *, prepared: str = "prepared") -> onnx.ModelProto:
    """Return one graph of preprocessing and a bank. prepared: the name of preprocessing's output, which stays one."""
    behind = onnx.ModelProto()
    behind.CopyFrom(bank)
    behind.ir_version = preparation.ir_version
    renamed = compose.add_prefix(behind, "bank/", rename_inputs=True, rename_outputs=False, rename_edges=True)
    outputs = [value.name for value in (*preparation.graph.output, *bank.graph.output)]
    model = compose.merge_models(preparation, renamed, io_map=[(prepared, "bank/prepared")], outputs=outputs)
    model.producer_name, model.producer_version, model.doc_string = PRODUCER, "", ""
    onnx.checker.check_model(model, full_check=True)
    return model


class Fused(Nodes):
    """The nodes under construction. Values between nodes are uint8 [N, members * channels, 1, places].

    Narrow members share a group, each blind to the others by zeros in its weights: kernels are slow on few channels.
    So that they divide evenly, empty members take the last of the `seats`; their channels are cut off behind the last
    maps.
    """

    def __init__(self, prefix: str, plan: Plan, integers: dict[str, Integers], *, members: int) -> None:
        super().__init__(prefix)
        self.plan, self.rounded, self.members = plan, integers, members
        sharing = [self._sharing(convolution) for convolution in plan.convolutions]
        self.seats = -(-members // max(sharing)) * max(sharing)

    def maps(self, points: int, input_range: float) -> str:
        """Add everything up to the last maps."""
        picture = self.node("Reshape", ["prepared", self.integers(-1, 1, 1, points)])
        x = self._first(picture, input_range)
        for block in self.plan.blocks:
            x = self._block(x, block)
        return x

    def logits(self, maps: str, head: Head, *, places: int) -> str:
        """Add the last layer."""
        axes = self.integers(2, 3)
        real = self.node("Cast", [maps], to=TensorProto.FLOAT)  # sums of so few steps are exact in float32
        sums = self.node("ReduceSum", [real, axes], keepdims=0)
        peaks = self.node("Mul", [self.node("ReduceMax", [real, axes], keepdims=0), self._real(float(places))])
        channels = self.plan.last.outputs
        both = [self.node("Reshape", [x, self.integers(-1, self.seats, channels)]) for x in (sums, peaks)]
        features = self.node("Concat", both, axis=2)
        if self.seats > self.members:
            first, last, axis = (self.integers(value) for value in (0, self.members, 1))
            features = self.node("Slice", [features, first, last, axis])
        features = self.node("Cast", [features], to=TensorProto.DOUBLE)
        weights = self.node("Cast", [self.constant(head.weights)], to=TensorProto.DOUBLE)
        products = self.node("Mul", [features, weights])  # a shared trunk's one row meets each member's weights
        summed = self.node("ReduceSum", [products, self.integers(2)], keepdims=0)
        scaled = self.node("Mul", [summed, self.constant(head.scales)])
        return self.node("Cast", [self.node("Add", [scaled, self.constant(head.biases)])], to=TensorProto.FLOAT)

    def _block(self, x: str, block: Block) -> str:
        inner = self._convolved(x, block.inner, AFTER_RELU)
        path = self._real_of(self._convolved(inner, block.path, BEFORE_SUM), BEFORE_SUM)
        if block.shortcut is None:
            beside = self._real_of(x, AFTER_RELU)
        else:
            beside = self._real_of(self._convolved(x, block.shortcut, BEFORE_SUM), BEFORE_SUM)
        return self._rounded(self.node("Add", [path, beside]), AFTER_RELU)

    def _first(self, picture: str, input_range: float) -> str:
        """Add the stem: integers in float32 up to the pool, whose kernel for bytes is slow; then a scale a channel."""
        stem, integers = self.plan.stem, self.rounded[self.plan.stem.name]
        steps = self.node("Round", [self.node("Mul", [picture, self._real(INPUT_STEPS / input_range)])])
        steps = self.node("Clip", [steps, self._real(-INPUT_STEPS), self._real(INPUT_STEPS)])
        weights = self.node("Cast", [self.constant(self._side_by_side(integers.weights, 1))], to=TensorProto.FLOAT)
        biases = self.node("Cast", [self.constant(self._filled(integers.biases, np.int32(0)))], to=TensorProto.FLOAT)
        half = stem.kernel // 2
        sums = self.node(
            "Conv",
            [steps, weights, biases],
            kernel_shape=[1, stem.kernel],
            strides=[1, stem.stride],
            pads=[0, half, 0, half],
        )
        scales = (AFTER_RELU[0] / self._filled(integers.scales, np.float32(1))).astype(np.float32)
        pooled = self.node("MaxPool", [sums], kernel_shape=[1, 2], strides=[1, 2])
        return self.node("QuantizeLinear", [pooled, self.constant(scales), self._zeros(np.uint8, scales)], axis=1)

    def _convolved(self, x: str, convolution: Convolution, writes: Scale) -> str:
        """Add a convolution; where its result starts at zero, rounding is the ReLU."""
        integers, sharing = self.rounded[convolution.name], self._sharing(convolution)
        bias_scales = self._filled(integers.scales, np.float32(1))
        scales = (bias_scales / AFTER_RELU[0]).astype(np.float32)
        weights = self.node(
            "DequantizeLinear",
            [
                self.constant(self._side_by_side(integers.weights, sharing)),
                self.constant(scales),
                self._zeros(np.int8, scales),
            ],
            axis=0,
        )
        biases = self.node(
            "DequantizeLinear",
            [
                self.constant(self._filled(integers.biases, np.int32(0))),
                self.constant(bias_scales),
                self._zeros(np.int32, scales),
            ],
            axis=0,
        )
        half = convolution.kernel // 2
        real = self.node(
            "Conv",
            [self._real_of(x, AFTER_RELU), weights, biases],
            kernel_shape=[1, convolution.kernel],
            strides=[1, convolution.stride],
            pads=[0, half, 0, half],
            group=self.seats // sharing,
        )
        return self._rounded(real, writes)

    def _side_by_side(self, weights: NDArray[Any], sharing: int) -> NDArray[Any]:
        """Weights [members * outputs, sharing * inputs, 1, kernel]: zero where one member would see another."""
        members, outputs, inputs, kernel = weights.shape
        found = np.zeros((self.seats, outputs, sharing, inputs, kernel), weights.dtype)
        place = np.arange(members)
        found[place, :, place % sharing] = weights
        return found.reshape(-1, sharing * inputs, 1, kernel)

    def _filled(self, values: NDArray[Any], empty: Any) -> NDArray[Any]:
        """One value for each channel of all members, and of those that fill up."""
        found = np.full((self.seats, values.shape[1]), empty, values.dtype)
        found[: self.members] = values
        return found.reshape(-1)

    def _sharing(self, convolution: Convolution) -> int:
        """How many members share a group: a power of two, so that they divide as members fill up."""
        sharing = 1
        if convolution.reads is not None and self.members >= FEWEST_SHARING:
            while min(convolution.inputs, convolution.outputs) * sharing < WIDE:
                sharing *= 2
        return sharing

    def _rounded(self, x: str, scale: Scale) -> str:
        return self.node("QuantizeLinear", [x, self._real(scale[0]), self.constant(np.array(scale[1], np.uint8))])

    def _real_of(self, x: str, scale: Scale) -> str:
        return self.node("DequantizeLinear", [x, self._real(scale[0]), self.constant(np.array(scale[1], np.uint8))])

    def _real(self, value: float | np.float32) -> str:
        return self.constant(np.array(value, np.float32))

    def _zeros(self, kind: type[np.generic], like: NDArray[Any]) -> str:
        return self.constant(np.zeros(like.shape, kind))


def _check_scales(bank: Bank, integers: dict[str, Integers]) -> None:
    for name, found in integers.items():
        for member in np.flatnonzero(~np.isfinite(found.scales).all(axis=1)):
            whose = bank.compounds[member] if bank.trunk is None else "the trunk"
            raise BankUnfit(f"{whose}: the numbers of {name} are too far apart for int8", hint="train it again")


def _stretches(plan: Plan, bank: Bank) -> list[slice]:
    """Cut the members into even stretches. Their sizes leave nobody to fill up groups, but perhaps in the last."""
    members, places = len(bank.members), plan.places_of(bank.points)
    largest_bytes = max(channels * places[name] for name, channels in plan.channels.items())
    fitting = max(1, STRETCH_BYTES // (largest_bytes * FEWEST_SHARING)) * FEWEST_SHARING
    even = -(-members // -(-members // fitting))
    size = -(-even // FEWEST_SHARING) * FEWEST_SHARING
    return [slice(first, min(first + size, members)) for first in range(0, members, size)]


def _part(prefix: str, plan: Plan, integers: dict[str, Integers], head: Head, bank: Bank, *, members: int) -> Fused:
    """The nodes from `prepared` to the logits of some members, which the last node gives."""
    part = Fused(prefix, plan, integers, members=members)
    logits = part.logits(part.maps(bank.points, bank.input_range), head, places=plan.places(bank.points))
    assert logits == part.new[-1].output[0]
    return part


def _model(parts: list[Fused], bank: Bank) -> onnx.ModelProto:
    nodes = [node for part in parts for node in part.new]
    if len(parts) > 1:
        logits = [part.new[-1].output[0] for part in parts]
        nodes.append(helper.make_node("Concat", logits, ["logits"], name="logits", axis=1))
    nodes[-1].output[0] = "logits"
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "bank",
            [helper.make_tensor_value_info("prepared", TensorProto.FLOAT, ["N", bank.points])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", len(bank.members)])],
            [initialiser for part in parts for initialiser in part.initialisers()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name=PRODUCER,
    )
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model
