"""Calibration and the gate's space, against numbers computed another way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import mahalanobis
from scipy.special import log_softmax, softmax

from export.calibrate import fitted_temperature, probabilities, scored_of
from export.errors import StageMissing
from export.gates.discriminant import Discriminant
from export.job import Job
from export.recipe import load_recipe
from export.train import HeldOut, load_held_out


def test_the_temperature_is_that_of_the_smallest_log_likelihood() -> None:
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 5, 4000)
    logits = rng.normal(size=(4000, 5))
    logits[np.arange(4000), targets] += 2.0

    found = fitted_temperature(3.0 * logits, targets)

    best = minimize_scalar(
        lambda t: -log_softmax(3.0 * logits / t, axis=1)[np.arange(4000), targets].mean(),
        bounds=(0.1, 10),
        method="bounded",
    )
    assert found == pytest.approx(best.x, rel=0.02)


def test_probabilities_of_a_huge_logit_do_not_overflow() -> None:
    assert probabilities(np.array([[1e4, 0.0]]), 0.5).tolist() == [[1.0, 0.0]]


def test_the_distance_in_the_gate_space_is_the_mahalanobis_distance_within_classes() -> None:
    rng = np.random.default_rng(5)
    mixing = rng.normal(size=(6, 6))
    targets = np.repeat(np.arange(7), 400)
    centres = 4.0 * rng.normal(size=(7, 6))
    spectra = centres[targets] + rng.normal(size=(2800, 6)) @ mixing
    space = Discriminant(points=6, classes=7)

    space.fit(spectra, targets, shrinkage=1e-9)
    coordinates = (spectra - space.centre.double().numpy()) @ space.directions.double().numpy()
    got = space.distance(coordinates)

    means = np.stack([spectra[targets == c].mean(axis=0) for c in range(7)])
    off = spectra - means[targets]
    precision = np.linalg.inv(off.T @ off / (2800 - 7))
    expected = np.array([min(mahalanobis(row, mean, precision) for mean in means) for row in spectra[::100]])
    assert np.abs(got[::100] - expected).max() < 1e-3


def test_no_error_is_no_reason_for_more_confidence_than_the_logits_have() -> None:
    logits = 4.0 * np.eye(3)[np.arange(60) % 3]

    assert fitted_temperature(logits, np.arange(60) % 3) == 1.0
    assert fitted_temperature(np.vstack([logits, logits[:1]]), np.append(np.arange(60) % 3, 1)) > 0.5


def held_out(*, spectra: int, classes: int, copies: int) -> HeldOut:
    rng = np.random.default_rng(6)
    nothing = np.zeros((0, 1))
    return HeldOut(
        logits=rng.normal(size=(spectra, classes)).astype(np.float32),
        harder_logits=rng.normal(size=(copies * spectra, classes)).astype(np.float32),
        changed_logits=np.zeros((0, classes), np.float32),
        distances=nothing,
        own=nothing[:, 0],
        changed_distances=nothing,
        changed_own=nothing[:, 0],
    )


def test_sets_are_calibrated_on_fillings_and_instruments_as_the_set_tells_them(data_dir: Path, tmp_path: Path) -> None:
    job = Job(recipe=load_recipe("powders12"), data=data_dir, work=tmp_path, seed=0, quick=False)
    spectra = job.spectra()
    spectra = replace(spectra, instruments=tuple("ab"[scan % 2] for scan in spectra.scan))
    rows = job.split(spectra).development
    held = held_out(spectra=len(rows), classes=12, copies=2)

    scored = scored_of(job, spectra, held, rows, temperature=0.7)

    truth = spectra.targets[rows]
    assert scored.measured == pytest.approx(1 - softmax(held.logits / 0.7, axis=1)[np.arange(960), truth], abs=1e-6)
    last = softmax(held.harder_logits[-1] / 0.7)[truth[-1]]
    assert scored.changed[-1] == pytest.approx(1 - last, abs=1e-6)
    assert scored.count == 96
    assert np.bincount(scored.instruments).tolist() == [480, 480]
    assert (scored.instruments == spectra.scan[rows] % 2).all()


def test_answers_that_an_older_version_left_are_told_from_those_that_are_needed(data_dir: Path, tmp_path: Path) -> None:
    job = Job(recipe=load_recipe("powders12"), data=data_dir, work=tmp_path, seed=0, quick=False)
    with job.running("train"):
        np.savez(job.path("heldout.npz"), logits=np.zeros((4, 12)))

    with pytest.raises(StageMissing, match=r"no changed_distances, .*harder_logits"):
        load_held_out(job)
