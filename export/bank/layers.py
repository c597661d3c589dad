"""The layers of some members as nodes of a graph, and their integers as these nodes take them.

Where a node's numbers come from is left open: from constants in the graph of a whole bank (`export.bank.fuse`), from
whichever compound is asked for in the graph that says why (`export.bank.alone`). All else is this file's, but for the
way in which a convolution of integers is written down, so both say the same bytes.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from export.bank.integers import AFTER_RELU, BEFORE_SUM, INPUT_STEPS, Head, Integers
from export.bank.plan import Block, Convolution, Plan
from export.quantise.nodes import Nodes

WIDE: Final = 32  # channels that the kernels like to see in a group
FEWEST_SHARING: Final = 16  # members: in a smaller bank the ones that fill up would cost more than is gained
HEAD: Final = "head"
Scale = tuple[np.float32, int]
Numbers = dict[str, NDArray[Any]]


class Layers(Nodes):
    """The nodes of some members under construction. Values between nodes are uint8 [N, seats * channels, 1, places].

    Narrow members share a group, each blind to the others by zeros in its weights: kernels are slow on few channels.
    So that they divide evenly, empty members take the last of the `seats`; their channels are cut off behind the last
    maps. Where the numbers come from is the subclass's business: see `number`.
    """

    def __init__(self, prefix: str, plan: Plan, *, members: int, of: int) -> None:
        """`of`: how many members the bank has, these and all others."""
        super().__init__(prefix)
        self.plan, self.members = plan, members
        self.sharing = {convolution.name: sharing_of(convolution, of) for convolution in plan.convolutions}
        self.seats = seats_of(plan, members, of=of)

    def maps(self, steps: str) -> str:
        """Add everything from rounded spectra to the last maps."""
        x = self._first(steps)
        for block in self.plan.blocks:
            x = self._block(x, block)
        return x

    def logits(self, maps: str, *, places: int) -> str:
        """Add the last layer."""
        axes = self.integers(2, 3)
        real = self.node("Cast", [maps], to=TensorProto.FLOAT)  # sums of so few steps are exact in float32
        sums = self.node("ReduceSum", [real, axes], keepdims=0)
        peaks = self.node("Mul", [self.node("ReduceMax", [real, axes], keepdims=0), real_in(self, float(places))])
        channels = self.plan.last.outputs
        both = [self.node("Reshape", [x, self.integers(-1, self.seats, channels)]) for x in (sums, peaks)]
        features = self.node("Concat", both, axis=2)
        if self.seats > self.members:
            first, last, axis = (self.integers(value) for value in (0, self.members, 1))
            features = self.node("Slice", [features, first, last, axis])
        features = self.node("Cast", [features], to=TensorProto.DOUBLE)
        weights = self.node("Cast", [self.number(f"{HEAD}/weights")], to=TensorProto.DOUBLE)
        products = self.node("Mul", [features, weights])  # a shared trunk's one row meets each member's weights
        summed = self.node("ReduceSum", [products, self.integers(2)], keepdims=0)
        scaled = self.node("Mul", [summed, self.number(f"{HEAD}/scales")])
        logits = self.node("Add", [scaled, self.number(f"{HEAD}/biases")])
        return self.node("Cast", [logits], to=TensorProto.FLOAT)

    def number(self, name: str) -> str:
        """Return the value that holds what `numbers_of` calls `name`."""
        raise NotImplementedError

    def convolved(self, x: str, convolution: Convolution, writes: Scale) -> str:
        """Add a convolution from uint8 to uint8; where its result starts at zero, rounding is the ReLU."""
        raise NotImplementedError

    def _block(self, x: str, block: Block) -> str:
        inner = self.convolved(x, block.inner, AFTER_RELU)
        path = real_of(self, self.convolved(inner, block.path, BEFORE_SUM), BEFORE_SUM)
        if block.shortcut is None:
            beside = real_of(self, x, AFTER_RELU)
        else:
            beside = real_of(self, self.convolved(x, block.shortcut, BEFORE_SUM), BEFORE_SUM)
        return rounded(self, self.node("Add", [path, beside]), AFTER_RELU)

    def _first(self, steps: str) -> str:
        """Add the stem: integers in float32 up to the pool, whose kernel for bytes is slow; then a scale a channel."""
        stem = self.plan.stem
        weights = self.node("Cast", [self.number(f"{stem.name}/weights")], to=TensorProto.FLOAT)
        biases = self.node("Cast", [self.number(f"{stem.name}/biases")], to=TensorProto.FLOAT)
        half = stem.kernel // 2
        sums = self.node(
            "Conv",
            [steps, weights, biases],
            kernel_shape=[1, stem.kernel],
            strides=[1, stem.stride],
            pads=[0, half, 0, half],
        )
        pooled = self.node("MaxPool", [sums], kernel_shape=[1, 2], strides=[1, 2])
        scales = self.number(f"{stem.name}/scales")
        return self.node("QuantizeLinear", [pooled, scales, self.zeros(np.uint8, stem)], axis=1)

    def zeros(self, kind: type[np.generic], convolution: Convolution) -> str:
        """Return the zero points of all channels."""
        return self.constant(np.zeros(self.seats * convolution.outputs, kind))


def steps_of(nodes: Nodes, prepared: str, *, points: int, input_range: float) -> str:
    """Add the rounding of spectra, which is the same for all members; return float32 [N, 1, 1, points]."""
    picture = nodes.node("Reshape", [prepared, nodes.integers(-1, 1, 1, points)])
    steps = nodes.node("Round", [nodes.node("Mul", [picture, real_in(nodes, INPUT_STEPS / input_range)])])
    return nodes.node("Clip", [steps, real_in(nodes, -INPUT_STEPS), real_in(nodes, INPUT_STEPS)])


def rounded(nodes: Nodes, x: str, scale: Scale) -> str:
    """Add the way from float32 to uint8."""
    return nodes.node("QuantizeLinear", [x, *scale_in(nodes, scale)])


def real_of(nodes: Nodes, x: str, scale: Scale) -> str:
    """Add the way from uint8 to float32."""
    return nodes.node("DequantizeLinear", [x, *scale_in(nodes, scale)])


def scale_in(nodes: Nodes, scale: Scale) -> tuple[str, str]:
    """Return the names of a scale and its zero point."""
    return real_in(nodes, scale[0]), nodes.constant(np.array(scale[1], np.uint8))


def real_in(nodes: Nodes, value: float | np.float32) -> str:
    """Add a float32 and return its name."""
    return nodes.constant(np.array(value, np.float32))


def sharing_of(convolution: Convolution, of: int) -> int:
    """Return how many members of a bank `of` so many share a group: a power of two, so that they divide as members fill
    up."""
    sharing = 1
    if convolution.reads is not None and of >= FEWEST_SHARING:
        while min(convolution.inputs, convolution.outputs) * sharing < WIDE:
            sharing *= 2
    return sharing


def seats_of(plan: Plan, members: int, *, of: int) -> int:
    """Return how many places some members have with those that fill up."""
    most = max(sharing_of(convolution, of) for convolution in plan.convolutions)
    return -(-members // most) * most


def numbers_of(plan: Plan, integers: dict[str, Integers], head: Head, *, members: int, of: int) -> Numbers:
    """Return what `Layers.number` gives, seat after seat along the first dimension; of the head, member after member.

    Of a convolution: weights [seats * outputs, sharing * inputs, 1, kernel], biases int32 and float32 scales of weights
    and of biases [seats * outputs]. Of the stem, whose sums are rounded directly, the scales are those of its output.
    """
    seats = seats_of(plan, members, of=of)
    found: Numbers = {}
    for convolution in plan.convolutions:
        name, rounded = convolution.name, integers[convolution.name]
        scales = _filled(rounded.scales, np.float32(1), seats)
        found[f"{name}/weights"] = _side_by_side(rounded.weights, sharing_of(convolution, of), seats)
        found[f"{name}/biases"] = _filled(rounded.biases, np.int32(0), seats)
        if convolution.reads is None:
            found[f"{name}/scales"] = (AFTER_RELU[0] / scales).astype(np.float32)
        else:
            found[f"{name}/scales"] = (scales / AFTER_RELU[0]).astype(np.float32)
            found[f"{name}/bias scales"] = scales
    return found | {f"{HEAD}/weights": head.weights, f"{HEAD}/scales": head.scales, f"{HEAD}/biases": head.biases}


def rows_of(plan: Plan) -> dict[str, int]:
    """Return how many rows of each entry of `numbers_of` are one member's.

    Scales of biases are left out: a convolution of integers knows them.
    """
    rows = {found.name: found.outputs for found in plan.convolutions} | {HEAD: 1}
    return {f"{name}/{kind}": count for name, count in rows.items() for kind in ("weights", "biases", "scales")}


def _side_by_side(weights: NDArray[Any], sharing: int, seats: int) -> NDArray[Any]:
    """Weights [seats * outputs, sharing * inputs, 1, kernel]: zero where one member would see another."""
    members, outputs, inputs, kernel = weights.shape
    found = np.zeros((seats, outputs, sharing, inputs, kernel), weights.dtype)
    place = np.arange(members)
    found[place, :, place % sharing] = weights
    return found.reshape(-1, sharing * inputs, 1, kernel)


def _filled(values: NDArray[Any], empty: Any, seats: int) -> NDArray[Any]:
    """One value for each channel of all members, and of those that fill up."""
    found = np.full((seats, values.shape[1]), empty, values.dtype)
    found[: len(values)] = values
    return found.reshape(-1)
