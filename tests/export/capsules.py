"""A small folder of made capsules, and jobs on it whose models are fitted in a second."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from click.testing import CliRunner
from numpy.typing import NDArray

from export.job import Job
from export.main import main
from export.recipe import parse_recipe

AXIS = np.linspace(900.0, 1700.0, 81)
DOSES = (10.0, 20.0, 30.0)
CAPSULES, SCANS = 8, 3  # of each dose, and of each capsule

RECIPE = """
name = "capsules"
version = "1.0.0"
technique = "nir"
quantity = "{quantity}"
procedures = ["{procedure}"]
default_preset = "balanced"
{amount}
[data]
folder = "capsules"
split = {{ kind = "groups", parts = 4, test = 3 }}
outsiders = [{outsiders}]

[axis]
unit = "nm"
start = 910.0
stop = 1690.0
points = 64
{log}
[[steps]]
kind = "savgol"
window = 9
order = 2
derivative = 1

[network]
kind = "{model}"

[training]
seed = 0
members_per_fold = 1
epochs = 1
batch = 8
learning_rate = 1e-3
weight_decay = 0.0
label_smoothing = 0.0
ema = 0.0
strength = 0.5
augmentation = {{ shift = 0.5, stretch = 0.2, gain_au = 0.002, offset_au = 0.02, slope_au = 0.02, path = 0.02, \
water_au = 0.0, noise_au = 5e-4, noise_ends = 1.0, blend = 0.0, refill = 0.0 }}

[gate]
name = "discriminant"
shrinkage = 1e-3
copies = 2
quantile = 0.99
slack = {{ screen = 5.0, balanced = 5.0 }}

[presets]
screen = {{ coverage = 0.6, min_probability = 0.0 }}
balanced = {{ coverage = 0.8, min_probability = 0.0 }}

[quantisation]
scheme = "{scheme}"
tolerance = 0.02
golden_vectors = 4

[evaluation]
sessions = 2
session = {{ shift = 4.0, gain = 0.02, offset_au = 0.06, slope_au = 0.06, noise_au = 3e-4 }}
mild_session = {{ shift = 1.0, gain = 0.006, offset_au = 0.024, slope_au = 0.024, noise_au = 3e-4 }}
rotation = false
baselines = false
seeds = 1

[quick]
epochs = 1
hidden = 4
sessions = 1
"""


def capsules(
    folder: Path,
    *,
    quantity: str = "absorbance",
    tells: str = "amounts",
    scheme: str = "weights",
    outsiders: str = "",
) -> Job:
    """Write spectra with their amounts, a recipe for them, `recipe.toml`, and return the job that the command makes of
    it, at work in `work`. tells: amounts, or classes all the same."""
    folder.mkdir(exist_ok=True)
    _write(folder / "capsules", counts=quantity == "intensity")
    text = RECIPE.format(
        quantity=quantity,
        procedure="quantify" if tells == "amounts" else "identify",
        amount='amount = { label = "drug", title = "Drug" }\n' if tells == "amounts" else "",
        log='\n[[steps]]\nkind = "negative-log"\n' if quantity == "intensity" else "",
        model="pls" if tells == "amounts" else "lda",
        scheme=scheme,
        outsiders=outsiders,
    )
    (folder / "recipe.toml").write_text(text)
    return Job(recipe=parse_recipe(text), data=folder, work=folder / "work", seed=0, quick=False, beside=folder)


def run(job: Job, *stages: str) -> None:
    """Run stages by the real command."""
    for stage in stages:
        options = ["--work", str(job.work), "--data", str(job.data), "--out", str(job.work)]
        done = CliRunner().invoke(main, [stage, str(job.beside / "recipe.toml"), *options], catch_exceptions=False)
        assert done.exit_code == 0, done.output


def _write(folder: Path, *, counts: bool) -> None:
    folder.mkdir()
    rows, lines, rng = [], [], np.random.default_rng(3)
    for dose in DOSES:
        for capsule in range(CAPSULES):
            level, path = rng.normal(0.0, 0.02), np.exp(rng.normal(0.0, 0.02))
            for _ in range(SCANS):
                noise = rng.normal(0.0, 5e-4, len(AXIS))
                rows.append(path * (0.4 + 0.02 * dose * band(1200.0) + 0.3 * band(1500.0)) + level + noise)
                group = f"{dose:g} {capsule}"
                lines.append(["all.csv", len(rows), f"{dose:g} mg", group, dose])
    values = np.array(rows)
    np.savetxt(
        folder / "all.csv", np.vstack([AXIS, 30_000 * 10.0**-values if counts else values]), delimiter=",", fmt="%.9g"
    )
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "row", "label", "group", "amount_mg"], *lines])


def band(centre: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-(((AXIS - centre) / 70.0) ** 2)))
