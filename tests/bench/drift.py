"""How soon each drift is seen, whether it is named rightly, and how often charts cry wolf: docs/results/drift.md.

    python -m tests.bench.drift

The background are real scans: whole fillings of one product, drawn again and again in random order, so that neighbours
are as alike as they were. What drifts is laid over them by the simulator's optics.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import read_bundle
from edged.bundle.slots import built_in
from edged.infer.analyze import Analyzer
from edged.monitor.monitor import Rules
from edged.monitor.product import Alarm, Learning, Seen, Watching
from edged.monitor.template import Grid
from edged.service.drifting import score
from edged.spectra.spectrum import Spectrum
from export.data.sets import isoniazid, powders12
from export.data.spectra import Spectra
from firmware_sim.drift import Drift
from firmware_sim.sample import Twin
from tests.bench.drift_page import Measured, Seeing, Unseen, Wolf, page
from tests.bench.subject import REPOSITORY

Array = NDArray[np.float64]

RANGE_NM = (905.0, 1660.0)  # the axis of the bundle that edged ships
QUIET = 100  # readings between learning and the change
PATIENCE = 500  # readings after it, within which it has to be seen
NOISE = 0.0007  # absorbance of one point of one scan, `firmware_sim.detector`
SETS = {"powders12": powders12.load, "isoniazid": isoniazid.load}
LEARNED = {  # where other fillings are watched than are learned: set, fillings of each product, whether in rounds
    "powders12": ("powders12", 6, False),
    "powders12, in rounds": ("powders12", 6, True),
    "isoniazid, in rounds": ("isoniazid", 20, True),  # 200 readings of ten a filling: twenty different ones
}
DRIFTS = {  # what it should be called -> how it is made
    "lamp": ("lamp=-0.005", "lamp=-0.01", "lamp=-0.02"),
    "axis": ("axis=0.2", "axis=0.4", "axis=0.8"),
    "presentation": ("offset=0.03", "offset=0.06", "path=1.05", "path=1.1", "offset=0.03,path=1.05"),
    "product": (
        "product=100LA:0.05",
        "product=100LA:0.1",
        "product=100AA:0.05",
        "product=100AA:0.1",
        "product=100AC:0.2",
    ),
}
PAGE = REPOSITORY / "docs" / "results" / "drift.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Scans of one product [fillings, scans, points], in the order of taking; scores [fillings, scans].

    in_rounds: every filling is drawn once before any comes back.
    """

    name: str
    grid: Grid
    fillings: list[Array]
    scores: list[Array] | None = None
    in_rounds: bool = False

    def stream(self, chance: np.random.Generator) -> Iterator[tuple[Array, float | None]]:
        """Yield readings without end: whole fillings in random order."""
        count = len(self.fillings)
        while True:
            for number in chance.permutation(count) if self.in_rounds else chance.integers(count, size=count):
                for place, row in enumerate(self.fillings[number]):
                    yield row, None if self.scores is None else float(self.scores[number][place])


def products(name: str, data: Path, *, scored: bool) -> list[Product]:
    """Return the products of a set, resampled onto one axis."""
    spectra: Spectra = SETS[name](data)
    axis = np.linspace(*RANGE_NM, 216, dtype=np.float64)
    grid = Grid(axis=axis, unit="nm", has_lamp=True)
    rows = np.array([np.interp(axis, spectra.axis, row) for row in spectra.values])
    scores = _scores(spectra) if scored else None
    found = []
    for label in spectra.classes:
        mine = np.array(spectra.labels) == label
        groups = [np.flatnonzero(mine & (spectra.groups == group)) for group in np.unique(spectra.groups[mine])]
        found.append(
            Product(
                name=label,
                grid=grid,
                fillings=[rows[group] for group in groups],
                scores=None if scores is None else [scores[group] for group in groups],
            )
        )
    return found


def _simulated(fillings: int, scans: int) -> list[Product]:
    """Products of the simulator's twin: independent and normal fillings, as theory has it, each scanned so often."""
    twin, chance = Twin.load(), np.random.default_rng(7)
    axis = np.linspace(*RANGE_NM, 216, dtype=np.float64)
    grid = Grid(axis=axis, unit="nm", has_lamp=True)
    found = []
    for number, label in enumerate(twin.labels):
        scores = chance.standard_normal((fillings, twin.score_sds.shape[1])) * twin.score_sds[number]
        rows = twin.means[number] + scores @ twin.components[number]
        rows = np.array([np.interp(axis, twin.wavelength_nm, row) for row in rows])
        noise = NOISE * chance.standard_normal((fillings, scans, len(axis)))
        found.append(Product(name=label, grid=grid, fillings=list(rows[:, None, :] + noise), in_rounds=True))
    return found


def undisturbed(product: Product, rules: Rules, readings: int, seed: int) -> Wolf:
    """Learn, then watch so many readings in which nothing happens."""
    wolf = Wolf(readings=readings)
    stream = product.stream(np.random.default_rng([seed, 1]))
    watch = _learned(product, rules, stream)
    wolf.batches[watch.baseline.batch] += 1
    for at in range(readings):
        row, gate = next(stream)
        found = watch.take(Seen(at=at + 1, row=row, score=gate))[1]
        if isinstance(found, Alarm):
            wolf.alarms[found.signal] += 1
            wolf.by_product[product.name] += 1
    return wolf


def unseen(product: Product, learned: int, rules: Rules, seed: int, *, known: bool) -> Wolf:
    """Learn from so many fillings, drawn as the product says, and watch the others, once each.

    known: watch as many of the learned ones instead.
    """
    chance = np.random.default_rng([seed, 3])
    order = chance.permutation(len(product.fillings))
    first, rest = order[:learned], order[learned:]
    taught = replace(product, fillings=[product.fillings[number] for number in first])
    watch = _learned(taught, rules, taught.stream(chance))
    rows = np.concatenate(
        [product.fillings[number] for number in (chance.permutation(first)[: len(rest)] if known else rest)]
    )
    wolf = Wolf(readings=len(rows))
    for at, row in enumerate(rows):
        found = watch.take(Seen(at=at + 1, row=row))[1]
        if isinstance(found, Alarm):
            wolf.alarms[found.signal] += 1
            wolf.by_product[product.name] += 1
    return wolf


def in_order(product: Product, rules: Rules) -> Wolf:
    """Learn from the first scans and watch the others, in the order in which they were taken."""
    rows = np.concatenate(product.fillings)
    wolf = Wolf(readings=len(rows) - rules.readings)
    watch: Learning | Watching = Learning(
        grid=product.grid, wanted=rules.readings, false_alarm_every=rules.false_alarm_every
    )
    for at, row in enumerate(rows):
        watch, found = watch.take(Seen(at=at + 1, row=row))
        if isinstance(found, Alarm):
            wolf.alarms[found.signal] += 1
            wolf.by_product[product.name] += 1
    return wolf


def disturbed(product: Product, other: Product | None, drift: Drift, rules: Rules, seed: int, seeing: Seeing) -> None:
    """Learn, watch quietly for a while, then let it drift, and see what comes of it."""
    chance = np.random.default_rng([seed, 2])
    stream = product.stream(chance)
    watch = _learned(product, rules, stream)
    strangers = other.stream(chance) if other is not None else None
    dimmer = -np.log10(drift.light(product.grid.axis))
    seeing.runs += 1
    for at in range(1, QUIET + PATIENCE + 1):
        row, _ = next(stream)
        if at > QUIET:
            stranger = next(strangers)[0] if strangers is not None else None
            row = drift.absorbance(product.grid.axis, row, stranger) + dimmer
        found = watch.take(Seen(at=at, row=row))[1]
        if isinstance(found, Alarm):
            if at <= QUIET:
                seeing.before += 1
                return
            seeing.called[found.cause] += 1
            seeing.delays.append(at - QUIET)
            seeing.dated.append(found.since - QUIET - 1)
            return
    seeing.called["not seen"] += 1


@click.command()
@click.option(
    "--readings", default=100_000, show_default=True, help="Undisturbed ones, of all products of a set together."
)
@click.option(
    "--dealt", default=40, show_default=True, help="Ways to deal the fillings of a product into learned and new."
)
@click.option("--repeats", default=5, show_default=True, help="Runs of each drift and product.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Public spectra.  [default: $EDGED_DATA or ../shared/data]"
)
@click.option("--out", type=click.Path(path_type=Path), default=PAGE, show_default=True)
def main(readings: int, dealt: int, repeats: int, data: Path | None, out: Path) -> None:
    """Measure and write the page."""
    folder = data or Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data")
    rules, began_s = Rules(), time.process_time()
    quiet = {}
    for name in SETS:
        found = products(name, folder, scored=name == "powders12")
        quiet[name] = _quiet(found, rules, readings)
        quiet[f"{name}, in rounds"] = _quiet([replace(product, in_rounds=True) for product in found], rules, readings)
    quiet["simulated"] = _quiet(_simulated(1_200, 1), rules, readings)
    quiet["simulated fillings"] = _quiet(_simulated(120, 10), rules, readings)
    new = {
        title: _unseen(
            [replace(product, in_rounds=in_rounds) for product in products(name, folder, scored=False)],
            learned,
            rules,
            dealt,
        )
        for title, (name, learned, in_rounds) in LEARNED.items()
    }
    ordered = {
        name: [in_order(product, Rules(readings=wanted)) for product in products(name, folder, scored=False)]
        for name, wanted in (("powders12", 50), ("isoniazid", 100))
    }
    powders = {product.name: product for product in products("powders12", folder, scored=False)}
    seen: dict[tuple[str, str, str], Seeing] = {}
    for name in SETS:
        for cause, makings in DRIFTS.items():
            for making in makings:
                drift, seeing = Drift.parse(making), Seeing()
                for number, product in enumerate(products(name, folder, scored=False)):
                    if drift.other != product.name:
                        for repeat in range(repeats):
                            other = powders[drift.other] if drift.other is not None else None
                            disturbed(product, other, drift, rules, 1000 * number + repeat, seeing)
                seen[(name, cause, making)] = seeing
    measured = Measured(
        rules=rules,
        readings=readings,
        quiet=quiet,
        unseen=new,
        ordered=ordered,
        seen=seen,
        before=QUIET,
        patience=PATIENCE,
        spent_s=time.process_time() - began_s,
        cost_us=_cost_us(powders["100AC"], rules),
    )
    out.write_text(page(measured), encoding="utf-8")
    click.echo(out)


def _quiet(found: list[Product], rules: Rules, readings: int) -> list[Wolf]:
    """Ten baselines a product: how often charts cry wolf hangs on what they were taught."""
    each = readings // (10 * len(found))
    return [
        undisturbed(product, rules, each, 1000 * number + again)
        for number, product in enumerate(found)
        for again in range(10)
    ]


def _unseen(found: list[Product], learned: int, rules: Rules, dealt: int) -> Unseen:
    new, known = (
        [
            unseen(product, learned, rules, 1000 * number + again, known=known)
            for number, product in enumerate(found)
            for again in range(dealt)
        ]
        for known in (False, True)
    )
    fillings = [len(product.fillings) for product in found]
    return Unseen(learned=learned, least=min(fillings), most=max(fillings), products=len(found), new=new, known=known)


def _learned(product: Product, rules: Rules, stream: Iterator[tuple[Array, float | None]]) -> Watching:
    watch: Learning | Watching = Learning(
        grid=product.grid, wanted=rules.readings, false_alarm_every=rules.false_alarm_every
    )
    while isinstance(watch, Learning):
        row, gate = next(stream)
        watch = watch.take(Seen(at=0, row=row, score=gate))[0]
    return watch


def _scores(spectra: Spectra) -> Array:
    """The distance of each scan to the gates of the bundle that edged ships; it has learned from most of them."""
    bundle = built_in()
    assert bundle is not None
    analyzer = Analyzer(read_bundle(bundle))
    found = []
    for row in spectra.values:
        spectrum = Spectrum(
            axis=spectra.axis.copy(), values=row.astype(np.float32), axis_unit="nm", quantity="absorbance"
        )
        found.append(score(analyzer.analyze(spectrum).verdict))
    return np.array(found, dtype=np.float64)


def _cost_us(product: Product, rules: Rules) -> float:
    """CPU of one reading, in microseconds."""
    stream = product.stream(np.random.default_rng(0))
    watch = _learned(product, rules, stream)
    rows = [next(stream)[0] for _ in range(2_000)]
    began_s = time.process_time()
    for at, row in enumerate(rows):
        watch.take(Seen(at=at, row=row))
    return (time.process_time() - began_s) / len(rows) * 1e6


if __name__ == "__main__":
    main()
