"""The one door to onnxruntime: loaded late, told to keep to itself, and kept to the bytes of a bundle.

Its official builds for Linux report to their maker unless told not to before they are loaded: a device identity and a
cache on disk, events over HTTPS. An instrument's computer speaks to nobody whom its owner did not name.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from edged.infer.errors import EngineFault
from edged.infer.outside import objection

if TYPE_CHECKING:
    from types import ModuleType

    import onnxruntime

USE_ANOTHER: Final = "install another bundle, or go back to the previous one: edged bundle rollback"
_NOTHING: Final[Mapping[str, bytes]] = MappingProxyType({})
OPT_OUT = (
    "ORT_DISABLE_TELEMETRY",
    "ORT_TELEMETRY_DISABLED",
)  # the second is the name in the first releases that report


def load_onnxruntime() -> ModuleType:
    """Return the module onnxruntime. Variables that the operator has set already are left as they are."""
    for name in OPT_OUT:
        os.environ.setdefault(name, "1")
    import onnxruntime

    module: ModuleType = onnxruntime
    return module


def open_graph(
    graph: bytes, *, whose: str, threads: int, beside: Mapping[str, bytes] = _NOTHING
) -> onnxruntime.InferenceSession:
    """Open a graph that computes alike each time, on so many threads, and gives back the memory that it does not use.

    whose: the bundle, for messages. beside: by name, the contents in memory that the graph may read its constants from;
    anything else that it would read is refused. Raises EngineFault.
    """
    found = objection(graph, beside)
    if found is not None:
        raise EngineFault(f"{whose}: {found}", hint=USE_ANOTHER)
    runtime = load_onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False  # the arena keeps the largest run's memory for ever
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # what matters is raised
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a spinning thread drains a battery
    options.add_session_config_entry("session.use_env_allocators", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # of no other has `objection` spoken
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", os.devnull)
    if beside:
        contents = list(beside.values())
        options.add_external_initializers_from_files_in_memory(list(beside), contents, list(map(len, contents)))
    try:
        opened: onnxruntime.InferenceSession = runtime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )
    except runtime_errors() as error:
        raise EngineFault(
            f"{whose}: onnxruntime {runtime.__version__} does not load the graph: {first_line(error)}", hint=USE_ANOTHER
        ) from error
    return opened


def reads_from_memory() -> bool:
    """Whether a graph can be opened that reads its constants from beside it: from release 1.24 on."""
    return hasattr(load_onnxruntime().SessionOptions, "add_external_initializers_from_files_in_memory")


def runtime_errors() -> tuple[type[Exception], ...]:
    """Return every exception of onnxruntime: they share no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*own, RuntimeError, ValueError, MemoryError)


def first_line(error: Exception) -> str:
    """Return what an exception says as a line that any terminal can show."""
    lines = str(error).splitlines() or [type(error).__name__]
    return "".join(c if c.isprintable() else "?" for c in lines[0])[:300]
