"""The real command, killed and interrupted while it trains, goes on with the last epoch and ends as if nothing was."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from export.components.learn import Detector
from export.kept import kept

pytestmark = [pytest.mark.deep, pytest.mark.timeout(900)]

EPOCHS = 12
AT_EPOCHS = {"killed": 2, "killed alone": 5, "interrupted": 8}  # how each run ends, and from which epoch on
BANDS_NM = {"ascorbic": (1050.0, 1350.0), "lactose": (1200.0, 1500.0)}
ENSEMBLE = {"folds = 1": "folds = 2", "balanced = true": "balanced = false", 'scheme = "bank"': 'scheme = "float"'}


def recipe(folder: Path, repository: Path, changes: dict[str, str]) -> Path:
    """A recipe of two powders, and its folder of six spectra of each, no two alike."""
    text = (repository / "tests" / "bench" / "powders-bank.toml").read_text()
    for old, new in {"epochs = 8": f"epochs = {EPOCHS}", "mixtures = 3000": "mixtures = 300", **changes}.items():
        assert text.count(f"\n{old}\n") == 1
        text = text.replace(f"\n{old}\n", f"\n{new}\n")
    (folder / "two.toml").write_text(text)
    axis, rng = np.linspace(900.0, 1700.0, 201), np.random.default_rng(0)
    (folder / "two").mkdir()
    with (
        (folder / "two" / "all.csv").open("w", newline="") as spectra,
        (folder / "two" / "labels.csv").open("w", newline="") as labels,
    ):
        table, said = csv.writer(spectra), csv.writer(labels)
        table.writerow(["nm", *axis])
        said.writerow(["file", "row", "label", "group"])
        for number, (name, bands) in enumerate(6 * [*BANDS_NM.items()]):
            heights = rng.uniform(0.6, 1.0, len(bands))
            rows = [h * np.exp(-(((axis - band) / 40.0) ** 2)) for h, band in zip(heights, bands, strict=True)]
            table.writerow([f"scan {number}", *(0.2 + np.sum(rows, axis=0) + rng.normal(0.0, 1e-4, len(axis)))])
            said.writerow(["all.csv", number + 1, name, f"{name} {number // 2}"])
    return folder / "two.toml"


def train(words: Path, work: Path, repository: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "export.main", "train", str(words), "--work", str(work)],
        cwd=repository,
        env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(work.parent / "torch")},
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def epochs(members: Path) -> dict[str, int]:
    """How many epochs each member at work has kept: of two that lie there for a moment the last."""
    found: dict[str, int] = {}
    for path in members.glob("*.epoch-*"):
        found[path.stem] = max(found.get(path.stem, 0), int(path.suffix.removeprefix(".epoch-")))
    return found


def stopped(running: subprocess.Popen[str], how: str, members: Path) -> str:
    """End a run at any moment behind the epoch of some member; no member that it found may have begun anew."""
    before = epochs(members)
    while max((now := epochs(members)).values(), default=0) < AT_EPOCHS[how]:
        assert running.poll() is None, running.stdout and running.stdout.read()
        assert all(now[name] >= count for name, count in before.items() if name in now), (before, now)
        time.sleep(0.02)
    time.sleep(random.uniform(0.0, 0.5))
    if how == "killed":
        os.killpg(running.pid, signal.SIGKILL)
    elif how == "killed alone":
        running.kill()
    else:
        os.killpg(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=120)
    return said


def states(work: Path) -> tuple[list[dict[str, Tensor]], list[tuple[float, ...]]]:
    detectors: list[Detector] = kept(work / "model.pt")
    return [detector.state_dict() for detector in detectors], [detector.losses for detector in detectors]


@pytest.mark.parametrize("changes", [{}, ENSEMBLE], ids=["bank", "two members at a time"])
def test_a_training_that_was_killed_and_interrupted_ends_with_the_same_bits(
    changes: dict[str, str], repository: Path, tmp_path: Path
) -> None:
    words = recipe(tmp_path, repository, changes)
    with train(words, tmp_path / "through", repository) as undisturbed:
        said, _ = undisturbed.communicate(timeout=300)
    assert undisturbed.returncode == 0, said

    members = tmp_path / "work" / "members"
    for how in AT_EPOCHS:
        with train(words, tmp_path / "work", repository) as running:
            said = stopped(running, how, members)
    assert running.returncode == 1
    assert "Traceback" not in said
    left = epochs(members)
    with train(words, tmp_path / "work", repository) as last:
        said, _ = last.communicate(timeout=300)
    assert last.returncode == 0, said

    assert max(left.values()) >= AT_EPOCHS["interrupted"]
    assert "not gone on with" not in said
    (one, losses), (other, same_losses) = states(tmp_path / "through"), states(tmp_path / "work")
    assert losses == same_losses
    assert len(losses[0]) == EPOCHS
    for first, second in zip(one, other, strict=True):
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert {path.suffix for path in members.iterdir()} == {".pt"}
