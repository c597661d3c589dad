"""A bundle that finds compounds: made spectra of four, a graph of three products, and truths known by construction.

The spectrum of a mixture is the sum of its parts'. `prepared` is its second difference; the logits are 40 times the
least-squares weight less 2, so that a compound is claimed from a weight of 0.05 on; the first feature is the mean.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edged.bundle.archive import LIBRARY, bundle_bytes, pack_golden
from edged.bundle.members import pack_arrays
from tests.bundle.tiny import fields

POINTS = 64
PREPARED = POINTS - 2
AXIS_NM = np.linspace(1000.0, 1315.0, POINTS)
NOISE = 2e-3  # of the absorbance, each point for itself
LABELS = ("aspirin", "lactose", "caffeine", "twin")
BANDS = {  # height, centre and width in points
    "aspirin": ((1.0, 14.0, 3.0), (0.6, 41.0, 3.5)),
    "lactose": ((0.8, 22.0, 4.0), (0.9, 52.0, 4.0)),
    "caffeine": ((0.7, 31.0, 3.0), (0.5, 8.0, 3.0)),
    "twin": ((1.0, 14.6, 3.0), (0.6, 41.6, 3.5)),  # as aspirin, half a point on
    "stranger": ((0.9, 36.0, 3.0),),  # in no library
    "cup": ((0.5, 30.0, 9.0),),  # the baseline term
}


def _shape(name: str) -> NDArray[np.float64]:
    x = np.arange(POINTS, dtype=np.float64)
    total = np.zeros(POINTS)
    for height, centre, width in BANDS[name]:
        total += height * np.exp(-0.5 * ((x - centre) / width) ** 2)
    return total


SHAPES = {name: _shape(name) for name in BANDS}
SECOND = np.zeros((POINTS, PREPARED))  # a spectrum times this is its second difference
for _column in range(PREPARED):
    SECOND[_column : _column + 3, _column] = (1.0, -2.0, 1.0)
REFERENCES = np.stack([SHAPES[label] for label in LABELS]) @ SECOND
WHITENER = np.linalg.inv(np.linalg.cholesky(SECOND.T @ SECOND * NOISE**2))  # L^-1 C L^-T = 1, C the noise's covariance
CUP = (SHAPES["cup"] @ SECOND)[None]
TABLE = 40.0 * np.linalg.pinv(REFERENCES)  # [prepared, compounds]
BIAS = -2.0

POINT: dict[str, Any] = {
    "confirm": True,
    "false_names": 0.2,
    "thresholds": [0.0, 0.0, 0.0, 0.0],
    "negatives": [1000, 1000, 1000, 1000],
    "named": [0, 5, 12, 30],
    "detection_limits": [0.04, 0.05, 0.05, None],
    "min_support": [12.0, 12.0, 12.0, 12.0],
    "max_rest": 1.8,
}
COMPONENTS: dict[str, Any] = {
    "compounds": [{"label": label, "title": label.capitalize()} for label in LABELS],
    "presets": {
        "screen": {key: value for key, value in POINT.items() if key not in ("min_support", "max_rest")}
        | {"confirm": False, "false_names": 1.0},
        "balanced": POINT,
        "confirm": POINT
        | {
            "thresholds": [None, None, None, None],  # the whole library is put to the fit
            "false_names": 0.05,
            "named": [0, 0, 0, 0],
            "detection_limits_in": {"lactose": [0.3, None, None, None]},
        },
    },
    "confirmation": {
        "axis": {"unit": "nm", "start": 1005.0, "stop": 1310.0, "points": PREPARED},
        "references": [0, 1, 2, 3],
        "baseline": ["cup"],
        "rest": "noise",
        "tolerance": 1e-4,
        "fractions": {
            "responses": [1.0, 2.0, 1.0, 1.0],
            "half_widths": {"balanced": [0.05, 0.08, 0.05, 0.05], "confirm": [0.06, 0.09, 0.06, 0.06]},
        },
    },
}
GATES = [
    {
        "name": "level",
        "metric": "norm",
        "columns": [0, 1],
        "limits": {"screen": 5.0, "balanced": 5.0, "confirm": 5.0},
    }
]


def spectrum(noise: np.random.Generator | None = None, /, **weights: float) -> NDArray[np.float32]:
    """The absorbance of a mixture, of `cup` and `stranger` too; with noise where a generator is given."""
    values = np.zeros(POINTS)
    for name, weight in weights.items():
        values += weight * SHAPES[name]
    if noise is not None:
        values += noise.normal(0.0, NOISE, POINTS)
    return values.astype(np.float32)


def mixed_components(**changes: Any) -> dict[str, Any]:
    """The table, with some keys of it replaced."""
    return copy.deepcopy(COMPONENTS) | changes


def mixed_fields(**changes: Any) -> dict[str, Any]:
    """The manifest without digests, with some top-level keys replaced."""
    made = fields(
        name="mixed",
        axis={"unit": "nm", "start": 1000.0, "stop": 1315.0, "points": POINTS},
        procedures=["components"],
        gates=copy.deepcopy(GATES),
        golden_tolerance=1e-2,
        components=mixed_components(),
    )
    del made["classes"], made["calibration"]
    return made | changes


def mixed_graph(**renamed: str) -> bytes:
    """The graph as ONNX bytes; `prepared="other"` gives that output another name."""
    names = {name: renamed.get(name, name) for name in ("logits", "features", "prepared")}
    widths = {"logits": len(LABELS), "features": 1, "prepared": PREPARED}
    constants = {
        "second": SECOND,
        "table": TABLE,
        "bias": np.full((1, len(LABELS)), BIAS),
        "mean": np.full((POINTS, 1), 1.0 / POINTS),
    }
    made = helper.make_graph(
        [
            helper.make_node("MatMul", ["spectrum", "second"], [names["prepared"]]),
            helper.make_node("MatMul", [names["prepared"], "table"], ["weighed"]),
            helper.make_node("Add", ["weighed", "bias"], [names["logits"]]),
            helper.make_node("MatMul", ["spectrum", "mean"], ["level"]),
            helper.make_node("Abs", ["level"], [names["features"]]),
        ],
        "mixed",
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, ["N", POINTS])],
        [helper.make_tensor_value_info(names[name], TensorProto.FLOAT, ["N", widths[name]]) for name in names],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in constants.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data = model.SerializeToString()
    assert isinstance(data, bytes)
    return data


GOLDEN = np.stack([spectrum(aspirin=0.6, lactose=0.4), spectrum(caffeine=1.0), spectrum()])


def golden_arrays() -> dict[str, NDArray[np.float64]]:
    """What the graph says of the golden spectra, by numpy."""
    prepared = GOLDEN @ SECOND
    level = np.abs(GOLDEN.mean(axis=1, keepdims=True))
    return {"spectra": GOLDEN, "logits": prepared @ TABLE + BIAS, "features": level, "prepared": prepared}


def mixed_golden(**changes: NDArray[np.floating] | None) -> bytes:
    """golden.npz, with some arrays replaced."""
    made: dict[str, Any] = golden_arrays() | changes
    return pack_golden(made["spectra"], made["logits"], made["features"], prepared=made["prepared"])


def pack_library(
    references: NDArray[np.floating],
    whitener: NDArray[np.floating],
    baseline: NDArray[np.floating] | None = None,
    scatter: NDArray[np.floating] | None = None,
) -> bytes:
    """library.npz."""
    return pack_arrays(dict(zip(LIBRARY, (references, whitener, baseline, scatter), strict=True)))


def mixed_files(**changes: bytes) -> dict[str, bytes]:
    """All members but the manifest; a key like library_npz replaces library.npz."""
    made = {
        "model.onnx": mixed_graph(),
        "golden.npz": mixed_golden(),
        "report.html": b"<p>report</p>",
        "library.npz": pack_library(REFERENCES, WHITENER, CUP),
    }
    return made | {name.replace("_", "."): data for name, data in changes.items()}


def mixed_bytes(**changes: Any) -> bytes:
    """The bytes of a whole bundle that finds compounds."""
    return bundle_bytes(mixed_fields(**changes), mixed_files())
