"""From the torch identifier to one ONNX graph in float: `spectrum` in, `logits` and `features` out."""

from __future__ import annotations

import ast
import logging
import warnings
from typing import Any

import numpy as np
import onnx
import torch
from onnxscript import optimizer

from export.job import Job
from export.models.identifier import Identifier
from export.train import load_identifier

OPSET = 18
PRODUCER = "edged-export"
SCOPES = "pkg.torch.onnx.name_scopes"  # the exporter's list of the modules that a node comes from
LARGEST_CONSTANT = 1 << 24  # elements; torch cuts and joins a GRU's weights in the graph, which is folded here


def convert(job: Job) -> dict[str, Any]:
    """Stage: leave float.onnx."""
    identifier = load_identifier(job)
    model = float_graph(identifier, job.recipe.axis.points, answer=job.answer)
    job.path("float.onnx").write_bytes(model.SerializeToString(deterministic=True))
    return {"nodes": len(model.graph.node), "size_bytes": model.ByteSize(), "opset": OPSET}


def float_graph(identifier: Identifier, points: int, *, answer: str = "logits") -> onnx.ModelProto:
    """Export an identifier; its batch is left open, all weights are inside."""
    return module_graph(identifier, points, outputs=(answer, "features"))


def module_graph(module: torch.nn.Module, points: int, *, outputs: tuple[str, ...]) -> onnx.ModelProto:
    """Export any module that takes spectra [n, points]."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of an absent torchvision, which nothing here needs
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter uses what torch itself has deprecated
            program = torch.onnx.export(
                module.eval(),
                (torch.linspace(0.0, 1.0, 2 * points).reshape(2, points) ** 2,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("N")},),
                input_names=["spectrum"],
                output_names=list(outputs),
                opset_version=OPSET,
                external_data=False,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    assert program is not None
    folded = optimizer.optimize(
        program.model_proto, input_size_limit=LARGEST_CONSTANT, output_size_limit=LARGEST_CONSTANT
    )
    return _stripped(_with_short_indices(folded))


def _with_short_indices(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write constant places to gather from as int32, which the operator takes as well: half the bytes."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    readers = [(node.op_type, place, name) for node in model.graph.node for place, name in enumerate(node.input)]
    elsewhere = {name for kind, place, name in readers if (kind, place) != ("Gather", 1)}
    for name in {name for kind, place, name in readers if (kind, place) == ("Gather", 1)} - elsewhere:
        tensor = constants.get(name)
        if tensor is not None and tensor.data_type == onnx.TensorProto.INT64 and len(tensor.dims):
            places = onnx.numpy_helper.to_array(tensor).astype(np.int32)  # of points of an axis: they fit
            tensor.CopyFrom(onnx.numpy_helper.from_array(places, name))
    return model


def _stripped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Take out what tells of the builder's machine (stack traces, paths): equal weights give equal bytes."""
    model.producer_name, model.producer_version, model.doc_string = PRODUCER, "", ""
    del model.metadata_props[:]
    model.graph.name, model.graph.doc_string = "identifier", ""
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for node in model.graph.node:
        scopes = ast.literal_eval(next((p.value for p in node.metadata_props if p.key == SCOPES), "[]"))
        if len(scopes) > 1 and scopes[-2]:
            node.name = f"{scopes[-2]}/{node.name}"  # the quantiser leaves preprocessing and gates alone by these names
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return model
