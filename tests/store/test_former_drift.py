"""What a journal holds stays readable: drift that former charts found, EWMA and zones, which there are no more.

`former_drift.jsonl` was stored by the first version that watched drift.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner, Result

from edged.cli.main import main
from edged.monitor.words import Cause, ChartName, DriftEvent, SignalName
from edged.service.standing import said
from edged.store.journal import Journal
from edged.store.record import DriftChart
from tests.store.drafts import assert_chain, draft

FORMER = Path(__file__).with_name("former_drift.jsonl").read_bytes().splitlines()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder of a journal that holds the former records, and a result behind them."""
    Journal.open(tmp_path / "journal.db").close()
    with sqlite3.connect(tmp_path / "journal.db") as database:
        for body in FORMER:
            record = json.loads(body)
            taken = record["taken_at"]
            database.execute(
                "INSERT INTO records (seq, id, kind, station, serial, wall, clock, hash, body)"
                " VALUES (?, ?, 'drift', 'bench', '6100023', ?, ?, ?, ?)",
                (record["seq"], record["id"], taken["wall"], taken["clock"], record["hash"], body),
            )
    database.close()
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.append(draft())
    return tmp_path


def edged(place: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["journal", *words, "--storage", str(place)])


def test_former_drift_is_listed_and_shown(place: Path) -> None:
    listed = edged(place, "list", "--kind", "drift")
    shown = [edged(place, "show", json.loads(body)["id"]) for body in FORMER]

    assert listed.exit_code == 0, listed.output
    assert len(listed.stdout.splitlines()) == 1 + len(FORMER)
    assert [one.exit_code for one in shown] == [0, 0], shown[0].output
    assert [json.loads(one.stdout)["drift"]["chart"] for one in shown] == ["ewma", "zones"]


def test_former_drift_is_exported_and_verified_as_stored(place: Path) -> None:
    lines, table = place / "out.jsonl", place / "out.csv"

    done = [edged(place, "export", str(file), "--kind", "all") for file in (lines, table)]

    assert [one.exit_code for one in done] == [0, 0], done[1].output
    assert lines.read_bytes().splitlines()[:2] == FORMER
    assert len(assert_chain(lines.read_bytes().splitlines())) == 3
    assert "lamp: temperature of the filament changed by -1.5 %" in table.read_text()
    assert edged(place, "verify").exit_code == 0


def test_former_drift_is_read_by_the_daemon(place: Path) -> None:
    """The newest record tells it of an unsynced clock, those of drift what was told."""
    with Journal.open(place / "journal.db", read_only=True) as journal:
        newest_first = [record.kind for record in journal.records(newest_first=True)]
        began = said(journal, orders_until=3).began

    assert newest_first == ["result", "drift", "drift"]
    assert set(began) == {("bench", "6100023", "lamp"), ("bench", "6100023", "axis")}


def test_no_word_that_a_record_may_hold_is_ever_taken_away() -> None:
    """More may come. These have been stored by versions that people have."""
    assert set(get_args(DriftChart)) >= {"cusum", "white", "ewma", "zones"} | set(get_args(ChartName))
    assert set(get_args(Cause)) >= {"lamp", "axis", "presentation", "product"}
    assert set(get_args(DriftEvent)) >= {"baseline", "began", "ended", "renewed"}
    assert set(get_args(SignalName)) >= {
        "lamp", "sensor", "axis", "offset", "path", "residual", "score", "white_level", "white_tilt"
    }  # fmt: skip
