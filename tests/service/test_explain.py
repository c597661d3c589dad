"""When a verdict is explained: the station's word, the command's before it, and never at the price of the verdict."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError

from drivers.contract import ExposureSettings
from edged.acquire.reading import Moment, Reading
from edged.bundle.archive import bundle_from_bytes
from edged.config.vocabulary import StationConfig
from edged.infer.analyze import Analyzer
from edged.infer.errors import EngineFault, NotOffered
from edged.infer.judge import Question
from edged.infer.verdict import Verdict
from edged.infer.why import Explanation, unpack_curves
from edged.service.measure import _explained
from edged.service.pipeline import CURVES, Asked, Finished, References, Rules, judge_reading
from edged.spectra.spectrum import Spectrum
from edged.store.identity import Uuid7
from tests.acquire.bench import raw_scan
from tests.bundle.tiny import tiny_bytes

GATE = [{"name": "open", "metric": "norm", "columns": [0, 1], "limits": {"balanced": 1e9, "confirm": 1e9}}]
AXIS = {"unit": "nm", "start": 950.0, "stop": 1600.0, "points": 8}


class Fails(Analyzer):
    """A graph that falls over at a spectrum with a line through it."""

    def explain(self, spectrum: Spectrum, verdict: Verdict) -> Explanation | None:
        raise EngineFault("the graph gave a value that is not a finite number")


def judged(kind: type[Analyzer] = Analyzer, *, explain: bool) -> Finished:
    """Counts of an array that rise along the axis, as a signal: of the first three points the third is the highest."""
    rising = np.linspace(9_000, 20_000, 16)
    scan = replace(
        raw_scan(),
        settings=ExposureSettings(integration_ms=50.0),
        raw=rising.astype(np.int32)[None],
        dark=np.zeros((1, 16), dtype=np.int32),
        counts=rising,
    )
    analyzer = kind(bundle_from_bytes(tiny_bytes(quantity="intensity", gates=GATE, axis=AXIS)))
    moment = Moment(wall_s=1000.0, monotonic_s=50.0, boot_id="a", synced=False)
    return judge_reading(
        Reading(station="bench", scan=scan, moment=moment, arrived_s=0.0),
        References(),
        analyzer,
        analyzer.question(),
        asked=Asked(),
        rules=Rules(),
        device="board",
        new_id=Uuid7(),
        explain=explain,
    )


def test_what_is_asked_for_stands_in_the_record_and_beside_it() -> None:
    finished, plain = judged(explain=True), judged(explain=False)

    (one,) = finished.draft.why
    assert finished.draft.verdict is not None
    assert (one.label, finished.draft.verdict.label) == ("C", "C")
    assert finished.draft.timing_ms["explain"] > 0.0
    curves = unpack_curves(finished.attachments[CURVES])
    assert (curves.axis[0], curves.axis[-1], len(curves.relevance)) == (950.0, 1600.0, 1)
    assert finished.draft.verdict == plain.draft.verdict
    assert (plain.draft.why, CURVES in plain.attachments, "explain" in plain.draft.timing_ms) == ((), False, False)


def test_an_explanation_that_fails_does_not_cost_the_verdict(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        finished = judged(Fails, explain=True)

    assert finished.draft.verdict is not None
    assert finished.draft.verdict.label == "C"
    assert (finished.draft.why, CURVES in finished.attachments) == ((), False)
    assert "verdict not explained" in caplog.text


class Breaks(Analyzer):
    """An explanation with a bug in it, which nobody has foreseen."""

    def explain(self, spectrum: Spectrum, verdict: Verdict) -> Explanation | None:
        raise ZeroDivisionError("no relevance")


def test_a_bug_in_an_explanation_does_not_cost_the_verdict_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    finished = judged(Breaks, explain=True)

    assert finished.draft.verdict == judged(explain=False).draft.verdict
    assert (finished.draft.why, CURVES in finished.attachments) == ((), False)
    assert "ZeroDivisionError: no relevance" in caplog.text


@pytest.mark.parametrize(
    ("station", "asked", "expected"),
    [(False, None, False), (True, None, True), (True, False, False), (False, True, True)],
)
def test_a_command_goes_before_the_station(station: bool, asked: bool | None, expected: bool) -> None:
    config = StationConfig(kind="nirscan", port="/dev/x", explain=station)
    question = Question(procedure="identify", preset="balanced", claimed=None)

    assert _explained(config, Asked(explain=asked), question) is expected


def test_an_amount_is_refused_an_explanation_where_somebody_asks_for_it() -> None:
    config = StationConfig(kind="nirscan", port="/dev/x", explain=True)
    question = Question(procedure="quantify", preset="balanced", claimed=None)

    assert _explained(config, Asked(), question) is False
    with pytest.raises(NotOffered, match="an amount is not explained"):
        _explained(config, Asked(explain=True), question)
    with pytest.raises(ValidationError, match="explain is set"):
        StationConfig(kind="nirscan", port="/dev/x", explain=True, procedure="quantify")
