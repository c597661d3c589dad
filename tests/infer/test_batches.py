"""Rows that are run together get what they get alone, to the bit; graphs whose rows meet are run row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edged.bundle.archive import bundle_bytes, bundle_from_bytes, pack_golden, read_bundle
from edged.infer.analyze import Analysis, Analyzer
from edged.infer.batches import SIZES, parts, safe_sizes
from edged.infer.engine import Engine
from edged.infer.errors import EngineFault, WrongKind
from edged.infer.verdict import Reason
from edged.spectra.spectrum import Spectrum
from tests.bundle.tiny import AXIS_NM, GOLDEN, POINTS, TABLE, fields, files

DEFAULT = Path(__file__).resolve().parents[2] / "edged" / "bundle" / "default"
SATURATED = (Reason(code="saturated", message="too much light"),)


def spectrum(values: NDArray[np.floating], *, axis: NDArray[np.float64] = AXIS_NM) -> Spectrum:
    return Spectrum(axis=axis.copy(), values=values.astype(np.float32), axis_unit="nm", quantity="absorbance", title="")


def analyzer(*nodes: onnx.NodeProto, rows: str | int = "N") -> Analyzer:
    """The tiny bundle, its spectrum led through `nodes` from "spectrum" to "seen" before the table."""
    ends = [("logits", TABLE.shape[1]), ("features", TABLE.shape[1])]
    made = helper.make_graph(
        [
            *nodes,
            helper.make_node("MatMul", ["seen", "table"], ["logits"]),
            helper.make_node("Identity", ["logits"], ["features"]),
        ],
        "tiny",
        [helper.make_tensor_value_info("spectrum", TensorProto.FLOAT, [rows, POINTS])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows, width]) for name, width in ends],
        [numpy_helper.from_array(TABLE, "table"), numpy_helper.from_array(np.array([0]), "over_rows")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = _golden_of(model)
    data = bundle_bytes(
        fields(golden_tolerance=1e-3),
        files(model_onnx=model.SerializeToString(), golden_npz=pack_golden(GOLDEN, *session)),
    )
    return Analyzer(bundle_from_bytes(data))


def _golden_of(model: onnx.ModelProto) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What onnx's own reference says of the golden vectors, each alone."""
    from onnx.reference import ReferenceEvaluator

    judge = ReferenceEvaluator(model)
    rows = [judge.run(None, {"spectrum": GOLDEN[i : i + 1]}) for i in range(len(GOLDEN))]
    logits, features = (np.concatenate(part).astype(np.float32) for part in zip(*rows, strict=True))
    return logits, features


PLAIN = helper.make_node("Identity", ["spectrum"], ["seen"])
QUANTISED = (
    helper.make_node("DynamicQuantizeLinear", ["spectrum"], ["q", "scale", "zero"]),
    helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["seen"]),
)
CENTRED = (
    helper.make_node("ReduceMean", ["spectrum", "over_rows"], ["mean"]),
    helper.make_node("Sub", ["spectrum", "mean"], ["seen"]),
)
ROOTS = helper.make_node("Sqrt", ["spectrum"], ["seen"])


@pytest.mark.parametrize("path", sorted(DEFAULT.glob("*.edgebundle")), ids=lambda path: path.stem)
def test_the_shipped_bundles_answer_together_as_alone_to_the_bit(path: Path) -> None:
    bundle = read_bundle(path)
    rng = np.random.default_rng(5)
    axis = np.linspace(bundle.manifest.axis.start, bundle.manifest.axis.stop, bundle.manifest.axis.points)
    rows = np.resize(bundle.golden["spectra"], (75, len(axis))) * rng.uniform(0.9, 1.1, (75, 1))
    spectra = [
        Spectrum(
            axis=axis.copy(),
            values=(row + rng.normal(0, 1e-3, len(axis))).astype(np.float32),
            axis_unit=bundle.manifest.axis.unit,
            quantity=bundle.manifest.quantity,
        )
        for row in rows
    ]
    judge = Analyzer(bundle)

    together = judge.analyze_many([(one, ()) for one in spectra])

    assert judge._sizes == SIZES
    for one, found in zip(spectra, together, strict=True):
        alone = judge.analyze(one)
        assert isinstance(found, Analysis)
        assert found.verdict.model_dump_json() == alone.verdict.model_dump_json()
        assert found.probabilities == alone.probabilities


@pytest.mark.parametrize(
    ("nodes", "rows"),
    [(QUANTISED, "N"), (CENTRED, "N"), ((PLAIN,), 1)],
    ids=["dynamic scales", "mean of rows", "one row"],
)
def test_a_graph_whose_rows_meet_or_that_takes_one_is_run_row_by_row(
    nodes: tuple[onnx.NodeProto, ...], rows: str | int
) -> None:
    judge = analyzer(*nodes, rows=rows)
    spectra = [spectrum(GOLDEN[0] * (1 + i) + i) for i in range(40)]

    together = judge.analyze_many([(one, ()) for one in spectra])

    assert judge._sizes == ()
    for one, found in zip(spectra, together, strict=True):
        assert isinstance(found, Analysis)
        assert found.verdict == judge.analyze(one).verdict


def test_a_graph_that_keeps_its_rows_apart_is_run_in_batches() -> None:
    judge = analyzer(PLAIN)

    assert safe_sizes(judge._engine, GOLDEN) == SIZES


def test_a_graph_that_fails_on_the_trial_is_run_row_by_row() -> None:
    judge = analyzer(ROOTS)

    assert safe_sizes(judge._engine, -GOLDEN) == ()


def test_each_of_many_gets_its_own_refusal_or_error_in_its_place() -> None:
    judge = analyzer(ROOTS)
    good, negative = spectrum(GOLDEN[0]), spectrum(-1.0 - GOLDEN[0])
    short = spectrum(GOLDEN[0], axis=AXIS_NM + 20.0)
    other = Spectrum(axis=AXIS_NM.copy(), values=GOLDEN[0].copy(), axis_unit="nm", quantity="reflectance")
    many = [(good, ())] * 20 + [(negative, ()), (short, ()), (other, ()), (good, SATURATED)] + [(good, ())] * 20

    found = judge.analyze_many(many)  # type: ignore[arg-type]

    alone = judge.analyze(good).verdict
    assert isinstance(found[20], EngineFault)
    assert isinstance(found[22], WrongKind)
    for index, code in ((21, "axis_not_covered"), (23, "saturated")):
        rejected = found[index]
        assert isinstance(rejected, Analysis)
        assert (rejected.verdict.outcome, rejected.verdict.reasons[0].code) == ("rejected", code)
    assert all(isinstance(one, Analysis) and one.verdict == alone for one in found[:20] + found[24:])
    assert judge.analyze_many([]) == []


def test_rows_are_shared_out_among_the_largest_numbers_that_are_filled() -> None:
    assert list(parts(75, (32, 8))) == [(0, 32), (32, 32), (64, 8), (72, 1), (73, 1), (74, 1)]
    assert list(parts(2, ())) == [(0, 1), (1, 1)]
    assert list(parts(0, (32, 8))) == []


def test_rows_of_another_length_are_refused_together_as_alone() -> None:
    engine: Engine = analyzer(PLAIN)._engine

    with pytest.raises(EngineFault, match="the graph takes"):
        engine.run_together(np.zeros((2, POINTS + 1), dtype=np.float32))
