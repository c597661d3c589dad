"""The head of labels.csv: which column holds amounts, and in which unit."""

from __future__ import annotations

from pathlib import Path

import pytest

from export.data.labels import read_labels


@pytest.mark.parametrize(
    ("head", "unit"),
    [
        ("amount_mM", "mM"),
        ("Amount (IU)", "IU"),
        ("AMOUNT [% w/w]", "% w/w"),
        ("amount, µg/mL", "µg/mL"),
        ("amount_mg", "mg"),
        ("Amount", ""),
    ],
)
def test_the_unit_of_an_amount_is_the_one_that_was_written(head: str, unit: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(f'File;LABEL;"{head}"\na.csv;weak;1.5\n', encoding="utf-8")

    found = read_labels(tmp_path / "labels.csv")

    assert found.amount_unit == unit
    assert [(row.file, row.label, row.amount) for row in found.rows] == [("a.csv", "weak", 1.5)]
