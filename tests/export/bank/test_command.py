"""`edged-export bank`: compounds come and go, one line is said, and what is wrong is told without a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from export.bank.bank import Bank
from export.bank.folder import load_bank, save_bank
from export.main import main
from tests.export.bank.made import SHARED, bank, logits, prepared

NAMES = ("lactose", "caffeine", "ascorbic acid")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    save_bank(bank(NAMES, seed=1), tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    save_bank(bank(("caffeine", "mannitol"), seed=2), tmp_path / "there")
    return tmp_path / "there"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["bank", *map(str, words)])


def columns(folder: Path) -> dict[str, bytes]:
    """What the graph says of each compound, to the byte."""
    said: NDArray[np.float32] = logits(onnx.load(folder / "bank.onnx"), prepared(16, seed=3))
    return {name: said[:, place].tobytes() for place, name in enumerate(load_bank(folder).compounds)}


def test_the_list_has_compounds_thresholds_and_sizes(here: Path) -> None:
    run("threshold", here, "caffeine", "balanced", "2.25")

    told, plain = json.loads(run("list", here, "--json").output), run("list", here).output

    assert [entry["compound"] for entry in told["compounds"]] == list(NAMES)
    assert told["compounds"][1]["thresholds"] == {"balanced": 2.25}
    assert told["graph_bytes"] == (here / "bank.onnx").stat().st_size
    assert "caffeine       balanced 2.25\n" in plain
    assert "lactose        no thresholds\n" in plain
    assert f"3 compounds, resuca, 64 points, graph of {told['graph_bytes']:,} bytes" in plain


def test_adding_replacing_and_dropping_leave_the_others_to_the_byte(here: Path, there: Path) -> None:
    first = columns(here)

    added = run("add", here, there, "mannitol")
    after_add = columns(here)
    replaced = run("replace", here, there, "caffeine")
    after_replace = columns(here)
    dropped = run("drop", here, "lactose")
    last = columns(here)

    assert (added.exit_code, replaced.exit_code, dropped.exit_code) == (0, 0, 0)
    assert added.output.startswith(f"{here}: 4 compounds, graph of ")
    assert first.items() <= after_add.items()
    assert after_add["mannitol"] == columns(there)["mannitol"]
    assert after_replace["caffeine"] == columns(there)["caffeine"] != first["caffeine"]
    assert after_add.items() - after_replace.items() == {("caffeine", first["caffeine"])}
    assert after_replace.items() - last.items() == {("lactose", first["lactose"])}


def test_heads_on_one_trunk_come_and_go_by_the_same_commands(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    ours = bank(NAMES, seed=1, words=SHARED)
    other = bank(("caffeine", "mannitol"), seed=2, words=SHARED)
    save_bank(ours, here)
    save_bank(
        Bank(words=SHARED, points=ours.points, input_range=ours.input_range, trunk=ours.trunk, members=other.members),
        there,
    )
    first = columns(here)

    run("replace", here, there, "caffeine")
    run("add", here, there, "mannitol")
    assert run("drop", here, "lactose", "--json").exit_code == 0

    last = columns(here)
    assert list(last) == ["caffeine", "ascorbic acid", "mannitol"]
    assert last["ascorbic acid"] == first["ascorbic acid"]
    assert {name: last[name] for name in ("caffeine", "mannitol")} == columns(there)


def test_all_of_a_bank_enters_where_no_name_is_given(here: Path, there: Path) -> None:
    run("drop", there, "caffeine")

    assert run("add", here, there).exit_code == 0

    assert load_bank(here).compounds == (*NAMES, "mannitol")


def test_whatever_may_need_public_spectra_takes_their_folder(here: Path, there: Path, tmp_path: Path) -> None:
    data = ("--data", tmp_path)

    done = (
        run("add", here, there, "mannitol", *data),
        run("replace", here, there, "caffeine", *data),
        run("threshold", here, "caffeine", "balanced", "2.25", *data),
    )

    assert [each.exit_code for each in done] == [0, 0, 0], [each.output for each in done]


def test_a_threshold_below_zero_stands_behind_two_dashes(here: Path) -> None:
    assert run("threshold", here, "lactose", "screen", "--", "-1.5").exit_code == 0

    assert load_bank(here).member("lactose").thresholds == {"screen": -1.5}


def test_a_graph_that_is_not_of_these_compounds_is_made_anew(here: Path) -> None:
    expected = columns(here)
    (here / "bank.onnx").write_bytes(b"")

    refused, fused = run("list", here), run("fuse", here)

    assert refused.exit_code == 1
    assert f"edged-export bank fuse {here}" in refused.output
    assert fused.exit_code == 0
    assert columns(here) == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "HERE", "THERE"), "caffeine: in the bank twice (replace instead of adding)"),
        (("add", "HERE", "THERE", "aspirin"), "'aspirin': no such compound in the bank (there are caffeine, mannitol)"),
        (("replace", "HERE", "THERE"), "'mannitol': no such compound in the bank (there are lactose, caffeine"),
        (("drop", "HERE", "aspirin"), "'aspirin': no such compound in the bank"),
        (("drop", "HERE", *NAMES), "0 compounds; a bank has 1 to 1024"),
        (("threshold", "HERE", "lactose", "screen", "nan"), "the threshold of screen is nan, which is no logit"),
        (("list", "NOWHERE"), "no bank here (a bank is a folder with a bank.json)"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line_and_changes_nothing(
    here: Path, there: Path, words: tuple[str, ...], said: str
) -> None:
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    places = {"HERE": str(here), "THERE": str(there), "NOWHERE": str(here / "nowhere")}

    result = run(*(places.get(word, word) for word in words))

    assert result.exit_code == 1
    assert said in result.output
    assert result.output.startswith("edged-export: ")
    assert result.output.count("\n") == 1
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
