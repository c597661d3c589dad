"""A bundle small enough to compute by hand: 8 points times a table are the logits, and the features too."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edged.bundle.archive import SEAL, Bundle, bundle_bytes, bundle_from_bytes, pack_golden
from edged.bundle.errors import BundleError

POINTS, CLASSES = 8, 3
AXIS_NM = np.linspace(1000.0, 1070.0, POINTS)
TABLE = np.zeros((POINTS, CLASSES), dtype=np.float32)
TABLE[0, 0] = TABLE[1, 1] = TABLE[2, 2] = 1.0  # logits and features are the first three points
GOLDEN = np.array([[4, 0, 0, 9, 9, 9, 9, 9], [0, 4, 0, 1, 1, 1, 1, 1]], dtype=np.float32)

FIELDS: dict[str, Any] = {
    "schema": "edged.bundle/1",
    "name": "tiny",
    "version": "1.2.3",
    "technique": "nir",
    "quantity": "absorbance",
    "axis": {"unit": "nm", "start": 1000.0, "stop": 1070.0, "points": POINTS},
    "classes": [
        {"label": "A", "title": "Alpha"},
        {"label": "B", "title": "Beta"},
        {"label": "C", "title": "Gamma"},
    ],
    "procedures": ["identify", "verify"],
    "default_preset": "balanced",
    "calibration": {
        "temperature": 1.0,
        "quantiles": {"balanced": [0.6, 0.6, 0.6], "confirm": [0.1, 0.1, 0.1]},
        "min_probability": {"balanced": 0.5, "confirm": 0.9},
    },
    "gates": [
        {
            "name": "distance",
            "metric": "mahalanobis",
            "columns": [0, 3],
            "means": [[4.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 4.0]],
            "precision": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            "limits": {"balanced": 3.0, "confirm": 1.0},
        }
    ],
    "golden_tolerance": 1e-4,
    "data_sheet": {"licence": "MIT"},
    "metrics": {"accuracy": 1.0},
    "tool_versions": {"onnx": "1"},
}


def fields(**changes: object) -> dict[str, Any]:
    """The manifest without digests, with some top-level keys replaced."""
    return copy.deepcopy(FIELDS) | changes


def graph(
    table: NDArray[np.float32] = TABLE,
    *,
    input_name: str = "spectrum",
    output_name: str = "logits",
    node: str = "MatMul",
    points: int = POINTS,
) -> bytes:
    """The graph as ONNX bytes, or a variation of it that does not fit."""
    width = table.shape[1]
    made = helper.make_graph(
        [
            helper.make_node(node, [input_name, "table"], [output_name]),
            helper.make_node("Identity", [output_name], ["features"]),
        ],
        "tiny",
        [helper.make_tensor_value_info(input_name, TensorProto.FLOAT, ["N", points])],
        [
            helper.make_tensor_value_info(output_name, TensorProto.FLOAT, ["N", width]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", width]),
        ],
        [numpy_helper.from_array(table, "table")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    assert isinstance(data, bytes)
    return data


def files(**changes: bytes) -> dict[str, bytes]:
    """All members but the manifest; a key like model_onnx replaces model.onnx."""
    logits = GOLDEN @ TABLE
    made = {
        "model.onnx": graph(),
        "golden.npz": pack_golden(GOLDEN, logits, logits),
        "report.html": b"<p>report</p>",
    }
    return made | {name.replace("_", "."): data for name, data in changes.items()}


def tiny_bytes(**changes: object) -> bytes:
    """The bytes of a whole bundle."""
    return bundle_bytes(fields(**changes), files())


DOSE_TABLE = np.zeros((POINTS, 2), dtype=np.float32)
DOSE_TABLE[0, 0], DOSE_TABLE[1, 1] = 100.0, 1.0  # the first point in 1/100 mg, the second in percent
DOSE: dict[str, Any] = {
    "amounts": [
        {
            "label": "drug",
            "title": "Isoniazid",
            "unit": "mg",
            "lowest": 100.0,
            "highest": 500.0,
            "half_widths": {"balanced": 17.0, "confirm": 40.0},
        },
        {
            "label": "water",
            "title": "Water",
            "unit": "%",
            "lowest": 0.0,
            "highest": 10.0,
            "half_widths": {"balanced": 0.25, "confirm": 0.5},
        },
    ],
    "procedures": ["quantify"],
    "gates": [{"name": "away", "metric": "norm", "columns": [2, 3], "limits": {"balanced": 5.0, "confirm": 5.0}}],
}
DOSE_GOLDEN = np.array([[1, 0, 0, 9, 9, 9, 9, 9], [5, 10, 0, 1, 1, 1, 1, 1]], dtype=np.float32)


def dose_fields(**changes: object) -> dict[str, Any]:
    """The manifest of a bundle that only quantifies, with some top-level keys replaced."""
    made = fields(**copy.deepcopy(DOSE))
    del made["classes"], made["calibration"]
    return made | changes


def dose_graph(table: NDArray[np.float32] = DOSE_TABLE, *, output_name: str = "amounts") -> bytes:
    """A graph without logits: `amounts` is the spectrum times a table, `features` the spectrum itself."""
    made = helper.make_graph(
        [
            helper.make_node("MatMul", ["spectrum", "table"], [output_name]),
            helper.make_node("Identity", ["spectrum"], ["features"]),
        ],
        "dose",
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, ["N", POINTS])],
        [
            helper.make_tensor_value_info(output_name, TensorProto.FLOAT, ["N", table.shape[1]]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", POINTS]),
        ],
        [numpy_helper.from_array(table, "table")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    assert isinstance(data, bytes)
    return data


def dose_files(**changes: bytes) -> dict[str, bytes]:
    """As `files`, of a bundle that only quantifies."""
    golden = pack_golden(DOSE_GOLDEN, None, DOSE_GOLDEN, DOSE_GOLDEN @ DOSE_TABLE)
    return files(model_onnx=dose_graph(), golden_npz=golden, **changes)


def dose_bytes(**changes: object) -> bytes:
    """The bytes of a whole bundle that only quantifies."""
    return bundle_bytes(dose_fields(**changes), dose_files())


def resealed(body: bytes) -> bytes:
    """Bytes with the seal that fits them, as someone with bad intent would make it."""
    body = body if body.endswith(SEAL) else body + SEAL
    return body + hashlib.sha256(body).hexdigest().encode()


def judged(data: bytes) -> Bundle | BundleError:
    """Whatever the bytes, this returns; any other exception fails the test."""
    try:
        return bundle_from_bytes(data)
    except BundleError as error:
        return error
