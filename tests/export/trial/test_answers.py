"""The selectivity challenge, and what gates would let by of a class that they did not know, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edged.bundle.manifest import Manifest
from export.trial.answers import let_by_as_others, verify_shares
from tests.bundle.tiny import fields

LIKE = {  # logits of A, B and C, which the tiny gate's centres are near to; in balanced a claim needs 0.5
    "A": ([4.0, 0.0, 1.0], [4.0, 0.0, 1.5]),
    "B": ([0.0, 4.0, 0.0], [0.0, 4.0, 0.1]),
    "C": ([2.0, 0.0, 4.0], [0.0, 0.0, 4.0]),
}
LEVELS = [{"quantiles": [1.0, 2.0, 3.0, 4.0], "n": 4}] * 3


def spectra(**changes: tuple[list[float], list[float]]) -> tuple[np.ndarray, np.ndarray]:
    rows = LIKE | changes
    return np.array([row for name in "ABC" for row in rows[name]], dtype=np.float32), np.repeat([0, 1, 2], 2)


def test_where_no_other_class_passes_the_neighbour_is_who_comes_closest_and_by_how_much() -> None:
    rows, truth = spectra()

    found = verify_shares(Manifest.model_validate(fields(digests={})), rows, rows, truth)

    assert {name: of["neighbour_pass"] for name, of in found.items()} == {"A": 0.0, "B": 0.0, "C": 0.0}
    assert {name: of["neighbour"] for name, of in found.items()} == {"A": "C", "B": "C", "C": "A"}
    closest = np.exp(2.0) / (np.exp(2.0) + np.exp(0.0) + np.exp(4.0))
    assert found["A"]["probability"] == pytest.approx(closest, abs=1e-6)
    assert found["A"]["probability_needed"] == 0.5
    assert found["A"]["p_value"] is None
    assert (found["A"]["true_pass"], found["A"]["true_fail"]) == (1.0, 0.0)


def test_who_passes_is_nearer_than_who_comes_close() -> None:
    rows, truth = spectra(B=([4.0, 3.0, 0.0], [0.0, 4.0, 0.0]))  # the gate takes the first for an A

    found = verify_shares(Manifest.model_validate(fields(digests={})), rows, rows, truth)

    assert (found["A"]["neighbour"], found["A"]["neighbour_pass"]) == ("B", 0.5)


@pytest.mark.parametrize(
    ("b_to_a", "c_to_a", "neighbour", "p"),
    [
        (2.0, 9.0, "B", 0.8),  # of four held-out residuals 1, 2, 3 and 4, three are as large
        (9.0, 8.0, "C", 0.2),  # both beyond them: p tells no more, the distance does
        (8.0, 9.0, "B", 0.2),  # and C is the likelier A, as it is everywhere here
    ],
)
def test_where_claims_are_tested_by_distances_the_nearest_counts_whatever_is_likely(
    b_to_a: float, c_to_a: float, neighbour: str, p: float
) -> None:
    residuals = {"name": "own", "columns": [3, 6], "levels": LEVELS, "alpha": {"balanced": 0.5, "confirm": 0.5}}
    rows, truth = spectra()
    away = np.full((6, 3), 9.0)
    away[:2] = 0.0
    away[2:4, 0], away[4:, 0] = b_to_a, c_to_a

    found = verify_shares(
        Manifest.model_validate(fields(digests={}, residuals=residuals)), rows, np.hstack([rows, away]), truth
    )["A"]

    assert (found["neighbour"], found["neighbour_pass"]) == (neighbour, 0.0)
    assert (found["p_value"], found["p_value_needed"]) == (pytest.approx(p), 0.5)
    assert found["distance"] == pytest.approx(min(b_to_a, c_to_a) / 3.5, abs=1e-4)  # p of 3.5 is (1 + 1.5) / 5


def test_no_distance_is_allowed_beyond_what_was_held_out() -> None:
    """With alpha under 1 / (n + 1) no p is too small: then the largest residual is the measure."""
    residuals = {"name": "own", "columns": [3, 6], "levels": LEVELS, "alpha": {"balanced": 0.1, "confirm": 0.1}}
    rows, truth = spectra()
    manifest = Manifest.model_validate(fields(digests={}, residuals=residuals))

    found = verify_shares(manifest, rows, np.hstack([rows, np.full((6, 3), 6.0)]), truth)["A"]

    assert found["distance"] == pytest.approx(6.0 / 4.0)


def test_a_class_that_others_scatter_reaches_over_would_be_let_by_if_it_were_not_known() -> None:
    rows, truth = spectra(C=([3.0, 0.0, 1.5], [0.0, 0.0, 4.0]))  # from A's centre 1.8, and 5.7, of at most 3

    found = let_by_as_others(Manifest.model_validate(fields(digests={})), rows, truth)

    assert found == {"C": {"share": 0.5, "as": "A"}}


def test_any_gate_that_shuts_lets_nothing_by_and_one_without_classes_says_nothing() -> None:
    rows, truth = spectra(C=([3.0, 0.0, 1.5], [1.0, 0.0, 4.0]))
    gate = {"name": "norm", "metric": "norm", "columns": [0, 3], "limits": {"balanced": 0.5, "confirm": 0.5}}
    both = fields(digests={}, gates=[*fields()["gates"], gate])
    narrow = fields(digests={}, gates=[gate | {"columns": [0, 2]}])

    by_norm = let_by_as_others(Manifest.model_validate(fields(digests={}, gates=[gate])), rows, truth)

    assert by_norm["C"] == {"share": 1.0, "as": "B"}  # a 0 in B's column each
    assert let_by_as_others(Manifest.model_validate(both), rows, truth)["C"]["share"] == 0.5
    assert let_by_as_others(Manifest.model_validate(narrow), rows, truth) == {}
