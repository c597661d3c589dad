"""What a correction is worth: prediction error of a master's model on another instrument, on public data.

The model is built on the training samples of the master. The standards are some of these same samples, measured on
both instruments. The test samples are only predicted: no correction, setting or choice has seen them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter
from sklearn.cross_decomposition import PLSRegression

from export.data.catalogue import load_set
from export.data.fetch import place_of
from export.data.sets import idrc
from export.transfer.correction import Fit, Pairs, choose, corrected_rows, judge
from export.transfer.fits import axis_polynomial, mean_difference, slope_bias, textbook_piecewise

Rows: TypeAlias = NDArray[np.float64]
Predict: TypeAlias = Callable[[Rows], Rows]
Progress: TypeAlias = Callable[[str, int, int], None]

CORN, TABLETS = "corn-moisture", "tablets-assay"
COUNTS = (5, 10, 25)
SEEDS = 10
LEAST_SPREAD = 0.0005  # what three digits show
CORN_TRAIN, CORN_SAMPLES = 55, 80
CORN_LATENT, TABLETS_LATENT = 10, 5
TABLETS_END_NM = 1798.0  # noise above
TEXTBOOK_WINDOW, TEXTBOOK_TOLERANCE = 5, 0.01
ROWS = {  # key -> how the table calls it
    "none": "uncorrected",
    "predictions": "slope and bias on predictions",
    "mean": "mean difference",
    "slope-bias": "slope and bias, each point its own",
    "shift": "axis shift",
    "ds-textbook": "DS, pseudo-inverse",
    "pds-textbook": "PDS, window 5, PCR 1 %",
    "pds": "PDS, ridge and window by cross validation",
    "ds": "DS of the difference, ridge by cross validation",
    "auto": "`auto`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A model on a master, used on a slave. master, slave: all samples [samples, points]; train, test: row numbers."""

    name: str
    what: str
    axis: Rows
    master: Rows
    slave: Rows
    target: Rows
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    prepare: Predict
    latent: int

    def model(self, spectra: Rows) -> Predict:
        """Fit partial least squares on the training rows of these spectra; return the prediction."""
        pls = PLSRegression(self.latent, scale=False).fit(self.prepare(spectra[self.train]), self.target[self.train])

        def predict(values: Rows) -> Rows:
            return np.asarray(pls.predict(self.prepare(values))).ravel()

        return predict

    def rmsep(self, predicted: Rows) -> float:
        """Return the root mean square error over the test samples."""
        return float(np.sqrt(np.mean((predicted - self.target[self.test]) ** 2)))


def tasks(data: Path, *, splits: int = SEEDS, seed: int = 0) -> list[Task]:
    """Return corn to mp5 and to mp6, each with its first 55 samples for training and with random ones, and tablets.

    The random splits bear one name, and are one table. Raises DataUnusable when the data are not in the folder.
    """
    corn, tablets = load_set(CORN, data), load_set(TABLETS, data)
    corn_of = {name: corn.values[corn.of_instrument(name)] for name in ("m5", "mp5", "mp6")}
    one, two = (tablets.of_instrument(name) for name in ("1", "2"))
    assert corn.amounts is not None
    assert tablets.amounts is not None
    split = np.array(idrc.parts(place_of(idrc.SET, data)))[one]
    rng = np.random.default_rng([seed, CORN_SAMPLES])
    orders = [rng.permutation(CORN_SAMPLES) for _ in range(splits)]
    found = [
        Task(
            name=f"corn, m5 to {slave}, {split}",
            what="moisture, %",
            axis=corn.axis,
            master=corn_of["m5"],
            slave=corn_of[slave],
            target=corn.amounts[corn.of_instrument("m5")],
            train=np.sort(order[:CORN_TRAIN]),
            test=np.sort(order[CORN_TRAIN:]),
            prepare=lambda values: values,
            latent=CORN_LATENT,
        )
        for slave in ("mp5", "mp6")
        for split, order in (
            ("trained on the first 55", np.arange(CORN_SAMPLES)),
            *((f"{splits} random splits", order) for order in orders),
        )
    ]
    used = tablets.axis <= TABLETS_END_NM
    return [
        *found,
        Task(
            name="tablets, 1 to 2",
            what="assay, mg",
            axis=tablets.axis[used],
            master=tablets.values[one][:, used],
            slave=tablets.values[two][:, used],
            target=tablets.amounts[one],
            train=np.flatnonzero(split == "Train"),
            test=np.flatnonzero(split == "Test"),
            prepare=snv_slopes,
            latent=TABLETS_LATENT,
        ),
    ]


def snv_slopes(values: Rows) -> Rows:
    """Return SNV, then the first derivative (Savitzky-Golay, 15 points, second order)."""
    scaled = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)
    return np.asarray(savgol_filter(scaled, 15, 2, deriv=1, axis=1))


def kennard_stone(values: Rows, count: int) -> NDArray[np.int64]:
    """Return `count` rows that cover the others: the two furthest apart, then always the furthest from all chosen."""
    squares = (values**2).sum(axis=1)
    distance = squares[:, None] + squares - 2 * values @ values.T
    first, second = np.unravel_index(int(distance.argmax()), distance.shape)
    chosen = [int(first), int(second)]
    while len(chosen) < count:
        nearest = distance[:, chosen].min(axis=1)
        nearest[chosen] = -np.inf
        chosen.append(int(nearest.argmax()))
    return np.array(chosen)


def standards_of(task: Task, rows: NDArray[np.int64]) -> Pairs:
    """Return some samples of a task as both instruments measured them."""
    return Pairs(
        axis=task.axis,
        axis_unit="nm",
        quantity="absorbance",
        master=task.master[rows],
        slave=task.slave[rows],
        names=tuple(f"sample {row + 1}" for row in rows),
    )


def study(
    data: Path, progress: Progress, *, seed: int = 0, seeds: int = SEEDS, counts: tuple[int, ...] = COUNTS
) -> dict[str, Any]:
    """Return for each table the limits, and RMSEP by method, count and choice of standards; what `auto` chose.

    A split is drawn once or `seeds` times, see `tasks`. Of one split the random standards are drawn `seeds` times, of
    several one time each; Kennard-Stone chooses once a split.
    """
    found = tasks(data, splits=seeds, seed=seed)
    times = Counter(task.name for task in found)
    plans = [(task, count) for task in found for count in counts]
    result: dict[str, Any] = {}
    for done, (task, count) in enumerate(plans):
        progress(task.name, done, len(plans))
        table = result.setdefault(
            task.name, {"what": task.what, "master": [], "own": [], "rmsep": {row: {} for row in ROWS}, "auto": {}}
        )
        predict = task.model(task.master)
        if count == counts[0]:
            table["master"].append(task.rmsep(predict(task.master[task.test])))
            table["own"].append(task.rmsep(task.model(task.slave)(task.slave[task.test])))
        rng = np.random.default_rng([seed, done])
        draws = 1 if times[task.name] > 1 else seeds
        chosen = [("Kennard-Stone", kennard_stone(task.master[task.train], count))]
        chosen += [("random", rng.choice(len(task.train), count, replace=False)) for _ in range(draws)]
        for how, rows in chosen:
            errors, pick = _errors(task, predict, task.train[rows])
            for row, error in errors.items():
                table["rmsep"][row].setdefault(f"{how} {count}", []).append(error)
            table["auto"].setdefault(f"{how} {count}", []).append(pick)
    progress("done", len(plans), len(plans))
    return result


def markdown(result: dict[str, Any]) -> str:
    """Return the tables of a study."""
    parts = []
    for name, table in result.items():
        heads = sorted(table["rmsep"]["none"], key=lambda head: head.split()[0])  # counts ascend already
        lines = [
            f"### {name[0].upper()}{name[1:]}",
            "",
            f"RMSEP of {table['what']}. The master's own: {_cell(table['master'])}. A model made anew on all training",
            f"samples of the other instrument: {_cell(table['own'])}.",
            "",
            "| correction | " + " | ".join(heads) + " |",
            "|---|" + "--:|" * len(heads),
        ]
        for row, label in ROWS.items():
            cells = [_cell(table["rmsep"][row][head]) for head in heads]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
        picked = Counter(pick.split(",")[0] for picks in table["auto"].values() for pick in picks)
        chosen = ", ".join(f"{method} {times}" for method, times in picked.most_common())
        parts.append("\n".join([*lines, "", f"`auto` chose: {chosen}."]))
    return "\n\n".join(parts)


def _cell(errors: list[float]) -> str:
    mean, spread = f"{np.mean(errors):.3f}", np.std(errors, ddof=1) if len(errors) > 1 else 0.0
    return f"{mean} ± {spread:.3f}" if spread >= LEAST_SPREAD else mean


def _errors(task: Task, predict: Predict, standards: NDArray[np.int64]) -> tuple[dict[str, float], str]:
    """RMSEP of each row of the table, and what `auto` chose."""
    pairs = standards_of(task, standards)
    master, slave, test = pairs.master, pairs.slave, task.slave[task.test]
    raw = predict(test)
    slope, bias = np.polyfit(predict(slave), predict(master), 1)
    level, center = master.mean(axis=0), slave.mean(axis=0)
    errors = {
        "none": task.rmsep(raw),
        "predictions": task.rmsep(bias + slope * raw),
        "ds-textbook": task.rmsep(predict(level + (test - center) @ np.linalg.pinv(slave - center) @ (master - level))),
    }
    fixed: dict[str, Fit | None] = {
        "mean": mean_difference,
        "slope-bias": slope_bias,
        "shift": axis_polynomial(0),
        "pds-textbook": textbook_piecewise(TEXTBOOK_WINDOW, TEXTBOOK_TOLERANCE),
    }
    judged = judge(pairs)
    fits = {
        **fixed,
        "pds": choose([one for one in judged if one.candidate.method == "pds"]).candidate.fit,
        "ds": choose([one for one in judged if one.candidate.method == "ds"]).candidate.fit,
        "auto": choose(judged).candidate.fit,
    }
    for row, fit in fits.items():
        corrected = test if fit is None else corrected_rows(task.axis, test, fit(task.axis, master, slave))
        errors[row] = task.rmsep(predict(corrected))
    chosen = choose(judged).candidate
    return errors, f"{chosen.method}, {chosen.settings}"
