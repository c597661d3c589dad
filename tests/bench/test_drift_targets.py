"""What pages of drift say under their tables: by hand, and of the committed pages what today's code says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from edged.monitor.monitor import Rules
from tests.bench.drift_targets import Named, of_alarms, of_names

EVERY = Rules().false_alarm_every


def test_a_row_with_more_alarms_than_were_wanted_is_called_missed() -> None:
    """One in 100: of 1,000 readings ten are kept, eleven are not; of 99 without an alarm nobody can tell."""
    text = of_alarms({"kept": (10, 1_000), "over": (11, 1_000), "few": (0, 99), "quiet": (0, 100)}, 100.0)

    assert "met by 2 of 4 rows; **missed** by over (one in 91); too few readings to tell in few." in text
    assert "missed" not in of_alarms({"kept": (10, 1_000)}, 100.0)


def test_a_drift_that_one_run_does_not_name_is_missed_and_one_that_few_name_is_told() -> None:
    rows = [
        Named(row="all", runs=4, seen=4, right=4),
        Named(row="most", runs=4, seen=4, right=3),
        Named(row="few", runs=2, seen=1, right=0),
    ]

    text = of_names(rows)

    assert "in every run met by 1 of 3 rows, **missed** by the other 2." in text
    assert "Of all 10 runs 90% are seen and 70% rightly named; 1 row has runs in which nothing is seen." in text
    assert "Named in fewer than half of the runs: few (0 of 2)." in text
    assert "missed" not in of_names(rows[:1])


def table(path: Path, first: str) -> list[dict[str, str]]:
    """The rows of the table whose header begins so."""
    lines = iter(path.read_text(encoding="utf-8").splitlines())
    header = next(line for line in lines if line.startswith(first))
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("| "):
            break
        rows.append(cells(line))
    return [dict(zip(cells(header), row, strict=True)) for row in rows]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|\n").split(" | ")]


def number(text: str) -> int:
    return int(text.replace(",", ""))


def alarms(row: dict[str, str]) -> int:
    """Alarms, of a column or of the counts by signal."""
    if "alarms" in row:
        return number(row["alarms"])
    return sum(int(count.rpartition(" ")[2]) for count in row["by signal"].split(", ") if count != "none")


@pytest.mark.parametrize(
    ("page", "first", "named_by"),
    [
        ("drift", "| set | readings | alarms | one in |", ("set",)),
        ("drift", "| set | learned | watched |", ("set", "watched")),
        ("drift-mixtures", "| set | fractions |", ("set", "fractions")),
    ],
)
def test_of_the_alarms_of_a_committed_page_is_said_what_its_table_tells(
    page: str, first: str, named_by: tuple[str, ...], repository: Path
) -> None:
    path = repository / "docs" / "results" / f"{page}.md"
    between = ": " if "watched" in named_by else " "

    rows = table(path, first)

    told = {between.join(row[key] for key in named_by): (alarms(row), number(row["readings"])) for row in rows}
    assert len(told) == len(rows)
    assert of_alarms(told, EVERY) in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["drift", "drift-mixtures"])
def test_of_the_names_of_a_committed_page_is_said_what_its_table_tells(page: str, repository: Path) -> None:
    path = repository / "docs" / "results" / f"{page}.md"

    rows = [
        Named(
            row=f"{row['set']} {row['drift']}",
            runs=number(row["runs"]) - number(row["early"]),
            seen=number(row["runs"]) - number(row["early"]) - number(row["not seen"]),
            right=next(number(cell.strip("*")) for cell in row.values() if cell.startswith("**")),
        )
        for row in table(path, "| set | drift |")
    ]

    assert of_names(rows) in path.read_text(encoding="utf-8")
