"""`edged analyze --out`: what it says and how it ends; that a run is right is for tests/bulk."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edged.bulk.errors import RunBroken
from edged.bulk.inputs import MAX_DEPTH, listings
from edged.cli.archive import EXIT_BROKEN, EXIT_NOT_THIS
from edged.cli.main import main
from tests.bulk.archives import bundle_at, objects, wide_table


@pytest.fixture(scope="module", autouse=True)
def _tracker() -> None:
    """Python's own helper of processes that are started afresh: it stays until this process ends, so it begins here."""
    ensure_running()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return bundle_at(tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return wide_table(tmp_path / "archive.csv", 50)


def analyze(*args: object) -> Result:
    return CliRunner().invoke(main, ["analyze", *map(str, args)])


def test_a_run_says_how_many_it_judged_and_is_repeated_for_nothing(bundle: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    words = (table, "--bundle", bundle, "--out", out, "--workers", 1)

    first, again, as_json = analyze(*words), analyze(*words), analyze(*words, "--json")

    assert (first.exit_code, again.exit_code, as_json.exit_code) == (0, 0, 0)
    assert first.stdout.startswith(f"50 spectra in {out}: ")
    assert again.stdout == first.stdout
    told = json.loads(as_json.stdout)
    assert told == {
        "out": str(out),
        "complete": True,
        "spectra": 50,
        "errors": 0,
        "outcomes": {
            name: sum(o["verdict"]["outcome"] == name for o in objects(out))
            for name in ("identified", "inconclusive", "not_in_scope")
        },
    }


def test_broken_rows_are_told_and_counted(bundle: Path, tmp_path: Path) -> None:
    table, out = wide_table(tmp_path / "archive.csv", 100), tmp_path / "results.jsonl"

    result = analyze(table, "--bundle", bundle, "--out", out, "--workers", 1)

    assert result.exit_code == 1
    assert "100 spectra in" in result.stdout
    assert "2 errors" in result.stdout
    told = objects(out)
    assert told[96]["error"]["message"] == f"{table}: line 98, column 5: 'nan' is not a finite number"
    assert told[88]["error"]["message"] == f"{table}: line 90 has 5 values, the axis 8"


def test_what_does_not_fit_what_lies_there_has_its_own_status(bundle: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "results.jsonl"
    out.write_text("mine")

    as_text = analyze(table, "--bundle", bundle, "--out", out)
    as_json = analyze(table, "--bundle", bundle, "--out", out, "--json")

    assert (as_text.exit_code, as_json.exit_code) == (EXIT_NOT_THIS, EXIT_NOT_THIS)
    assert as_text.stderr == f"{out}: exists already (give another --out, or remove it)\n"
    assert json.loads(as_json.stdout) == {
        "complete": False,
        "error": {"message": f"{out}: exists already", "hint": "give another --out, or remove it"},
    }


def test_a_folder_that_cannot_be_written_is_told(bundle: Path, table: Path, tmp_path: Path) -> None:
    (tmp_path / "results.jsonl.part").mkdir()

    result = analyze(table, "--bundle", bundle, "--out", tmp_path / "results.jsonl", "--workers", 1)

    assert result.exit_code == EXIT_BROKEN
    assert "results.jsonl.part: is a directory" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "results.txt"], "the name must end in .jsonl or .csv"),
        (["--out", "none/results.csv"], "there is no folder none"),
        (["--out", "o.csv", "--save", "folder"], "--save and --out do not go together"),
        (["--out", "o.csv", "--workers", "2", "--dask", "tcp://host:1"], "--dask is a cluster: leave one out"),
        (["--workers", "2"], "--workers is for runs with --out FILE"),
        (["--match", "*.csv"], "--match is for runs with --out FILE"),
        (["--dask", "tcp://host:1"], "--dask is for runs with --out FILE"),
    ],
)
def test_words_that_do_not_go_together_are_wrong_usage(
    words: list[str], said: str, bundle: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    result = analyze(table, "--bundle", bundle, *words)

    assert result.exit_code == 2
    assert said in result.stderr


def test_results_do_not_go_into_a_folder_that_is_read(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    wide_table(tmp_path / "archive" / "a.csv", 3)

    result = analyze(tmp_path / "archive", "--bundle", bundle, "--out", tmp_path / "archive" / "o.jsonl")

    assert result.exit_code == 2
    assert "which is read: name a place elsewhere" in result.stderr


def test_a_question_of_a_few_files_loads_nothing_that_only_runs_need(bundle: Path, table: Path) -> None:
    code = (
        "import sys\n"
        "from edged.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(sorted({'rich', 'multiprocessing', 'distributed', 'edged.bulk.run'} & set(sys.modules)))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, "analyze", "--json", str(table), "--bundle", str(bundle)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout.splitlines()[-1] == "[]"


def test_what_no_run_can_ever_read_does_not_promise_that_the_same_command_goes_on(bundle: Path, tmp_path: Path) -> None:
    """A pipe, a pipe in a folder, and folders in folders without an end."""
    piped, deep = tmp_path / "piped", tmp_path / "deep"
    piped.mkdir()
    os.mkfifo(piped / "pipe.csv")
    (deep / Path(*["f"] * (MAX_DEPTH + 1))).mkdir(parents=True)
    wide_table(deep / Path(*["f"] * MAX_DEPTH) / "last.csv", 3)

    said = {
        name: analyze(name, "--bundle", bundle, "--out", tmp_path / "o.jsonl", "--workers", 1)
        for name in (piped / "pipe.csv", piped, deep)
    }

    assert [(result.exit_code, "is a pipe" in result.stderr) for result in said.values()] == [
        (EXIT_NOT_THIS, True),
        (EXIT_NOT_THIS, True),
        (EXIT_NOT_THIS, False),
    ]
    assert f"lies more than {MAX_DEPTH} folders deep (name a folder farther down)" in said[deep].stderr


def test_a_folder_that_is_not_readable_may_be_made_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide_table(tmp_path / "a.csv", 3)

    def denied(folder: str) -> None:
        raise PermissionError(errno.EACCES, "no", folder)

    with monkeypatch.context() as patch:
        patch.setattr("edged.bulk.inputs.os.scandir", denied)
        with pytest.raises(RunBroken) as caught:
            listings([str(tmp_path)], None)

    assert str(caught.value) == f"{tmp_path}: permission denied (make it readable for this user)"
