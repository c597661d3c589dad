"""Runs graphs on spectra and keeps their logits: a program for `emulated_core`, which has numpy and onnxruntime only.

`core_program.py FOLDER SPECTRA.npy GRAPH.onnx...` writes into FOLDER, of each graph, the logits as GRAPH.npy and what
onnxruntime made of the graph for this processor as GRAPH.onnx.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

os.environ |= {"ORT_DISABLE_TELEMETRY": "1", "ORT_TELEMETRY_DISABLED": "1"}


def main(folder: Path, spectra: Path, graphs: list[Path]) -> None:
    """Run every graph on the spectra, one by one, as the daemon does."""
    import onnxruntime

    rows = np.load(spectra)
    folder.mkdir(exist_ok=True)
    for graph in graphs:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.use_deterministic_compute = True
        options.optimized_model_filepath = str(folder / graph.name)
        opened = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        (port,) = opened.get_inputs()
        logits = np.concatenate([opened.run(["logits"], {port.name: row[None]})[0] for row in rows])
        np.save(folder / f"{graph.stem}.npy", logits)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
