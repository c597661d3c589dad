"""Recipes whose networks are a bank: what they may not say, who is held out, and what a build of one leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edged.bundle.archive import read_bundle
from edged.infer.engine import Engine
from export.bank.folder import load_bank, load_kit
from export.components.job import ComponentsJob, dealt
from export.components.recipe import parse_components_recipe
from export.errors import DataUnusable, RecipeError
from tests.export.bank.kits import newcomer, pure, recipe, write_table

ROOT = Path(__file__).resolve().parents[3]
POWDERS = (ROOT / "tests" / "bench" / "powders-bank.toml").read_text()
SMALL = {"kind": "resuca", "stem": 4, "widths": [4], "strides": [2], "dropout": 0.0}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("folds = 1", "folds = 2", "folds: a bank is one network a compound: 1"),
        ('kind = "resuca"', 'kind = "cnn"', "network.kind: a bank is made of resuca or resnet1d"),
        ('kind = "snv"', 'kind = "standardise"', "steps: standardise learns from spectra"),
        (
            "[held_out]",
            '[fractions]\ntaught_by = ["powders12"]\ncoverage = {balanced = 0.9}\n[held_out]',
            "fractions: ",
        ),
        ('folder = "two"', 'folder = "two"\nset = "powders12"', "name either a public set or a folder"),
    ],
)
def test_a_recipe_of_a_bank_that_could_take_no_newcomer_is_refused(old: str, new: str, said: str) -> None:
    text = POWDERS.replace(old, new, 1)
    if "cnn" in new:
        lines = ("stem = ", "widths = ", "strides = ", "dropout = ")
        text = "\n".join(line for line in text.splitlines() if not line.startswith(lines))

    with pytest.raises(RecipeError, match="1 problem") as refused:
        parse_components_recipe(text.replace("balanced = true", "balanced = false") if "cnn" in new else text)

    assert said in str(refused.value)


def test_a_folder_is_part_of_what_a_recipe_says_and_its_absence_is_not() -> None:
    here, there = (parse_components_recipe(POWDERS.replace('"two"', name)) for name in ('"two"', '"three"'))
    before, behind = POWDERS[: POWDERS.index("[data]")], POWDERS[POWDERS.index("[axis]") :]
    public = parse_components_recipe(before + '[data]\nset = "powders12"\n\n' + behind)

    assert here.digest() != there.digest()
    assert "folder" not in json.loads(public.model_dump_json())["data"]


def test_every_third_preparation_is_held_out_and_a_compound_with_two_is_on_both_sides() -> None:
    library = pure(2, scans=9)
    few = pure(2, scans=2)

    part, both = dealt(library), dealt(few)

    assert [int(group) for group in part.held.groups] == [2, 5, 8, 11, 14, 17]
    assert not set(part.held.groups.tolist()) & set(part.learnt.groups.tolist())
    assert len(part.learnt.groups) == 12
    assert both.learnt.groups.tolist() == both.held.groups.tolist() == few.groups.tolist()


def test_a_folder_of_pure_spectra_is_the_library(tmp_path: Path) -> None:
    library = pure(2, scans=5)
    (tmp_path / "pure").mkdir()
    titles = [library.names[column] for column in library.compound]
    write_table(tmp_path / "pure" / "all.csv", library.axis, library.values, titles)
    lines = [f"all.csv,{row + 1},{title}" for row, title in enumerate(titles)]
    (tmp_path / "pure" / "labels.csv").write_text("\n".join(["file,row,label", *lines]) + "\n")

    job = ComponentsJob(recipe=recipe(SMALL), data=tmp_path, work=tmp_path, seed=0, quick=True, beside=tmp_path)

    assert job.library.names == library.names
    assert np.allclose(job.library.values, library.values, rtol=1e-6)
    assert job.source.ships
    with pytest.raises(DataUnusable):
        _ = ComponentsJob(recipe=recipe(SMALL), data=tmp_path, work=tmp_path, seed=0, quick=True).library


def command(*words: str | Path, env: dict[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "export.main", *map(str, words), "--json"],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.deep
@pytest.mark.timeout(1800)
def test_a_bank_is_built_from_a_folder_learns_and_drops_and_each_bundle_runs(tmp_path: Path) -> None:
    env = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "torch")}
    library = pure(3, scans=6)
    (tmp_path / "two").mkdir()
    titles = [library.names[column] for column in library.compound]
    write_table(tmp_path / "two" / "all.csv", library.axis, library.values, titles)
    lines = [f"all.csv,{row + 1},{title}" for row, title in enumerate(titles)]
    (tmp_path / "two" / "labels.csv").write_text("\n".join(["file,row,label", *lines]) + "\n")
    text = (ROOT / "export" / "recipes" / "solvents13.toml").read_text()
    start, stop = text.index("[data]"), text.index("[axis]")
    text = text[:start] + '[data]\nfolder = "two"\n\n' + text[stop:]
    (tmp_path / "bank.toml").write_text(text.replace('scheme = "float"', 'scheme = "bank"'))
    ten = write_table(tmp_path / "ten.csv", *newcomer(3))
    out = tmp_path / "dist"

    command("build", tmp_path / "bank.toml", "--quick", "--work", tmp_path / "work", "--out", out, env=env)
    built, kit = read_bundle(out / "solvents13-1.0.1.edgebundle"), load_kit(out / "solvents13-bank")
    # so quick a schooling keeps no promise: its bundles are written because somebody says so
    command("bank", "learn", out / "solvents13-bank", "fourth", ten, "--out", out, "--anyway", env=env)
    learned = read_bundle(out / "solvents13-1.1.0.edgebundle")
    command("bank", "drop", out / "solvents13-bank", library.names[0], "--out", out, "--anyway", env=env)
    dropped = read_bundle(out / "solvents13-1.2.0.edgebundle")

    assert kit is not None
    assert kit.compounds == library.names
    rows = built.golden["spectra"]
    first, last, less = (Engine.load(bundle).run(rows).logits for bundle in (built, learned, dropped))
    assert first.tobytes() == last[:, :3].tobytes()
    assert less.tobytes() == last[:, 1:].tobytes()
    assert load_bank(out / "solvents13-bank").compounds == (*library.names[1:], "fourth")
    again = ("pack", tmp_path / "bank.toml", "--quick", "--work", tmp_path / "work", "--out", out)
    refused = subprocess.run(
        [sys.executable, "-m", "export.main", *map(str, again)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "it would be lost" in refused.stderr
