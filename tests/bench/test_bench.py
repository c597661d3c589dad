"""That every bench still gives its rows. How fast anything is, no test asks."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from tests.bench.__main__ import BENCHES, rows_of
from tests.bench.subject import REPOSITORY, TINY, Subject, Unavailable
from tests.bench.table import Row, shown


@pytest.fixture
def subject(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "torch"))
    return Subject(scale=TINY, folder=tmp_path, data=data_dir, work=REPOSITORY / "build" / "powders12")


@pytest.mark.parametrize("name", BENCHES)
def test_every_bench_gives_its_rows(name: str, subject: Subject) -> None:
    try:
        rows = rows_of(name, subject)
    except Unavailable as error:
        pytest.skip(str(error))

    assert rows
    assert {row.bench for row in rows} == {name}
    assert all(math.isfinite(row.ours) and row.ours >= 0 and row.other > 0 for row in rows)


def test_a_ratio_above_one_is_always_the_better_side() -> None:
    quick = Row(bench="b", what="time", ours=2.0, other=4.0, against="peer", unit="ms")
    many = Row(bench="b", what="rate", ours=8.0, other=4.0, against="limit", unit="1/s", more_is_better=True)
    same = Row(bench="b", what="error", ours=0.0, other=1e-5, against="limit", unit="-")

    assert [quick.times_better, many.times_better, same.times_better] == [2.0, 2.0, math.inf]
    assert same.document()["times_better"] is None
    assert shown([quick, many]).splitlines()[2:] == [
        "| b: time | 2.00 | ms   | peer    |  4.00 |         2.00 |",
        "| b: rate | 8.00 | 1/s  | limit   |  4.00 |         2.00 |",
    ]


def test_every_page_of_results_is_listed_with_its_question_and_command() -> None:
    results = REPOSITORY / "docs" / "results"
    rows = [line for line in (results / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| [")]

    listed = {name for row in rows for name in re.findall(r"\]\((\S+?)\)", row.split(" | ")[0])}

    assert {path.name for path in results.glob("*.md")} - listed == {"README.md"}
    assert all(len(row.split(" | ")) == 3 and row.count("`") >= 2 for row in rows)
