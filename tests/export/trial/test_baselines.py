"""Baselines of a trial: those of a user's own spectra go to other processes, and a stop loses none that is done."""

from __future__ import annotations

import pickle
from dataclasses import replace
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path

import pytest

from export.job import Job
from export.trial.baselines import BaselineTask, baselines_on
from tests.export.capsules import capsules


@pytest.fixture(scope="module", autouse=True)
def _tracker() -> None:
    """Python's own helper process, which outlives the first pool that wants it."""
    ensure_running()


def quietly(*_: object) -> None:
    """No progress."""


def baselines(job: Job, *names: str) -> list[list[float]]:
    spectra = job.spectra()
    found = baselines_on(job, spectra, [job.split(spectra)], [(name, False) for name in names], quietly)
    return [shares for of_plan in found for shares, _ in of_plan]


@pytest.mark.deep
@pytest.mark.timeout(400)
def test_baselines_of_an_own_folder_are_made_once(tmp_path: Path) -> None:
    job = replace(capsules(tmp_path, tells="classes"), workers=1)

    first = baselines(job, "LDA")
    (kept,) = (job.work / "baselines").glob("*.pt")
    written = kept.stat().st_mtime_ns
    again = baselines(job, "LDA", "PLS-DA")

    assert first[0][0] == 1.0  # held out; stress is another matter for so plain a recipe
    assert again[:1] == first
    assert kept.stat().st_mtime_ns == written
    assert len(list((job.work / "baselines").glob("*.pt"))) == 2


def test_a_baseline_is_known_by_all_that_it_depends_on(tmp_path: Path) -> None:
    job = capsules(tmp_path, tells="classes")
    spectra = job.spectra()
    task = BaselineTask(job=job, spectra=spectra, split=job.split(spectra), name="LDA", augmented=False)

    others = (
        replace(task, name="SVM"),
        replace(task, augmented=True),
        replace(task, split=job.split(spectra, test=1)),
        replace(task, job=replace(job, seed=1)),
        replace(task, job=replace(job, recipe=job.recipe.quickened())),
    )

    assert replace(task, job=replace(job, workers=1)).digest() == task.digest()
    assert len({task.digest(), *(other.digest() for other in others)}) == 6


def test_a_job_goes_to_another_process_without_its_spectra(tmp_path: Path) -> None:
    job = capsules(tmp_path, tells="classes")
    spectra = job.spectra()

    sent = pickle.dumps(job)

    assert pickle.loads(sent) == job
    assert len(sent) < spectra.values.nbytes
