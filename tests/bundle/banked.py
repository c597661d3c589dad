"""A bundle whose compounds are separate networks: a bank of random members behind preprocessing by hand, which halves.

Needs torch and the exporter, as nothing else in this folder does.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edged.bundle.archive import bundle_bytes, pack_golden
from export.bank.alone import why_graph
from export.bank.bank import Bank
from export.bank.fuse import fused, joined
from export.compare import session
from export.to_onnx import OPSET
from tests.bundle.mixed import POINT, mixed_fields
from tests.export.bank.made import POINTS, bank, prepared

COUNT = 20  # members that share groups
NAMES = tuple(f"c{number}" for number in range(COUNT))
GOLDEN = 2.0 * prepared(6, seed=3)


def front() -> onnx.ModelProto:
    """`spectrum` to `read_by_bank`, its half, and `features`, its mean."""
    constants = {"half": np.full((1, POINTS), 0.5, np.float32), "mean": np.full((POINTS, 1), 1 / POINTS, np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["spectrum", "half"], ["read_by_bank"]),
            helper.make_node("MatMul", ["spectrum", "mean"], ["features"]),
        ],
        "front",
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, ["N", POINTS])],
        [
            helper.make_tensor_value_info("read_by_bank", TensorProto.FLOAT, ["N", POINTS]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 1]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)


@cache
def members_of(seed: int = 1) -> Bank:
    """The bank."""
    return bank(NAMES, seed=seed)


@cache
def model_of(seed: int = 1) -> bytes:
    """The graph of the whole bank."""
    return joined(front(), fused(members_of(seed)), prepared="read_by_bank").SerializeToString()


@cache
def why_of(seed: int = 1) -> bytes:
    """The graph of single compounds."""
    return why_graph(model_of(seed), members_of(seed), prepared="read_by_bank").SerializeToString()


def banked_fields(**changes: Any) -> dict[str, Any]:
    """The manifest without digests, with some top-level keys replaced."""
    columns = {"thresholds": 0.0, "negatives": 10**6, "named": 0, "detection_limits": None}
    screen = POINT | {"confirm": False, "false_names": 1.0} | {key: [value] * COUNT for key, value in columns.items()}
    del screen["min_support"], screen["max_rest"]
    made = mixed_fields(
        golden_tolerance=1e-3,
        default_preset="screen",
        gates=[{"name": "level", "metric": "norm", "columns": [0, 1], "limits": {"screen": 1e6}}],
        components={
            "compounds": [{"label": name, "title": name.upper()} for name in NAMES],
            "presets": {"screen": screen},
        },
    )
    return made | changes


def banked_files(**changes: bytes | None) -> dict[str, bytes]:
    """All members but the manifest; a key like why_onnx replaces why.onnx, None takes it out."""
    opened = session(model_of())
    rows = [opened.run(["logits", "features"], {"spectrum": row[None]}) for row in GOLDEN]
    logits, features = (np.concatenate(column) for column in zip(*rows, strict=True))
    made: dict[str, bytes | None] = {
        "model.onnx": model_of(),
        "golden.npz": pack_golden(GOLDEN, logits, features),
        "report.html": b"<p>report</p>",
        "why.onnx": why_of(),
    }
    made |= {name.replace("_", "."): data for name, data in changes.items()}
    return {name: data for name, data in made.items() if data is not None}


def banked_bytes(**changes: bytes | None) -> bytes:
    """The bytes of a whole bundle."""
    return bundle_bytes(banked_fields(), banked_files(**changes))
