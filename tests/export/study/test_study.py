"""Studies: cells measured once, wherever they are measured; stopped, continued, and shown as a page."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from export.baselines.library import LibraryWords
from export.data.augment import HANDHELD_NIR, Session
from export.errors import DataUnusable, ExportError
from export.learning import Learning
from export.page import Heading, Page, Picture, Table, Text
from export.preprocess.words import LogStep, SnvStep
from export.processes import collect
from export.study.archive import read_outcomes, write_outcomes
from export.study.cell import BlockPart, Candidate, Cell, GroupPart, Outcome, RandomShare, Stress
from export.study.command import evaluate
from export.study.grid import study as grid
from export.study.measure import measure, rows_of, score
from export.study.run import run
from export.study.study import accuracy, table
from export.study.tablets.cells import CLOSEST, PAIR
from export.study.tablets.study import study as tablets
from tests.export.study.spectra import made_up

LEARNING = Learning(
    epochs=1,
    batch=16,
    learning_rate=1e-3,
    weight_decay=0.0,
    label_smoothing=0.0,
    ema=0.9,
    strength=1.0,
    augmentation=HANDHELD_NIR,
)
STRESS = Stress(session=Session(shift=1.0, gain=0.01, offset_au=0.0, slope_au=0.0, noise_au=1e-4), sessions=2)


def cell(test: int = 0, **other: Any) -> Cell:
    words: dict[str, Any] = {
        "set": "api20",
        "split": BlockPart(scans=1, test=test),
        "name": "library search",
        "candidates": (
            Candidate(
                name="SNV",
                steps=(LogStep(kind="negative-log"), SnvStep(kind="snv")),
                network=LibraryWords(),
                learning=LEARNING,
            ),
        ),
        "stress": STRESS,
    }
    return Cell(**(words | other))


class Counting(ThreadPoolExecutor):
    """An executor that knows what it was asked for."""

    def __init__(self) -> None:
        super().__init__(1)
        self.asked: list[Cell] = []

    def submit(self, function: Any, /, *words: Any, **named: Any) -> Future[Any]:
        self.asked.append(words[0])
        return super().submit(function, *words, **named)


def measured(cells: Sequence[Cell], executor: Executor, data: Path, folder: Path, **words: Any) -> list[Outcome]:
    known = words.pop("known", {})
    return run(
        cells,
        measure=measure,
        kind=Outcome,
        data=data,
        folder=folder,
        known=known,
        executor=executor,
        progress=lambda *_: None,
        **words,
    )


def without_time(outcome: Outcome) -> dict[str, Any]:
    return outcome.model_dump(exclude={"seconds"})


def test_mcc_and_kappa_are_those_of_a_confusion_worked_by_hand() -> None:
    """Two classes, 6 of 10 and 8 of 10 right: MCC = (48 - 8) / sqrt(8 * 10 * 10 * 12); kappa = (0.7 - 0.5) / 0.5."""
    truth, named = np.repeat([0, 1], 10), np.array([0] * 6 + [1] * 4 + [1] * 8 + [0] * 2)

    found = score(truth, named)

    assert found.accuracy == pytest.approx(0.7)
    assert found.mcc == pytest.approx(40 / np.sqrt(9600), abs=1e-6)
    assert found.kappa == pytest.approx(0.4, abs=1e-6)
    assert found.macro_f1 == pytest.approx((12 / 18 + 16 / 22) / 2, abs=1e-6)


def test_a_random_share_is_drawn_class_by_class_and_groups_are_not_split() -> None:
    spectra = made_up(classes=3, groups=4, scans=5)

    train, test = rows_of(cell(split=RandomShare(train=0.6, seed=1)), spectra)

    assert np.bincount(spectra.targets[train]).tolist() == [12, 12, 12]
    assert sorted([*train.tolist(), *test.tolist()]) == list(range(60))
    train, test = rows_of(cell(split=GroupPart(parts=4, test=2, seed=0)), spectra)
    assert not set(spectra.groups[train].tolist()) & set(spectra.groups[test].tolist())
    assert np.bincount(spectra.targets[test]).tolist() == [5, 5, 5]


def test_a_split_that_leaves_nothing_to_test_is_refused() -> None:
    with pytest.raises(DataUnusable, match="leaves a side empty"):
        rows_of(cell(split=BlockPart(scans=20, test=3)), made_up(classes=2, groups=2, scans=5))


def test_a_stopped_study_measures_only_what_is_left(data_dir: Path, tmp_path: Path) -> None:
    cells = [cell(test) for test in range(3)]
    with Counting() as executor:
        first = measured(cells[:2], executor, data_dir, tmp_path)
    (tmp_path / f"{cells[1].digest()}.json").write_text("{ torn off")

    with Counting() as executor:
        found = measured(cells, executor, data_dir, tmp_path)

    assert executor.asked == cells[1:]
    assert without_time(found[0]) == without_time(first[0])
    assert [outcome.cell for outcome in found] == cells


def test_what_an_archive_knows_is_not_measured_again(data_dir: Path, tmp_path: Path) -> None:
    known = measure(cell(), data_dir)
    write_outcomes(tmp_path / "a.gz", [known])
    write_outcomes(tmp_path / "b.gz", [known])

    with Counting() as executor:
        kept = read_outcomes(tmp_path / "a.gz", Outcome)
        found = measured([cell()], executor, data_dir, tmp_path / "work", known=kept)

    assert executor.asked == []
    assert found == [known]
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b"{}\n"), gzip.compress(b"\xff\xfe")],
    ids=["no gzip", "another thing", "no text"],  # the bytes hold the time, on which two workers may differ
)
def test_an_archive_that_is_none_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(content)

    with pytest.raises(DataUnusable, match="no outcomes of a study"):
        read_outcomes(tmp_path / "x.gz", Outcome)


def test_after_the_time_is_over_what_is_at_work_is_kept_and_nothing_else_is_begun() -> None:
    begun: list[int] = []
    kept: dict[str, int] = {}

    def work(number: int) -> int:
        begun.append(number)
        return number

    with ThreadPoolExecutor(1) as executor:
        gate: Future[None] = Future()
        blocked = executor.submit(lambda: (gate.result(), work(0))[1])
        waiting = {blocked: "at work", executor.submit(work, 1): "not begun"}
        collect(waiting, kept.__setitem__, interrupted=lambda: gate.set_result(None), within_s=0.01)

    assert kept in ({"at work": 0}, {"at work": 0, "not begun": 1})  # the second may begin while the first ends
    assert sorted(kept.values()) == begun


def test_ctrl_c_keeps_what_is_at_work_and_goes_on() -> None:
    kept: dict[str, int] = {}

    def keep(name: str, number: int) -> None:
        if not kept:
            kept[name] = number
            raise KeyboardInterrupt
        kept[name] = number

    with ThreadPoolExecutor(1) as executor:
        waiting = {executor.submit(int, 7): "first"}
        with pytest.raises(KeyboardInterrupt):
            collect(waiting, keep, interrupted=lambda: None)

    assert kept == {"first": 7}


PROCESSES = "processes(2)"
CLUSTER = """LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster, \\
            dask_workers(cluster.scheduler_address)"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("workers", [PROCESSES, CLUSTER], ids=["processes", "dask"])
def test_other_processes_and_a_dask_cluster_give_what_this_process_gives(
    workers: str, data_dir: Path, repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "cell.json").write_text(cell().model_dump_json())
    program = tmp_path / "program.py"
    program.write_text(f"""
from pathlib import Path
from distributed import LocalCluster
from export.processes import dask_workers, processes
from export.study.cell import Cell, Outcome
from export.study.measure import measure
from export.study.run import run
if __name__ == "__main__":
    cell = Cell.model_validate_json(Path({str(tmp_path / "cell.json")!r}).read_bytes())
    with {workers} as executor:
        found = run([cell], measure=measure, kind=Outcome, data=Path({str(data_dir)!r}),
                    folder=Path({str(tmp_path / "work")!r}), known={{}}, executor=executor, progress=lambda *_: None)
    print(found[0].model_dump_json())
""")
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository), "DASK_TEMPORARY_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    there, here = Outcome.model_validate_json(done.stdout.splitlines()[-1]), measure(cell(), data_dir)
    assert without_time(there) == without_time(here)
    assert here.score.accuracy > 0.9
    assert len(here.tested) == len(here.predicted) == 20


def test_a_scheduler_that_is_not_there_is_named(repository: Path, tmp_path: Path) -> None:
    words = ["evaluate", "tablets", "--dask", "tcp://127.0.0.1:9", "--only", "k-NN", "--work", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "export.main", *words],
        cwd=repository,
        env={**os.environ, "DASK_TEMPORARY_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )

    assert done.returncode == 1
    assert "no scheduler answers at tcp://127.0.0.1:9" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tablet"], "no study is named 'tablet'"),
        (["tablets", "--only", "vgg"], "no model of tablets has 'vgg'"),
        (["unknowns", "--only", "energy"], "unknowns is measured in one piece"),
    ],
)
def test_a_name_that_is_none_is_told(words: list[str], said: str) -> None:
    result = CliRunner().invoke(evaluate, [*words, "--json"])

    assert result.exit_code == 1
    assert said in json.loads(result.stdout)["error"]


def test_every_model_of_the_tablets_is_measured_on_every_split_of_the_literature_and_by_batches() -> None:
    cells = tablets().cells
    names = {one.name for one in cells}

    assert {"invertresnet", "gru-2", "SVM", "RF", "PLS-DA", "SVM as published", *CLOSEST} <= names
    for name in names:
        kinds = [one.split for one in cells if one.name == name]
        assert sum(isinstance(split, GroupPart) for split in kinds) == (50 if name in CLOSEST else 15)
        for share in (0.6, 0.8):
            drawn = sum(isinstance(split, RandomShare) and split.train == share for split in kinds)
            assert drawn == (0 if name == PAIR else 10)
    assert len({one.digest() for one in cells}) == len(cells)


def test_a_table_gives_mean_and_spread_and_marks_the_best(data_dir: Path) -> None:
    one = measure(cell(), data_dir)

    def with_accuracy(name: str, value: float) -> Outcome:
        score = one.score.model_copy(update={"accuracy": value})
        return one.model_copy(update={"score": score, "cell": one.cell.model_copy(update={"name": name})})

    outcomes = [with_accuracy("a", 0.9), with_accuracy("a", 0.8), with_accuracy("b", 0.95)]

    found = table(outcomes, first="model", row=lambda o: o.cell.name, columns=[("all", lambda _: True, accuracy)])

    assert found.rows == [["a", "85.0 ± 7.1"], ["b", "**95.0** (of 1)"]]


def test_a_study_with_missing_cells_marks_no_best_and_names_the_models_without_a_row(data_dir: Path) -> None:
    one = measure(cell(), data_dir)
    batches = next(c for c in tablets().cells if c.name == "cnn" and isinstance(c.split, GroupPart))
    scans = next(c for c in grid().cells if c.name == "gru-1" and c.set == "api20")
    of_tablets = one.model_copy(update={"cell": batches, "tested": (0, 1), "predicted": (0, 0)})
    of_grid = one.model_copy(update={"cell": scans, "chosen": scans.candidates[0].name})

    for study, outcome, shown, missing in (
        (tablets(), of_tablets, "cnn", ("swin", "SVM as published", *CLOSEST)),
        (grid(), of_grid, "gru-1", ("lstm-1", "SVM", "PLS-DA")),
    ):
        page = study.page([outcome], data_dir).markdown()
        (told,) = [line for line in page.splitlines() if line.startswith("Not measured yet, and so without a row: ")]
        assert set(missing) <= set(told.removesuffix(".").partition(": ")[2].split("; "))
        assert shown not in told
        assert "**" not in "".join(line for line in page.splitlines() if line.startswith("|"))


def test_a_page_says_the_same_in_markdown_and_in_html() -> None:
    page = Page(title="T", parts=(Heading("H"), Text("a **b** `c` <d>"), Table(["m", "n"], [["x", "**1**"]])))

    assert page.markdown() == "# T\n\n## H\n\na **b** `c` <d>\n\n| m | n |\n| --- | ---: |\n| x | **1** |\n"
    assert "<p>a <b>b</b> <code>c</code> &lt;d&gt;</p>" in page.html()
    assert "<td><b>1</b></td>" in page.html()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("*Exact* is a share", "<i>Exact</i> is a share"),
        ("of *two words* (*one*), **bold**", "of <i>two words</i> (<i>one</i>), <b>bold</b>"),
        ("2 * 3 * 4 and 2*3*4", "2 * 3 * 4 and 2*3*4"),
        ("run `a *b* **c** d` *twice*", "run <code>a *b* **c** d</code> <i>twice</i>"),
        ("**all of *it*, by `x*y*`** and **more**", "<b>all of <i>it</i>, by <code>x*y*</code></b> and <b>more</b>"),
    ],
)
def test_marks_are_told_from_products_and_from_code(text: str, shown: str) -> None:
    assert f"<p>{shown}</p>" in Page(title="T", parts=(Text(text),)).html()


def test_a_written_page_shows_the_pictures_beside_it_and_one_for_sending_holds_them(tmp_path: Path) -> None:
    page = Page(title="T", parts=(Picture("a curve.png", "a curve", b"\x89PNG"),))

    written = page.write(tmp_path, "t")

    assert {path.name for path in written} == {"t.md", "t.html", "a curve.png"}
    assert set(written) == set(tmp_path.iterdir())
    assert '<img alt="a curve" src="a curve.png">' in (tmp_path / "t.html").read_text()
    assert 'src="data:image/png;base64,iVBORw=="' in page.html()


def test_a_process_that_died_is_told_without_a_traceback() -> None:
    died: Future[int] = Future()
    died.set_exception(BrokenProcessPool("terminated abruptly"))

    with pytest.raises(ExportError, match="a process died at its work") as caught:
        collect({died: 0}, lambda *_: None, interrupted=lambda: None)

    assert "memory" in caught.value.hint
