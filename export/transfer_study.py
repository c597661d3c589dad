"""What a correction is worth: prediction error of a master's model on another instrument, on public data.

The model is built on the training samples of the master. The standards are some of these same samples, measured on
both instruments. The test samples are only predicted: no correction, setting or choice has seen them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter
from sklearn.cross_decomposition import PLSRegression

from export.errors import DataUnusable
from export.transfer import Fit, Pairs, candidates, choose, corrected_rows, judge
from export.transfer_fits import axis_polynomial, mean_difference, slope_bias, textbook_piecewise

Rows: TypeAlias = NDArray[np.float64]
Predict: TypeAlias = Callable[[Rows], Rows]
Progress: TypeAlias = Callable[[str, int, int], None]

CORN, TABLETS = "nir_corn_3instruments", "nir_tablets_idrc2002"
COUNTS = (5, 10, 25)
SEEDS = 10
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


def tasks(data: Path) -> list[Task]:
    """Return corn to mp5, corn to mp6, tablets. Raises DataUnusable when the data are not in the folder."""
    try:
        corn = {name: _table(data / CORN / f"{name}_spectra.csv") for name in ("m5", "mp5", "mp6")}
        moisture = _table(data / CORN / "property_values.csv")[1][:, 0]
        with np.load(data / TABLETS / "idrc2002_tablets.npz", allow_pickle=False) as file:
            tablets = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise DataUnusable(f"{data}: {error}", hint="name the folder of public spectra: --data") from error
    axis = corn["m5"][0]
    found = [
        Task(
            name=f"corn, m5 to {slave}",
            what="moisture, %",
            axis=axis,
            master=corn["m5"][1],
            slave=corn[slave][1],
            target=moisture,
            train=np.arange(55),
            test=np.arange(55, 80),
            prepare=lambda values: values,
            latent=10,
        )
        for slave in ("mp5", "mp6")
    ]
    nm = tablets["wavelength_nm"].astype(np.float64)
    used = nm <= 1798  # noise above
    return [
        *found,
        Task(
            name="tablets, 1 to 2",
            what="assay, mg",
            axis=nm[used],
            master=tablets["inst1"].astype(np.float64)[:, used],
            slave=tablets["inst2"].astype(np.float64)[:, used],
            target=tablets["assay_mg"],
            train=np.flatnonzero(tablets["split"] == "Train"),
            test=np.flatnonzero(tablets["split"] == "Test"),
            prepare=snv_slopes,
            latent=5,
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
    """Return for each task the limits, and RMSEP by method, count and choice of standards; what `auto` chose.

    Kennard-Stone chooses once; random choices are drawn `seeds` times, and given as mean and sd.
    """
    result: dict[str, Any] = {"counts": list(counts), "seeds": seeds, "tasks": {}}
    found = tasks(data)
    total, done = len(found) * len(counts) * (1 + seeds), 0
    for number, task in enumerate(found):
        predict = task.model(task.master)
        limits = {
            "master": task.rmsep(predict(task.master[task.test])),
            "own": task.rmsep(task.model(task.slave)(task.slave[task.test])),
        }
        chosen = kennard_stone(task.master[task.train], max(counts))
        table: dict[str, dict[str, list[float]]] = {row: {} for row in ROWS}
        picked: dict[str, list[str]] = {}
        for count in counts:
            rng = np.random.default_rng([seed, number, count])
            draws = [("ks", chosen[:count]), *(("random", c) for c in _random(rng, len(task.train), count, seeds))]
            for how, rows in draws:
                progress(task.name, done, total)
                errors, pick = _errors(task, predict, task.train[rows])
                for row, error in errors.items():
                    table[row].setdefault(f"{how} {count}", []).append(error)
                picked.setdefault(f"{how} {count}", []).append(pick)
                done += 1
        result["tasks"][task.name] = {"what": task.what, "limits": limits, "rmsep": table, "auto": picked}
    progress("done", total, total)
    return result


def markdown(result: dict[str, Any]) -> str:
    """Return the tables of a study."""
    parts = []
    for name, task in result["tasks"].items():
        heads = sorted(task["rmsep"]["none"], key=lambda head: head.split()[0])  # Kennard-Stone first, counts ascend
        titles = [h.replace("ks", "Kennard-Stone") for h in heads]
        lines = [
            f"{name}, RMSEP of {task['what']}. Limits: the master's own {task['limits']['master']:.3f};",
            f"a model built anew on all training samples of the other instrument {task['limits']['own']:.3f}.",
            "",
            "| correction | " + " | ".join(titles) + " |",
            "|---|" + "--:|" * len(heads),
        ]
        for row, label in ROWS.items():
            cells = [_cell(task["rmsep"][row][head]) for head in heads]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _cell(errors: list[float]) -> str:
    mean = f"{np.mean(errors):.3f}"
    return mean if len(errors) == 1 else f"{mean} ± {np.std(errors, ddof=1):.3f}"


def _random(rng: np.random.Generator, rows: int, count: int, seeds: int) -> Iterator[NDArray[np.int64]]:
    for _ in range(seeds):
        yield rng.choice(rows, count, replace=False)


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
    judged = judge(pairs, candidates("auto", len(task.axis)))
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


def _table(path: Path) -> tuple[Rows, Rows]:
    """The first row as numbers where it holds some, else empty; the other rows."""
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    return _floats(head), np.array([_floats(row) for row in rows])


def _floats(cells: Iterable[str]) -> Rows:
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError:
        return np.empty(0)
