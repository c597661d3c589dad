"""Graphs side by side on one thread: what they say of spectra, how long one takes, how they load."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edged.infer.engine import INPUT, OUTPUTS, Outputs
from edged.infer.runtime import load_onnxruntime

if TYPE_CHECKING:
    import onnx
    import onnxruntime

QUANTILE = 0.25  # of the timings: nearer to the undisturbed machine than the median


def session(
    model: onnx.ModelProto | bytes, *, optimised: bool = True, integer_kernels: bool = True
) -> onnxruntime.InferenceSession:
    """Open a graph as the daemon does: one thread, nothing that spins.

    optimised False: every node as it stands, nothing fused. integer_kernels False: what stands between
    DequantizeLinear and QuantizeLinear is computed in float.
    """
    runtime = load_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not integer_kernels:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    if not optimised:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    raw = model if isinstance(model, bytes) else model.SerializeToString()
    opened: onnxruntime.InferenceSession = runtime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    return opened


def run_rows(opened: onnxruntime.InferenceSession, spectra: NDArray[np.float32], output: str) -> NDArray[np.float32]:
    """Run spectra one by one, as the daemon does: dynamic quantisation would scale a batch by all of its rows."""
    return np.concatenate([opened.run([output], {INPUT: row[None]})[0] for row in spectra])


def run_all(opened: onnxruntime.InferenceSession, spectra: NDArray[np.float32]) -> Outputs:
    """Run spectra one by one and return all that the graph says; an output that it lacks has no columns."""
    names = [port.name for port in opened.get_outputs() if port.name in OUTPUTS]
    rows = [opened.run(names, {INPUT: row[None]}) for row in spectra]
    found = {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(names)}
    nothing = np.empty((len(spectra), 0), np.float32)
    return Outputs(**{name: found.get(name, nothing) for name in OUTPUTS})


def interleaved_us(calls: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Return the CPU time of each call in microseconds, the QUANTILE of its rounds."""
    times = interleaved_rounds_us(calls, rounds=rounds)
    return {name: float(np.quantile(found, QUANTILE)) for name, found in times.items()}


def interleaved_rounds_us(calls: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, list[float]]:
    """Return the CPU time of each call in microseconds, round after round; the calls take turns, so that drift of the
    machine hits all alike."""
    repeats = {}
    for name, call in calls.items():
        call()
        started = time.perf_counter()
        call()
        repeats[name] = max(1, int(2e-3 / max(time.perf_counter() - started, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = list(calls)
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name in order:
                call = calls[name]
                started = time.process_time()
                for _ in range(repeats[name]):
                    call()
                times[name].append((time.process_time() - started) / repeats[name] * 1e6)
            order.reverse()  # who began a round ends the next one
    finally:
        if collecting:
            gc.enable()
    return times
