"""A run gives the same bytes however often and wherever it was stopped, and refuses to go on with something else."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from collections import Counter
from concurrent.futures import CancelledError, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from distributed.comm.core import CommClosedError

from edged.bulk import jobs as planning
from edged.bulk import run as running
from edged.bulk.answers import digest_of
from edged.bulk.errors import NotThisRun, RunBroken
from edged.bulk.state import State
from edged.cli.main import main
from edged.spectra import stretches
from edged.spectra.files import read_spectra
from edged.spectra.rows import Found
from tests.bulk.archives import Case, bundle_at, objects, wide_table


@pytest.fixture(autouse=True)
def _small_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "STRETCH_ROWS", 40)
    monkeypatch.setattr(planning, "SMALL_BYTES", 1000)
    monkeypatch.setattr(running, "MARK_EVERY_S", 0.0)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    table = wide_table(tmp_path / "archive.csv", 400)
    return Case(inputs=[table], out=tmp_path / "results.jsonl", bundle=bundle_at(tmp_path))


def one_by_one(case: Case) -> list[str]:
    words = [*map(str, case.inputs), "--bundle", str(case.bundle), "--json"]
    return CliRunner().invoke(main, ["analyze", *words]).stdout.splitlines()


def test_a_run_tells_of_each_spectrum_what_analyze_tells_in_the_same_order(case: Case) -> None:
    mark = case.go()

    lines = case.out.read_text().splitlines()
    assert lines == one_by_one(case)
    assert [json.loads(text)["row"] for text in lines] == list(range(1, 401))
    outcomes = Counter(o["verdict"]["outcome"] for o in objects(case.out) if "verdict" in o)
    assert mark.complete
    assert mark.tally.outcomes == outcomes
    assert mark.tally.errors == sum("error" in o for o in objects(case.out)) == 400 // 97 + 400 // 89
    assert not case.out.with_name("results.jsonl.part").exists()


def test_the_digest_of_a_spectrum_is_that_of_its_numbers(case: Case) -> None:
    import hashlib

    case.go()

    for row, told in zip(read_spectra(case.inputs[0]), objects(case.out), strict=True):
        if isinstance(row, Found):
            numbers = row.spectrum.axis.astype("<f8").tobytes() + row.spectrum.values.astype("<f4").tobytes()
            assert told["digest"] == hashlib.sha256(numbers + b"nm absorbance").hexdigest()
            assert told["digest"] == digest_of(row.spectrum)


def test_a_run_cut_off_at_any_byte_ends_with_the_same_bytes(case: Case, tmp_path: Path) -> None:
    """Every state that a kill can leave: any beginning of FILE.run, and at least what it speaks of in FILE.part."""
    case.go()
    state, whole = case.wanted().state.read_bytes(), case.out.read_bytes()
    lines = state.splitlines(keepends=True)
    ends = np.cumsum([len(line) for line in lines])
    rng = np.random.default_rng(3)
    cuts = [0, 1, *ends[:-1], *(int(n) for n in rng.integers(0, ends[-2], 8))]
    for cut in cuts:
        again = Case(inputs=case.inputs, out=tmp_path / "again.jsonl", bundle=case.bundle)
        kept = [json.loads(line) for line, end in zip(lines, ends, strict=True) if end <= cut][1:]
        written = kept[-1]["out_bytes"] if kept else 0
        again.wanted().state.write_bytes(state[:cut])
        again.wanted().part.write_bytes(whole[:written] + rng.bytes(int(rng.integers(0, 300))))

        again.go()

        assert again.out.read_bytes() == whole, cut
        assert again.marks[0].jobs == (kept[-1]["jobs"] if kept else 0)
        for path in (again.out, again.wanted().state):
            path.unlink()


def test_a_run_that_was_stopped_again_and_again_ends_with_the_same_bytes(case: Case, tmp_path: Path) -> None:
    case.go()
    again = Case(inputs=case.inputs, out=tmp_path / "again.jsonl", bundle=case.bundle)
    stops = 0
    while True:
        before = len(again.marks)
        mark = again.go(stopping=lambda before=before: len(again.marks) > before + 2)  # type: ignore[misc]
        if mark.complete:
            break
        stops += 1
        assert not again.out.exists()

    assert stops >= 2
    assert again.out.read_bytes() == case.out.read_bytes()


def test_a_run_that_is_complete_is_told_again_without_work(case: Case) -> None:
    first = case.go()
    written = case.out.stat().st_mtime_ns

    second = case.go()

    assert second == first
    assert case.out.stat().st_mtime_ns == written


def stop_after(case: Case, jobs: int) -> None:
    """Do a part of the run."""
    assert not case.go(stopping=lambda: len(case.marks) > jobs).complete


def test_another_question_is_refused_with_what_differs(case: Case) -> None:
    stop_after(case, 3)
    other = Case(inputs=case.inputs, out=case.out, bundle=case.bundle, preset="confirm")

    with pytest.raises(NotThisRun, match='the run began with preset "balanced"; now it is "confirm"'):
        other.go()


def test_another_bundle_is_refused(case: Case, tmp_path: Path) -> None:
    stop_after(case, 3)
    bundle_at(tmp_path, version="1.2.4")

    with pytest.raises(NotThisRun, match=r'"version": "1\.2\.3".*now it is.*"version": "1.2.4"'):
        case.go()


def test_a_bundle_that_changes_under_a_run_ends_it(case: Case, tmp_path: Path) -> None:
    wanted = case.wanted()
    bundle_at(tmp_path, version="1.2.4")

    with pytest.raises(NotThisRun, match="is another bundle than the run began with"):
        running_on_a_thread(wanted)


def running_on_a_thread(wanted: running.Run) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from edged.bulk.crew import Crew

    with ThreadPoolExecutor(1) as pool:
        running.run(wanted, Crew(executor=pool, size=lambda: 1), report=lambda _: None, stopping=lambda: False)


@pytest.mark.parametrize("where", ["what is judged", "what is left"])
def test_a_changed_input_is_refused_by_name(case: Case, where: str) -> None:
    stop_after(case, 5)
    text = case.inputs[0].read_text()
    place = text.index("s9,") if where == "what is judged" else text.index("s390,")
    case.inputs[0].write_text(text[:place] + "x" + text[place + 1 :])

    with pytest.raises(
        NotThisRun, match=r"archive\.csv: has changed since the run began: .* a name or a time is another"
    ):
        case.go()


def test_a_change_that_left_size_and_time_alone_is_found_in_what_was_judged(case: Case) -> None:
    table = case.inputs[0]
    noted = table.stat().st_mtime_ns
    stop_after(case, 5)
    text = table.read_text()
    table.write_text(text.replace("s9,", "x9,"))
    os.utime(table, ns=(noted, noted))

    with pytest.raises(NotThisRun, match=r"archive\.csv: holds something else than the run has judged"):
        case.go()


def test_a_file_that_changes_while_it_is_judged_ends_the_run(case: Case) -> None:
    table = case.inputs[0]
    wanted = case.wanted()
    with table.open("a") as file:
        file.write("more,1,2,3,4,5,6,7,8\n")

    with pytest.raises(NotThisRun, match=r"archive\.csv: has changed since the run began"):
        running_on_a_thread(wanted)


def test_other_inputs_or_another_order_are_refused(case: Case, tmp_path: Path) -> None:
    stop_after(case, 3)
    more = wide_table(tmp_path / "more.csv", 5)

    for inputs in ([*case.inputs, more], [more]):
        with pytest.raises(NotThisRun, match="began with other files"):
            Case(inputs=inputs, out=case.out, bundle=case.bundle).go()


def test_results_that_are_there_are_never_replaced(case: Case) -> None:
    case.out.write_text("mine")

    with pytest.raises(NotThisRun, match=r"results\.jsonl: exists already"):
        case.go()

    assert case.out.read_text() == "mine"
    assert not case.wanted().state.exists()


def test_results_that_were_cut_removed_or_changed_are_told(case: Case) -> None:
    stop_after(case, 5)
    part = case.wanted().part
    kept = part.read_bytes()
    part.write_bytes(kept[:-1])
    with pytest.raises(NotThisRun, match="is shorter than"):
        case.go()
    part.unlink()
    with pytest.raises(NotThisRun, match=r"\.part: is gone"):
        case.go()
    part.write_bytes(kept)
    case.go()
    case.out.write_bytes(b"less")
    with pytest.raises(NotThisRun, match=r"is not what .* calls complete"):
        case.go()
    case.out.unlink()
    with pytest.raises(NotThisRun, match=r"is gone, which .* calls complete"):
        case.go()


@pytest.mark.parametrize(
    "text", ["{}\n", "[1]\n", "lorem\nipsum\n", '{"schema": "edged.bulk/1"}\n', "\x00" * 50 + "\n", "[" * 5000 + "\n"]
)
def test_a_state_that_is_none_is_refused(case: Case, text: str) -> None:
    case.wanted().state.write_text(text)

    with pytest.raises(NotThisRun) as caught:
        case.go()

    assert caught.value.hint


@pytest.mark.parametrize("key", ["jobs", "chain", "outcomes", "file_ended"])
def test_a_mark_that_is_none_is_refused(case: Case, key: str) -> None:
    stop_after(case, 5)
    state = case.wanted().state
    lines = state.read_text().splitlines()
    mark = json.loads(lines[-1])
    mark[key] = "none"
    state.write_text("\n".join([*lines[:-1], json.dumps(mark)]) + "\n")

    with pytest.raises(NotThisRun):
        case.go()


def test_two_runs_at_one_file_are_one_too_many(case: Case) -> None:
    with State(case.wanted().state), pytest.raises(NotThisRun, match="another run is at work on it"):
        case.go()


def test_a_full_disk_ends_the_run_and_room_lets_it_go_on(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    whole = case.go()
    again = Case(inputs=case.inputs, out=tmp_path / "again.jsonl", bundle=case.bundle)

    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RunBroken, match=r"again\.jsonl.*no space left on device"):
            again.go()

    assert again.go().tally == whole.tally
    assert again.out.read_bytes() == case.out.read_bytes()


class Failing(Executor):
    """Workers that all end in one way."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def submit(self, *_: object, **__: object) -> Future[object]:  # type: ignore[override]
        future: Future[object] = Future()
        future.set_exception(self._error)
        return future


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BrokenProcessPool("terminated abruptly"), "a worker died at its work"),
        (CancelledError(), "the cluster dropped what it was given"),
        (MemoryError(), "a worker had too little memory"),
        (ModuleNotFoundError("No module named 'edged'"), "a worker lacks what the work needs: No module named 'edged'"),
        (CommClosedError("the stream is closed"), "the cluster failed: the stream is closed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_workers_that_fail_end_the_run_with_a_word_and_a_cure(case: Case, error: BaseException, said: str) -> None:
    with pytest.raises(RunBroken) as caught:
        case.go(executor=Failing(error))

    assert caught.value.message.startswith(said)
    assert "the same command goes on" in caught.value.hint
    assert case.go().complete


class Broken(Executor):
    """A pool whose worker died before all work was given."""

    def submit(self, *_: object, **__: object) -> Future[object]:  # type: ignore[override]
        raise BrokenProcessPool("terminated abruptly")


def test_a_worker_that_dies_before_all_work_is_given_is_told_likewise(case: Case) -> None:
    with pytest.raises(RunBroken, match="a worker died at its work"):
        case.go(executor=Broken())

    assert case.go().complete


def test_a_table_that_ends_in_rubbish_ends_there_as_it_does_one_by_one(case: Case) -> None:
    text = case.inputs[0].read_bytes()
    place = text.index(b"s300,")
    case.inputs[0].write_bytes(text[:place] + b"\x00\x01rubbish\n" + text[place:])

    mark = case.go()

    told = objects(case.out)
    assert case.out.read_text().splitlines() == one_by_one(case)
    assert told[-1]["row"] is None
    assert "line 301 holds binary data" in told[-1]["error"]["message"]
    assert mark.tally.spectra == 299


def test_folders_are_judged_by_name_and_what_cannot_be_read_is_told_in_its_place(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    (archive / "b").mkdir(parents=True)
    wide_table(archive / "b" / "large.csv", 200, seed=4)
    for name, seed in (("a.csv", 5), ("c.csv", 6), ("b/z.csv", 7)):
        wide_table(archive / name, 3, seed=seed)
    (archive / "b" / "empty.csv").touch()
    (archive / ".hidden.csv").write_text("lorem")
    (archive / "notes.txt").write_text("lorem ipsum\n")
    case = Case(inputs=[archive], out=tmp_path / "results.jsonl", bundle=bundle_at(tmp_path), match="*.csv")

    mark = case.go()

    files = list(dict.fromkeys(o["file"] for o in objects(case.out)))
    assert files == [str(archive / name) for name in ("a.csv", "b/empty.csv", "b/large.csv", "b/z.csv", "c.csv")]
    assert mark.tally.spectra == 3 * 3 + 200
    case.inputs, case.match = [Path(name) for name in files], None
    assert case.out.read_text().splitlines() == one_by_one(case)


def test_a_folder_that_gains_a_file_under_a_run_ends_it(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    wide_table(archive / "a.csv", 3)
    case = Case(inputs=[archive], out=tmp_path / "results.jsonl", bundle=bundle_at(tmp_path))
    wanted = case.wanted()
    wide_table(archive / "b.csv", 3)

    with pytest.raises(NotThisRun, match="archive: has changed since the run began"):
        running_on_a_thread(wanted)


def test_a_pipe_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").mkdir()

    for name, words in (("pipe", "is a pipe, which cannot be read twice"), ("empty", "holds no file")):
        with pytest.raises(NotThisRun, match=words):
            Case(inputs=[tmp_path / name], out=tmp_path / "o.jsonl", bundle=bundle_at(tmp_path)).go()


def test_a_file_that_is_not_there_gives_a_line_that_says_so(tmp_path: Path) -> None:
    case = Case(inputs=[tmp_path / "none.csv"], out=tmp_path / "o.jsonl", bundle=bundle_at(tmp_path))

    mark = case.go()

    assert case.out.read_text().splitlines() == one_by_one(case)
    assert (mark.complete, mark.tally.spectra, mark.tally.errors) == (True, 0, 1)


def test_a_csv_of_results_says_the_same_and_runs_no_formula(tmp_path: Path) -> None:
    import csv

    table = wide_table(tmp_path / "=archive.csv", 120)
    table.write_text(table.read_text().replace("s7,", "=1+1,"))
    case = Case(inputs=[table], out=tmp_path / "results.csv", bundle=bundle_at(tmp_path))

    case.go()

    with case.out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    told = [json.loads(text) for text in one_by_one(case)]
    assert len(rows) == len(told) == 120
    for row, one in zip(rows, told, strict=True):
        assert row["row"] == str(one["row"])
        if "error" in one:
            assert row["error"] == one["error"]["message"]
            continue
        verdict = one["verdict"]
        assert (row["outcome"], row["label"], row["digest"]) == (
            verdict["outcome"],
            verdict["label"] or "",
            one["digest"],
        )
        assert row["probability"] == ("" if verdict["probability"] is None else repr(verdict["probability"]))
        assert row["reasons"].split() == [reason["code"] for reason in verdict["reasons"]]
    assert rows[6]["title"] == "'=1+1"


def test_memory_does_not_grow_with_the_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = {}
    bundle = bundle_at(tmp_path)
    for rows in (100, 100, 1000):  # the first one also loads what stays
        folder = tmp_path / f"{rows}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        case = Case(inputs=[wide_table(folder / "a.csv", rows)], out=folder / "o.jsonl", bundle=bundle)
        wanted = case.wanted()
        tracemalloc.start()
        running_on_a_thread(wanted)
        peaks[rows] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert peaks[1000] < peaks[100] + 200_000  # ten times the rows; their results alone are 1 MB more
