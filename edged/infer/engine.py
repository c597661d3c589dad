"""The graph at work: a bundle in, a session that has proven itself on this CPU out; then rows in, numbers out.

An Engine may be called from any thread, from one at a time. onnxruntime is loaded by `Engine.load`, not by importing
this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import Bundle
from edged.infer.errors import EngineFault
from edged.infer.runtime import load_onnxruntime

if TYPE_CHECKING:
    import onnxruntime

INPUT: Final = "spectrum"
OUTPUTS: Final = ["logits", "features"]
_EXTERNAL_DATA = b"\x0a\x08location\x12"  # protobuf of the key by which a graph names a weights file outside itself
_USE_ANOTHER = "install another bundle, or go back to the previous one: edged bundle rollback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """What the graph says of n spectra: logits float32 [n, classes], features float32 [n, k]. All finite."""

    logits: NDArray[np.float32]
    features: NDArray[np.float32]


class Engine:
    """An onnxruntime session that reproduces its bundle's golden vectors on this CPU."""

    def __init__(self, session: onnxruntime.InferenceSession, *, points: int, classes: int, features: int) -> None:
        self._session = session
        self._points = points
        self._classes = classes
        self._features = features

    @classmethod
    def load(cls, bundle: Bundle, *, threads: int = 1) -> Engine:
        """Load the graph and prove it. Raises EngineFault when it does not fit its manifest or computes differently."""
        session = _session(bundle, threads)
        _check_ports(session, bundle)
        engine = cls(
            session,
            points=bundle.manifest.axis.points,
            classes=len(bundle.manifest.classes),
            features=bundle.golden["features"].shape[1],
        )
        engine.prove(bundle)
        return engine

    def run(self, spectra: NDArray[np.float32]) -> Outputs:
        """Run float32 [points] or [n, points]. Raises EngineFault on a result that is not finite.

        Rows go through one by one: a graph that quantises its activations scales them by all rows of a batch, and the
        verdict on a spectrum must not depend on its neighbours.
        """
        rows = np.ascontiguousarray(np.atleast_2d(spectra), dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self._points:
            raise EngineFault(f"input of shape {rows.shape}; the graph takes [n, {self._points}]")
        logits = np.empty((len(rows), self._classes), dtype=np.float32)
        features = np.empty((len(rows), self._features), dtype=np.float32)
        for index in range(len(rows)):
            logits[index], features[index] = self._run_row(rows[index : index + 1])
        return Outputs(logits=logits, features=features)

    def prove(self, bundle: Bundle) -> float:
        """Run the golden vectors and return the largest difference of a logit. Raises EngineFault beyond the tolerance.

        Features are held to the same tolerance, relative to the largest golden feature where that is above one.
        """
        out = self.run(bundle.golden["spectra"])
        tolerance = bundle.manifest.golden_tolerance
        off = float(np.abs(out.logits - bundle.golden["logits"]).max())
        scale = max(1.0, float(np.abs(bundle.golden["features"]).max()))
        features_off = float(np.abs(out.features - bundle.golden["features"]).max()) / scale
        if off > tolerance or features_off > tolerance:
            raise EngineFault(
                f"{bundle.file_name} computes differently on this CPU: logits differ by {off:.3g}, "
                f"features by {features_off:.3g}, allowed is {tolerance:.3g}",
                hint=_USE_ANOTHER,
            )
        return off

    def _run_row(self, row: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        try:
            logits, features = self._session.run(OUTPUTS, {INPUT: row})
        except _runtime_errors() as error:
            raise EngineFault(f"the graph failed: {_first_line(error)}", hint=_USE_ANOTHER) from error
        if logits.shape != (1, self._classes) or features.shape != (1, self._features):
            raise EngineFault(
                f"the graph gave logits {logits.shape} and features {features.shape}, "
                f"not (1, {self._classes}) and (1, {self._features})",
                hint=_USE_ANOTHER,
            )
        if not (np.isfinite(logits).all() and np.isfinite(features).all()):
            raise EngineFault("the graph gave a value that is not a finite number", hint="re-measure the sample")
        return logits[0], features[0]


def _session(bundle: Bundle, threads: int) -> onnxruntime.InferenceSession:
    onnxruntime = load_onnxruntime()
    if _EXTERNAL_DATA in bundle.model:
        raise EngineFault(
            f"{bundle.file_name}: the graph reads files outside the bundle", hint="build it with its weights inside"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False  # the arena keeps the largest run's memory for ever
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # what matters is raised
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a spinning thread drains a battery
    options.add_session_config_entry("session.use_env_allocators", "0")
    try:
        return onnxruntime.InferenceSession(bundle.model, options, providers=["CPUExecutionProvider"])
    except _runtime_errors() as error:
        raise EngineFault(
            f"{bundle.file_name}: onnxruntime {onnxruntime.__version__} does not load the graph: {_first_line(error)}",
            hint=_USE_ANOTHER,
        ) from error


def _check_ports(session: onnxruntime.InferenceSession, bundle: Bundle) -> None:
    found = {port.name: port for port in (*session.get_inputs(), *session.get_outputs())}
    inputs = [port.name for port in session.get_inputs()]
    if inputs != [INPUT] or not set(OUTPUTS) <= set(found):
        raise EngineFault(
            f"{bundle.file_name}: the graph has inputs {inputs} and outputs {sorted(set(found) - set(inputs))}; "
            f"wanted {[INPUT]} and {OUTPUTS}",
            hint=_USE_ANOTHER,
        )
    width = {
        INPUT: bundle.manifest.axis.points,
        "logits": len(bundle.manifest.classes),
        "features": bundle.golden["features"].shape[1],
    }
    for name, wanted in width.items():
        port = found[name]
        shape: list[Any] = list(port.shape)
        fits = len(shape) == 2 and (not isinstance(shape[0], int) or shape[0] == 1)
        if not fits or (isinstance(shape[1], int) and shape[1] != wanted) or port.type != "tensor(float)":
            raise EngineFault(
                f"{bundle.file_name}: {name} is {port.type} {shape}; wanted tensor(float) [N, {wanted}]",
                hint=_USE_ANOTHER,
            )


def _runtime_errors() -> tuple[type[Exception], ...]:
    """Every exception of onnxruntime: they share no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, MemoryError)


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return "".join(c if c.isprintable() else "?" for c in lines[0])[:300]
