"""The daemon's follower of the journal: what counts, what is written once, and what a power cut may not spoil."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from drivers.contract import Identity
from edged.bundle.archive import Bundle, bundle_from_bytes
from edged.infer.analyze import Analyzer
from edged.infer.verdict import Component, Estimate, Gate, Unexplained, Verdict
from edged.monitor.monitor import MAX_PRODUCTS, Key, Monitor
from edged.monitor.product import Learning
from edged.monitor.state import key_text
from edged.service.control import Refusal
from edged.service.drift import DriftWatch
from edged.service.drifting import InUse, as_absorbance, items, product_of, score, take, varies
from edged.service.pipeline import Asked
from edged.spectra.quality import Quality
from edged.store.charts import MAX_KEY
from edged.store.journal import Journal
from edged.store.record import BundleInfo
from tests.bundle.tiny import tiny_bytes
from tests.service.ledger import RULES, UNIT, Ledger, followed, some, taken

LAST = Verdict(procedure="identify", preset="balanced", outcome="identified", label="one too many")


def test_a_drift_becomes_a_record_a_warning_and_a_line_of_status(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    ledger = Ledger(tmp_path, bundle)
    ledger.results(some(rows, 60, 3))
    ledger.results(some(rows, 60, 5, "lamp=-0.03"))

    watch, health = followed(ledger, analyzer, until=taken(60))

    assert ledger.events() == [("baseline", None), ("began", "lamp")]
    began = ledger.drifts()[1]
    assert began.drift is not None
    assert (began.drift.product, began.drift.units["axis"], began.drift.units["lamp"]) == ("P", "nm", "%")
    assert began.drift.changes["lamp"] == pytest.approx(-3.0, abs=0.6)
    assert began.drift.since_seq is not None
    assert abs(began.drift.since_seq - 61) <= 20
    assert began.drift.since == "2026-11-21T04:07:22.169Z"
    assert 'edged drift renew bench --note "new lamp"' in began.drift.hint
    (warning,) = health.warnings()
    assert (warning.code, warning.subject) == ("drift_lamp", "bench")
    assert warning.detail == began.drift.message
    assert watch.documents["bench"][0]["state"] == "alarm"


@pytest.mark.parametrize("cut_at", ["everything", "damaged", "behind"])
def test_after_a_power_cut_the_journal_is_read_again_and_nothing_is_told_twice(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64], cut_at: str
) -> None:
    """The state is lost, spoiled, or as old as before the first record; the records are there."""
    ledger = Ledger(tmp_path, bundle)
    ledger.results(some(rows, 60, 3))
    ledger.results(some(rows, 50, 5, "lamp=-0.03"))
    followed(ledger, analyzer, until=taken(50))
    told = ledger.events()
    statement = {
        "everything": "DELETE FROM drift",
        "damaged": "UPDATE drift SET body = substr(body, 1, 100) WHERE key <> 'seq'",
        "behind": "UPDATE drift SET body = zeroblob(8) WHERE key = 'seq'; DELETE FROM drift WHERE key <> 'seq'",
    }[cut_at]
    with sqlite3.connect(ledger.path) as other:
        other.executescript(statement)
    other.close()
    ledger.results(some(rows, 10, 6, "lamp=-0.03"))

    watch, health = followed(ledger, analyzer, until=taken(60))

    assert ledger.events() == told == [("baseline", None), ("began", "lamp")]
    assert [warning.code for warning in health.warnings()] == ["drift_lamp"]
    assert watch.documents["bench"][0]["state"] == "alarm"


def test_an_alarm_stands_again_after_a_restart_before_anything_is_measured(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    ledger = Ledger(tmp_path, bundle)
    ledger.results([*some(rows, 60, 3), *some(rows, 60, 5, "lamp=-0.03")])
    followed(ledger, analyzer, until=taken(60))

    _, health = followed(ledger, analyzer, until=lambda watch: bool(watch.documents))

    assert [warning.code for warning in health.warnings()] == ["drift_lamp"]


def test_what_was_not_accepted_or_is_of_another_bundle_does_not_count(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    ledger, some_rows = Ledger(tmp_path, bundle), some(rows, 3, 3)
    for outcome in ("inconclusive", "not_in_scope", "rejected", "fail"):
        ledger.results(some_rows, outcome)  # type: ignore[arg-type]
    ledger.results(some_rows, quality=Quality(fit=False))
    ledger.results(some_rows, bundle=BundleInfo(name="x", version="0.9.0", digest="00" * 32))
    ledger.results(some_rows)

    watch, _ = followed(ledger, analyzer, until=taken(3))

    (document,) = watch.documents["bench"]
    assert (document["product"], document["state"], document["readings"], document["wanted"]) == (
        "P",
        "learning",
        3,
        60,
    )


def test_a_result_counts_by_the_bundle_that_judges_at_its_own_station(
    tmp_path: Path, bundle: Bundle, rows: NDArray[np.float64]
) -> None:
    other, ledger = bundle_from_bytes(tiny_bytes()), Ledger(tmp_path, bundle)
    ledger.results(some(rows, 3, 3))
    ledger.results(some(rows, 2, 4), station="spare")
    with Journal.open(ledger.path, read_only=True) as journal:
        found = items(journal, after_seq=0, limit=20)

    def counted(in_use: InUse) -> dict[str, int]:
        monitor = Monitor(RULES)
        for item in found:
            take(monitor, item, in_use)
        return {key.station: len(watch.rows) for key, watch in monitor.products.items() if isinstance(watch, Learning)}

    assert counted(InUse(usual=bundle)) == {"bench": 3, "spare": 2}
    assert counted(InUse(usual=bundle, own={"spare": other})) == {"bench": 3}
    assert counted(InUse(usual=other, own={"spare": bundle})) == {"spare": 2}
    assert counted(InUse(usual=bundle, own={"spare": None})) == {"bench": 3}


def test_to_learn_anew_is_a_record_with_who_and_why_and_ends_the_alarm(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    ledger = Ledger(tmp_path, bundle)
    ledger.results([*some(rows, 60, 3), *some(rows, 60, 5, "lamp=-0.03")])
    identity = Identity(kind=UNIT.kind, model=UNIT.model, serial_number=UNIT.serial_number)

    async def order(watch: DriftWatch) -> None:
        while not taken(60)(watch):
            await asyncio.sleep(0.005)
        with pytest.raises(Refusal, match="knows no product 'Q'") as caught:
            await watch.renew("bench", identity, "Q", Asked())
        assert caught.value.hint == "there are: P"
        await watch.renew("bench", identity, None, Asked(operator="kl", note="new lamp"))

    watch, health = followed(ledger, analyzer, until=lambda watch: watch.documents.get("bench") == [], meanwhile=order)

    last = ledger.drifts()[-1]
    assert last.drift is not None
    assert (last.drift.event, last.operator, last.note, last.instrument) == ("renewed", "kl", "new lamp", UNIT)
    assert health.warnings() == []
    assert watch.documents == {"bench": []}


def test_an_alarm_is_silent_while_another_instrument_is_there_and_stands_again_with_its_own(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    ledger, other = Ledger(tmp_path, bundle), UNIT.model_copy(update={"serial_number": "7"})
    ledger.results([*some(rows, 60, 3), *some(rows, 60, 5, "lamp=-0.03")])
    ledger.results(some(rows, 1, 3), instrument=other)
    silent = followed(ledger, analyzer, until=taken(1))[1].warnings()
    restarted = followed(ledger, analyzer, until=lambda watch: bool(watch.documents))[1].warnings()
    ledger.results(some(rows, 1, 5, "lamp=-0.03"))

    back = followed(ledger, analyzer, until=taken(61))[1].warnings()

    assert (silent, restarted) == ([], [])
    assert [warning.code for warning in back] == ["drift_lamp"]


def test_what_was_learned_of_a_bundle_goes_with_it(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    ledger = Ledger(tmp_path, bundle)
    ledger.results([*some(rows, 60, 3), *some(rows, 60, 5, "lamp=-0.03")])
    followed(ledger, analyzer, until=taken(60))
    with sqlite3.connect(ledger.path) as connection:
        connection.execute("UPDATE drift SET key = replace(key, ?, ?)", (bundle.digest, "00" * 32))
    connection.close()

    watch, health = followed(ledger, analyzer, until=lambda watch: bool(watch.documents))

    assert watch.documents == {"bench": []}
    assert health.warnings() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE attachments SET data = zeroblob(100) WHERE seq IN (2, 30)",
        "UPDATE records SET body = '{}' WHERE seq IN (2, 30)",
        "UPDATE records SET body = zeroblob(40) WHERE seq IN (2, 30)",
        "UPDATE records SET body = iif(seq < 4, '{}', replace(body, ':40,', ':1,')) WHERE seq IN (2, 3, 40)",
        "UPDATE records SET body = '{}' WHERE seq <= 2",
    ],
)
def test_what_was_spoilt_in_the_journal_is_passed_over_and_hides_nothing_behind_it(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64], statement: str
) -> None:
    ledger = Ledger(tmp_path, bundle)
    ledger.results([*some(rows, 62, 3), *some(rows, 60, 5, "lamp=-0.03")])
    ledger.tamper(statement)

    followed(ledger, analyzer, until=taken(60))

    assert ledger.events() == [("baseline", None), ("began", "lamp")]


def test_a_start_passes_over_what_was_spoilt_and_an_alarm_whose_beginning_was_stands_all_the_same(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    ledger = Ledger(tmp_path, bundle)
    ledger.results([*some(rows, 60, 3), *some(rows, 60, 5, "lamp=-0.03")])
    followed(ledger, analyzer, until=taken(60))
    began = ledger.drifts()[1].drift
    assert began is not None
    ledger.tamper(f"UPDATE records SET body = '{{}}' WHERE seq = {began.since_seq} OR kind = 'drift'")

    _, health = followed(ledger, analyzer, until=lambda watch: bool(watch.documents))

    (warning,) = health.warnings()
    assert warning.code == "drift_lamp"
    assert f"since record {began.since_seq} " in warning.detail


def test_what_cannot_be_restored_is_gone_from_the_file_once_it_was_learned_anew(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    """Rows of another instrument, damaged: nothing ever writes over them, so they would spoil every start."""
    ledger = Ledger(tmp_path, bundle)
    ledger.results(some(rows, 30, 3))
    followed(ledger, analyzer, until=taken(30))
    good = ledger.kept_keys()
    ledger.tamper(
        'INSERT INTO drift VALUES (\'["bench", "7", "", null]\', \'no state\');'
        "INSERT INTO drift VALUES ('too large', zeroblob(5000000))"
    )
    ledger.results(some(rows, 30, 4))

    followed(ledger, analyzer, until=taken(0))

    assert ledger.events() == [("baseline", None)]
    assert ledger.kept_keys() == good


def test_without_a_model_everything_waits_in_the_journal(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    ledger = Ledger(tmp_path, bundle)
    ledger.results(some(rows, 30, 3))
    followed(ledger, analyzer, until=taken(30))
    ledger.results(some(rows, 30, 4))

    async def order(watch: DriftWatch) -> None:
        while not watch.documents:
            await asyncio.sleep(0.005)
        await watch.renew("bench", None, None, Asked(note="new lamp"))
        await asyncio.sleep(0.3)

    watch, _ = followed(ledger, None, until=lambda _: True, meanwhile=order)
    assert watch.documents["bench"][0]["readings"] == 30
    ledger.results(some(rows, 7, 5))

    watch, _ = followed(ledger, analyzer, until=taken(7))

    assert ledger.events() == [("renewed", None), ("baseline", None)]  # of the sixty before the order
    assert watch.documents["bench"][0]["state"] == "learning"


def test_whites_by_other_optical_settings_are_not_compared(tmp_path: Path, bundle: Bundle, analyzer: Analyzer) -> None:
    """Twice the width, twice the light. A gain that is no number is none, and ends nothing."""
    ledger = Ledger(tmp_path, bundle)
    ledger.white(100.0, width_px=7, gain=1)
    ledger.white(200.0, width_px=14, gain=1)
    ledger.white(800.0, width_px=14, gain=4)
    ledger.white(200.0, width_px=14, gain="loud")
    ledger.white(100.0, width_px=14, gain=1)

    followed(ledger, analyzer, until=lambda _: bool(ledger.drifts()))

    (began,) = (record.drift for record in ledger.drifts())
    assert began is not None
    assert (began.event, began.signal, began.at_seq) == ("began", "white_level", 5)
    assert began.changes["white_level"] == pytest.approx(-50.0)


def test_a_product_that_has_to_go_while_it_alarms_has_its_end_in_the_journal(
    tmp_path: Path,
    bundle: Bundle,
    analyzer: Analyzer,
    rows: NDArray[np.float64],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Other products come from another instrument: the end is of the one that began."""
    ledger, other = Ledger(tmp_path, bundle), UNIT.model_copy(update={"serial_number": "7"})
    ledger.results(some(rows, 60, 3))
    followed(ledger, analyzer, until=taken(0))
    quiet = ledger.kept_body()
    ledger.results(some(rows, 60, 5, "lamp=-0.03"))
    followed(ledger, analyzer, until=taken(60))
    ledger.keep([f"P{number}" for number in range(MAX_PRODUCTS - 1)], quiet, serial_number=other.serial_number)
    ledger.results(some(rows, 1, 3), instrument=other, verdict=LAST)

    _, health = followed(ledger, analyzer, until=lambda _: ("ended", "lamp") in ledger.events())

    assert ledger.events() == [("baseline", None), ("began", "lamp"), ("ended", "lamp")]
    _, began, ended = ledger.drifts()
    assert began.drift is not None
    assert ended.drift is not None
    assert (ended.instrument, ended.bundle, ended.drift.product) == (UNIT, began.bundle, "P")
    assert ended.drift.message == f"not watched any more: {began.drift.message}"
    assert ended.drift.units == began.drift.units
    assert health.warnings() == []
    assert [r.levelname for r in caplog.records if "32 products at most" in r.getMessage()] == ["WARNING"]


def test_the_score_is_the_gate_nearest_to_its_limit_and_a_distance_below_zero_has_none() -> None:
    gates = (
        Gate(name="near", distance=8.0, limit=10.0, passed=True),
        Gate(name="far", distance=1.0, limit=10.0, passed=True),
        Gate(name="none", distance=-9.0, limit=-3.0, passed=True),
    )
    verdict = Verdict(procedure="identify", preset="balanced", outcome="identified", label="P", gates=gates)

    assert score(verdict) == pytest.approx(np.log10(0.8))
    assert score(verdict.model_copy(update={"gates": gates[2:]})) is None
    assert product_of(verdict) == "P"
    fitted = verdict.model_copy(update={"unexplained": Unexplained(value=1.8, limit=2.0)})
    assert score(fitted) == pytest.approx(np.log10(0.9))


def resolved(*labels: str) -> Verdict:
    components = tuple(Component(label=label, title=label, score=1.0) for label in labels)
    return Verdict(procedure="components", preset="balanced", outcome="resolved", components=components)


def test_a_mixture_is_charted_as_the_set_of_its_compounds_whichever_there_is_more_of(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    ledger = Ledger(tmp_path, bundle)
    both = resolved("lactose", "acetaminophen"), resolved("acetaminophen", "lactose")
    measured = [*some(rows, 60, 3), *some(rows, 60, 5, "axis=1.0")]
    for number in range(0, len(measured), 15):
        ledger.results(measured[number : number + 15], verdict=both[number // 15 % 2])

    followed(ledger, analyzer, until=taken(60))

    assert ledger.events() == [("baseline", None), ("began", "axis")]
    assert {record.drift.product for record in ledger.drifts() if record.drift} == {"acetaminophen + lactose"}


def test_what_says_nothing_of_how_much_there_is_may_vary() -> None:
    amount = Estimate(label="dose", title="Dose", unit="mg", value=100.0, low=90.0, high=110.0)
    named = Verdict(procedure="identify", preset="balanced", outcome="identified", label="P")

    assert varies(named.model_copy(update={"amounts": (amount,)}))
    assert varies(resolved("a", "b"))
    assert not varies(resolved("a"))
    assert not varies(named)


def test_a_set_too_long_for_its_place_is_told_by_its_first_label_and_a_digest() -> None:
    """32 compounds of 64 letters: two sets that differ in one are two products, and each key fits where it is kept."""
    labels = [f"{number:02d}" + "x" * 62 for number in range(32)]
    one, other = product_of(resolved(*labels)), product_of(resolved(*labels[:-1], "z"))

    assert one.startswith(f"{labels[0]} + 31 more (")
    assert one != other
    assert one == product_of(resolved(*reversed(labels)))
    assert len(key_text(Key(station="s" * 32, serial_number="1" * 64, bundle="f" * 64, product=one))) <= MAX_KEY
    assert product_of(resolved(*labels[:3])) == " + ".join(labels[:3])
    assert product_of(resolved("only")) == "only"


def test_light_is_put_on_a_scale_where_lamp_and_path_add_up(bundle: Bundle) -> None:
    manifest = bundle.manifest
    counts = np.array([100.0, 10.0, 0.0])

    told = as_absorbance(counts, manifest.model_copy(update={"quantity": "intensity"}))

    assert told[:2] == pytest.approx([-2.0, -1.0], abs=1e-3)
    assert np.isfinite(told).all()
    assert as_absorbance(counts, manifest) is counts
