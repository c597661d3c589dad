from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from edged.bundle.archive import bundle_from_bytes
from edged.infer.analyze import Analyzer
from edged.infer.errors import NotOffered, WrongKind
from edged.infer.verdict import Reason
from edged.spectra.spectrum import Spectrum
from tests.bundle.tiny import AXIS_NM, tiny_bytes

ANALYZER = Analyzer(bundle_from_bytes(tiny_bytes()), clock=itertools.count().__next__)


def spectrum(first: tuple[float, float, float], axis: Any = AXIS_NM, quantity: Any = "absorbance") -> Spectrum:
    values = np.array([*first, 0, 0, 0, 0, 0], dtype=np.float32)
    return Spectrum(axis=np.array(axis), values=values, axis_unit="nm", quantity=quantity)


def test_a_spectrum_near_a_class_is_identified_with_the_probabilities_of_all() -> None:
    found = ANALYZER.analyze(spectrum((4.0, 0.0, 0.0)))

    others = 1 / (np.exp(4) + 2)
    assert (found.verdict.outcome, found.verdict.label) == ("identified", "A")
    assert found.probabilities == {
        "A": pytest.approx(np.exp(4) * others),
        "B": pytest.approx(others),
        "C": pytest.approx(others),
    }
    assert found.timing_ms == {"resample": 1000.0, "graph": 1000.0, "judge": 1000.0}


def test_an_inconclusive_spectrum_has_probabilities_too() -> None:
    found = ANALYZER.analyze(spectrum((2.0, 2.0, 0.0)))

    assert found.verdict.outcome == "inconclusive"
    assert found.probabilities is not None
    assert found.probabilities["A"] == found.probabilities["B"]


def test_behind_a_shut_gate_there_are_no_probabilities() -> None:
    found = ANALYZER.analyze(spectrum((40.0, 0.0, 0.0)))

    assert (found.verdict.outcome, found.probabilities) == ("not_in_scope", None)


def test_a_spectrum_that_ends_inside_the_axis_is_rejected_with_the_numbers() -> None:
    found = ANALYZER.analyze(spectrum((4.0, 0.0, 0.0), axis=AXIS_NM + 5.0))

    assert (found.verdict.outcome, found.verdict.label, found.probabilities) == ("rejected", None, None)
    (reason,) = found.verdict.reasons
    assert (reason.code, reason.value, reason.limit) == ("axis_not_covered", 5.0, 0.0)
    assert reason.message == "the spectrum covers 1005 to 1075 nm, the model needs 1000 to 1070 nm"


def test_an_unfit_measurement_is_rejected_with_all_its_reasons() -> None:
    saturated = Reason(code="saturated", message="3 points", value=3.0, limit=0.0)

    found = ANALYZER.analyze(spectrum((4.0, 0.0, 0.0)), measurement=(saturated,))
    also_short = ANALYZER.analyze(spectrum((4.0, 0.0, 0.0), axis=AXIS_NM + 5.0), measurement=(saturated,))

    assert (found.verdict.outcome, found.verdict.reasons, found.timing_ms) == ("rejected", (saturated,), {})
    assert [r.code for r in also_short.verdict.reasons] == ["saturated", "axis_not_covered"]


def test_a_question_is_asked_once_and_put_to_many() -> None:
    asked = ANALYZER.question(procedure="verify", claimed="B", preset="balanced")

    outcomes = [ANALYZER.analyze(spectrum(first), asked).verdict.outcome for first in ((0, 4, 0), (4, 0, 0), (9, 9, 9))]

    assert outcomes == ["pass", "fail", "not_in_scope"]


def test_what_is_not_offered_is_refused_before_a_spectrum_is_there() -> None:
    with pytest.raises(NotOffered):
        ANALYZER.question(preset="screen")


def test_counts_are_not_absorbance() -> None:
    with pytest.raises(WrongKind):
        ANALYZER.analyze(spectrum((4.0, 0.0, 0.0), quantity="counts"))
