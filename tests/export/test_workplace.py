"""What ties a work folder to its recipe, seed and spectra: no stage takes what another model left, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from export.components.job import ComponentsJob
from export.components.recipe import ComponentsRecipe
from export.errors import StageMissing
from export.job import Job
from export.main import main
from export.recipe import Recipe, parse_recipe
from export.workplace import NEVER, Workplace
from tests.export.capsules import capsules

ORDER = tuple(Job.stages)


def left_by(job: Workplace, *stages: str) -> None:
    """Leave the files of stages as these do, empty."""
    for stage in stages:
        with job.running(stage):
            for name, of in job.stage_of.items():
                if of == stage:
                    job.path(name).write_bytes(b"")


def words(old: str, new: str) -> Callable[[Job], Job]:
    def changed(job: Job) -> Job:
        text = (job.beside / "recipe.toml").read_text()
        assert old in text
        return replace(job, recipe=parse_recipe(text.replace(old, new)))

    return changed


def relabel(job: Job) -> Job:
    path = job.beside / "capsules" / "labels.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1].replace("10 mg", "20 mg"), *lines[2:]]) + "\n")
    return replace(job)


CHANGED: dict[str, tuple[Callable[[Job], Job], str]] = {
    "another part is held out": (words("test = 3", "test = 2"), "train"),
    "another seed": (lambda job: replace(job, seed=1), "train"),
    "a small bundle": (lambda job: replace(job, quick=True), "train"),
    "another label": (relabel, "train"),
    "another step": (words("window = 9", "window = 11"), "train"),
    "another promise": (words("coverage = 0.8", "coverage = 0.7"), "calibrate"),
    "another name of the amount": (words('title = "Drug"', 'title = "The drug"'), "calibrate"),
    "another quantisation": (words('scheme = "weights"', 'scheme = "float"'), "quantise"),
    "other things": (words("outsiders = []", 'outsiders = ["isoniazid"]'), "quantise"),
    "another trial": (words("sessions = 2", "sessions = 3"), "trial"),
    "another version": (words('version = "1.0.0"', 'version = "1.1.0"'), "report"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_stage_takes_nothing_that_was_made_with_other_words_and_names_the_stage_to_begin_with(
    case: str, tmp_path: Path
) -> None:
    job = capsules(tmp_path)
    left_by(job, *ORDER[:-1])
    change, first = CHANGED[case]

    now = change(job)

    for name, stage in now.stage_of.items():
        if ORDER.index(stage) < ORDER.index(first):
            assert now.need(name) == job.work / name
            continue
        with pytest.raises(StageMissing, match=f"than these, from {first} on") as caught:
            now.need(name)
        assert f"edged-export {first} capsules, and every stage behind it" in caught.value.hint


def test_texts_and_the_place_of_the_spectra_may_change(tmp_path: Path) -> None:
    job = capsules(tmp_path)
    left_by(job, *ORDER[:-1])
    (tmp_path / "capsules").rename(tmp_path / "elsewhere")

    now = words('folder = "capsules"', 'folder = "elsewhere"')(job)
    told = words('folder = "capsules"', 'folder = "elsewhere"\nabout = { licence = "mine" }')(job)

    assert now.need("report.html") == told.need("trial.json").with_name("report.html")


def test_a_stage_that_begins_again_takes_away_what_those_behind_it_left(tmp_path: Path) -> None:
    job = capsules(tmp_path)
    left_by(job, *ORDER[:-1])

    left_by(job, "calibrate")

    assert job.need("calibration.json")
    assert job.need("model.pt")
    with pytest.raises(StageMissing, match=r"trial\.json is missing"):
        job.need("trial.json")


def test_what_a_stopped_stage_left_vouches_for_nothing(tmp_path: Path) -> None:
    job = capsules(tmp_path)
    left_by(job, "train")

    def stopped() -> None:
        with job.running("train"):
            job.path("model.pt").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()

    with pytest.raises(StageMissing, match="nobody knows from what") as caught:
        job.need("model.pt")
    assert caught.value.hint == "run: edged-export train capsules"


@pytest.mark.deep
@pytest.mark.timeout(600)
def test_a_build_is_the_same_again_and_what_it_left_is_not_packed_by_another_recipe(tmp_path: Path) -> None:
    path = capsules(tmp_path).beside / "recipe.toml"
    options = [str(path), "--work", str(tmp_path / "work"), "--out", str(tmp_path)]
    first, again = (CliRunner().invoke(main, ["build", *options, "--json"]) for _ in range(2))

    path.write_text(path.read_text().replace("test = 3", "test = 2"))
    refused = [CliRunner().invoke(main, [stage, *options]) for stage in ("trial", "pack")]

    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert json.loads(first.stdout)["pack"]["digest"] == json.loads(again.stdout)["pack"]["digest"]
    for done in refused:
        assert done.exit_code == 1
        assert "made with another recipe, seed or spectra than these, from train on" in done.output
        assert f"run: edged-export train {path} --work {tmp_path / 'work'}, and every stage" in done.output


@pytest.mark.parametrize(("kind", "recipe"), [(Job, Recipe), (ComponentsJob, ComponentsRecipe)])
def test_every_word_that_may_change_later_is_a_word_of_the_recipe(
    kind: type[Workplace], recipe: type[BaseModel]
) -> None:
    for word, stage in kind.first_seen.items():
        assert stage == NEVER or stage in kind.stages
        table, *names = recipe, *word.split(".")
        for name in names[:-1]:
            told = table.model_fields[name].annotation
            table = next(each for each in (told, *get_args(told)) if hasattr(each, "model_fields"))
        assert names[-1] in table.model_fields, word
