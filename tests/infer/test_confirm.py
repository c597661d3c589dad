"""What a fit confirms, beside the same rules written plainly over scipy's least squares; and its statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2, kstest

from edged.bundle.components import Components
from edged.infer.confirm import Confirmed, Confirmer
from edged.infer.errors import EngineFault
from tests.bundle.mixed import (
    CUP,
    LABELS,
    NOISE,
    POINT,
    REFERENCES,
    SECOND,
    SHAPES,
    WHITENER,
    mixed_components,
    spectrum,
)
from tests.infer.plainly import Plainly, Reals, table

LIBRARY = {
    name: array.astype(np.float32)
    for name, array in {"references": REFERENCES, "whitener": WHITENER, "baseline": CUP}.items()
}
ALL = [0, 1, 2, 3]


def confirmer(library: dict[str, NDArray[np.float32]] | None = None, **confirmation: Any) -> Confirmer:
    made = mixed_components()
    made["confirmation"] |= confirmation
    return Confirmer(Components.model_validate(made), LIBRARY if library is None else library)


def random_case(seed: int) -> tuple[Components, dict[str, NDArray[np.float32]], Reals, list[int]]:
    """Smooth, overlapping references, one or two a compound; noise; some claims true and some false."""
    rng = np.random.default_rng(seed)
    n, points = int(rng.integers(2, 14)), int(rng.integers(40, 90))
    owners = [*range(n), *(rng.choice(n, n // 2, replace=False).tolist() if seed % 2 else [])]
    x = np.arange(points)
    parts = rng.uniform(0, points, (len(owners), 4, 1)), rng.uniform(2, 9, (len(owners), 4, 1))
    references = np.exp(-0.5 * ((x - parts[0]) / parts[1]) ** 2).sum(axis=1)
    noise = rng.uniform(0.01, 0.2)
    whitener = np.full((1, points), 1.0 / noise) if seed % 3 else np.eye(points - 5, points) / noise
    library = {"references": references, "whitener": whitener, "baseline": np.stack([np.ones(points), x / points])}
    true = rng.choice(n, int(rng.integers(0, min(n, 4) + 1)), replace=False)
    weights = np.zeros(len(owners))
    weights[true] = rng.uniform(0.05, 1.0, len(true))
    prepared = weights @ references + rng.normal(0, noise, points) + rng.normal() * x / points - 0.3
    claimed = sorted({*true.tolist(), *rng.choice(n, int(rng.integers(1, n + 1)), replace=False).tolist()})
    floats = {name: array.astype(np.float32) for name, array in library.items()}
    return table(n, points, owners), floats, prepared.astype(np.float32).astype(np.float64), claimed


@pytest.mark.parametrize("seed", range(60))
def test_what_is_kept_and_how_sure_it_is_agrees_with_the_rules_written_plainly(seed: int) -> None:
    components, library, prepared, claimed = random_case(seed)
    expected, rest = Plainly(components, library).confirm(prepared, claimed, [6.0] * len(components.compounds))

    found = Confirmer(components, library).confirm(prepared, claimed, "confirm")

    assert {one.column for one in found.kept} == set(expected)
    np.testing.assert_allclose(
        [one.support for one in found.kept], [expected[one.column] for one in found.kept], rtol=1e-5
    )
    assert found.rest == pytest.approx(rest, rel=1e-6)


@pytest.mark.parametrize("seed", range(30))
def test_noise_that_grows_with_what_is_there_is_taken_as_the_whole_covariance_says(seed: int) -> None:
    components, library, prepared, claimed = random_case(seed)
    rng = np.random.default_rng(seed)
    n, points = len(components.compounds), library["references"].shape[1]
    owners = np.repeat(rng.permutation(n)[: n - 1], rng.integers(1, 4)).tolist()  # one compound without
    words = components.model_dump(mode="json")
    words["confirmation"]["scatter"] = owners
    smooth = np.exp(-0.5 * ((np.arange(points) - rng.uniform(0, points, (len(owners), 1))) / 8.0) ** 2)
    library |= {"scatter": (rng.uniform(0.02, 0.3, (len(owners), 1)) * smooth).astype(np.float32)}
    components = Components.model_validate(words)
    expected, rest = Plainly(components, library).confirm(prepared, claimed, [6.0] * n)

    found = Confirmer(components, library).confirm(prepared, claimed, "confirm")

    assert {one.column for one in found.kept} == set(expected)
    np.testing.assert_allclose(
        [one.support for one in found.kept], [expected[one.column] for one in found.kept], rtol=1e-4
    )
    assert found.rest == pytest.approx(rest, rel=1e-5)


# Truth known by construction


def prepared(noise: np.random.Generator | None = None, /, **weights: float) -> NDArray[np.float32]:
    return (spectrum(noise, **weights).astype(np.float64) @ SECOND).astype(np.float32)


def shares(found: Confirmed) -> dict[str, float]:
    return {LABELS[one.column]: one.told for one in found.kept}


def test_without_noise_the_shares_are_the_ones_that_were_mixed_and_a_cup_of_either_sign_changes_nothing() -> None:
    for cup in (-2.0, 0.0, 0.7):
        found = confirmer(fractions=None).confirm(prepared(aspirin=0.6, lactose=0.4, cup=cup), ALL, "balanced")

        assert shares(found) == pytest.approx({"aspirin": 0.6, "lactose": 0.4}, abs=1e-4)
        assert found.rest < 0.05


def test_a_fraction_is_the_weight_over_the_response_of_its_compound() -> None:
    """0.6 / 1 and 0.4 / 2 are three to one."""
    found = confirmer().confirm(prepared(aspirin=0.6, lactose=0.4), ALL, "balanced")

    assert shares(found) == pytest.approx({"aspirin": 0.75, "lactose": 0.25}, abs=1e-4)
    assert [one.visible for one in found.kept] == pytest.approx([0.6, 0.4], abs=1e-4)


def test_what_is_not_claimed_is_not_found_and_is_missed() -> None:
    found = confirmer().confirm(prepared(aspirin=0.6, lactose=0.4), [0, 2], "balanced")

    assert set(shares(found)) <= {"aspirin", "caffeine"}
    assert found.rest > 10.0


def test_nothing_claimed_leaves_everything_unexplained_but_the_baseline() -> None:
    found = confirmer().confirm(prepared(aspirin=0.6, cup=0.5), [], "balanced")

    assert found.kept == ()
    assert found.residual == pytest.approx(prepared(aspirin=0.6) - projected(prepared(aspirin=0.6)), abs=1e-5)


def projected(row: NDArray[np.float32]) -> Reals:
    """What the cup explains of a spectrum, in the metric of the noise: one term, by hand."""
    cup, target = WHITENER @ CUP[0], WHITENER @ row.astype(np.float64)
    return float(cup @ target / (cup @ cup)) * CUP[0]


def test_the_residual_is_the_stranger_that_the_library_lacks() -> None:
    found = confirmer().confirm(prepared(aspirin=0.6, stranger=0.5), ALL, "balanced")

    stranger = 0.5 * SHAPES["stranger"] @ SECOND
    assert found.rest > 10.0
    assert np.corrcoef(found.residual, stranger)[0, 1] > 0.9
    assert found.residual.dtype == np.float32


def test_the_rest_as_a_share_is_what_remains_of_the_norm_beyond_the_noise() -> None:
    row = prepared(aspirin=0.6, stranger=0.5)
    noise, share = (confirmer(rest=kind).confirm(row, ALL, "balanced") for kind in ("noise", "share"))

    whitened = WHITENER @ row.astype(np.float64)
    cup = WHITENER @ CUP[0] / np.linalg.norm(WHITENER @ CUP[0])
    free = len(whitened) - 1 - len(noise.kept)
    total = float(whitened @ whitened - (cup @ whitened) ** 2)
    assert share.rest == pytest.approx(np.sqrt((noise.rest**2 - 1.0) * free / total), rel=1e-4)


def test_a_second_reference_of_a_compound_counts_to_the_same_compound() -> None:
    library = LIBRARY | {"references": np.concatenate([LIBRARY["references"], LIBRARY["references"][:1] * 2])}
    doubled = confirmer(library, references=[0, 1, 2, 3, 0], fractions=None)

    found = doubled.confirm(prepared(aspirin=0.6, lactose=0.4), ALL, "balanced")

    assert {one.column for one in found.kept} == {0, 1}
    assert sum(one.visible for one in found.kept) == pytest.approx(1.0)


# Detection limits


@pytest.mark.parametrize(
    ("weights", "limit"),
    [
        ({"aspirin": 1.0}, 0.04),  # alone: the general limit
        ({"aspirin": 0.3, "lactose": 1.4}, 0.3),  # lactose makes up the most of the rest
        ({"aspirin": 0.9, "lactose": 0.2}, 0.3),  # of the rest: not of the whole
        ({"aspirin": 0.3, "lactose": 0.4, "caffeine": 0.5}, 0.04),  # 0.2 of lactose are less than 0.5 of caffeine
    ],
)
def test_the_detection_limit_is_that_of_the_matrix(weights: dict[str, float], limit: float) -> None:
    found = confirmer().confirm(prepared(**weights), ALL, "confirm")

    aspirin = next(one for one in found.kept if one.column == 0)
    assert aspirin.limit == limit


def test_a_compound_under_its_limit_still_explains_its_part_of_the_spectrum() -> None:
    found = confirmer().confirm(prepared(aspirin=0.1, lactose=0.9), ALL, "confirm")

    assert [(LABELS[one.column], one.is_under) for one in found.kept] == [("aspirin", True), ("lactose", False)]
    assert found.rest < 0.1


# Statistics


def test_the_rest_of_a_true_explanation_is_the_noise_that_was_measured() -> None:
    """Squares of unit noise add up to chi-square with as many degrees of freedom as there are values beyond the fit."""
    rng, bench = np.random.default_rng(4), confirmer()
    rests = [bench.confirm(prepared(rng, aspirin=0.6, lactose=0.4), [0, 1], "balanced").rest for _ in range(400)]

    free = len(WHITENER) - 1 - 2
    assert kstest(np.square(rests) * free, chi2(free).cdf).pvalue > 0.01


def test_the_support_of_a_compound_that_is_not_there_is_half_the_time_zero_and_else_chi_square_of_one() -> None:
    """The law of a weight that may not be negative and is zero in truth (Chernoff 1954, Ann. Math. Stat. 25, 573)."""
    rng = np.random.default_rng(8)
    preset = POINT | {"min_support": [0.0] * 4}
    made = mixed_components()
    made["presets"] = {"balanced": preset}
    made["confirmation"]["fractions"] = None
    bench = Confirmer(Components.model_validate(made), LIBRARY)
    supports = []
    for _ in range(600):
        found = bench.confirm(prepared(rng, lactose=0.9), [1, 2], "balanced")
        supports.append(next((one.support for one in found.kept if one.column == 2), 0.0))

    above = np.array([support for support in supports if support > 0.0])
    assert len(above) / 600 == pytest.approx(0.5, abs=0.06)
    assert kstest(above, chi2(1).cdf).pvalue > 0.01


def test_the_noise_of_a_sample_that_is_worse_than_measured_does_not_make_compounds() -> None:
    """Ten times the noise: the growth is measured in what the fit leaves."""
    rng, bench = np.random.default_rng(9), confirmer()
    named = 0
    for _ in range(100):
        noisy = prepared(lactose=0.9) + (rng.normal(0, 10 * NOISE, len(SECOND)) @ SECOND).astype(np.float32)
        named += len(bench.confirm(noisy, ALL, "balanced").kept) - 1

    assert named <= 3  # three false claims a sample, each above 12 in 0.03 %


def test_ways_in_which_scans_of_a_compound_differ_are_not_taken_for_another() -> None:
    """Lactose whose scans differ by something like caffeine; without being told, caffeine is found in half of them."""
    rng = np.random.default_rng(10)
    way = (0.02 * SHAPES["caffeine"] + 0.02 * SHAPES["stranger"]) @ SECOND
    library = LIBRARY | {"scatter": way[None].astype(np.float32)}
    told, untold = confirmer(library, scatter=[1]), confirmer()
    scans = [prepared(rng, lactose=0.9) + 0.9 * rng.normal() * way for _ in range(100)]

    named = [
        [2 in [one.column for one in of.confirm(row, ALL, "balanced").kept] for row in scans] for of in (told, untold)
    ]

    assert sum(named[1]) > 35
    assert sum(named[0]) <= 2  # support of 12 in 0.03 %


def test_a_spectrum_that_no_reference_fits_has_no_noise_of_its_own() -> None:
    """Upside down: every weight is zero from the first fit on."""
    library = LIBRARY | {"scatter": LIBRARY["references"][:1]}

    found = confirmer(library, scatter=[0]).confirm(-prepared(aspirin=0.5), [0], "balanced")

    assert found.kept == ()
    assert found.rest == confirmer().confirm(-prepared(aspirin=0.5), [0], "balanced").rest


# Hostile libraries


def test_a_reference_that_is_nothing_but_baseline_is_refused_by_name() -> None:
    library = LIBRARY | {"references": np.concatenate([LIBRARY["references"][:3], 3.0 * LIBRARY["baseline"]])}

    with pytest.raises(EngineFault, match="reference 3 of the library, twin, is nothing but baseline"):
        confirmer(library)


def test_a_table_that_confirms_wants_its_library() -> None:
    with pytest.raises(ValueError, match="there is none"):
        confirmer({})


FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.lists(FLOATS, min_size=30, max_size=30), st.lists(FLOATS, min_size=10, max_size=10), st.integers(0, 2))
@settings(max_examples=150)
def test_any_library_confirms_finite_numbers_or_is_refused(numbers: list[float], row: list[float], kind: int) -> None:
    rows = np.array(numbers, dtype=np.float32).reshape(3, 10)
    whitener = np.ones((1, 10), np.float32) if kind else np.eye(10, dtype=np.float32)
    library = {"references": rows[:2], "whitener": whitener, "baseline": np.stack([rows[2], rows[2]])}
    words = table(2, 10, [0, 1]).model_dump(mode="json")
    if kind == 2:
        library["scatter"] = rows[1:]
        words["confirmation"]["scatter"] = [0, 0]
    try:
        found = Confirmer(Components.model_validate(words), library).confirm(
            np.array(row, dtype=np.float32), [0, 1], "confirm"
        )
    except EngineFault as fault:
        assert fault.hint  # noqa: PT017 - either outcome is right
        return

    assert np.isfinite([found.rest, *(one.support for one in found.kept), *(one.told for one in found.kept)]).all()
    assert np.isfinite(found.residual).all()
    assert all(0.0 <= one.told <= 1.0 + 1e-9 for one in found.kept)
