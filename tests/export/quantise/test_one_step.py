"""A recurrent layer of one step as the dense network that it is."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.compare import run_rows, session
from export.quantise.one_step import without_recurrence
from tests.export.quantise.graphs import POINTS, recurrent_graph, spectra, values_of


@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("sequence", [False, True])
def test_one_step_is_rewritten_exactly_and_without_its_recurrent_weights(kind: str, both: bool, sequence: bool) -> None:
    graph, rows = recurrent_graph(kind, steps=1, both=both, sequence=sequence), spectra()

    small = without_recurrence(graph)

    kinds = Counter(node.op_type for node in small.graph.node)
    assert kinds["GRU"] == kinds["LSTM"] == 0
    assert "r" not in values_of(small)
    assert small.ByteSize() < graph.ByteSize()
    expected = run_rows(session(graph), rows, "logits")
    assert np.abs(run_rows(session(small), rows, "logits") - expected).max() < 1e-5
    assert np.abs(session(small).run(["logits"], {"spectrum": rows})[0] - expected).max() < 1e-5


def test_a_gru_of_one_step_is_its_gates_in_numpy() -> None:
    graph, rows = recurrent_graph("GRU", steps=1), spectra(5)
    c = {name: value.astype(np.float64) for name, value in values_of(graph).items()}
    w, b, hidden = c["w"][0], c["b"][0], 16
    x = rows.astype(np.float64) - c["common.steps.0.mean"]
    read = x @ w.T + b[: 3 * hidden]

    def sigmoid(v: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-v))

    z = sigmoid(read[:, :hidden] + b[3 * hidden : 4 * hidden])
    r = sigmoid(read[:, hidden : 2 * hidden] + b[4 * hidden : 5 * hidden])
    state = (1 - z) * np.tanh(read[:, 2 * hidden :] + r * b[5 * hidden :])
    expected = state @ c["members.0.out.weight"].T + c["members.0.out.bias"]

    assert np.abs(run_rows(session(without_recurrence(graph)), rows, "logits") - expected).max() < 1e-5


def test_more_steps_than_one_stay_recurrent() -> None:
    small = without_recurrence(recurrent_graph("GRU", steps=2))

    assert Counter(node.op_type for node in small.graph.node)["GRU"] == 1


def test_a_first_state_that_may_not_be_zero_stays_recurrent() -> None:
    graph = recurrent_graph("GRU", steps=1)
    start = numpy_helper.from_array(np.full((1, 1, 16), 0.5, np.float32), "start")
    graph.graph.initializer.append(start)
    node = next(node for node in graph.graph.node if node.op_type == "GRU")
    node.input.extend(["", "start"])

    small = without_recurrence(graph)

    assert Counter(node.op_type for node in small.graph.node)["GRU"] == 1
    one = spectra(1)
    assert np.array_equal(run_rows(session(graph), one, "logits"), run_rows(session(small), one, "logits"))


def test_the_small_network_has_no_product_of_a_state() -> None:
    small = without_recurrence(recurrent_graph("GRU", steps=1))

    weights = [
        values_of(small)[name]
        for node in small.graph.node
        for name in node.input
        if node.op_type == "MatMul" and name in values_of(small)
    ]
    assert sorted(value.shape for value in weights) == [(POINTS, 3), (POINTS, 48)]
    onnx.checker.check_model(small, full_check=True)
