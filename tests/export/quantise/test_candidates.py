"""Every way of quantising small graphs of every kind, against the float graph and plain numpy."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from export.compare import run_rows, session
from export.quantise.candidates import applicable, candidates, quantised
from export.quantise.schemes import Scheme
from export.quantise.weights import int8_steps, unfolded
from tests.export.quantise.graphs import (
    Array,
    convolutional_graph,
    dense_graph,
    recurrent_graph,
    spectra,
    stored_as,
    values_of,
)

GRAPHS = {
    "gru": recurrent_graph("GRU", steps=5, both=True),
    "gru, all states": recurrent_graph("GRU", steps=5, both=True, sequence=True),
    "gru, one way": recurrent_graph("GRU", steps=5),
    "gru, one way, all states": recurrent_graph("GRU", steps=5, sequence=True),
    "one-step gru": recurrent_graph("GRU", steps=1),
    "lstm": recurrent_graph("LSTM", steps=5, both=True),
    "one-step lstm": recurrent_graph("LSTM", steps=1, both=True),
    "dense": dense_graph(),
    "convolutional": convolutional_graph(),
}
CLOSE: dict[Scheme, float] = {
    "float": 0.0,
    "weights": 0.05,
    "dynamic": 0.15,
    "scan": 0.15,
    "static-s8s8": 0.15,
    "static-u8s8": 0.15,
}
"""Allowed difference of a logit as a share of the largest logit: rounding of weights, and of weights and inputs."""


def judged(model: onnx.ModelProto, rows: Array) -> Array:
    """The logits by the standard's own evaluator: numpy, integer sums without kernels, tanh without approximations."""
    found = ReferenceEvaluator(model).run(["logits"], {"spectrum": rows})
    assert isinstance(found, list)
    return np.asarray(found[0])


@pytest.mark.parametrize("kind", GRAPHS)
def test_every_candidate_stays_close_to_float_and_leaves_the_gate_alone(kind: str) -> None:
    rows, graph = spectra(), GRAPHS[kind]
    float_session = session(graph)
    expected, features = run_rows(float_session, rows, "logits"), run_rows(float_session, rows, "features")

    for scheme, model in candidates(graph, rows).items():
        opened = session(model)
        off = np.abs(run_rows(opened, rows, "logits") - expected).max() / np.abs(expected).max()
        assert off <= CLOSE[scheme], scheme
        assert np.array_equal(run_rows(opened, rows, "features"), features), scheme


@pytest.mark.parametrize(
    ("kind", "schemes"),
    [
        ("gru", ["float", "weights", "dynamic", "scan", "static-s8s8", "static-u8s8"]),
        ("one-step gru", ["float", "weights", "dynamic", "static-s8s8", "static-u8s8"]),
        ("lstm", ["float", "weights", "dynamic", "static-s8s8", "static-u8s8"]),
    ],
)
def test_only_what_differs_is_a_candidate(kind: str, schemes: list[Scheme]) -> None:
    assert list(applicable(GRAPHS[kind])) == schemes


@pytest.mark.parametrize("scheme", ["dynamic", "scan"])
@pytest.mark.parametrize("kind", ["gru, one way", "gru, one way, all states", "one-step gru", "dense"])
def test_integer_products_are_what_the_standard_s_own_evaluator_computes(kind: str, scheme: Scheme) -> None:
    rows = spectra(6)
    model = quantised(GRAPHS[kind], scheme)

    expected = np.concatenate([judged(model, row[None]) for row in rows])

    off = np.abs(run_rows(session(model), rows, "logits") - expected)
    assert np.median(off) < 1e-5
    assert off.max() < 0.02  # a state on the edge between two of 255 steps


@pytest.mark.parametrize("kind", ["dense", "convolutional"])
@pytest.mark.parametrize("scheme", ["static-s8s8", "static-u8s8"])
def test_fixed_scales_are_computed_as_the_standard_s_own_evaluator_does(kind: str, scheme: Scheme) -> None:
    rows = spectra(12)
    model = quantised(GRAPHS[kind], scheme, spectra())

    model.opset_import[0].version = 19  # the evaluator has no DequantizeLinear of 13, which computes the same
    expected = judged(model, rows)
    model.opset_import[0].version = 18

    step = np.abs(expected).max() / 127
    assert np.abs(run_rows(session(model), rows, "logits") - expected).max() < step


def test_a_dynamic_product_is_integer_arithmetic_done_by_hand() -> None:
    graph, rows = dense_graph(), spectra(3)
    constants = values_of(graph)

    def product(x: np.ndarray, name: str) -> np.ndarray:
        weights = constants[f"members.0.{name}.weight"].astype(np.float32)
        scale = np.abs(weights).max(axis=1, keepdims=True) / 63
        low, high = min(0.0, float(x.min())), max(0.0, float(x.max()))
        step = (high - low) / 255
        zero = round(-low / step)
        coded = np.clip(np.rint(x / np.float32(step)) + zero, 0, 255).astype(np.int64)
        summed = (coded - zero) @ np.rint(weights / scale).astype(np.int64).T
        return summed * (step * scale[:, 0]) + constants[f"members.0.{name}.bias"]

    got = run_rows(session(quantised(graph, "dynamic")), rows, "logits")

    for row, found in zip(rows, got, strict=True):
        inner = np.maximum(product(row - constants["common.steps.0.mean"], "inner"), 0)
        assert np.abs(product(inner, "out") - found).max() < 2e-3


@pytest.mark.parametrize("kind", GRAPHS)
def test_preprocessing_and_the_gate_keep_their_digits(kind: str) -> None:
    graph = GRAPHS[kind]
    kept = [values_of(graph)[name] for name in ("common.steps.0.mean", "discriminant.directions")]

    for scheme, model in candidates(graph, spectra()).items():
        found = list(values_of(model).values())
        assert all(any(np.array_equal(value, other) for other in found) for value in kept), scheme


@pytest.mark.parametrize("kind", ["gru", "lstm", "dense", "convolutional"])
def test_all_large_weights_of_the_network_are_int8(kind: str) -> None:
    graph = GRAPHS[kind]
    large = sum(
        value.size
        for name, value in values_of(graph).items()
        if value.ndim >= 2 and value.size >= 64 and not name.startswith("discriminant.") and name != "b"
    )

    schemes: tuple[Scheme, ...] = ("weights", "dynamic", "static-u8s8")
    for scheme in schemes:
        stored = stored_as(quantised(graph, scheme, spectra()))
        assert stored["int8"] >= large, scheme
        assert stored["float32"] < 60 + 180 + 0.5 * large, scheme


def test_weights_beside_unsigned_activations_keep_to_seven_bits() -> None:
    """255 x 63 twice is 32,130: it fits the 16-bit sums of x86 without VNNI, where 255 x 127 does not."""
    cases: tuple[tuple[str, Scheme], ...] = (
        ("gru", "dynamic"),
        ("gru", "scan"),
        ("lstm", "dynamic"),
        ("dense", "static-u8s8"),
        ("dense", "static-s8s8"),
    )
    for kind, scheme in cases:
        model = quantised(GRAPHS[kind], scheme, spectra())
        bodies = [a.g for node in model.graph.node for a in node.attribute if a.HasField("g")]
        tensors = [*model.graph.initializer, *(tensor for body in bodies for tensor in body.initializer)]
        arrays = [onnx.numpy_helper.to_array(tensor) for tensor in tensors]
        weights = [array.astype(int) for array in arrays if array.dtype == np.int8 and array.size >= 64 and array.any()]
        assert weights
        assert {int(np.abs(array).max()) for array in weights} <= {63, 64}, (kind, scheme)


def test_rounding_to_int8_is_off_by_half_a_step_at_most() -> None:
    weights = np.random.default_rng(3).normal(size=(2, 5, 9)).astype(np.float32)

    steps, scale = int8_steps(weights, (2,), 127)

    assert np.abs(steps).max() == 127
    assert np.abs(steps * scale - weights).max() <= 0.5001 * scale.max()


def test_folded_weights_come_back_as_the_float_graph_that_runs() -> None:
    graph, rows = GRAPHS["gru"], spectra()
    folded = quantised(graph, "weights")

    again = unfolded(folded)

    assert "int8" not in stored_as(again)
    assert Counter(node.op_type for node in again.graph.node)["Cast"] == 0
    assert np.abs(run_rows(session(again), rows, "logits") - run_rows(session(folded), rows, "logits")).max() < 1e-6
    assert stored_as(quantised(again, "weights")) == stored_as(folded)


def test_quantising_leaves_the_float_graph_as_it_was() -> None:
    for graph in GRAPHS.values():
        before = graph.SerializeToString(deterministic=True)

        candidates(graph, spectra())

        assert graph.SerializeToString(deterministic=True) == before


def test_equal_graphs_give_equal_bytes() -> None:
    graph, rows = GRAPHS["convolutional"], spectra()

    one, two = ({s: m.SerializeToString(deterministic=True) for s, m in candidates(graph, rows).items()} for _ in "ab")

    assert one == two


def test_fixed_scales_without_spectra_are_refused() -> None:
    with pytest.raises(ValueError, match="needs spectra"):
        quantised(GRAPHS["dense"], "static-s8s8")


def test_a_long_gru_is_not_written_out() -> None:
    model = quantised(recurrent_graph("GRU", steps=60, hidden=4), "dynamic")
    longer = onnx.ModelProto()
    longer.CopyFrom(model)

    assert Counter(node.op_type for node in model.graph.node)["GRU"] == 0
    assert Counter(node.op_type for node in longer.graph.node)["Sigmoid"] == 60
