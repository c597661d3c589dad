"""Claims tested against the class's own scans, with p-values counted by hand and by scipy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edged.bundle.manifest import Levels, Manifest
from edged.infer.judge import Judge, judge
from edged.infer.residual import p_value
from edged.infer.verdict import Verdict
from tests.bundle.tiny import fields

HELD_OUT = st.lists(st.floats(0, 1e6, width=32), min_size=2, max_size=64)


def levels(*held_out: float) -> Levels:
    """Every residual a quantile."""
    return Levels(quantiles=tuple(sorted(held_out)), n=len(held_out))


def counted(observed: float, held_out: list[float]) -> float:
    return (1 + sum(value >= observed for value in held_out)) / (len(held_out) + 1)


@given(HELD_OUT, st.data())
def test_where_every_residual_is_stored_p_is_counted(held_out: list[float], data: st.DataObject) -> None:
    observed = data.draw(st.sampled_from(held_out) | st.floats(-10, 2e6, width=32))

    found, exact = p_value(observed, levels(*held_out)), counted(observed, held_out)

    assert exact - 1e-12 <= found <= exact + 1 / (len(held_out) + 1) + 1e-12
    if observed in held_out or not min(held_out) < observed < max(held_out):
        assert found == pytest.approx(exact, rel=1e-12)


@given(HELD_OUT, st.floats(-10, 2e6), st.floats(0, 1e6))
def test_a_larger_residual_never_has_a_larger_p(held_out: list[float], observed: float, more: float) -> None:
    known = levels(*held_out)

    assert 0 < p_value(observed + more, known) <= p_value(observed, known) + 1e-12 <= 1 + 1e-12


def test_residuals_that_are_equal_all_count() -> None:
    known = levels(1.0, 2.0, 2.0, 2.0, 5.0)

    assert [p_value(x, known) for x in (0.0, 1.0, 2.0, 5.0, 5.1)] == pytest.approx([1, 1, 5 / 6, 2 / 6, 1 / 6])


def test_numbers_as_large_as_they_come_give_a_p() -> None:
    known = Levels(quantiles=(-1.7e308, 1.7e308), n=9)

    assert 0 < p_value(3e38, known) <= 1


def test_sixty_four_quantiles_of_many_residuals_are_within_a_percent_of_the_count() -> None:
    rng = np.random.default_rng(3)
    held_out = rng.chisquare(20, 5000)
    stored = Levels(quantiles=tuple(np.quantile(held_out, np.linspace(0, 1, 64)).tolist()), n=5000)

    for observed in rng.chisquare(20, 300):
        share = stats.percentileofscore(held_out, observed, kind="strict") / 100
        assert p_value(observed, stored) == pytest.approx(1 - share, abs=0.01)


@pytest.mark.parametrize("n", [19, 60, 400])
def test_true_claims_are_refused_no_more_often_than_alpha(n: int) -> None:
    """Uniform at least: over new tables and new scans, p <= alpha in a share of alpha or less."""
    rng = np.random.default_rng(n)
    found = []
    for _ in range(300):
        held_out = np.sort(rng.chisquare(20, n))
        kept = np.quantile(held_out, np.linspace(0, 1, min(n, 64)))
        known = Levels(quantiles=tuple(kept.tolist()), n=n)
        found += [p_value(float(x), known) for x in rng.chisquare(20, 20)]

    for alpha in (0.05, 0.1, 0.2):
        refused = sum(p < alpha for p in found)
        assert stats.binomtest(refused, len(found), alpha, alternative="greater").pvalue > 1e-4


# The verdict. Logits ln 8, ln 1, ln 1 give 0.8, 0.1, 0.1; features 3 to 5 are the residuals of A, B and C.

TABLE = {
    "name": "own scans",
    "columns": [3, 6],
    "levels": [{"quantiles": [float(x) for x in range(1, 20)], "n": 19}] * 3,
    "alpha": {"balanced": 0.15, "confirm": 0.3},
}
MANIFEST = Manifest.model_validate(fields(residuals=TABLE, digests={}))


def verdict(*weights: float, residual: float, claimed: str = "A", **asked: Any) -> Verdict:
    column = "ABC".index(claimed)
    features = np.array([4.0, 0.0, 0.0, 99.0, 99.0, 99.0], np.float32)
    features[3 + column] = residual
    row = np.log(np.array(weights))
    return judge(row, features, MANIFEST, procedure="verify", claimed=claimed, **asked)


def test_a_claim_that_fits_as_the_class_does_passes_with_its_p_value() -> None:
    found = verdict(8, 1, 1, residual=16.0)  # 16, 17, 18 and 19 are as large: 5 / 20

    assert (found.outcome, found.label, found.p_value, found.reasons) == ("pass", "A", 0.25, ())


def test_a_residual_that_few_of_the_class_have_fails_the_claim_however_sure_the_logits_are() -> None:
    found = verdict(8, 1, 1, residual=18.5)

    (reason,) = found.reasons
    assert (found.outcome, found.label, found.probability) == ("fail", "A", pytest.approx(0.8))
    assert (reason.code, reason.value, reason.limit) == ("residual_too_large", found.p_value, 0.15)
    assert "own scans: fits worse than scans of A do, p = 0.12; 0.15 is needed at balanced" in reason.message
    assert [c.label for c in found.candidates] == ["A"]


@pytest.mark.parametrize(
    ("weights", "residual", "claimed", "outcome", "codes"),
    [
        ((8, 1, 1), 18.0, "A", "pass", []),  # p is alpha: 3 / 20
        ((8, 1, 1), 2.0, "B", "fail", []),  # the set leaves the claim out
        ((8, 1, 1), 50.0, "B", "fail", ["residual_too_large"]),
        ((41, 49, 10), 2.0, "A", "inconclusive", ["set_ambiguous"]),
        ((41, 49, 10), 50.0, "A", "fail", ["residual_too_large"]),
        ((1, 1, 1), 2.0, "A", "inconclusive", ["set_empty"]),
        ((1, 1, 1), 50.0, "A", "fail", ["residual_too_large"]),
    ],
)
def test_the_residual_comes_before_the_set(
    weights: tuple[float, ...], residual: float, claimed: str, outcome: str, codes: list[str]
) -> None:
    found = verdict(*weights, residual=residual, claimed=claimed)

    assert (found.outcome, [reason.code for reason in found.reasons]) == (outcome, codes)
    assert found.p_value is not None


def test_the_alpha_is_that_of_the_preset() -> None:
    assert verdict(98, 1, 1, residual=16.0).outcome == "pass"
    assert verdict(98, 1, 1, residual=16.0, preset="confirm").outcome == "fail"


def test_a_claim_behind_a_shut_gate_is_not_in_scope_and_has_no_p() -> None:
    features = np.array([40.0, 0.0, 0.0, 1.0, 1.0, 1.0], np.float32)

    found = judge(np.log(np.array([8.0, 1, 1])), features, MANIFEST, procedure="verify", claimed="A")

    assert (found.outcome, found.p_value) == ("not_in_scope", None)


def test_without_a_claim_or_a_table_there_is_no_p() -> None:
    features = np.array([4.0, 0.0, 0.0, 99.0, 99.0, 99.0], np.float32)
    row = np.log(np.array([8.0, 1, 1]))
    plain = Manifest.model_validate(fields(digests={}))

    assert judge(row, features, MANIFEST).p_value is None
    assert judge(row, features, MANIFEST).outcome == "identified"
    assert judge(row, features, plain, procedure="verify", claimed="A").p_value is None


# Gates


def gated(gate: dict[str, Any], logits: list[float], features: list[float]) -> Verdict:
    bench = Judge(Manifest.model_validate(fields(gates=[gate], digests={})))
    return bench.answer(bench.question(), np.array(logits), np.array(features))


LIMITS = {"balanced": 1.0, "confirm": 1.0}


def test_a_norm_gate_may_scale_each_class_by_its_own_spread() -> None:
    gate = {"name": "n", "metric": "norm", "columns": [0, 3], "scales": [10.0, 2.0, 1.0], "limits": LIMITS}

    near, far = gated(gate, [9, 0, 0], [8.0, 3.0, 3.0]), gated(gate, [9, 0, 0], [11.0, 3.0, 3.0])

    assert (near.gates[0].distance, near.outcome) == (0.8, "identified")
    assert (far.gates[0].distance, far.outcome) == (1.1, "not_in_scope")


def test_tables_of_absurd_size_shut_the_gate_instead_of_breaking_the_verdict() -> None:
    huge = [[1e308 if i == j else 0.0 for j in range(3)] for i in range(3)]
    gate = {"name": "m", "metric": "mahalanobis", "columns": [0, 3], "means": [[1e300] * 3] * 3, "precision": huge}

    found = gated(gate | {"limits": LIMITS}, [9, 0, 0], [0.0, 0.0, 0.0])
    scaled = {"name": "n", "metric": "norm", "columns": [0, 1], "scales": [1e-308], "limits": LIMITS}

    assert found.outcome == gated(scaled, [9, 0, 0], [3e38]).outcome == "not_in_scope"
