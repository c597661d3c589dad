"""Baselines on the splits that what will be shipped is judged on: tuned on development parts, tested like it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.baselines import tuned
from export.checkpoint import Checkpoint
from export.data.augment import as_absorbance, augment, from_absorbance, resample
from export.data.spectra import Spectra
from export.data.split import Split
from export.job import Job
from export.kept import made_or_kept
from export.preprocess.pipeline import steps_in_two
from export.progress import Report
from export.trial.sessions import sessions_of

COPIES = 2  # augmented copies that an augmented baseline learns from
Figures = tuple[list[float], dict[str, Any]]
"""Accuracy on the held-out part, in stress and in mild sessions; and what tuning chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineTask:
    """One baseline on one split."""

    job: Job
    spectra: Spectra
    split: Split
    name: str
    augmented: bool

    def digest(self) -> str:
        """Return the SHA-256 of all that the result depends on, in hex."""
        parts = (self.split.part, self.split.test)
        said = (self.job.stamp("trial"), self.name, self.augmented)
        return hashlib.sha256(repr(said).encode() + b"".join(part.tobytes() for part in parts)).hexdigest()


def baselines_on(
    job: Job, spectra: Spectra, splits: list[Split], plans: list[tuple[str, bool]], progress: Report
) -> list[list[Figures]]:
    """Tune and test each planned baseline on each split, in processes of their own; a stop keeps what is done."""
    tasks = [
        BaselineTask(job=job, spectra=spectra, split=split, name=name, augmented=augmented)
        for name, augmented in plans
        for split in splits
    ]
    if not tasks:
        return []
    found = made_or_kept(
        tasks, _made, folder=job.path("baselines"), workers=job.workers, progress=progress, what="baselines"
    )
    return [found[first : first + len(splits)] for first in range(0, len(tasks), len(splits))]


def _made(task: BaselineTask, _: Checkpoint) -> Figures:
    return baseline_on(task.job, task.spectra, task.split, task.name, task.augmented)


def baseline_on(job: Job, spectra: Spectra, split: Split, name: str, augmented: bool) -> Figures:
    """Tune one baseline on the split's development parts, and test it on the held-out one."""
    words = job.recipe.training
    rows, truth = split.development, spectra.targets[split.test]
    values = [resample(spectra.values[rows], spectra.axis, job.grid)]
    if augmented:
        rng, plain = job.rng(9, int(split.test[0])), as_absorbance(spectra.values[rows], spectra.quantity)
        change, strength = words.augmentation, words.strength
        values += [
            from_absorbance(
                augment(plain, spectra.axis, job.grid, change, rng, strength=strength, axis_unit=spectra.axis_unit),
                spectra.quantity,
            )
            for _ in range(COPIES)
        ]
    copies = len(values)
    predict, settings = tuned(
        name,
        _prepared(job, spectra, np.concatenate(values)),
        np.tile(spectra.targets[rows], copies),
        np.tile(split.part[rows], copies),
    )
    tested = resample(spectra.values[split.test], spectra.axis, job.grid)
    stress = sessions_of(job, spectra, split.test, job.recipe.evaluation.session)
    mild = sessions_of(job, spectra, split.test, job.recipe.evaluation.mild_session)
    shares = [
        float(np.mean([(predict(_prepared(job, spectra, r)) == truth).mean() for r in part]))
        for part in ([tested], stress, mild)
    ]
    return shares, settings


def _prepared(job: Job, spectra: Spectra, values: NDArray[np.floating]) -> NDArray[np.float64]:
    """What the network's own preprocessing, before its fitted step, makes of spectra."""
    common, _ = steps_in_two(job.recipe.steps, job.grid)
    with torch.no_grad():
        return np.asarray(common(torch.from_numpy(values.astype(np.float32))).double().numpy())
