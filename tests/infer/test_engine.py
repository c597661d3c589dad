from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, external_data_helper, helper, numpy_helper

from edged.bundle.archive import Bundle, bundle_bytes, bundle_from_bytes, pack_golden
from edged.infer.engine import Engine
from edged.infer.errors import EngineFault
from tests.bundle.tiny import GOLDEN, POINTS, TABLE, fields, files, graph, tiny_bytes

LOGITS = GOLDEN @ TABLE


def bundle(model: bytes, golden: bytes | None = None) -> Bundle:
    parts = files(model_onnx=model)
    return bundle_from_bytes(bundle_bytes(fields(), parts | ({"golden.npz": golden} if golden else {})))


def refusal(made: Bundle) -> str:
    with pytest.raises(EngineFault) as caught:
        Engine.load(made)
    assert caught.value.hint
    return caught.value.message


def test_rows_come_out_as_the_graph_computes_them() -> None:
    engine = Engine.load(bundle_from_bytes(tiny_bytes()))
    rows = np.arange(3 * POINTS, dtype=np.float32).reshape(3, POINTS)

    out = engine.run(rows)
    one = engine.run(rows[1])

    np.testing.assert_array_equal(out.logits, rows[:, :3])
    np.testing.assert_array_equal(out.features, rows[:, :3])
    np.testing.assert_array_equal(one.logits, rows[1:2, :3])
    assert out.logits.dtype == np.float32


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    """Softmax over the batch axis stands for dynamic quantisation, which scales by all rows of a batch."""
    made = helper.make_graph(
        [
            helper.make_node("ReduceMax", ["spectrum"], ["peak"], axes=[0, 1], keepdims=1),
            helper.make_node("Div", ["spectrum", "peak"], ["scaled"]),
            helper.make_node("MatMul", ["scaled", "table"], ["logits"]),
            helper.make_node("Identity", ["logits"], ["features"]),
        ],
        "scaled",
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, ["N", POINTS])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 3]),
        ],
        [numpy_helper.from_array(TABLE, "table")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    scaled = (GOLDEN / GOLDEN.max(axis=1, keepdims=True)) @ TABLE
    engine = Engine.load(bundle(model.SerializeToString(), pack_golden(GOLDEN, scaled, scaled)))

    together = engine.run(GOLDEN).logits

    np.testing.assert_allclose(together[1], [0.0, 1.0, 0.0])


def test_a_result_off_by_more_than_the_tolerance_keeps_the_bundle_out() -> None:
    off = LOGITS.copy()
    off[1, 2] += 2e-4

    message = refusal(bundle(graph(), pack_golden(GOLDEN, off, LOGITS)))

    assert "tiny-1.2.3.edgebundle computes differently on this CPU: logits differ by 0.0002" in message
    assert "allowed is 0.0001" in message


def test_features_are_proven_too() -> None:
    off = LOGITS.copy()
    off[0, 0] += 1.0

    assert "features differ by 0.2, allowed is 0.0001" in refusal(bundle(graph(), pack_golden(GOLDEN, LOGITS, off)))


def test_a_result_within_the_tolerance_lets_it_in() -> None:
    made = bundle(graph(), pack_golden(GOLDEN, LOGITS + np.float32(5e-5), LOGITS))

    assert Engine.load(made).prove(made) == {"logits": pytest.approx(5e-5, rel=0.05), "features": 0.0}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (b"", "does not load the graph"),
        (b"rubbish", "the graph is damaged"),
        (graph()[:-20], "the graph is damaged"),
        (b"\x08\x08", "does not load the graph"),
        (graph(input_name="x"), "the graph has inputs ['x']"),
        (graph(output_name="scores"), "outputs ['features', 'scores']"),
        (
            graph(np.zeros((7, 3), np.float32), points=7),
            "spectrum is tensor(float) ['N', 7]; wanted tensor(float) [N, 8]",
        ),
        (graph(np.zeros((8, 4), np.float32)), "logits is tensor(float) ['N', 4]; wanted tensor(float) [N, 3]"),
    ],
)
def test_a_graph_that_does_not_fit_its_manifest_is_refused(model: bytes, message: str) -> None:
    assert message in refusal(bundle(model))


def test_a_graph_that_gives_nan_is_refused_at_load_and_at_work() -> None:
    table = TABLE.copy()
    table[7, 0] = np.inf
    golden = GOLDEN.copy()
    golden[:, 7] = 1.0

    assert "not a finite number" in refusal(bundle(graph(table), pack_golden(golden, LOGITS, LOGITS)))

    engine = Engine.load(bundle_from_bytes(tiny_bytes()))
    with pytest.raises(EngineFault, match="not a finite number"):
        engine.run(np.full(POINTS, np.inf, dtype=np.float32))


def test_an_input_of_another_length_is_refused() -> None:
    engine = Engine.load(bundle_from_bytes(tiny_bytes()))

    with pytest.raises(EngineFault, match=r"input of shape \(1, 9\); the graph takes \[n, 8\]"):
        engine.run(np.zeros(9, dtype=np.float32))


def test_a_graph_that_would_read_files_outside_the_bundle_is_refused() -> None:
    model = onnx.load_from_string(graph())
    tensor = model.graph.initializer[0]
    external_data_helper.set_external_data(tensor, location="/etc/passwd")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")

    assert "reads files outside the bundle" in refusal(bundle(model.SerializeToString()))


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_graph_gives_an_engine_or_a_fault_and_nothing_else(data: st.DataObject) -> None:
    model = bytearray(graph())
    start = data.draw(st.integers(0, len(model) - 1))
    model[start : start + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))

    try:
        Engine.load(bundle(bytes(model)))
    except EngineFault as fault:
        assert str(fault).isprintable()  # noqa: PT017 - either outcome is right
