"""The same bank of compounds written down for every way to run it.

The bank's own graph is `int8, fused`. Its peers in onnxruntime: a session a compound, in int8 and in float; the graphs
of all compounds side by side in one, `branched`; one float graph of grouped convolutions. Then other runtimes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import compose, helper, numpy_helper

from export.bank.bank import Bank
from export.bank.fuse import fused
from export.models.resuca import Resuca
from export.to_onnx import module_graph
from tests.bench.bank_peers import Say, peers
from tests.bench.bank_way import Way

OURS: Final = "int8, fused"
SESSIONS: Final = "int8, a session a compound"
FLOAT_SESSIONS: Final = "float, a session a compound"


def ways(bank: Bank, calibration: NDArray[np.float32], folder: Path, say: Say) -> Iterator[Way]:
    """Write a `resuca` bank in every way that this machine has the tools for; ours comes first.

    calibration: spectra [n, points] for those who measure ranges themselves. say: is told what was left out.
    """
    network = bank.network()
    assert isinstance(network, Resuca)
    whole = module_graph(network, bank.points, outputs=("logits",))
    singles = [fused(replace(bank, members=(member,))) for member in bank.members]
    graphs = {
        OURS: [fused(bank)],
        SESSIONS: singles,
        FLOAT_SESSIONS: list(_float_singles(network, whole, bank.points)),
        "int8, one branched graph": [_branched(singles)],
        "float, one grouped graph": [whole],
    }
    files = {name: _written(folder, name, each) for name, each in graphs.items()}
    for name, paths in files.items():
        yield Way(name=name, runtime="onnxruntime", files=paths)
    (int8,), (real,) = files[OURS], files["float, one grouped graph"]
    yield from peers(network, int8=int8, real=real, calibration=calibration, folder=folder, say=say)


def _float_singles(network: Resuca, whole: onnx.ModelProto, points: int) -> Iterator[onnx.ModelProto]:
    """Export one compound, and give its graph everyone's numbers: the exporter takes seconds."""
    numbers = {each.name: numpy_helper.to_array(each) for each in whole.graph.initializer}
    pattern = module_graph(network.alone(0), points, outputs=("logits",))
    for member in range(network.members):
        graph = onnx.ModelProto()
        graph.CopyFrom(pattern)
        for each in graph.graph.initializer:
            all_of_them = numbers.get(each.name)
            if all_of_them is not None and all_of_them.ndim and len(all_of_them) == network.members * each.dims[0]:
                own = all_of_them[member * each.dims[0] : (member + 1) * each.dims[0]]
                each.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(own), each.name))
        yield graph


def _branched(singles: list[onnx.ModelProto]) -> onnx.ModelProto:
    """Side by side in one graph: one input, and the logits of all joined at the end."""
    nodes, initialisers = [], []
    for number, single in enumerate(singles):
        renamed = compose.add_prefix(single, f"m{number}/", rename_inputs=False)
        nodes += renamed.graph.node
        initialisers += renamed.graph.initializer
    names = [f"m{number}/logits" for number in range(len(singles))]
    nodes.append(helper.make_node("Concat", names, ["logits"], axis=1))
    (said,) = singles[0].graph.output
    port = helper.make_tensor_value_info("logits", said.type.tensor_type.elem_type, ["N", len(singles)])
    graph = helper.make_graph(nodes, "branched", singles[0].graph.input, [port], initialisers)
    model = helper.make_model(graph, opset_imports=singles[0].opset_import)
    model.ir_version = singles[0].ir_version
    return model


def _written(folder: Path, name: str, graphs: list[onnx.ModelProto]) -> tuple[Path, ...]:
    paths = [folder / f"{name}-{number}.onnx" for number in range(len(graphs))]
    for path, graph in zip(paths, graphs, strict=True):
        path.write_bytes(graph.SerializeToString())
    return tuple(paths)
