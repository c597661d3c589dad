"""Amounts: 100 mg a unit of the first point, 1 % a unit of the second; the third is the distance from the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edged.bundle.archive import bundle_bytes, bundle_from_bytes, pack_golden
from edged.bundle.manifest import Manifest
from edged.infer.analyze import Analyzer
from edged.infer.engine import Engine
from edged.infer.errors import EngineFault, NotOffered
from edged.infer.judge import judge
from edged.infer.verdict import Estimate, Reason, Verdict
from edged.spectra.spectrum import Spectrum
from tests.bundle.tiny import (
    AXIS_NM,
    DOSE,
    DOSE_GOLDEN,
    DOSE_TABLE,
    GOLDEN,
    TABLE,
    dose_bytes,
    dose_fields,
    dose_files,
    dose_graph,
    fields,
    tiny_bytes,
)

MANIFEST = Manifest.model_validate(dose_fields(digests={}))
ANALYZER = Analyzer(bundle_from_bytes(dose_bytes()))


def spectrum(*first: float) -> Spectrum:
    values = np.zeros(8, dtype=np.float32)
    values[: len(first)] = first
    return Spectrum(axis=AXIS_NM.copy(), values=values, axis_unit="nm", quantity="absorbance")


def verdict(*amounts: float, away: float = 0.0, **asked: Any) -> Verdict:
    features = np.array([0, 0, away], dtype=np.float32)
    nothing = np.empty(0, dtype=np.float32)
    return judge(nothing, features, MANIFEST, amounts=np.array(amounts, dtype=np.float32), **asked)


def test_amounts_come_with_their_intervals_from_spectrum_to_verdict() -> None:
    found = ANALYZER.analyze(spectrum(3.12, 4.0))

    drug, water = found.verdict.amounts
    assert (found.verdict.procedure, found.verdict.outcome, found.verdict.label) == ("quantify", "quantified", None)
    assert (drug.label, drug.title, drug.unit) == ("drug", "Isoniazid", "mg")
    assert (drug.value, drug.low, drug.high) == pytest.approx((312.0, 295.0, 329.0), abs=1e-4)
    assert (water.value, water.low, water.high) == pytest.approx((4.0, 3.75, 4.25))
    assert found.probabilities is None
    assert found.verdict.amounts_in_words() == "Isoniazid 312 mg (295 to 329), Water 4.00 % (3.75 to 4.25)"
    assert [gate.passed for gate in found.verdict.gates] == [True]


def test_the_interval_is_that_of_the_preset() -> None:
    drug = verdict(312, 4, preset="confirm").amounts[0]

    assert (drug.low, drug.high) == (272.0, 352.0)


@pytest.mark.parametrize(
    ("drug", "water", "outcome"),
    [
        (83.0, 5.0, "quantified"),  # 100 less the half width of 17
        (82.99, 5.0, "inconclusive"),
        (517.0, 5.0, "quantified"),
        (517.1, 5.0, "inconclusive"),
        (300.0, -0.25, "quantified"),
        (300.0, -0.26, "inconclusive"),
    ],
)
def test_a_value_is_told_as_far_out_as_it_may_err_and_no_farther(drug: float, water: float, outcome: str) -> None:
    assert verdict(drug, water).outcome == outcome


def test_what_is_told_between_range_and_half_width_is_clipped_nowhere() -> None:
    _, water = verdict(90.0, -0.125).amounts

    assert (water.value, water.low, water.high) == (-0.125, -0.375, 0.125)


def test_every_amount_out_of_range_gives_its_reason_with_both_numbers_and_none_is_told() -> None:
    found = verdict(900, 40)

    assert found.amounts == ()
    assert [(r.code, r.value, r.limit) for r in found.reasons] == [
        ("out_of_range", 900.0, 517.0),
        ("out_of_range", 40.0, 10.25),
    ]
    assert "Isoniazid: 900 mg is beyond 100 to 500 mg" in found.reasons[0].message


def test_gates_come_before_amounts() -> None:
    far, both = verdict(312, 4, away=5.5), ANALYZER.analyze(spectrum(900.0, 0.0, 6.0))

    assert (far.outcome, far.amounts, [r.code for r in far.reasons]) == ("not_in_scope", (), ["out_of_model"])
    assert [r.code for r in both.verdict.reasons] == ["out_of_model"]


def test_an_unfit_measurement_has_no_amount() -> None:
    saturated = Reason(code="saturated", message="3 points", value=3.0, limit=0.0)

    assert verdict(312, 4, measurement=(saturated,)).outcome == "rejected"


def test_what_a_dose_bundle_does_not_answer_is_refused() -> None:
    for asked, message in (
        ({"procedure": "identify"}, "does not offer the procedure identify"),
        ({"procedure": "verify", "claimed": "A"}, "does not offer the procedure verify"),
        ({"claimed": "A"}, "a claimed class has no meaning for quantify"),
        ({"preset": "screen"}, "has no preset screen"),
    ):
        with pytest.raises(NotOffered, match=message):
            ANALYZER.question(**asked)  # type: ignore[arg-type]
    with pytest.raises(NotOffered, match="does not offer the procedure quantify"):
        Analyzer(bundle_from_bytes(tiny_bytes())).question(procedure="quantify")


def test_one_bundle_may_name_and_quantify() -> None:
    made = fields(amounts=DOSE["amounts"], procedures=["identify", "quantify"], digests={})
    both = Manifest.model_validate(made)
    row, at_a = np.log(np.array([8.0, 1.0, 1.0])), np.array([4.0, 0.0, 0.0])

    named = judge(row, at_a, both, amounts=np.array([312.0, 4.0]))
    told = judge(row, at_a, both, amounts=np.array([312.0, 4.0]), procedure="quantify")

    assert (named.outcome, named.label, named.amounts) == ("identified", "A", ())
    assert (told.outcome, told.label, told.amounts[0].value) == ("quantified", None, 312.0)


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (312.4, 17.0, "312 mg (295 to 329)"),
        (312.4, 1.7, "312.4 mg (310.7 to 314.1)"),
        (312.4, 170.0, "312 mg (142 to 482)"),
        (0.04, 0.5, "0.04 mg (-0.46 to 0.54)"),
        (-0.001, 2.0, "0.0 mg (-2.0 to 2.0)"),
        (1e9, 1e-12, "1000000000.000000 mg (1000000000.000000 to 1000000000.000000)"),
    ],
)
def test_an_amount_is_said_with_as_many_digits_as_its_interval_bears(value: float, half: float, text: str) -> None:
    found = Estimate(label="a", title="A", unit="mg", value=value, low=value - half, high=value + half)

    assert found.in_words() == text


@given(st.floats(-1e6, 1e6, width=32), st.floats(-1e6, 1e6, width=32), st.sampled_from(["balanced", "confirm"]))
def test_intervals_are_as_wide_as_the_manifest_says_and_hold_their_value(
    drug: float, water: float, preset: Any
) -> None:
    found = verdict(drug, water, preset=preset)

    inside = all(
        a["lowest"] - a["half_widths"][preset] <= value <= a["highest"] + a["half_widths"][preset]
        for a, value in zip(DOSE["amounts"], (drug, water), strict=True)
    )
    assert (found.outcome == "quantified") == inside == (len(found.amounts) == 2)
    for told, stated, value in zip(found.amounts, DOSE["amounts"], (drug, water), strict=False):
        assert told.value == value
        assert told.high - told.low == pytest.approx(2 * stated["half_widths"][preset])
        assert told.low < told.value < told.high


def test_split_conformal_half_widths_cover_what_they_promise() -> None:
    """The half width that a builder would state, from 400 held-out errors, covers nine of ten new errors."""
    rng = np.random.default_rng(7)
    errors = np.abs(rng.standard_t(4, 400) * 9.0)
    half = float(np.sort(errors)[int(np.ceil(401 * 0.9)) - 1])
    amount = DOSE["amounts"][0] | {"half_widths": {"balanced": half}}
    gate = DOSE["gates"][0] | {"limits": {"balanced": 5.0}}
    manifest = Manifest.model_validate(dose_fields(amounts=[amount], gates=[gate], digests={}))
    truth = rng.uniform(150, 450, 4000)
    said = truth + rng.standard_t(4, 4000) * 9.0

    nothing = np.empty(0, np.float32)
    told = [judge(nothing, np.zeros(3), manifest, amounts=np.array([value])).amounts for value in said]

    held = [a[0].low <= true <= a[0].high for a, true in zip(told, truth, strict=True) if a]
    assert np.mean(held) == pytest.approx(0.9, abs=0.03)


# The graph


def refusal(model: bytes, golden: bytes | None = None, **changes: object) -> str:
    parts = dose_files() | {"model.onnx": model} | ({"golden.npz": golden} if golden else {})
    with pytest.raises(EngineFault) as caught:
        Engine.load(bundle_from_bytes(bundle_bytes(dose_fields(**changes), parts)))
    assert caught.value.hint
    return caught.value.message


def golden(drug_off: float) -> bytes:
    amounts = DOSE_GOLDEN @ DOSE_TABLE
    amounts[1, 0] += drug_off
    return pack_golden(DOSE_GOLDEN, None, DOSE_GOLDEN, amounts)


def test_the_engine_returns_what_the_graph_has() -> None:
    out = Engine.load(bundle_from_bytes(dose_bytes())).run(DOSE_GOLDEN)

    assert out.logits.shape == (2, 0)
    np.testing.assert_array_equal(out.amounts, [[100.0, 0.0], [500.0, 10.0]])
    assert out.amounts.dtype == np.float32


def test_amounts_are_proven_relative_to_their_range() -> None:
    """400 mg times the tolerance of 1e-4 is 0.04 mg."""
    assert "amounts differ by 0.000125, allowed is 0.0001" in refusal(dose_graph(), golden(0.05))

    whole = bundle_from_bytes(bundle_bytes(dose_fields(), dose_files() | {"golden.npz": golden(0.03)}))
    assert Engine.load(whole).prove(whole)["amounts"] == pytest.approx(7.5e-5, rel=0.01)


def test_a_tolerance_of_their_own_goes_before_that_of_the_logits() -> None:
    parts = dose_files() | {"golden.npz": golden(0.4)}

    Engine.load(bundle_from_bytes(bundle_bytes(dose_fields(amount_tolerance=2e-3), parts)))
    assert "allowed is 1e-05" in refusal(dose_graph(), golden(0.03), amount_tolerance=1e-5)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (dose_graph(output_name="mg"), "outputs ['features', 'mg']; wanted ['spectrum'] and ['features', 'amounts']"),
        (dose_graph(np.zeros((8, 3), np.float32)), "amounts is tensor(float) ['N', 3]; wanted tensor(float) [N, 2]"),
        (dose_graph(np.full((8, 2), np.inf, np.float32)), "not a finite number"),
    ],
)
def test_a_graph_whose_amounts_do_not_fit_is_refused(model: bytes, message: str) -> None:
    assert message in refusal(model)


def test_one_graph_gives_names_and_amounts() -> None:
    rows = np.concatenate([GOLDEN, DOSE_GOLDEN])
    golden = pack_golden(rows, rows @ TABLE, rows, rows @ DOSE_TABLE)
    made = fields(amounts=DOSE["amounts"], procedures=["identify", "quantify"], gates=[])
    parts = dose_files() | {"model.onnx": both_graph(), "golden.npz": golden}
    analyzer = Analyzer(bundle_from_bytes(bundle_bytes(made, parts)))

    named = analyzer.analyze(spectrum(4.0, 0.0, 0.0))
    told = analyzer.analyze(spectrum(4.0, 0.0, 0.0), analyzer.question(procedure="quantify"))

    assert (named.verdict.outcome, named.verdict.label, named.verdict.amounts) == ("identified", "A", ())
    assert named.probabilities is not None
    assert (told.verdict.outcome, told.verdict.amounts[0].value, told.probabilities) == ("quantified", 400.0, None)


def both_graph() -> bytes:
    model = onnx.load_from_string(dose_graph())
    model.graph.node.append(helper.make_node("MatMul", ["spectrum", "classes"], ["logits"]))
    model.graph.initializer.append(numpy_helper.from_array(TABLE, "classes"))
    model.graph.output.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3]))
    data = model.SerializeToString()
    assert isinstance(data, bytes)
    return data


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_graph_gives_an_engine_or_a_fault_and_nothing_else(data: st.DataObject) -> None:
    model = bytearray(both_graph() if data.draw(st.booleans()) else dose_graph())
    start = data.draw(st.integers(0, len(model) - 1))
    model[start : start + data.draw(st.integers(0, 6))] = data.draw(st.binary(max_size=6))

    try:
        Engine.load(bundle_from_bytes(bundle_bytes(dose_fields(), dose_files() | {"model.onnx": bytes(model)})))
    except EngineFault as fault:
        assert str(fault).isprintable()  # noqa: PT017 - either outcome is right
