"""Nodes and constants under construction, for a graph or for the body of a Scan."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

MICROSOFT = "com.microsoft"


class Nodes:
    """New nodes in order, and the constants they read. `prefix` keeps the names of two builders apart."""

    def __init__(self, prefix: str) -> None:
        self.values: dict[str, NDArray[Any]] = {}
        self.new: list[onnx.NodeProto] = []
        self.prefix = prefix
        self._count = 0
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def constant(self, value: NDArray[Any]) -> str:
        """Return the name of an initialiser with this value; equal values share one."""
        value = np.ascontiguousarray(value) if value.ndim else value
        key = (str(value.dtype), value.shape, value.tobytes())
        if key not in self._constants:
            name = f"{self.prefix}constant_{len(self._constants)}"
            self._constants[key] = name
            self.values[name] = value
        return self._constants[key]

    def integers(self, *values: int) -> str:
        """Return the name of an int64 vector."""
        return self.constant(np.array(values, np.int64))

    def node(self, kind: str, inputs: list[str], *, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        return self.nodes(kind, inputs, 1, domain=domain, **attributes)[0]

    def nodes(self, kind: str, inputs: list[str], outputs: int, *, domain: str = "", **attributes: Any) -> list[str]:
        """Add a node with several outputs and return their names."""
        self._count += 1
        names = [f"{self.prefix}{self._count}_{i}" for i in range(outputs)]
        name = f"{self.prefix}{kind}_{self._count}"
        self.new.append(helper.make_node(kind, inputs, names, name=name, domain=domain, **attributes))
        return names

    def initialisers(self) -> list[onnx.TensorProto]:
        """The constants as tensors, for the body of a Scan."""
        return [numpy_helper.from_array(value, name) for name, value in self.values.items()]
