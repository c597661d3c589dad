"""Ways to bring int8 weights into a graph whose recurrent operator has no int8 kernel; the recipe names one.

onnxruntime has no int8 GRU and its quantisers leave the operator alone, so the float graph is rewritten here.
Preprocessing and the gate's space stay in float: they hold few weights, and distances need their digits.

    weights           int8 in the file, Cast and Mul in the graph; folded to float when the session is made
    weights-qdq       the same with DequantizeLinear, which onnxruntime does not fold: it runs at every call
    unrolled-float    the GRU's steps as plain nodes, in float: the yardstick of the next two
    unrolled-dynamic  every product a DynamicQuantizeMatMul
    unrolled-static   the state's products as MatMulInteger with the fixed scale that tanh allows, the input's dynamic
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.job import Job
from export.recipe import Scheme

SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
FULL_RANGE = 127
REDUCED_RANGE = 63
"""Largest weight next to unsigned activations: two products of 255 x 63 still fit the 16-bit sums of x86 without
VNNI."""
_MICROSOFT = "com.microsoft"


def quantise(job: Job) -> dict[str, Any]:
    """Stage: rewrite float.onnx by the recipe's scheme, leave model.onnx and a comparison of all schemes."""
    from export.compare import compare

    model = onnx.load_from_string(job.need("float.onnx").read_bytes())
    chosen = quantised(model, job.recipe.quantisation.scheme)
    job.path("model.onnx").write_bytes(chosen.SerializeToString(deterministic=True))
    spectra = job.spectra()
    rows = job.split(spectra).development
    grid = np.stack([np.interp(job.grid_nm, spectra.axis_nm, spectra.values[row]) for row in rows]).astype(np.float32)
    table = compare({scheme: quantised(model, scheme) for scheme in SCHEMES}, grid, rounds=5 if job.quick else 25)
    job.write_json("quantise.json", {"scheme": job.recipe.quantisation.scheme, "variants": table})
    return {"scheme": job.recipe.quantisation.scheme, "size_bytes": chosen.ByteSize()}


def quantised(model: onnx.ModelProto, scheme: Scheme) -> onnx.ModelProto:
    """Return a rewritten copy of a float graph; `float` returns a plain copy."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if scheme == "float":
        return copy
    graph = _Graph(copy)
    match scheme:
        case "weights" | "weights-qdq":
            stored = graph.folded_weight if scheme == "weights" else graph.dequantised_weight
            graph.replace_gemm_weights(stored)
            graph.replace_gru_weights(stored)
        case "unrolled-float":
            graph.unroll(_float_product(graph), _float_product(graph))
        case "unrolled-dynamic":
            graph.replace_gemm_weights(graph.folded_weight)
            graph.unroll(_dynamic_product(graph), _dynamic_product(graph))
        case "unrolled-static":
            graph.replace_gemm_weights(graph.folded_weight)
            graph.unroll(_dynamic_product(graph), _static_product(graph))
    graph.finish()
    return copy


def int8_rows(weights: NDArray[np.float32], limit: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return symmetric int8 weights and the scale of each row: all axes but the last belong to the row."""
    scale = np.maximum(np.abs(weights).max(axis=-1), np.float32(1e-8)) / np.float32(limit)
    steps = np.rint(weights / scale[..., None])
    return np.clip(steps, -limit, limit).astype(np.int8), scale.astype(np.float32)


Product = Callable[[str, NDArray[np.float32], NDArray[np.float32] | None], str]
"""Adds x @ weights.T + bias to the graph; takes the name of x, weights [rows, columns] and bias [rows]."""


def _float_product(graph: _Graph) -> Product:
    def product(x: str, weights: NDArray[np.float32], bias: NDArray[np.float32] | None) -> str:
        out = graph.node("MatMul", [x, graph.constant(np.ascontiguousarray(weights.T))])
        return out if bias is None else graph.node("Add", [out, graph.constant(bias)])

    return product


def _dynamic_product(graph: _Graph) -> Product:
    def product(x: str, weights: NDArray[np.float32], bias: NDArray[np.float32] | None) -> str:
        steps, scale = int8_rows(weights, REDUCED_RANGE)
        inputs = [x, graph.constant(np.ascontiguousarray(steps.T)), graph.constant(scale), ""]
        if bias is not None:
            inputs.append(graph.constant(bias))
        return graph.node("DynamicQuantizeMatMul", inputs, domain=_MICROSOFT)

    return product


def _static_product(graph: _Graph) -> Product:
    """Products of a GRU's state, which tanh keeps within -1 and 1: the scale of the activations is known."""

    def product(x: str, weights: NDArray[np.float32], bias: NDArray[np.float32] | None) -> str:
        steps, scale = int8_rows(weights, REDUCED_RANGE)
        zero = graph.constant(np.array(128, np.uint8))
        coded = graph.node("QuantizeLinear", [x, graph.constant(np.array(1 / 127, np.float32)), zero])
        summed = graph.node("MatMulInteger", [coded, graph.constant(np.ascontiguousarray(steps.T)), zero])
        real = graph.node("Cast", [summed], to=TensorProto.FLOAT)
        out = graph.node("Mul", [real, graph.constant(scale / np.float32(127))])
        return out if bias is None else graph.node("Add", [out, graph.constant(bias)])

    return product


class _Graph:
    """One model under change: new nodes go in front of the node that is being replaced."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self._new: list[onnx.NodeProto] = []
        self._count = 0
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._uses_microsoft = False

    def constant(self, value: NDArray[Any]) -> str:
        """Return the name of an initialiser with this value; equal values share one."""
        value = np.ascontiguousarray(value) if value.ndim else value
        key = (str(value.dtype), value.shape, value.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = name
            self._values[name] = value
        return self._constants[key]

    def node(self, kind: str, inputs: list[str], *, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        return self.nodes(kind, inputs, 1, domain=domain, **attributes)[0]

    def nodes(self, kind: str, inputs: list[str], outputs: int, *, domain: str = "", **attributes: Any) -> list[str]:
        """Add a node with several outputs and return their names."""
        self._count += 1
        names = [f"q{self._count}_{i}" for i in range(outputs)]
        self._new.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        self._uses_microsoft |= domain == _MICROSOFT
        return names

    def folded_weight(self, weights: NDArray[np.float32]) -> str:
        """Int8 weights that Cast and Mul make float again, once, when the session is made."""
        steps, scale = int8_rows(weights, FULL_RANGE)
        real = self.node("Cast", [self.constant(steps)], to=TensorProto.FLOAT)
        return self.node("Mul", [real, self.constant(scale[..., None])])

    def dequantised_weight(self, weights: NDArray[np.float32]) -> str:
        """Int8 weights behind DequantizeLinear; one scale a row of the last two axes."""
        flat = weights.reshape(-1, weights.shape[-1])
        steps, scale = int8_rows(flat, FULL_RANGE)
        out = self.node("DequantizeLinear", [self.constant(steps), self.constant(scale)], axis=0)
        if weights.ndim == 2:
            return out
        return self.node("Reshape", [out, self.constant(np.array(weights.shape, np.int64))])

    def replace_gemm_weights(self, stored: Callable[[NDArray[np.float32]], str]) -> None:
        """Store the weights of dense layers (Gemm with transposed weights) as int8."""

        def replace(node: onnx.NodeProto) -> bool:
            if node.op_type != "Gemm" or node.input[1] not in self._values:
                return False
            node.input[1] = stored(self._values[node.input[1]])
            self._new.append(node)
            return True

        self._each(replace)

    def replace_gru_weights(self, stored: Callable[[NDArray[np.float32]], str]) -> None:
        """Store W and R of each GRU as int8; the operator stays."""

        def replace(node: onnx.NodeProto) -> bool:
            if node.op_type != "GRU":
                return False
            node.input[1], node.input[2] = (stored(self._values[name]) for name in node.input[1:3])
            self._new.append(node)
            return True

        self._each(replace)

    def unroll(self, of_input: Product, of_state: Product) -> None:
        """Replace each GRU by its steps. The state starts at zero, as the float graph's does."""

        def replace(node: onnx.NodeProto) -> bool:
            if node.op_type != "GRU":
                return False
            self._unroll(node, of_input, of_state)
            return True

        self._each(replace)

    def _unroll(self, node: onnx.NodeProto, of_input: Product, of_state: Product) -> None:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        assert attributes.get("linear_before_reset") == 1
        w, r, b = (self._values[name] for name in node.input[1:4])
        hidden = attributes["hidden_size"]
        sequence_used = bool(node.output[0]) and self._is_read(node.output[0])
        sequences, lasts = [], []
        for direction in range(w.shape[0]):
            steps = self._direction(
                node.input[0], w[direction], r[direction], b[direction], hidden, direction == 1, (of_input, of_state)
            )
            ordered = steps[::-1] if direction == 1 else steps
            lasts.append(steps[-1])
            sequences.append(self.node("Concat", ordered, axis=0) if sequence_used else "")
        self._new.append(helper.make_node("Concat", lasts, [node.output[1]], axis=0))
        if sequence_used:
            axis = self.constant(np.array([1], np.int64))
            parts = [self.node("Unsqueeze", [s, axis]) for s in sequences]
            self._new.append(helper.make_node("Concat", parts, [node.output[0]], axis=1))

    def _direction(
        self,
        x: str,
        w: NDArray[np.float32],
        r: NDArray[np.float32],
        b: NDArray[np.float32],
        hidden: int,
        backward: bool,
        products: tuple[Product, Product],
    ) -> list[str]:
        """Return the names of the states [1, n, hidden], in the order in which they are computed."""
        of_input, of_state = products
        of_w, of_r = b[: 3 * hidden], b[3 * hidden :]
        bias = np.concatenate([of_w[: 2 * hidden] + of_r[: 2 * hidden], of_w[2 * hidden :]])
        parts = self.constant(np.array([2 * hidden, hidden], np.int64))
        inner = self.constant(of_r[2 * hidden :])
        length = self._length(x)
        read = self.nodes("Split", [of_input(x, w, bias)], length, axis=0, num_outputs=length)
        state, states = "", []
        for step in reversed(read) if backward else read:
            doors, new = self.nodes("Split", [step, parts], 2, axis=2)
            kept = inner
            if state:
                memory = of_state(state, r, None)
                memory_doors, memory_new = self.nodes("Split", [memory, parts], 2, axis=2)
                doors = self.node("Add", [doors, memory_doors])
                kept = self.node("Add", [memory_new, inner])
            z, reset = self.nodes("Split", [self.node("Sigmoid", [doors])], 2, axis=2, num_outputs=2)
            fresh = self.node("Tanh", [self.node("Add", [new, self.node("Mul", [reset, kept])])])
            if state:
                change = self.node("Mul", [z, self.node("Sub", [state, fresh])])
                state = self.node("Add", [fresh, change])
            else:
                state = self.node("Sub", [fresh, self.node("Mul", [z, fresh])])
            states.append(state)
        return states

    def _length(self, x: str) -> int:
        """The number of steps of a sequence [steps, n, size], from the graph's own shapes."""
        inferred = onnx.shape_inference.infer_shapes(self._model, data_prop=True)
        for value in inferred.graph.value_info:
            if value.name == x:
                size = int(value.type.tensor_type.shape.dim[0].dim_value)
                if size:
                    return size
        raise ValueError(f"the length of the sequence {x} is not in the graph")

    def _is_read(self, name: str) -> bool:
        return any(name in node.input for node in self._model.graph.node)

    def _each(self, replace: Callable[[onnx.NodeProto], bool]) -> None:
        """Offer every node for replacement; `replace` adds what stands in its place and returns True."""
        out: list[onnx.NodeProto] = []
        for node in list(self._model.graph.node):
            self._new = []
            out.extend(self._new if replace(node) else [node])
        del self._model.graph.node[:]
        self._model.graph.node.extend(out)

    def finish(self) -> None:
        """Drop what nothing reads any more, write the initialisers, check the graph."""
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
        graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in self._values.items() if n in wanted)
        if self._uses_microsoft:
            self._model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
        else:
            onnx.checker.check_model(self._model, full_check=True)
