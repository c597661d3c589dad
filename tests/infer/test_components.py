"""From a spectrum to the compounds in it: a real graph, a small library, mixtures whose truth is known."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from edged.bundle.archive import bundle_bytes, bundle_from_bytes
from edged.bundle.components import MAX_CLAIMED
from edged.bundle.manifest import Manifest
from edged.infer.analyze import Analysis, Analyzer
from edged.infer.engine import Engine
from edged.infer.errors import EngineFault, NotOffered
from edged.infer.judge import Judge, judge
from edged.infer.verdict import Component, Preset, Reason, Verdict
from edged.spectra.spectrum import Spectrum
from tests.bundle.mixed import (
    AXIS_NM,
    CUP,
    LABELS,
    PREPARED,
    REFERENCES,
    SECOND,
    WHITENER,
    golden_arrays,
    mixed_bytes,
    mixed_components,
    mixed_fields,
    mixed_files,
    mixed_golden,
    mixed_graph,
    pack_library,
    spectrum,
)
from tests.bundle.tiny import dose_fields

ANALYZER = Analyzer(bundle_from_bytes(mixed_bytes()))
LIBRARY = ANALYZER.bundle.library
NOTHING = np.empty(0, dtype=np.float32)


def analyzed(preset: Preset | None = None, *, noise: np.random.Generator | None = None, **weights: float) -> Analysis:
    values = spectrum(noise, **weights)
    measured = Spectrum(axis=AXIS_NM.copy(), values=values, axis_unit="nm", quantity="absorbance")
    return ANALYZER.analyze(measured, ANALYZER.question(preset=preset))


def codes(verdict: Verdict) -> list[str]:
    return [reason.code for reason in verdict.reasons]


def held(verdict: Verdict) -> list[str]:
    return [component.label for component in verdict.components]


def test_a_mixture_is_resolved_with_its_fractions_their_intervals_and_limits_the_largest_first() -> None:
    verdict = analyzed(lactose=0.4, aspirin=0.6).verdict

    aspirin, lactose = verdict.components
    assert (verdict.procedure, verdict.outcome, verdict.label) == ("components", "resolved", None)
    assert (aspirin.label, aspirin.title, lactose.label) == ("aspirin", "Aspirin", "lactose")
    assert (aspirin.fraction, aspirin.low, aspirin.high) == pytest.approx((0.75, 0.70, 0.80), abs=1e-3)
    assert (lactose.fraction, lactose.low, lactose.high) == pytest.approx((0.25, 0.17, 0.33), abs=1e-3)
    assert aspirin.visible == pytest.approx(0.6, abs=1e-3)
    assert (aspirin.detection_limit, lactose.detection_limit) == (0.04, 0.05)
    assert aspirin.score == pytest.approx(1.0 / (1.0 + np.exp(-(40 * 0.6 - 2.0))))
    assert aspirin.support is not None
    assert aspirin.support > 1000.0
    assert verdict.unexplained is not None
    assert (verdict.unexplained.value < 0.1, verdict.unexplained.limit) == (True, 1.8)
    assert (verdict.candidates, verdict.reasons) == ((), ())
    assert [gate.passed for gate in verdict.gates] == [True]
    assert verdict.components_in_words() == "aspirin 75 % (70 to 80), lactose 25 % (17 to 33)"


@pytest.mark.parametrize("preset", ["balanced", "confirm"])
def test_mixtures_of_known_compounds_in_noise_are_told_just_so(preset: Preset) -> None:
    rng = np.random.default_rng(12)
    for names in (("aspirin",), ("lactose",), ("aspirin", "caffeine"), ("lactose", "caffeine"), LABELS[:3]):
        for _ in range(8):
            parts = dict(zip(names, rng.uniform(0.35, 0.65, len(names)), strict=True))
            verdict = analyzed(preset, noise=rng, cup=rng.normal(0, 0.3), **parts).verdict

            total = sum(weight / (2.0 if name == "lactose" else 1.0) for name, weight in parts.items())
            assert (verdict.outcome, set(held(verdict))) == ("resolved", set(names))
            for component in verdict.components:
                truth = parts[component.label] / (2.0 if component.label == "lactose" else 1.0) / total
                assert component.low is not None
                assert component.high is not None
                assert component.low <= truth <= component.high


def test_without_confirmation_the_claimed_are_named_by_their_scores_alone() -> None:
    verdict = analyzed("screen", lactose=0.4, aspirin=0.6).verdict

    first = verdict.components[0]
    assert held(verdict) == ["aspirin", "lactose"]
    assert (first.support, first.visible, first.fraction, first.low, first.high) == (None,) * 5
    assert (first.detection_limit, verdict.unexplained) == (0.04, None)
    assert verdict.components_in_words() == "aspirin, lactose"


def test_the_fit_drops_what_the_network_claims_in_error() -> None:
    """The network takes much of a cup for aspirin and caffeine; to the fit it is a baseline."""
    claimed, confirmed = (analyzed(preset, lactose=0.9, cup=3.2).verdict for preset in ("screen", "balanced"))

    assert held(claimed) == ["lactose", "aspirin", "caffeine"]
    assert (confirmed.outcome, held(confirmed), confirmed.candidates) == ("resolved", ["lactose"], ())


def test_an_unknown_component_is_told_with_what_fits_and_what_it_may_be_read_from() -> None:
    found = analyzed(aspirin=0.6, stranger=0.5)

    verdict = found.verdict
    assert (verdict.outcome, verdict.components, codes(verdict)) == ("inconclusive", (), ["unknown_component"])
    assert "aspirin" in [candidate.label for candidate in verdict.candidates]
    assert verdict.unexplained is not None
    assert verdict.reasons[0].value == verdict.unexplained.value > verdict.unexplained.limit == 1.8
    assert found.residual is not None
    assert found.residual.axis[[0, -1]].tolist() == [1005.0, 1310.0]
    packed = np.load(io.BytesIO(found.residual.packed()), allow_pickle=False)
    np.testing.assert_array_equal(packed["values"], found.residual.values)
    assert (str(packed["unit"]), packed["axis"].shape) == ("nm", (PREPARED,))
    assert found.residual.packed() == found.residual.packed()


def test_nothing_found_is_no_answer_and_says_how_near_it_was() -> None:
    blank = analyzed()

    assert (blank.verdict.outcome, codes(blank.verdict), blank.residual) == ("inconclusive", ["nothing_found"], None)
    assert blank.verdict.candidates == ()
    assert "the best score is 0.119" in blank.verdict.reasons[0].message  # 1 / (1 + e^2)
    assert blank.probabilities is None


def test_a_stranger_alone_is_an_unknown_and_nothing_is_found() -> None:
    assert codes(analyzed(stranger=1.0).verdict) == ["nothing_found", "unknown_component"]


def test_a_compound_under_its_detection_limit_is_told_and_a_reason_says_so() -> None:
    verdict = analyzed("confirm", aspirin=0.1, lactose=0.9).verdict

    assert (verdict.outcome, codes(verdict)) == ("resolved", ["under_detection_limit"])
    assert held(verdict) == ["lactose", "aspirin"]
    reason = verdict.reasons[0]
    assert reason.message.startswith("aspirin: 18.2 % is under its detection limit of 30 % in such a mixture")
    assert (reason.value, reason.limit) == (pytest.approx(0.1 / 0.55, abs=1e-3), 0.3)
    lactose, aspirin = verdict.components
    assert lactose.fraction == pytest.approx(0.45 / 0.55, abs=1e-3)
    assert (aspirin.fraction, aspirin.detection_limit) == (pytest.approx(0.1 / 0.55, abs=1e-3), 0.3)


def test_gates_come_first_and_nothing_is_named_behind_one() -> None:
    verdict = analyzed(aspirin=60.0).verdict

    assert (verdict.outcome, codes(verdict)) == ("not_in_scope", ["out_of_model"])
    assert (verdict.components, verdict.candidates, verdict.unexplained) == ((), (), None)
    assert "aspirin" not in verdict.model_dump_json()


def test_an_unfit_measurement_is_rejected_and_flags_stand_beside_the_answer() -> None:
    logits, level = np.array([22.0, 14.0, -2.0, -2.0]), np.array([0.1])
    row = spectrum(aspirin=0.6, lactose=0.4) @ SECOND
    saturated = Reason(code="saturated", message="3 points", value=3.0, limit=0.0)
    stale = Reason(code="reference_stale", message="old")

    for reason, outcome in ((saturated, "rejected"), (stale, "resolved")):
        found = judge(logits, level, ANALYZER.bundle.manifest, prepared=row, library=LIBRARY, measurement=(reason,))
        assert (found.outcome, found.reasons) == (outcome, (reason,))


def many(compounds: int) -> Manifest:
    """A manifest of many compounds whose thresholds are all zero; one preset, no confirmation."""
    n = compounds
    point = {
        "confirm": False,
        "false_names": 1.0,
        "thresholds": [0.0] * n,
        "negatives": [10**6] * n,
        "named": [0] * n,
        "detection_limits": [None] * n,
    }
    labels = [{"label": f"c{i}", "title": f"C{i}"} for i in range(n)]
    table = {"compounds": labels, "presets": {"balanced": point}}
    return Manifest.model_validate(mixed_fields(components=table, gates=[], digests={}))


def test_more_claims_than_any_sample_holds_are_no_answer() -> None:
    manifest = many(MAX_CLAIMED + 5)
    logits = np.full(MAX_CLAIMED + 5, -1.0)
    logits[:MAX_CLAIMED] = 1.0

    most, more = judge(logits, NOTHING, manifest), judge(np.abs(logits), NOTHING, manifest)

    assert (most.outcome, len(most.components)) == ("resolved", 32)
    assert (more.outcome, codes(more), more.components) == ("inconclusive", ["too_many_claimed"], ())
    assert (more.reasons[0].value, more.reasons[0].limit) == (37.0, 32.0)


def partly_put_to_the_fit(asked: int, more: int) -> tuple[Manifest, dict[str, NDArray[np.float32]]]:
    """A manifest of so many compounds that are fitted whatever their logit, and more with a threshold of zero.

    Their references have a peak each, on as many points; there is no baseline, and noise of one hundredth.
    """
    n = asked + more
    point = {
        "confirm": True,
        "false_names": 1.0,
        "thresholds": [None] * asked + [0.0] * more,
        "negatives": [10**6] * n,
        "named": [0] * n,
        "detection_limits": [None] * n,
        "min_support": [25.0] * n,
        "max_rest": 2.0,
    }
    table = {
        "compounds": [{"label": f"c{i}", "title": f"C{i}"} for i in range(n)],
        "presets": {"balanced": point},
        "confirmation": {
            "axis": {"unit": "nm", "start": 1000.0, "stop": 1100.0, "points": 2 * n},
            "references": list(range(n)),
            "rest": "noise",
            "tolerance": 1e-4,
            "fractions": None,
        },
    }
    library = {
        "references": np.eye(n, 2 * n, dtype=np.float32),
        "whitener": np.full((1, 2 * n), 100.0, dtype=np.float32),
    }
    return Manifest.model_validate(mixed_fields(components=table, gates=[], digests={})), library


def test_what_is_put_to_every_fit_is_not_counted_among_the_claims() -> None:
    """One compound is there, and one logit is above its threshold; 32 others are fitted without having claimed."""
    manifest, library = partly_put_to_the_fit(MAX_CLAIMED, MAX_CLAIMED + 1)
    prepared = np.zeros(2 * (2 * MAX_CLAIMED + 1), dtype=np.float32)
    prepared[MAX_CLAIMED] = 1.0
    logits = np.full(2 * MAX_CLAIMED + 1, -9.0)
    logits[MAX_CLAIMED] = 1.0

    one = judge(logits, NOTHING, manifest, prepared=prepared, library=library)
    logits[MAX_CLAIMED:-1] = 1.0
    most = judge(logits, NOTHING, manifest, prepared=prepared, library=library)
    logits[-1] = 1.0
    more = judge(logits, NOTHING, manifest, prepared=prepared, library=library)

    assert (one.outcome, held(one)) == ("resolved", ["c32"])
    assert (most.outcome, held(most)) == ("resolved", ["c32"])
    assert (more.outcome, codes(more)) == ("inconclusive", ["too_many_claimed"])
    assert more.reasons[0].message.startswith("33 compounds are claimed at balanced")


def test_a_logit_at_its_threshold_claims_and_one_under_it_does_not() -> None:
    verdict = judge(np.array([0.0, np.nextafter(0.0, -1.0), 3.0]), NOTHING, many(3))

    assert held(verdict) == ["c2", "c0"]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
@settings(max_examples=60)
def test_any_logits_give_a_verdict_whose_components_were_all_claimed(logits: list[float]) -> None:
    row = spectrum(aspirin=0.6, lactose=0.4) @ SECOND
    found = judge(np.array(logits), np.zeros(1), ANALYZER.bundle.manifest, prepared=row, library=LIBRARY)

    assert set(held(found)) <= {label for label, logit in zip(LABELS, logits, strict=True) if logit >= 0.0}
    assert Verdict.model_validate_json(found.model_dump_json()) == found


def test_what_a_bundle_of_compounds_does_not_answer_is_refused() -> None:
    for asked, message in (
        ({"procedure": "identify"}, "does not offer the procedure identify"),
        ({"claimed": "aspirin"}, "a claimed class has no meaning for components"),
    ):
        with pytest.raises(NotOffered, match=message):
            ANALYZER.question(**asked)  # type: ignore[arg-type]


def test_a_judge_that_confirms_wants_the_library_of_its_bundle() -> None:
    with pytest.raises(ValueError, match="there is none"):
        Judge(ANALYZER.bundle.manifest)


def test_one_bundle_may_find_compounds_and_quantify() -> None:
    made = dose_fields(procedures=["components", "quantify"], digests={}, gates=[])
    table = mixed_components()
    table["presets"] = dict.fromkeys(("balanced", "confirm"), table["presets"]["screen"])
    del table["confirmation"]
    both = Manifest.model_validate(made | {"components": table})
    logits, amounts = np.array([1.0, -1.0, -1.0, -1.0]), np.array([312.0, 4.0])

    found = judge(logits, np.zeros(3), both, amounts=amounts)
    told = judge(logits, np.zeros(3), both, amounts=amounts, procedure="quantify")

    assert (found.procedure, held(found), found.amounts) == ("components", ["aspirin"], ())
    assert (told.components, told.amounts[0].value) == ((), 312.0)


# Words


@pytest.mark.parametrize(
    ("fraction", "interval", "visible", "text"),
    [
        (0.62, (0.56, 0.68), 0.5, "a 62 % (56 to 68)"),
        (0.048, (0.0, 0.0999), 0.5, "a 4.8 % (0 to 10)"),
        (0.62, None, 0.5, "a 62 %"),
        (None, None, 0.0962, "a 10 %"),
        (None, None, None, "a"),
    ],
)
def test_a_component_is_said_with_two_digits(
    fraction: float | None, interval: tuple[float, float] | None, visible: float | None, text: str
) -> None:
    low, high = interval or (None, None)
    found = Component(label="a", title="A", score=0.9, visible=visible, fraction=fraction, low=low, high=high)

    assert found.in_words() == text


def test_shares_of_what_is_seen_are_not_taken_for_fractions() -> None:
    shares = {"a": 0.7, "b": 0.3}
    parts = tuple(Component(label=label, title="", score=0.9, visible=share) for label, share in shares.items())
    verdict = Verdict(procedure="components", preset="confirm", outcome="resolved", components=parts)

    assert verdict.told_in_words() == "a 70 %, b 30 % of what is seen"


# The graph


def refusal(model: bytes, **changes: Any) -> str:
    parts = mixed_files(**changes) | {"model.onnx": model}
    with pytest.raises(EngineFault) as caught:
        Engine.load(bundle_from_bytes(bundle_bytes(mixed_fields(), parts)))
    assert caught.value.hint
    return caught.value.message


def test_the_engine_returns_the_prepared_spectrum_as_numpy_computes_it() -> None:
    arrays = golden_arrays()
    out = Engine.load(ANALYZER.bundle).run(arrays["spectra"].astype(np.float32))

    np.testing.assert_allclose(out.prepared, arrays["prepared"], atol=1e-5)
    np.testing.assert_allclose(out.logits, arrays["logits"], atol=1e-3)
    assert out.amounts.shape == (3, 0)


def test_a_graph_without_the_prepared_spectrum_is_refused() -> None:
    assert "wanted ['spectrum'] and ['logits', 'features', 'prepared']" in refusal(mixed_graph(prepared="second_diff"))


def test_a_prepared_spectrum_that_differs_from_the_golden_one_is_refused_by_its_own_tolerance() -> None:
    """Of the largest golden value a share of 1e-4 is allowed."""
    golden = golden_arrays()["prepared"]
    off = golden.copy()
    off[1, 5] += 2e-4 * np.abs(golden).max()

    message = refusal(mixed_graph(), golden_npz=mixed_golden(prepared=off))
    assert "prepared differ by 0.0002, allowed is 0.0001" in message


def test_a_library_that_is_no_use_is_found_when_the_bundle_is_loaded() -> None:
    library = pack_library(np.concatenate([REFERENCES[:3], CUP]), WHITENER, CUP)
    whole = bundle_from_bytes(bundle_bytes(mixed_fields(), mixed_files(library_npz=library)))

    with pytest.raises(EngineFault, match="twin, is nothing but baseline"):
        Analyzer(whole)


def test_numbers_of_a_component_that_are_no_shares_are_refused() -> None:
    with pytest.raises(ValidationError):
        Component(label="a", title="A", score=0.9, fraction=1.2)
