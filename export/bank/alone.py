"""The graph that says of spectra what a few compounds of a bank make of them, and computes nobody else.

Explaining an answer means asking hundreds of changed spectra about one compound, for which the whole bank is far too
slow. The bank's own graph cannot leave anyone out: onnxruntime computes all nodes of a graph, whatever is wanted of it.
So this is a second graph, of the same layers; the numbers of the compounds that are asked for are gathered from those
of the bank, and what they say are the same bytes.

    prepared float32 [N, points], which int64 [K]  ->  logits float32 [N, K]

It takes a few kB, since it reads the bank's numbers where they lie in the bank's graph: see `reading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper, utils

from export.bank.bank import Bank
from export.bank.fuse import Stretch, finished, joined, prepared_port, stretches_of
from export.bank.integers import AFTER_RELU
from export.bank.layers import Layers, Scale, rows_of, scale_in, sharing_of, steps_of
from export.bank.plan import Convolution, Plan, plan_of
from export.errors import BankUnfit
from export.quantise.nodes import Nodes

WHICH: Final = "which"
MODEL: Final = "model.onnx"  # the bank's graph as a bundle holds it
LEAST_READ_BYTES: Final = 256  # of a constant that is read from there: to say where it lies takes half as much
MOST_OWN_BYTES: Final = 1 << 14  # of one that is not there: places of a thousand channels, and no compound's numbers


def alone(bank: Bank) -> onnx.ModelProto:
    """Return the graph. which: columns of the bank's logits.

    Raises BankUnfit for compounds that share a trunk: there all of them together take little longer than one.
    """
    if bank.trunk is not None:
        raise BankUnfit("the compounds of this bank share a trunk", hint="its own graph is fast enough: fused")
    plan = plan_of(bank.words)
    asked = Asked(stretches_of(bank), rows_of(plan))
    steps = steps_of(asked, "prepared", points=bank.points, input_range=bank.input_range)
    one = One(plan, asked.of_one, of=len(bank.members))
    logits = one.logits(one.maps(steps), places=plan.places(bank.points))
    each = asked.node(
        "Scan", [asked.place, *asked.gathered.values()], body=one.body(logits), num_scan_inputs=1 + len(asked.gathered)
    )
    asked.node("Transpose", [asked.node("Squeeze", [each, asked.integers(2)])], perm=[1, 0])
    which = helper.make_tensor_value_info(WHICH, TensorProto.INT64, ["K"])
    return finished(asked.new, asked.initialisers(), inputs=[prepared_port(bank), which], columns="K")


def why_graph(model: bytes, bank: Bank, *, prepared: str = "prepared") -> onnx.ModelProto:
    """Return what a bundle holds as `why.onnx`: `spectrum` [N, points] and `which` [K] to `logits` [N, K].

    model: the bundle's own graph, byte by byte, which `joined` has made of preprocessing and this bank. prepared: the
    name in it of what the bank reads. Raises BankUnfit for a bank of one trunk, and for the graph of another bank.
    """
    before = _before(model, prepared, bank.points)
    return reading(joined(before, alone(bank), prepared=prepared, only_logits=True), model)


def reading(graph: onnx.ModelProto, model: bytes) -> onnx.ModelProto:
    """Return the graph with its larger constants read from where the same bytes lie in `model`, the bank's own graph.

    Raises BankUnfit where numbers of compounds are not in it: it is the graph of another bank.
    """
    found = onnx.ModelProto()
    found.CopyFrom(graph)
    for tensor in found.graph.initializer:
        raw = numpy_helper.to_array(tensor).tobytes()
        if len(raw) < LEAST_READ_BYTES:
            continue
        offset = model.find(raw)
        if offset < 0:
            if len(raw) > MOST_OWN_BYTES:
                raise BankUnfit(f"{tensor.name}: its {len(raw):,} bytes are not in the graph: it is another bank's")
            continue
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", MODEL), ("offset", str(offset)), ("length", str(len(raw)))):
            tensor.external_data.add(key=key, value=value)
    return found


def _before(model: bytes, prepared: str, points: int) -> onnx.ModelProto:
    """What the graph does before the bank."""
    whole = onnx.load_from_string(model)
    if not any(prepared in node.output for node in whole.graph.node):
        raise BankUnfit(f"{prepared}: no such value in the graph", hint="the name that `joined` was given")
    outputs = [port for port in whole.graph.output if port.name != prepared]
    del whole.graph.output[:]
    port = helper.make_tensor_value_info(prepared, TensorProto.FLOAT, ["N", points])
    whole.graph.output.extend([*outputs, port])
    return utils.Extractor(whole).extract_model([one.name for one in whole.graph.input], [prepared])


class Asked(Nodes):
    """The numbers of K compounds, gathered from all stretches of a bank.

    gathered: of each entry of `numbers_of`, the value [K, rows of one member, ...]; of_one: what one member's is like.
    place: int64 [K], the place of each in its stretch.
    """

    def __init__(self, stretches: Sequence[Stretch], rows: Mapping[str, int]) -> None:
        super().__init__("alone")
        self._stretches = stretches
        self._places = [self._place_in(stretch) for stretch in stretches]
        self._order = self._stretch_by_stretch() if len(stretches) > 1 else ""
        self._rows: dict[tuple[int, int], str] = {}
        self.place = self._one_of(self._places)
        self.gathered = {name: self._gathered(name, count) for name, count in rows.items()}
        self.of_one = {name: stretches[0].numbers[name][:count] for name, count in rows.items()}

    def _place_in(self, stretch: Stretch) -> str:
        """The places in one stretch; of those who are in another, any place."""
        first, last = (self.constant(np.array(place, np.int64)) for place in (0, stretch.members - 1))
        moved = self.node("Sub", [WHICH, self.constant(np.array(stretch.first, np.int64))])
        return self.node("Clip", [moved, first, last])

    def _stretch_by_stretch(self) -> str:
        """Where each stands among the values of all stretches, one stretch of K after the other."""
        firsts = self.integers(*(stretch.first for stretch in self._stretches[1:]))
        begun = self.node("GreaterOrEqual", [self.node("Unsqueeze", [WHICH, self.integers(1)]), firsts])
        stretch = self.node(
            "ReduceSum", [self.node("Cast", [begun], to=TensorProto.INT64), self.integers(1)], keepdims=0
        )
        count = self.node("Size", [WHICH])
        nought, one = (self.constant(np.array(value, np.int64)) for value in (0, 1))
        return self.node("Add", [self.node("Mul", [stretch, count]), self.node("Range", [nought, count, one])])

    def _gathered(self, name: str, count: int) -> str:
        found = []
        for number, stretch in enumerate(self._stretches):
            rows = self._rows_in(number, count)
            found.append(self.node("Gather", [self.constant(stretch.numbers[name]), rows], axis=0))
        return self._one_of(found)

    def _rows_in(self, stretch: int, count: int) -> str:
        """The rows [K, count] of those asked for in one stretch."""
        if (stretch, count) not in self._rows:
            first = self.node("Mul", [self._places[stretch], self.constant(np.array(count, np.int64))])
            column = self.node("Unsqueeze", [first, self.integers(1)])
            self._rows[stretch, count] = self.node("Add", [column, self.integers(*range(count))])
        return self._rows[stretch, count]

    def _one_of(self, values: list[str]) -> str:
        """Of values [K, ...], one a stretch, each compound's own."""
        if len(values) == 1:
            return values[0]
        return self.node("Gather", [self.node("Concat", values, axis=0), self._order], axis=0)


class One(Layers):
    """The body of the Scan: the layers of one compound, whose numbers are the inputs."""

    def __init__(self, plan: Plan, of_one: Mapping[str, NDArray[Any]], *, of: int) -> None:
        super().__init__("one", plan, members=1, of=1)
        self._of_one = of_one
        self._beside = {f"{found.name}/weights": (sharing_of(found, of), found.inputs) for found in plan.convolutions}
        self._columns: dict[tuple[int, int], str] = {}

    def number(self, name: str) -> str:
        """Return the input; of weights that see several members, what sees the compound itself."""
        sharing, inputs = self._beside.get(name, (1, 0))
        if sharing == 1:
            return self._input(name)
        return self.node("Gather", [self._input(name), self._columns_of(sharing, inputs)], axis=1)

    def convolved(self, x: str, convolution: Convolution, writes: Scale) -> str:
        """Add a convolution of integers as such: onnxruntime makes none of floats whose numbers it does not know."""
        name, half = convolution.name, convolution.kernel // 2
        return self.node(
            "QLinearConv",
            [
                x,
                *scale_in(self, AFTER_RELU),
                self.number(f"{name}/weights"),
                self.number(f"{name}/scales"),
                self.zeros(np.int8, convolution),
                *scale_in(self, writes),
                self.number(f"{name}/biases"),
            ],
            kernel_shape=[1, convolution.kernel],
            strides=[1, convolution.stride],
            pads=[0, half, 0, half],
        )

    def body(self, logits: str) -> onnx.GraphProto:
        """Return the nodes as the body: the place and the numbers of one compound to its logits [N, 1]."""
        ports = [helper.make_tensor_value_info(self._input("place"), TensorProto.INT64, [])]
        for name, array in self._of_one.items():
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            ports.append(helper.make_tensor_value_info(self._input(name), kind, array.shape))
        said = helper.make_tensor_value_info(logits, TensorProto.FLOAT, ["N", 1])
        return helper.make_graph(self.new, "one", ports, [said], self.initialisers())

    def _input(self, name: str) -> str:
        return f"{self.prefix}/{name}"

    def _columns_of(self, sharing: int, inputs: int) -> str:
        if (sharing, inputs) not in self._columns:
            among, width = (self.constant(np.array(value, np.int64)) for value in (sharing, inputs))
            first = self.node("Mul", [self.node("Mod", [self._input("place"), among]), width])
            self._columns[sharing, inputs] = self.node("Add", [first, self.integers(*range(inputs))])
        return self._columns[sharing, inputs]
