"""Intervals of amounts: whether new capsules are covered as asked, against a distribution that is known; and the trial
of a model that tells amounts, against the same spectra in another quantity."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from export.conformal import Scored
from export.dose import amounts_of, half_width
from export.job import Job
from export.recipe import load_recipe
from tests.export.capsules import capsules, run

BETWEEN, WITHIN = 10.0, 3.0  # mg: standard deviations of the errors between capsules, and between scans of one

REPEATS = 1000


def errors(rng: np.random.Generator, count: int, scans: int) -> Scored:
    """How far off the scans of so many capsules are told; scans of one are alike."""
    off = BETWEEN * rng.normal(size=(count, 1)) + WITHIN * rng.normal(size=(count, scans))
    return scored(np.abs(off).ravel(), np.repeat(np.arange(count), scans))


def scored(off: NDArray[np.float64], units: NDArray[np.int64]) -> Scored:
    nought = np.zeros(len(off), dtype=np.int64)
    return Scored(measured=off, changed=off[:0], targets=nought, units=units, instruments=nought)


def covered(width: float) -> float:
    """The share of all scans of all capsules there could be whose interval of that half width holds the true amount."""
    return float(1.0 - 2.0 * norm.sf(width, scale=np.hypot(BETWEEN, WITHIN)))


@pytest.mark.parametrize(("capsules", "coverage"), [(24, 0.9), (50, 0.95)])
def test_scans_of_new_capsules_are_covered_as_asked_where_counting_scans_falls_short(
    capsules: int, coverage: float
) -> None:
    rng = np.random.default_rng(12)
    by_capsule, by_scan = [], []
    for _ in range(REPEATS):
        found = errors(rng, capsules, 40)
        by_capsule.append(covered(half_width(found, coverage)))
        by_scan.append(covered(half_width(replace(found, units=np.arange(40 * capsules)), coverage)))

    error = np.std(by_capsule) / np.sqrt(REPEATS)
    assert coverage - 2 * error <= np.mean(by_capsule) < coverage + 1 / (capsules + 1)
    assert np.mean(by_scan) < coverage - 5 * error


def test_five_capsules_of_many_scans_are_covered_as_far_as_they_can_promise_and_beyond_by_the_widest_error() -> None:
    rng = np.random.default_rng(13)
    supported, beyond = [], []
    for _ in range(REPEATS):
        found = errors(rng, 5, 40)
        supported.append(covered(half_width(found, 0.6)))
        beyond.append(half_width(found, 0.95) - found.measured.max())

    assert 0.6 <= np.mean(supported) < 0.6 + 1 / 6
    assert 0.0 <= min(beyond) <= max(beyond) <= 1e-3


def test_the_worse_of_two_instruments_sets_the_width() -> None:
    rng = np.random.default_rng(14)
    good, worse = errors(rng, 30, 10), errors(rng, 30, 10)
    both = Scored(
        measured=np.concatenate([0.2 * good.measured, worse.measured]),
        changed=good.changed,
        targets=np.zeros(600, dtype=np.int64),
        units=np.concatenate([good.units, worse.units + 30]),
        instruments=np.repeat([0, 1], 300),
    )

    assert half_width(both, 0.9) == half_width(worse, 0.9)


def test_amounts_that_are_told_without_error_still_have_an_interval() -> None:
    assert half_width(scored(np.zeros(40), np.arange(40)), 0.9) == 0.001


def test_half_widths_of_the_shipped_recipe_count_its_runs_of_scans(data_dir: Path, tmp_path: Path) -> None:
    job = Job(recipe=load_recipe("isoniazid-dose"), data=data_dir, work=tmp_path, seed=0, quick=False)
    spectra = job.spectra()
    assert spectra.amounts is not None
    rows = job.split(spectra).development
    runs, place = np.unique(spectra.groups[rows], return_inverse=True)
    off = np.where(np.arange(len(rows)) % 2, 1.0, -1.0) * (1.0 + place)  # from run to run 1 mg more

    (amount,), behind = amounts_of(job, spectra, (spectra.amounts[rows] + off)[:, None], rows)

    assert len(runs) == 84
    assert (amount.unit, amount.lowest, amount.highest) == ("mg", 100.0, 500.0)
    assert amount.half_widths["screen"] == 77.0  # 0.9 of 85 runs: all of 76, and half of the scans of the 77th
    assert amount.half_widths["balanced"] == 81.0
    assert {preset: of["promised"] for preset, of in behind.items()} == {
        "screen": 0.9,
        "balanced": 0.95,
        "confirm": 0.97,  # 83 of 85 runs is 97.6 %
    }
    assert {(of["units"], of["spectra"]) for of in behind.values()} == {(84, 829)}


@pytest.mark.deep
@pytest.mark.timeout(400)
def test_a_dose_model_of_counts_is_tried_in_the_same_sessions_as_one_of_absorbance(tmp_path: Path) -> None:
    found = {}
    for quantity in ("absorbance", "intensity"):
        job = capsules(tmp_path / quantity, quantity=quantity)
        run(job, "train", "calibrate", "convert", "quantise", "verify", "trial", "report", "pack")
        found[quantity] = json.loads((job.work / "trial.json").read_text())["known"]
        page = (job.work / "report.html").read_text()

    counts, absorbance = found["intensity"], found["absorbance"]
    for kind in ("held-out", "mild sessions", "stress sessions"):  # int8 moves each by a little
        assert counts[kind]["rmse"] == pytest.approx(absorbance[kind]["rmse"], rel=0.05)
    assert counts["stress sessions"]["rmse"] > 1.5 * counts["held-out"]["rmse"]
    assert "axis by 4 nm, gain curve of 2 %, offset up to 0.06 AU" in page
    assert "<td>18 (54)</td>" in page  # preparations (spectra) that calibrate
    assert "None were stated" in page
    assert "Errors are largest at" in page
    assert "<td>18 (6)</td>" in page  # held-out spectra, and the capsules that their intervals count
