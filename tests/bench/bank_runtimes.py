"""Every runtime that can run a bank, called alike: files in, a call from spectrum to logits out. One thread each.

Besides onnxruntime none is needed by edged or its tests; a bench leaves out what is not installed.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edged.infer.runtime import load_onnxruntime
from export.compare import session

Rows = NDArray[np.float32]
Call = Callable[[Rows], Rows]
"""One spectrum [1, points] to its logits [1, compounds]."""

MODULES: Final = {  # runtime -> what is imported of it, and what is installed
    "onnxruntime": ("onnxruntime", "onnxruntime"),
    "openvino": ("openvino", "openvino"),
    "ncnn": ("ncnn", "ncnn"),
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
}


def is_installed(module: str) -> bool:
    """Whether a module, or the package that it is in, can be imported."""
    return importlib.util.find_spec(module.partition(".")[0]) is not None


def shown_version(runtime: str) -> str:
    """Return name and version of an installed runtime."""
    package = MODULES[runtime][1]
    return f"{package} {version(package)}"


def load(runtime: str) -> Any:
    """Import a runtime and return its module."""
    return load_onnxruntime() if runtime == "onnxruntime" else importlib.import_module(MODULES[runtime][0])


def opened(runtime: str, files: Sequence[Path]) -> Call:
    """Open the files of a bank. onnxruntime takes many, whose logits are joined in their order; the others one."""
    openers = {"onnxruntime": _onnxruntime, "openvino": _openvino, "ncnn": _ncnn, "litert": _litert}
    return openers[runtime](files)


def _onnxruntime(files: Sequence[Path]) -> Call:
    sessions = [session(path.read_bytes()) for path in files]
    name = sessions[0].get_inputs()[0].name

    def run(row: Rows) -> Rows:
        feed = {name: row}
        return np.concatenate([one.run(["logits"], feed)[0] for one in sessions], axis=1)

    return run


def _openvino(files: Sequence[Path]) -> Call:
    core = load("openvino").Core()
    (path,) = files
    words = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(str(path)), "CPU", words)
    request, output = compiled.create_infer_request(), compiled.output(0)

    def run(row: Rows) -> Rows:
        found: Rows = request.infer({0: row})[output]
        return found

    return run


def _ncnn(files: Sequence[Path]) -> Call:
    ncnn = load("ncnn")
    graph, weights = files
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    net.opt.use_bf16_storage = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    if net.load_param(str(graph)) or net.load_model(str(weights)):
        raise OSError(f"{graph}: ncnn does not read it")

    def run(row: Rows) -> Rows:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(row[None]))
        return np.array(extractor.extract("out0")[1])[None]

    return run


def _litert(files: Sequence[Path]) -> Call:
    (path,) = files
    interpreter = load("litert").Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (said,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(row: Rows) -> Rows:
        interpreter.set_tensor(given["index"], _as_stored(row[:, None, None], given))
        interpreter.invoke()
        return _as_real(interpreter.get_tensor(said["index"]), said)

    return run


def _as_stored(values: Rows, port: dict[str, Any]) -> NDArray[Any]:
    if port["dtype"] is np.float32:
        return values
    scale, zero = port["quantization"]
    limits = np.iinfo(port["dtype"])
    return np.clip(np.rint(values / scale) + zero, limits.min, limits.max).astype(port["dtype"])


def _as_real(values: NDArray[Any], port: dict[str, Any]) -> Rows:
    if port["dtype"] is np.float32:
        return values
    scale, zero = port["quantization"]
    return ((values.astype(np.float32) - zero) * scale).astype(np.float32)
