"""A journal judged again: its results, with what was found of their measurement, whatever else it holds."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from edged.acquire.references import pack_spectrum
from edged.bulk import journals
from edged.bulk.errors import NotThisRun
from edged.cli.main import main
from edged.infer.verdict import Reason
from edged.spectra.quality import Quality
from edged.spectra.spectrum import Spectrum
from edged.store.journal import Journal
from tests.bulk.archives import Case, bundle_at, objects, wide_table
from tests.bundle.tiny import AXIS_NM
from tests.store.drafts import draft

STALE = Reason(code="reference_stale", message="an hour old", value=3600.0, limit=1800.0)
SATURATED = Reason(code="saturated", message="3 points", value=3.0, limit=0.0)


def packed(*first: float) -> bytes:
    values = np.zeros(len(AXIS_NM), dtype=np.float32)
    values[: len(first)] = first
    return pack_spectrum(Spectrum(axis=AXIS_NM.copy(), values=values, axis_unit="nm", quantity="absorbance"))


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Seven records: five results, the fourth without its spectrum, the fifth saturated; a clock and a reference."""
    path = tmp_path / "journal.db"
    with Journal.open(path) as opened:
        opened.append(draft(kind="clock"))
        opened.append(draft(), attachments={"spectrum.npz": packed(4)})
        opened.append(draft(kind="reference"), attachments={"spectrum.npz": packed(1)})
        stale = Quality(fit=True, reasons=(STALE,))
        opened.append(draft().model_copy(update={"quality": stale}), attachments={"spectrum.npz": packed(2, 2)})
        opened.append(draft(), attachments={"spectrum.npz": packed(40)})
        opened.append(draft())
        unfit = Quality(fit=False, reasons=(SATURATED,))
        opened.append(draft().model_copy(update={"quality": unfit}), attachments={"spectrum.npz": packed(4)})
    return path


def analyze(*args: object) -> Result:
    return CliRunner().invoke(main, ["analyze", *map(str, args)])


def test_each_result_is_judged_with_what_is_known_of_its_measurement(journal: Path, tmp_path: Path) -> None:
    result = analyze(journal, "--bundle", bundle_at(tmp_path), "--json")

    found = [json.loads(text) for text in result.stdout.splitlines()]
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as connection:
        ids = dict(connection.execute("SELECT seq, id FROM records"))
    connection.close()
    assert result.exit_code == 1
    assert [o["row"] for o in found] == [2, 4, 5, 6, 7]
    assert [o["title"] for o in found if "title" in o] == [ids[row] for row in (2, 4, 5, 7)]
    outcomes = [o["verdict"]["outcome"] if "verdict" in o else None for o in found]
    assert outcomes == ["identified", "inconclusive", "not_in_scope", None, "rejected"]
    assert STALE.model_dump() in found[1]["verdict"]["reasons"]
    assert found[4]["verdict"]["reasons"] == [SATURATED.model_dump()]
    assert found[3]["error"]["message"] == f"{journal}: record 6: its spectrum is gone"


def test_a_run_over_a_journal_gives_the_same_in_parts(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "RECORDS", 2)
    bundle = bundle_at(tmp_path)
    case = Case(inputs=[journal], out=tmp_path / "results.jsonl", bundle=bundle)

    mark = case.go()

    assert case.out.read_text() == analyze(journal, "--bundle", bundle, "--json").stdout
    assert (mark.jobs, mark.tally.spectra, mark.tally.errors) == (3, 5, 1)


def test_a_journal_that_grows_between_two_parts_of_a_run_gives_its_new_results_too(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "RECORDS", 1)
    monkeypatch.setattr("edged.bulk.run.MARK_EVERY_S", 0.0)
    case = Case(inputs=[journal], out=tmp_path / "results.jsonl", bundle=bundle_at(tmp_path))
    assert not case.go(stopping=lambda: len(case.marks) > 1).complete
    with Journal.open(journal) as opened:
        opened.append(draft(), attachments={"spectrum.npz": packed(0, 4)})

    mark = case.go()

    assert mark.complete
    assert [o["row"] for o in objects(case.out)] == [2, 4, 5, 6, 7, 8]
    assert objects(case.out)[-1]["verdict"]["label"] == "B"


def grown(journal: Path, *more: bytes) -> None:
    with Journal.open(journal) as opened:
        for data in more:
            opened.append(draft(), attachments={"spectrum.npz": data})


@pytest.mark.parametrize(
    ("records", "done"), [(1, 1), (1, 2), (1, 4), (1, 5), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (5, 1), (500, 1)]
)
def test_a_run_over_a_journal_goes_on_whatever_was_added_since_it_was_stopped(
    records: int, done: int, journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is stopped after so many jobs, again after one more, and the last range of each time is not a full one."""
    monkeypatch.setattr(journals, "RECORDS", records)
    monkeypatch.setattr("edged.bulk.run.MARK_EVERY_S", 0.0)
    case = Case(inputs=[journal], out=tmp_path / "results.jsonl", bundle=bundle_at(tmp_path))
    assert not case.go(stopping=lambda: len(case.marks) > done).complete
    for _ in range(3):
        before = len(case.marks)
        grown(journal, packed(0, 4), packed(0, 0, 4))
        if case.go(stopping=lambda before=before: len(case.marks) > before + 1).complete:  # type: ignore[misc]
            break

    while not case.go().complete:
        pass

    found = [o["row"] for o in objects(case.out)]
    assert found[:5] == [2, 4, 5, 6, 7]
    assert found == sorted(set(found))
    assert found[5:] == list(range(8, 8 + len(found) - 5))
    lines = analyze(journal, "--bundle", case.bundle, "--json").stdout.splitlines()
    assert case.out.read_text().splitlines() == lines[: len(found)]


def test_a_journal_that_was_passed_may_grow_and_its_new_results_are_for_another_run(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal, empty ones, and a table behind them: the run is stopped in the table."""
    monkeypatch.setattr("edged.bulk.run.MARK_EVERY_S", 0.0)
    monkeypatch.setattr("edged.bulk.jobs.SMALL_BYTES", 100)
    monkeypatch.setattr("edged.spectra.stretches.STRETCH_ROWS", 10)
    empty = tmp_path / "empty.db"
    Journal.open(empty).close()
    table = wide_table(tmp_path / "table.csv", 40)
    bundle = bundle_at(tmp_path)
    whole = Case(inputs=[journal, empty, table], out=tmp_path / "whole.jsonl", bundle=bundle)
    whole.go()
    case = Case(inputs=whole.inputs, out=tmp_path / "results.jsonl", bundle=bundle)
    assert not case.go(stopping=lambda: len(case.marks) > 2).complete
    grown(journal, packed(0, 4))
    grown(empty, packed(0, 4))

    mark = case.go()

    assert mark.complete
    assert case.out.read_bytes() == whole.out.read_bytes()


def test_what_is_added_while_a_run_is_at_work_on_a_journal_is_left_for_later(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "RECORDS", 2)
    case = Case(inputs=[journal], out=tmp_path / "results.jsonl", bundle=bundle_at(tmp_path))

    def adding() -> bool:
        if len(case.marks) == 2:
            grown(journal, packed(0, 4))
        return False

    mark = case.go(stopping=adding)

    assert mark.complete
    assert [o["row"] for o in objects(case.out)] == [2, 4, 5, 6, 7]


@pytest.mark.parametrize("ends", [7, [7], [[1, "a"]], [[1, 2, 3]], {"1": 2}, [[1, True]]])
def test_ends_of_journals_that_are_none_are_refused(
    ends: object, journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "RECORDS", 1)
    monkeypatch.setattr("edged.bulk.run.MARK_EVERY_S", 0.0)
    case = Case(inputs=[journal], out=tmp_path / "results.jsonl", bundle=bundle_at(tmp_path))
    case.go(stopping=lambda: len(case.marks) > 1)
    state = case.wanted().state
    lines = state.read_text().splitlines()
    mark = json.loads(lines[-1]) | {"journal_ends": ends}
    state.write_text("\n".join([*lines[:-1], json.dumps(mark)]) + "\n")

    with pytest.raises(NotThisRun, match="is no state of a run"):
        case.go()


def tamper(journal: Path, trigger: str, change: str, *values: object) -> None:
    connection = sqlite3.connect(journal)
    connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute(change, values)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("old", "new", "words", "records"),
    [
        ('"id"', '"ie"', "cannot be read", 1),
        ('"seq":4', '"seq":9', "contents and hash do not agree", 2),
        ("an hour old", "an hour odd", "contents and hash do not agree", 500),
    ],
)
def test_a_record_that_was_spoilt_is_told_in_its_place_and_the_others_are_judged(
    old: str, new: str, words: str, records: int, journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after each job and begun again, the run gives what it gives in one go."""
    tamper(journal, "records_never_change", "UPDATE records SET body = replace(body, ?, ?) WHERE seq = 4", old, new)
    monkeypatch.setattr(journals, "RECORDS", records)
    bundle = bundle_at(tmp_path)
    whole = Case(inputs=[journal], out=tmp_path / "whole.jsonl", bundle=bundle)
    again = Case(inputs=[journal], out=tmp_path / "again.jsonl", bundle=bundle)

    mark = whole.go()
    for done in range(1, 9):
        if again.go(stopping=lambda done=done: len(again.marks) > 2 * done).complete:  # type: ignore[misc]
            break

    found = objects(whole.out)
    assert [o["row"] for o in found] == [2, 4, 5, 6, 7]
    assert ["error" in o for o in found] == [False, True, False, True, False]
    assert found[1]["error"]["message"].startswith(f"{journal}: record 4: ")
    assert words in found[1]["error"]["message"]
    assert "edged journal verify" in found[1]["error"]["hint"]
    assert (mark.complete, mark.tally.spectra, mark.tally.errors) == (True, 5, 2)
    assert again.out.read_bytes() == whole.out.read_bytes()
    assert analyze(journal, "--bundle", bundle, "--json").stdout == whole.out.read_text()


def test_a_spectrum_that_was_tampered_with_is_told_and_the_others_are_judged(journal: Path, tmp_path: Path) -> None:
    tamper(journal, "attachments_only_lose_data", "UPDATE attachments SET data = ? WHERE seq = 4", packed(4))

    result = analyze(journal, "--bundle", bundle_at(tmp_path), "--json")

    found = [json.loads(text) for text in result.stdout.splitlines()]
    assert [o["row"] for o in found] == [2, 4, 5, 6, 7]
    assert found[1]["error"]["message"].startswith(f"{journal}: record 4: ")
    assert "is not what was stored" in found[1]["error"]["message"]


@pytest.mark.parametrize("data", [b"SQLite format 3\0" + bytes(1000), b"lorem ipsum\n"])
def test_a_database_that_is_no_journal_is_told(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(data)
    case = Case(inputs=[path], out=tmp_path / "results.jsonl", bundle=bundle_at(tmp_path))

    result = analyze(path, "--bundle", case.bundle, "--json")
    mark = case.go()

    (found,) = [json.loads(text) for text in result.stdout.splitlines()]
    assert (result.exit_code, found["row"]) == (1, None)
    assert found["error"]["message"].startswith(str(path))
    assert found["error"]["hint"]
    assert case.out.read_text() == result.stdout
    assert mark.tally.errors == 1
