"""Charts that have to be learned again, by another version's rules too: what was told is not told again as today's."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edged.bundle.archive import Bundle
from edged.infer.analyze import Analyzer
from edged.infer.verdict import Verdict
from edged.monitor.monitor import Rules
from edged.service.drift import DriftWatch
from edged.service.pipeline import Asked
from tests.service.ledger import UNIT, Ledger, followed, some, taken

SOONER = Rules(readings=50)  # other charts: they learn, alarm and end at other records than the usual ones


def of_edition(ledger: Ledger, edition: int) -> None:
    """Leave the state as another version of edged would."""
    with sqlite3.connect(ledger.path) as database:
        for key, body in database.execute("SELECT key, body FROM drift WHERE key <> 'seq'").fetchall():
            with np.load(io.BytesIO(body)) as file:
                arrays = {name: file[name] for name in file.files}
            plain = json.loads(bytes(arrays["plain"])) | {"edition": edition}
            arrays["plain"] = np.frombuffer(json.dumps(plain).encode(), dtype=np.uint8)
            changed = io.BytesIO()
            np.savez(changed, **arrays)
            database.execute("UPDATE drift SET body = ? WHERE key = ?", (changed.getvalue(), key))
    database.close()


def test_after_an_update_an_alarm_stands_and_is_not_told_again(
    tmp_path: Path,
    bundle: Bundle,
    analyzer: Analyzer,
    rows: NDArray[np.float64],
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger = Ledger(tmp_path, bundle)
    ledger.results([*some(rows, 60, 3), *some(rows, 60, 5, "lamp=-0.03")])
    followed(ledger, analyzer, until=taken(60))
    told = ledger.drifts()
    of_edition(ledger, 2)
    caplog.clear()
    caplog.set_level("INFO", "edged.service.drift")

    watch, health = followed(ledger, analyzer, until=taken(70), rules=SOONER)

    assert ledger.drifts() == told
    assert ledger.events() == [("baseline", None), ("began", "lamp")]
    assert [warning.code for warning in health.warnings()] == ["drift_lamp"]
    assert watch.documents["bench"][0]["state"] == "alarm"
    (said,) = (record for record in caplog.records if record.name == "edged.service.drift")
    assert said.levelname == "INFO"
    assert "of another edition" in said.getMessage()
    assert "edition 2, this version writes edition 3" in said.getMessage()


def test_after_an_update_what_is_over_stays_over_and_what_comes_is_told(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    ledger = Ledger(tmp_path, bundle)
    ledger.results([*some(rows, 60, 3), *some(rows, 60, 5, "lamp=-0.03")])
    followed(ledger, analyzer, until=taken(60))
    ledger.results(some(rows, 120, 7))
    followed(ledger, analyzer, until=taken(180))
    assert ledger.events() == [("baseline", None), ("began", "lamp"), ("ended", "lamp")]
    of_edition(ledger, 2)

    followed(ledger, analyzer, until=taken(190), rules=SOONER)
    silent = ledger.events()
    ledger.results(some(rows, 60, 9, "lamp=-0.03"))
    followed(ledger, analyzer, until=taken(250), rules=SOONER)

    assert silent == [("baseline", None), ("began", "lamp"), ("ended", "lamp")]
    assert ledger.events() == [*silent, ("began", "lamp")]
    again = ledger.drifts()[-1].drift
    assert again is not None
    assert again.since_seq is not None
    assert again.since_seq > 240


def test_an_alarm_that_the_charts_learned_anew_do_not_show_is_ended_once(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    """To learn takes longer now than there are readings."""
    ledger = Ledger(tmp_path, bundle)
    ledger.results([*some(rows, 60, 3), *some(rows, 60, 5, "lamp=-0.03")])
    followed(ledger, analyzer, until=taken(60))
    for _ in range(2):
        of_edition(ledger, 2)
        _, health = followed(ledger, analyzer, until=taken(120), rules=Rules(readings=200))

    assert ledger.events() == [("baseline", None), ("began", "lamp"), ("ended", "lamp")]
    _, began, ended = ledger.drifts()
    assert began.drift is not None
    assert ended.drift is not None
    assert (ended.instrument, ended.bundle, ended.station) == (UNIT, began.bundle, "bench")
    assert (ended.drift.at_seq, ended.drift.since_seq) == (began.seq, began.drift.since_seq)
    assert ended.drift.message == f"not found again when the journal was read anew: {began.drift.message}"
    assert health.warnings() == []


def test_what_began_and_ended_before_anybody_watched_is_no_news_but_what_stands_is(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    ledger = Ledger(tmp_path, bundle)
    ledger.results([*some(rows, 60, 3), *some(rows, 60, 5, "lamp=-0.03"), *some(rows, 120, 7)])
    ledger.white(100.0)
    ledger.white(50.0)

    followed(ledger, analyzer, until=taken(180))

    assert ledger.events() == [("baseline", None), ("began", "lamp")]
    began = ledger.drifts()[1].drift
    assert began is not None
    assert (began.signal, began.at_seq) == ("white_level", 242)


def test_an_order_to_learn_anew_counts_when_the_journal_is_read_again(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    """The lamp was changed, and the new one's light is what is usual from then on."""
    ledger = Ledger(tmp_path, bundle)
    ledger.results([*some(rows, 60, 3), *some(rows, 60, 5, "lamp=-0.03")])

    async def order(watch: DriftWatch) -> None:
        while not taken(60)(watch):
            await asyncio.sleep(0.005)
        await watch.renew("bench", None, None, Asked(note="new lamp"))

    followed(ledger, analyzer, until=lambda watch: watch.documents.get("bench") == [], meanwhile=order)
    ledger.results(some(rows, 70, 6, "lamp=-0.03"))
    followed(ledger, analyzer, until=taken(10))
    told = [("baseline", None), ("began", "lamp"), ("renewed", None), ("baseline", None)]
    assert ledger.events() == told
    of_edition(ledger, 2)

    _, health = followed(ledger, analyzer, until=taken(20), rules=SOONER)

    assert ledger.events() == told
    assert health.warnings() == []


def test_of_a_drift_that_another_product_began_nothing_is_told_again(
    tmp_path: Path, bundle: Bundle, analyzer: Analyzer, rows: NDArray[np.float64]
) -> None:
    """Both show the lamp, the first one told it; it is well again, and the other still shows it."""
    ledger = Ledger(tmp_path, bundle)
    other = Verdict(procedure="identify", preset="balanced", outcome="identified", label="Q", probability=1.0)
    ledger.results(some(rows, 60, 3))
    ledger.results(some(rows, 60, 4), verdict=other)
    ledger.results(some(rows, 60, 5, "lamp=-0.03"))
    followed(ledger, analyzer, until=taken(60))
    ledger.results(some(rows, 60, 6, "lamp=-0.03"), verdict=other)
    ledger.results(some(rows, 120, 7))
    followed(ledger, analyzer, until=taken(180))
    told = [("baseline", None), ("baseline", None), ("began", "lamp")]
    assert ledger.events() == told
    of_edition(ledger, 2)

    watch, health = followed(ledger, analyzer, until=taken(190), rules=SOONER)

    assert ledger.events() == told
    assert {one["product"]: one["state"] for one in watch.documents["bench"]} == {"P": "steady", "Q": "alarm"}
    assert [warning.code for warning in health.warnings()] == ["drift_lamp"]
