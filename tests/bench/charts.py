"""One CUSUM a signal, or EWMA, run rules, or all of them: docs/results/charts.md, which decision 14 rests on.

    python -m tests.bench.charts

Every chart is given what the daemon's is: centre and spread learned from the first 200 readings by `edged.monitor`, in
fillings of ten readings. It is asked how often it alarms for nothing, and how soon it sees steps and a ramp.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edged.monitor.baseline import Baseline, baseline, batch_means
from edged.monitor.product import Learning, Seen, Watching
from edged.monitor.words import FITTED, SIGNALS
from tests.bench.chart_peers import PEERS, Setting
from tests.bench.charts_page import Measured, Shown, page
from tests.bench.drift import Product, products
from tests.bench.subject import REPOSITORY

Array = NDArray[np.float64]
Law = Callable[[np.random.Generator, tuple[int, int]], Array]

LEARNED = 200  # readings
EVERY = 10_000.0  # readings of a product from one false alarm to the next, as the daemon is set
FILLING = 10  # readings of one
WITHIN = 0.3  # scatter of the readings of one filling, that of fillings being 1
CUSUM = "CUSUM 0.5"
SIMULATED = 6  # signals of a simulated product
QUIET, PATIENCE = 100, 500  # readings before a change, and within which it counts as seen
STEPS = (0.5, 1.0, 2.0)  # standard deviations of the filling
RAMP = 0.1  # of them a filling, from nothing
PAGE = REPOSITORY / "docs" / "results" / "charts.md"
_FITTED_AT = [[signal.name for signal in SIGNALS].index(name) for name in FITTED]


def _normal(chance: np.random.Generator, shape: tuple[int, int]) -> Array:
    return chance.standard_normal(shape)


def _heavy(chance: np.random.Generator, shape: tuple[int, int]) -> Array:
    return chance.standard_t(3.0, shape) / math.sqrt(3.0)


def _odd(chance: np.random.Generator, shape: tuple[int, int]) -> Array:
    out = np.where(chance.random(shape) < 0.1, 5.0, 1.0)
    return chance.standard_normal(shape) * out / math.sqrt(0.9 + 0.1 * 25.0)


LAWS: dict[str, Law] = {  # each of standard deviation 1
    "normal": _normal,
    "Student's t, 3": _heavy,
    "every tenth 5 times as far": _odd,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """Signals of one product: quiet and late [readings, k], and what its fillings scatter by [k]."""

    known: Baseline
    quiet: Array
    late: Array
    scatter: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Charts of products whose readings are averaged alike. means [t, n]: standardised, of readings that nothing
    disturbs; after them `disturbed` [t, n]: the same kind of readings, for a change to be laid over. step [n]: what a
    change of 1 is in standardised units. signals: charts of one product.
    """

    batch: int
    learned_from: int
    doubt: float
    signals: int
    means: Array
    disturbed: Array
    step: Array

    def first(self, kind: str, every: float, means: Array) -> NDArray[np.int64]:
        """Return the place of the first alarm of each chart; len(means) where there is none.

        every: readings of a product from one false alarm to the next, as the charts are set.
        """
        setting = Setting(
            values_between=every * self.signals / self.batch, learned_from=self.learned_from, doubt=self.doubt
        )
        alarms = PEERS[kind](means, setting)
        return np.where(alarms.any(axis=0), alarms.argmax(axis=0), len(means))


def simulated(law: Law, products: int, readings: int, seed: int) -> list[Group]:
    """Groups of so many products, each watched for so many readings."""
    chance, found = np.random.default_rng([14, seed]), []
    for _ in range(products):
        fillings = (LEARNED + readings + QUIET + PATIENCE) // FILLING
        values = np.repeat(law(chance, (fillings, SIMULATED)), FILLING, axis=0)
        values += WITHIN * chance.standard_normal(values.shape)
        known = baseline(values[:LEARNED], np.full(SIMULATED, 1e-9))
        quiet, late = values[LEARNED : LEARNED + readings], values[LEARNED + readings :]
        found.append(Made(known=known, quiet=quiet, late=late, scatter=np.ones(SIMULATED)))
    return _grouped(found)


def real(found: list[Product], baselines: int, readings: int) -> list[Group]:
    """Groups of products of real scans, whole fillings drawn with return; the signals are those of the daemon.

    A change of 1 is what the product's fillings scatter by.
    """
    made = []
    for number, product in enumerate(found):
        for again in range(baselines):
            chance = np.random.default_rng([14, number, again])
            watch: Learning | Watching = Learning(grid=product.grid, wanted=LEARNED, false_alarm_every=EVERY)
            stream = product.stream(chance)
            while isinstance(watch, Learning):
                watch = watch.take(Seen(at=0, row=next(stream)[0]))[0]
            signals = [watch.template.measure(filling) for filling in product.fillings]
            scatter = np.array([of.mean(axis=0) for of in signals]).std(axis=0, ddof=1)
            quiet, late = (
                np.concatenate([signals[n] for n in chance.integers(len(signals), size=count // FILLING)])
                for count in (readings, QUIET + PATIENCE)
            )
            known = watch.baseline
            known = replace(known, centre=known.centre[_FITTED_AT], spread=known.spread[_FITTED_AT])
            made.append(Made(known=known, quiet=quiet, late=late, scatter=scatter))
    return _grouped(made)


def false_alarms(groups: list[Group], kind: str, every: float) -> tuple[int, float]:
    """Return how many charts alarmed, and readings of a product until they did or nothing was left to watch."""
    alarms, watched = 0, 0.0
    for group in groups:
        first = group.first(kind, every, group.means)
        alarms += int(np.count_nonzero(first < len(group.means)))
        watched += float(np.minimum(first + 1, len(group.means)).sum()) * group.batch / group.signals
    return alarms, watched


def delays(groups: list[Group], kind: str, every: float, change: Callable[[Array], Array]) -> Array:
    """Return the readings from the change to the alarm of each chart that had none before it; infinite beyond PATIENCE.

    change: from fillings since the change to how far it has gone, in standard deviations of the filling.
    """
    found = []
    for group in groups:
        since = (np.arange(len(group.disturbed)) + 1) * group.batch - QUIET  # readings, at the end of each mean
        gone = np.where(since > 0, change(np.maximum(since, 0) / FILLING), 0.0)
        first = group.first(kind, every, group.disturbed + gone[:, None] * group.step)
        told = np.append(since.astype(np.float64), np.inf)[first]
        found.append(told[told > 0])
    return np.concatenate(found)


def as_often(groups: list[Group], kind: str, apart: float) -> float:
    """Return the setting at which false alarms of a kind are so far apart: readings of a product."""
    low, high = math.log(300.0), math.log(1e6)
    for _ in range(8):
        middle = (low + high) / 2.0
        alarms, watched = false_alarms(groups, kind, math.exp(middle))
        low, high = (middle, high) if alarms * apart > watched else (low, middle)
    return math.exp((low + high) / 2.0)


def shown(groups: list[Group]) -> Iterator[Shown]:
    """Measure each kind as it is set, and set to alarm for nothing as seldom as the CUSUM does."""
    alarms, watched = false_alarms(groups, CUSUM, EVERY)
    for kind in PEERS:
        yield _shown(groups, kind, EVERY, is_equal=False)
        if kind != CUSUM and alarms:
            yield _shown(groups, kind, as_often(groups, kind, watched / alarms), is_equal=True)


def _shown(groups: list[Group], kind: str, every: float, *, is_equal: bool) -> Shown:
    alarms, watched = false_alarms(groups, kind, every)
    changes = [*(partial(_step, size) for size in STEPS), partial(np.multiply, RAMP)]
    seen = [delays(groups, kind, every, change) for change in changes]
    return Shown(kind=kind, is_equal=is_equal, every=every, watched=watched, alarms=alarms, delays=seen)


def _step(size: float, fillings: Array) -> Array:
    return np.full_like(fillings, size)


def _grouped(made: list[Made]) -> list[Group]:
    groups = []
    for batch, readings in sorted({(one.known.batch, one.known.readings) for one in made}):
        mine = [one for one in made if (one.known.batch, one.known.readings) == (batch, readings)]
        groups.append(
            Group(
                batch=batch,
                learned_from=mine[0].known.means,
                doubt=mine[0].known.doubt,
                signals=len(mine[0].scatter),
                means=np.hstack([one.known.standardised(batch_means(one.quiet, batch)) for one in mine]),
                disturbed=np.hstack([one.known.standardised(batch_means(one.late, batch)) for one in mine]),
                step=np.concatenate([one.scatter / one.known.spread for one in mine]),
            )
        )
    return groups


@click.command()
@click.option("--products", "count", default=600, show_default=True, help="Simulated ones of each law.")
@click.option("--readings", default=10_000, show_default=True, help="Undisturbed ones of each.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Public spectra.  [default: $EDGED_DATA or ../shared/data]"
)
@click.option("--out", type=click.Path(path_type=Path), default=PAGE, show_default=True)
def main(count: int, readings: int, data: Path | None, out: Path) -> None:
    """Measure and write the page."""
    folder = data or Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data")
    began_s, found = time.process_time(), {}
    for seed, (name, law) in enumerate(LAWS.items()):
        found[name] = list(shown(simulated(law, count, readings, seed)))
    powders, baselines = products("powders12", folder, scored=False), 5
    groups = real(powders, baselines, readings)
    found["powders12"] = list(shown(groups))
    measured = Measured(
        found=found, within=WITHIN, patience=PATIENCE, steps=STEPS, ramp=RAMP, spent_s=time.process_time() - began_s
    )
    out.write_text(page(measured), encoding="utf-8")
    click.echo(out)


if __name__ == "__main__":
    main()
