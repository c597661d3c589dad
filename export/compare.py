"""Graphs side by side on one thread: latency of one spectrum, size of the file, and how far they are from the first."""

from __future__ import annotations

import gc
import time
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import onnx
from numpy.typing import NDArray

from edged.infer.runtime import load_onnxruntime

if TYPE_CHECKING:
    import onnxruntime

QUANTILE = 0.25  # of the timings: nearer to the undisturbed machine than the median


class VariantFacts(TypedDict):
    """What was measured of one graph; `ratio` is its latency over the first graph's."""

    scheme: str
    latency_us: float
    ratio: float
    load_ms: float
    file_bytes: int
    packed_bytes: int
    same_class: float
    largest_logit_difference: float


def session(model: onnx.ModelProto | bytes) -> onnxruntime.InferenceSession:
    """Open a graph as the daemon does: one thread, nothing that spins."""
    runtime = load_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    raw = model if isinstance(model, bytes) else model.SerializeToString()
    opened: onnxruntime.InferenceSession = runtime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    return opened


def run_rows(opened: onnxruntime.InferenceSession, spectra: NDArray[np.float32], output: str) -> NDArray[np.float32]:
    """Run spectra one by one, as the daemon does: dynamic quantisation would scale a batch by all of its rows."""
    return np.concatenate([opened.run([output], {"spectrum": row[None]})[0] for row in spectra])


def compare(
    models: Mapping[str, onnx.ModelProto], spectra: NDArray[np.float32], *, rounds: int = 25
) -> list[VariantFacts]:
    """Measure all graphs on the same spectra; the first is the yardstick. Timings take turns, so drift hits all
    alike."""
    sessions, loads, logits = {}, {}, {}
    for name, model in models.items():
        raw = model.SerializeToString(deterministic=True)
        started = time.process_time()
        sessions[name] = session(raw)
        loads[name] = (time.process_time() - started) * 1e3
        logits[name] = run_rows(sessions[name], spectra, "logits")
    one = np.ascontiguousarray(spectra[:1])
    calls = {name: partial(opened.run, None, {"spectrum": one}) for name, opened in sessions.items()}
    times = interleaved_us(calls, rounds=rounds)
    first = next(iter(models))
    facts: list[VariantFacts] = []
    for name, model in models.items():
        raw = model.SerializeToString(deterministic=True)
        facts.append(
            VariantFacts(
                scheme=name,
                latency_us=round(times[name], 1),
                ratio=round(times[name] / times[first], 3),
                load_ms=round(loads[name], 1),
                file_bytes=len(raw),
                packed_bytes=len(zlib.compress(raw, 9)),
                same_class=round(float((logits[name].argmax(1) == logits[first].argmax(1)).mean()), 5),
                largest_logit_difference=round(float(np.abs(logits[name] - logits[first]).max()), 5),
            )
        )
    return facts


def interleaved_us(calls: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Return the CPU time of each call in microseconds; the calls take turns, round after round."""
    repeats = {}
    for name, call in calls.items():
        call()
        started = time.perf_counter()
        call()
        repeats[name] = max(1, int(2e-3 / max(time.perf_counter() - started, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, call in calls.items():
                started = time.process_time()
                for _ in range(repeats[name]):
                    call()
                times[name].append((time.process_time() - started) / repeats[name] * 1e6)
    finally:
        if collecting:
            gc.enable()
    return {name: float(np.quantile(found, QUANTILE)) for name, found in times.items()}
