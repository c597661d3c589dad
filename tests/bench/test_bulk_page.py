"""That the page of an archive says what went wrong, and reads how far a run was from what a kill has left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.bench.bulk_archive import last_mark, peaks
from tests.bench.bulk_page import Judged, page

GOOD = Judged(
    bundle="powders12 1.3.0",
    procedure="identify",
    processor="a processor (avx2)",
    workers=2,
    spectra=1_000_000,
    in_bytes=2_100_000_000,
    out_bytes=1_200_000_000,
    wall_s=200.0,
    cpu_s=400.0,
    peaks_mb=(180.0, *(200.0,) * 8, 203.0),
    kept_at_kill=480_000,
    lost_at_kill_s=5.0,
    same_bytes=True,
    singly=500,
    same_singly=500,
    outcomes={"identified": 999_000, "inconclusive": 1_000},
)


def test_a_good_run_is_told_with_its_rates() -> None:
    lines = page([GOOD]).splitlines()

    assert "| spectra a second, clock | 5,000 |" in lines
    assert "| spectra a second of CPU | 2,500 |" in lines
    assert "| memory is flat (within 2 %) | yes |" in lines
    assert "| killed and resumed: the same bytes | yes |" in lines
    assert "| one by one: the same answers | 500 of 500 |" in lines


def test_memory_that_grows_and_other_bytes_are_told() -> None:
    grown = replace(GOOD, peaks_mb=(180.0, *(200.0,) * 8, 205.0), same_bytes=False)

    lines = page([GOOD, grown]).splitlines()

    assert "| memory is flat (within 2 %) | yes | **no** |" in lines
    assert "| killed and resumed: the same bytes | yes | **no** |" in lines


def test_how_far_a_killed_run_was_is_its_last_whole_mark(tmp_path: Path) -> None:
    state, out = tmp_path / "out.jsonl.run", tmp_path / "out.jsonl"

    state.write_text('{"schema": 1}\n{"spectra": 10}\n{"spectra": 20}\n{"spectra": 3')
    assert last_mark(out)["spectra"] == 20

    state.write_text('{"schema": 1}\n')
    assert last_mark(out)["spectra"] == 0


def test_the_most_is_told_of_each_tenth() -> None:
    assert peaks([float(n) for n in range(20)]) == tuple(float(n) for n in range(1, 20, 2))
    assert peaks([7.0])[-1] == 7.0
