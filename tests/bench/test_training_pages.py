"""Pages on builds and on bad input: what is missed is called so, and a folder is spoilt in one way only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.bad_input import SPOILT, Powders, copy_rounded, page_of
from tests.bench.builds import page_of as page_of_builds

BUILT: dict[str, Any] = {
    "name": "api20",
    "version": "1.2.0",
    "shipped": "1.1.0",
    "commit": "abc1234",
    "quick": False,
    "load": 1.0,
    "wall_s": 1260.0,
    "cpu_s": 1200.0,
    "peak_mb": 1500.0,
    "stages_s": {"train": 600.0},
    "same_digest": False,
    "same_graph": True,
    "golden": 0.001,
    "tolerance": 0.02,
    "judged": 300,
    "same_outcome": 299,
    "same_verdict": 200,
    "stopped": {"members": 4, "kept": 2, "at_s": 300.0, "again_s": 310.0, "undisturbed_s": 600.0, "same": False},
}


def test_a_build_over_the_limit_and_another_version_are_told() -> None:
    text = page_of_builds({"api20": BUILT}).markdown()

    assert "| api20 1.2.0 (**beside 1.1.0**) | 21.0 | **missed** |" in text
    assert "299 of 300 (200)" in text
    assert "| api20 | 4 | 2 | 300 + 310 (600) | **no** |" in text
    assert "| powders12 | not built yet |" in text


def test_golden_answers_over_the_tolerance_are_marked() -> None:
    far = {**BUILT, "name": "powders12", "golden": 0.034}

    text = page_of_builds({"api20": BUILT, "powders12": far}).markdown()

    assert "| 0.034 (0.02: **over**) |" in text
    assert "| 0.001 (0.02) |" in text


def test_stages_stand_in_the_order_of_a_build_whatever_that_of_the_file() -> None:
    kept = {**BUILT, "stages_s": {"calibrate": 1.0, "train": 600.0, "trial": 500.0, "verify": 2.0}}

    text = page_of_builds({"api20": kept}).markdown()

    assert "| api20 | train 600, calibrate 1, verify 2, trial 500 |" in text


def test_what_does_not_go_as_wanted_is_told_first() -> None:
    rows = [["One class", "told", "0 in 2.0 s", "told, trains", "–", "**no**", "`nothing of the kind`"]]

    assert "1 ways, at most 2 s until told. **1 of 1 do not go as is wanted.**" in page_of(rows, 1).markdown()


def test_a_folder_is_spoilt_where_it_is_said_and_nowhere_else(tmp_path: Path, data_dir: Path) -> None:
    sound, spoilt = Powders(tmp_path / "sound", data_dir), Powders(tmp_path / "spoilt", data_dir)

    copy_rounded(spoilt)

    other = [f["file"] for f in sound.lines if (sound.read(f["file"]) != spoilt.read(f["file"])).any()]
    assert other == ["100LA-18.csv"]
    np.testing.assert_allclose(spoilt.read("100LA-18.csv"), sound.read("100LA-02.csv"), atol=0.0005001)


def test_every_way_says_what_it_spoils() -> None:
    assert len({spoil.__doc__ for spoil in SPOILT}) == len(SPOILT)
