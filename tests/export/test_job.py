"""What is refused before hours are spent: spectra, and those of other things that are needed at the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.components.job import ComponentsJob
from export.components.recipe import load_components_recipe
from export.data.catalogue import load_set
from export.errors import DataUnusable
from export.job import Job
from export.recipe import load_recipe
from tests.export.capsules import capsules


@pytest.mark.parametrize("name", ["powders12", "api20", "isoniazid-dose", "powders-components", "solvents13"])
def test_nothing_speaks_against_training_what_ships(name: str, data_dir: Path, tmp_path: Path) -> None:
    how = {"data": data_dir, "work": tmp_path, "seed": 0, "quick": False}
    job = (
        ComponentsJob(recipe=load_components_recipe(name), **how)  # type: ignore[arg-type]
        if name in ("powders-components", "solvents13")
        else Job(recipe=load_recipe(name), **how)  # type: ignore[arg-type]
    )

    assert {finding.level for finding in job.examine()} <= {"warn"}


def test_a_dose_of_one_label_is_refused_since_no_gate_could_know_the_product(tmp_path: Path) -> None:
    job = capsules(tmp_path)
    path = tmp_path / "capsules" / "labels.csv"
    head, *rows = path.read_text().splitlines()
    told = [row.split(",") for row in rows]
    path.write_text("\n".join([head, *(",".join([*row[:2], "capsule", *row[3:]]) for row in told)]) + "\n")

    with pytest.raises(DataUnusable, match="all spectra are 'capsule': one label") as caught:
        job.examine()

    assert "label each dose or lot" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raman-powders", "raman-powders holds intensity over cm-1, the recipe wants absorbance over nm"),
        ("corn-moisture", "corn-moisture covers 1100 to 2498 nm, the recipe's axis 910 to 1690"),
        ("no-such-set", "no set of spectra is named 'no-such-set'"),
    ],
)
def test_other_things_that_the_model_could_not_be_asked_about_are_refused_before_training(
    name: str, said: str, data_dir: Path, tmp_path: Path
) -> None:
    job = replace(capsules(tmp_path, outsiders=f'"{name}"'), data=data_dir)

    with pytest.raises(DataUnusable, match=said) as caught:
        job.examine()

    assert "axis.unit" not in caught.value.hint


def test_other_things_that_were_measured_as_absorbance_are_counts_for_a_model_of_counts(
    data_dir: Path, tmp_path: Path
) -> None:
    job = replace(capsules(tmp_path, quantity="intensity", outsiders='"powders12"'), data=data_dir)

    found = job.load_outsiders()["powders12"]

    assert found.quantity == "intensity"
    assert np.allclose(found.values, 10.0 ** -load_set("powders12", data_dir).values)
