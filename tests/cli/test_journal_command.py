from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edged.cli.main import main
from edged.infer.verdict import Component, Estimate, Verdict, Why
from edged.store.journal import Journal
from edged.store.record import BundleInfo
from tests.store.drafts import assert_chain, draft


@pytest.fixture
def place(tmp_path: Path) -> Path:
    with Journal.open(tmp_path / "journal.db") as journal:
        journal.append(draft(kind="reference"), attachments={"spectrum": b"1"})
        for number in range(59):
            journal.append(draft(note=f"=cmd|{number}"))
    return tmp_path


def edged(place: Path, *words: str) -> Result:
    return CliRunner().invoke(main, ["journal", *words, "--storage", str(place)])


def test_list_prints_results_as_stored_oldest_first(place: Path) -> None:
    done = edged(place, "list", "--json")

    assert done.exit_code == 0
    seqs = [json.loads(line)["seq"] for line in done.stdout.splitlines()]
    assert seqs == list(range(2, 61))
    whole = edged(place, "list", "--json", "--kind", "all").stdout_bytes
    assert len(assert_chain(whole.splitlines())) == 60


def test_list_can_be_limited_and_continued(place: Path) -> None:
    newest = edged(place, "list", "--json", "--limit", "2").stdout.splitlines()
    first = edged(place, "list", "--json", "--limit", "2", "--after", "10").stdout.splitlines()

    assert [json.loads(line)["seq"] for line in newest] == [59, 60]
    assert [json.loads(line)["seq"] for line in first] == [11, 12]


def test_list_as_a_table_ends_with_the_newest(place: Path) -> None:
    lines = edged(place, "list").stdout.splitlines()

    assert len(lines) == 51
    assert "identified" in lines[-1]
    assert "Acetaminophen, 90 %" in lines[-1]
    assert lines[-1].split()[0] == "60"


def test_show_prints_one_record(place: Path) -> None:
    record = json.loads(edged(place, "list", "--json", "--limit", "1").stdout)

    assert json.loads(edged(place, "show", record["id"], "--json").stdout) == record
    assert json.loads(edged(place, "show", record["id"]).stdout) == record
    missing = edged(place, "show", "nobody")
    assert (missing.exit_code, "no record nobody" in missing.stderr) == (1, True)


def test_verify_names_the_place_and_exits_with_1(place: Path) -> None:
    whole = edged(place, "verify")
    head = whole.stdout.splitlines()[1].removeprefix("head: ")
    same = edged(place, "verify", "--head", head)
    longer = edged(place, "verify", "--json", "--head", f"61:{head.split(':')[1]}")
    db = sqlite3.connect(place / "journal.db")
    db.execute("DROP TRIGGER records_never_change")
    db.execute("UPDATE records SET body = replace(body, 'Acet', 'Mace') WHERE seq = 7")
    db.commit()
    db.close()
    broken = edged(place, "verify")

    assert (whole.exit_code, same.exit_code, longer.exit_code, broken.exit_code) == (0, 0, 1, 1)
    assert "intact: 60 records" in whole.stdout
    assert json.loads(longer.stdout)["broken_seq"] == 61
    assert "broken at record 7" in broken.stderr


def test_export_writes_lines_as_stored_and_rows_for_a_spreadsheet(place: Path) -> None:
    lines, table = place / "out.jsonl", place / "out.csv"

    assert edged(place, "export", str(lines), "--kind", "all").stdout == f"60 records in {lines}\n"
    assert edged(place, "export", str(table)).stdout == f"59 records of kind result in {table}\n"

    assert len(assert_chain(lines.read_bytes().splitlines())) == 60
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert len(rows) == 59
    assert rows[0]["outcome"] == "identified"
    assert float(rows[0]["probability"]) == 0.9993
    assert rows[0]["note"] == "'=cmd|0"
    again = edged(place, "export", str(table))
    assert (again.exit_code, "--force" in again.stderr) == (2, True)
    assert list(place.glob(".out*")) == []


def test_no_text_of_a_bundle_is_run_by_the_spreadsheet_that_opens_an_export(place: Path) -> None:
    name = "=cmd|' /C calc'!A0"
    told = Verdict(
        procedure="identify",
        preset="balanced",
        outcome="identified",
        label=name,
        title=name,
        amounts=(Estimate(label=name, title=name, unit="mg", value=-3.0, low=-4.0, high=-2.0),),
        components=(Component(label=name, title=name, score=0.5),),
    )
    why = Why(label=name, title=name, unit="nm", score=1.0, without=0.0)
    bundle = BundleInfo(name=name, version="1", digest="0")
    with Journal.open(place / "journal.db") as journal:
        journal.append(draft().model_copy(update={"verdict": told, "why": (why,), "bundle": bundle}))

    edged(place, "export", str(place / "out.csv"))

    *_, last = csv.DictReader((place / "out.csv").read_text().splitlines())
    for column in ("label", "title", "amounts", "components", "why", "bundle"):
        assert last[column].startswith("'="), column


def test_amounts_are_listed_and_exported_with_their_intervals(place: Path) -> None:
    amount = Estimate(label="drug", title="Drug", unit="mg", value=312.4, low=295.4, high=329.4)
    told = Verdict(procedure="quantify", preset="balanced", outcome="quantified", amounts=(amount,))
    with Journal.open(place / "journal.db") as journal:
        journal.append(draft().model_copy(update={"procedure": "quantify", "verdict": told}))

    listed = edged(place, "list", "--limit", "1")
    edged(place, "export", str(place / "out.csv"))

    assert "312 mg (295 to 329)" in listed.stdout
    *_, named, last = csv.DictReader((place / "out.csv").read_text().splitlines())
    assert (last["outcome"], last["amounts"]) == ("quantified", "drug 312.4 mg (295.4 to 329.4)")
    assert (named["amounts"], named["p_value"]) == ("", "")


def test_an_attachment_is_written_once_or_it_is_said_why_not(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "spectrum.npz"

    written, again = (edged(place, "show", "1", "--attachment", "spectrum", str(out)) for _ in range(2))
    never = edged(place, "show", "1", "--attachment", "residual.npz", str(tmp_path / "none"))
    with Journal.open(place / "journal.db") as journal, journal.database.transaction("drop"):
        journal.database.execute("UPDATE attachments SET data = NULL")
    dropped = edged(place, "show", "1", "--attachment", "spectrum", str(tmp_path / "none"))

    assert (written.exit_code, written.stderr, out.read_bytes()) == (0, f"{out}: written\n", b"1")
    for done, words in (
        (again, f"{out}: File exists"),
        (never, "no attachment residual.npz: there never was one"),
        (dropped, "no attachment spectrum: retention has dropped it"),
    ):
        assert done.exit_code == 1
        assert words in done.stderr
    assert "it was stored with spectrum" in never.stderr
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["none/results.csv", "none/results.jsonl"])
def test_an_export_to_where_nothing_can_be_written_is_one_line_and_exit_1(place: Path, name: str) -> None:
    done = edged(place, "export", str(place / name))

    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert f"{place / name}: No such file or directory" in done.stderr
    assert "give another file" in done.stderr


@pytest.mark.parametrize(
    "head",
    ["", "60", "60:", f":{'f' * 64}", f"x:{'f' * 64}", f"60:{'f' * 63}", f"60:{'g' * 64}", f"{'9' * 5000}:{'f' * 64}"],
)
def test_a_head_that_is_none_is_refused_and_not_called_a_broken_chain(place: Path, head: str) -> None:
    done = edged(place, "verify", "--head", head)

    assert done.exit_code == 2
    assert "it reads SEQ:HASH" in done.stderr


def test_a_journal_that_is_not_there_is_one_line_and_exit_1(tmp_path: Path) -> None:
    for words in (["list"], ["show", "x"], ["verify"], ["export", str(tmp_path / "o.csv")]):
        done = edged(tmp_path, *words)

        assert done.exit_code == 1
        assert done.stderr.count("\n") == 1
        assert "no such journal" in done.stderr
    assert json.loads(edged(tmp_path, "list", "--json").stdout)["ok"] is False


def test_the_journal_can_be_read_while_it_is_written(place: Path) -> None:
    with Journal.open(place / "journal.db") as writer:
        writer.append(draft())

        assert len(edged(place, "list", "--json").stdout.splitlines()) == 60
