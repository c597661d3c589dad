"""The page of the grid: what it says of columns, layers and tuning is what the outcomes hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.study.cell import Cell, Outcome, Score
from export.study.grid import CLASSICAL, study

NOWHERE = Path("nowhere")


def made(cell: Cell) -> Outcome:
    """A network names half rightly, a hundredth more a layer and a fifth more after MSC; an SVM most, after SG1."""
    (candidate,) = cell.candidates
    if cell.name in CLASSICAL:
        share = 0.9 if (cell.name, candidate.name) == ("SVM", "SG1 + SNV + z-score") else 0.85
    else:
        share = 0.5 + 0.01 * int(cell.name[-1]) + (0.2 if candidate.name == "msc" else 0.0)
    score = Score(accuracy=share, macro_f1=share - 0.01, mcc=share - 0.02, kappa=share - 0.03)
    return Outcome(
        cell=cell,
        chosen=candidate.name,
        score=score,
        stress=score,
        tested=(0,),
        predicted=(0,),
        parameters=1,
        settings={"components": 32 if cell.split.model_dump()["test"] == 0 else 8} if cell.name == "PLS-DA" else {},
        seconds=1.0,
    )


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [made(cell) for cell in study().cells if cell.set == "api20"]


def test_the_findings_are_the_means_of_the_table(outcomes: list[Outcome]) -> None:
    text = study().page(outcomes, NOWHERE).markdown()

    assert text.count("most by msc (72.0), least by vector (52.0)") == 2  # held out, and under stress
    assert "Best recurrent: lstm-3 with msc and bilstm-3 with msc and gru-3 with msc (73.0);" in text
    assert "best classical: SVM with SG1 + SNV + z-score (90.0)." in text
    assert "+2.0 points on average, more in 27 and less in 0 of 27 pairs" in text


def test_a_set_with_missing_cells_has_no_findings(outcomes: list[Outcome]) -> None:
    assert "Best recurrent" not in study().page(outcomes[1:], NOWHERE).markdown()


def test_how_often_tuning_ended_at_the_edge_is_counted(outcomes: list[Outcome]) -> None:
    """Ten cells: five scans of each of two columns; the first scan of either is at the edge."""
    text = study().page(outcomes, NOWHERE).markdown()

    assert "tuned to 32 components, the most that it may try, in 2 of 10 cells (0 of powders12, 2 of api20)" in text


def test_the_page_says_what_its_columns_are_and_that_scans_of_api20_are_repeats(outcomes: list[Outcome]) -> None:
    text = study().page(outcomes, NOWHERE).markdown()

    assert "There are 9 columns: the 7 preprocessings of the paper, and 2 of ours" in text
    assert "a repeat of the training sample" in text


def test_the_page_says_which_blocks_were_held_out_and_where_the_shipped_model_stands(outcomes: list[Outcome]) -> None:
    text = study().page(outcomes, NOWHERE).markdown()

    assert "of powders12 those from scan 21, 81 on (20 scans each)" in text
    assert "of api20 those from scan 1, 2, 3, 4, 5 on (1 scan each)" in text
    assert "none of them is what ships" in text
    assert "![api20: accuracy, percent](grid-api20.png)" in text


def test_every_figure_stands_for_every_column(outcomes: list[Outcome]) -> None:
    """Four figures, held out and under stress, each a table with all nine preprocessings."""
    lines = study().page(outcomes, NOWHERE).markdown().splitlines()

    rows = [line for line in lines if line.startswith("| gru-1 |")]
    told = [[cell.split()[0] for cell in row.strip("| ").split(" | ")[1:]] for row in rows]
    assert told[:2] == [["51.0", "51.0", "71.0", *["51.0"] * 6]] * 2
    assert [row[0] for row in told] == ["51.0", "51.0", "50.0", "50.0", "49.0", "49.0", "48.0", "48.0"]
    titles = [line for line in lines if line.startswith("**api20, ")]
    assert [title.count("stress") for title in titles] == [0, 1] * 4
    assert ["kappa" in title for title in titles] == [*[False] * 6, True, True]
