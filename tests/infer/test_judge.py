"""Verdicts against cases computed by hand: at temperature 1 the logits ln 8, ln 1, ln 1 give 0.8, 0.1, 0.1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edged.bundle.manifest import Manifest
from edged.infer.errors import NotOffered
from edged.infer.judge import Judge, judge
from edged.infer.verdict import Reason, Verdict
from tests.bundle.tiny import fields


def manifest(**changes: Any) -> Manifest:
    return Manifest.model_validate(fields(digests={}, **changes))


def logits(*weights: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.log(np.array(weights, dtype=np.float64)).astype(np.float32)


NEAR_A = np.array([4.0, 0.0, 0.0], dtype=np.float32)  # the centre of class A
TABLES = {
    "temperature": 1.0,
    "quantiles": {"balanced": [0.6, 0.6, 0.6], "confirm": [0.1, 0.1, 0.1]},
    "min_probability": {"balanced": 0.5, "confirm": 0.9},
}


def verdict(*weights: float, tables: dict[str, Any] | None = None, **asked: Any) -> Verdict:
    return judge(logits(*weights), NEAR_A, manifest(calibration=TABLES | (tables or {})), **asked)


def test_one_class_in_the_set_and_over_the_floor_is_identified() -> None:
    found = verdict(8, 1, 1)

    assert (found.outcome, found.label, found.title) == ("identified", "A", "Alpha")
    assert found.probability == pytest.approx(0.8, abs=1e-6)
    assert [(c.label, c.probability) for c in found.candidates] == [("A", pytest.approx(0.8, abs=1e-6))]
    assert [(g.name, g.distance, g.limit, g.passed) for g in found.gates] == [("distance", 0.0, 3.0, True)]
    assert found.reasons == ()
    assert found.preset == "balanced"


def test_the_preset_asked_for_is_the_one_applied() -> None:
    found = verdict(8, 1, 1, preset="confirm")

    assert (found.outcome, found.preset, found.label) == ("inconclusive", "confirm", None)
    (reason,) = found.reasons
    assert reason.code == "set_empty"
    assert (reason.value, reason.limit) == (pytest.approx(0.8, abs=1e-6), pytest.approx(0.9))
    assert "0.8000" in reason.message
    assert found.candidates == ()
    assert found.probability is None


def test_two_classes_in_the_set_are_named_as_candidates_best_first_and_none_as_the_label() -> None:
    found = verdict(41, 49, 10)

    assert (found.outcome, found.label, found.title, found.probability) == ("inconclusive", None, None, None)
    assert [(c.label, c.probability) for c in found.candidates] == [
        ("B", pytest.approx(0.49, abs=1e-6)),
        ("A", pytest.approx(0.41, abs=1e-6)),
    ]
    (reason,) = found.reasons
    assert (reason.code, reason.value, reason.limit) == ("set_ambiguous", 2.0, 1.0)


def test_classes_of_one_probability_are_listed_in_the_order_of_the_manifest() -> None:
    found = verdict(1, 4, 4)

    assert [c.label for c in found.candidates] == ["B", "C"]


def test_one_class_under_the_floor_is_inconclusive_with_both_numbers() -> None:
    found = verdict(45, 30, 25, tables={"quantiles": {"balanced": [0.6, 0.6, 0.6], "confirm": [0.1] * 3}})

    (reason,) = found.reasons
    assert (found.outcome, found.label) == ("inconclusive", None)
    assert [c.label for c in found.candidates] == ["A"]
    assert (reason.code, reason.value, reason.limit) == ("low_probability", pytest.approx(0.45, abs=1e-6), 0.5)


def test_a_class_exactly_on_its_quantile_is_in_the_set() -> None:
    tables = {"quantiles": {"balanced": [0.5, 0.49, 1.0], "confirm": [0.1] * 3}}

    found = judge(np.array([0, 0, -1e9], np.float32), NEAR_A, manifest(calibration=TABLES | tables))

    assert [(c.label, c.probability) for c in found.candidates] == [("A", 0.5), ("C", 0.0)]


def test_the_quantile_of_each_class_is_its_own() -> None:
    tables = {"quantiles": {"balanced": [0.1, 0.95, 0.1], "confirm": [0.1] * 3}}

    found = verdict(8, 1, 1, tables=tables)

    assert [c.label for c in found.candidates] == ["B"]
    assert found.reasons[0].code == "low_probability"


def test_temperature_divides_the_logits() -> None:
    found = verdict(64, 1, 1, tables={"temperature": 2.0})

    assert found.probability == pytest.approx(0.8, abs=1e-6)  # sqrt(64) against 1 and 1


def test_logits_that_would_overflow_a_plain_exponential_are_judged() -> None:
    found = judge(np.array([3e38, -3e38, 0.0], np.float32), NEAR_A, manifest())

    assert (found.outcome, found.label, found.probability) == ("identified", "A", 1.0)


def test_a_shut_gate_names_no_class_however_sure_the_logits_are() -> None:
    far = np.array([4.0, 3.0, 4.0], dtype=np.float32)  # 5 from A, sqrt(16+1+16) from B, sqrt(16+9) from C

    found = judge(logits(1e9, 1, 1), far, manifest())

    assert (found.outcome, found.label, found.title, found.probability) == ("not_in_scope", None, None, None)
    assert found.candidates == ()
    assert [(g.distance, g.passed) for g in found.gates] == [(pytest.approx(5.0), False)]
    (reason,) = found.reasons
    assert (reason.code, reason.value, reason.limit) == ("out_of_model", pytest.approx(5.0), 3.0)
    assert "5" in reason.message
    assert "Alpha" not in found.model_dump_json()


def test_a_distance_exactly_on_the_limit_passes() -> None:
    found = judge(logits(8, 1, 1), np.array([4.0, 3.0, 0.0], np.float32), manifest())

    assert found.gates[0].distance == 3.0
    assert found.outcome == "identified"


def test_the_mahalanobis_distance_uses_the_precision_with_its_off_diagonal() -> None:
    gate = {
        "name": "m",
        "metric": "mahalanobis",
        "columns": [1, 3],
        "means": [[0.0, 0.0], [10.0, 10.0], [-10.0, 0.0]],
        "precision": [[2.0, 0.5], [0.5, 1.0]],
        "limits": {"balanced": 3.0, "confirm": 3.0},
    }

    found = judge(logits(8, 1, 1), np.array([99.0, 1.0, 2.0, 77.0], np.float32), manifest(gates=[gate]))

    assert found.gates[0].distance == pytest.approx(np.sqrt(2 * 1 + 2 * 0.5 * 1 * 2 + 1 * 4))  # sqrt(8)


def test_a_norm_gate_takes_the_smallest_of_its_columns() -> None:
    gate = {"name": "n", "metric": "norm", "columns": [1, 4], "limits": {"balanced": 0.5, "confirm": 0.2}}
    features = np.array([0.0, 7.0, 0.25, 9.0, 0.1], np.float32)

    passed = judge(logits(8, 1, 1), features, manifest(gates=[gate]))
    shut = judge(logits(8, 1, 1), features, manifest(gates=[gate]), preset="confirm")

    assert (passed.gates[0].distance, passed.outcome) == (0.25, "identified")
    assert shut.outcome == "not_in_scope"


def test_every_shut_gate_gives_its_reason_and_every_gate_its_distance() -> None:
    gates = [
        {"name": name, "metric": "norm", "columns": [0, 1], "limits": {"balanced": limit, "confirm": 1.0}}
        for name, limit in (("one", 1.0), ("two", 9.0), ("three", 2.0))
    ]

    found = judge(logits(8, 1, 1), np.array([4.0], np.float32), manifest(gates=gates))

    assert [g.passed for g in found.gates] == [False, True, False]
    assert [r.message.split(":")[0] for r in found.reasons] == ["one", "three"]


@pytest.mark.parametrize(
    ("weights", "claimed", "outcome", "label", "probability"),
    [
        ((8, 1, 1), "A", "pass", "A", 0.8),
        ((8, 1, 1), "B", "fail", "B", 0.1),
        ((41, 49, 10), "A", "inconclusive", None, None),
        ((41, 49, 10), "C", "fail", "C", 0.1),
        ((45, 30, 25), "A", "inconclusive", None, None),
        ((1, 1, 1), "A", "inconclusive", None, None),
    ],
)
def test_verify_puts_the_set_to_the_claim(
    weights: tuple[float, ...], claimed: str, outcome: str, label: str | None, probability: float | None
) -> None:
    found = verdict(*weights, procedure="verify", claimed=claimed)

    assert (found.procedure, found.outcome, found.label) == ("verify", outcome, label)
    assert found.probability == (pytest.approx(probability, abs=1e-6) if probability else None)


def test_a_failed_claim_shows_what_the_sample_looks_like() -> None:
    found = verdict(8, 1, 1, procedure="verify", claimed="C")

    assert [c.label for c in found.candidates] == ["A"]
    assert found.reasons == ()


def test_verify_behind_a_shut_gate_neither_passes_nor_fails() -> None:
    found = judge(logits(8, 1, 1), NEAR_A + 9, manifest(), procedure="verify", claimed="A")

    assert (found.outcome, found.label) == ("not_in_scope", None)


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ({"procedure": "verify"}, "needs the claimed class", "A, B, C"),
        ({"procedure": "verify", "claimed": "X"}, "does not know the class 'X'", "A, B, C"),
        ({"procedure": "components"}, "does not offer the procedure components", "identify, verify"),
        ({"preset": "screen"}, "has no preset screen", "balanced, confirm"),
        ({"claimed": "A"}, "no meaning for identify", "verify"),
    ],
)
def test_what_the_bundle_does_not_offer_is_refused_with_what_it_does(
    asked: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(NotOffered, match=message) as caught:
        Judge(manifest()).question(**asked)

    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "code",
    [
        "saturated",
        "low_signal",
        "low_snr",
        "reference_missing",
        "reference_mismatched",
        "axis_not_covered",
    ],
)
def test_a_measurement_that_is_unfit_is_rejected_before_anything_is_looked_at(code: Any) -> None:
    reason = Reason(code=code, message="because", value=1.0, limit=0.0)

    found = judge(logits(8, 1, 1), NEAR_A, manifest(), measurement=(reason,))

    assert (found.outcome, found.label, found.gates, found.candidates) == ("rejected", None, (), ())
    assert found.reasons == (reason,)


def test_a_stale_reference_is_shown_and_the_verdict_kept() -> None:
    stale = Reason(code="reference_stale", message="250 min old", value=15000, limit=14400)

    found = judge(logits(8, 1, 1), NEAR_A, manifest(), measurement=(stale,))
    refused = judge(logits(8, 1, 1), NEAR_A + 9, manifest(), measurement=(stale,))

    assert (found.outcome, found.label, found.reasons) == ("identified", "A", (stale,))
    assert [r.code for r in refused.reasons] == ["out_of_model", "reference_stale"]


def test_the_same_numbers_give_the_same_bytes() -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(50, 3)).astype(np.float32)
    bench = Judge(manifest())

    first = [bench.answer(bench.question(), row, NEAR_A).model_dump_json() for row in rows]
    second = [judge(row, NEAR_A, manifest()).model_dump_json() for row in rows]

    assert first == second
