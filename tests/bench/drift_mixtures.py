"""Drift of mixtures, sets of compounds as `powders-components` and `solvents13` name them: results/drift-mixtures.md.

    python -m tests.bench.drift_mixtures

Powders are real scans. Solvents are those of the simulator: measured spectra of the pure ones added up, each filling at
its own focus and glow. Fractions are fixed, vary from filling to filling, or from lot to lot of five fillings.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import Final, Literal

import click
import numpy as np
from numpy.typing import NDArray

from edged.bundle.archive import read_bundle
from edged.bundle.slots import built_ins
from edged.infer.analyze import Analyzer
from edged.monitor.monitor import Rules
from edged.monitor.product import Alarm, Learning, Seen, Watching
from edged.monitor.template import Grid
from edged.service.drifting import ACCEPTED, grid_of, product_of
from edged.spectra.spectrum import Spectrum
from export.data.catalogue import load_set
from firmware_sim.drift import Drift
from firmware_sim.mixtures import FOCUS, GLOW, GLOW_AT_CM1, GLOW_WIDTH_CM1, Library
from tests.bench.drift import PATIENCE, QUIET, Product, disturbed
from tests.bench.drift_mixtures_page import Kept, Measured, page
from tests.bench.drift_page import Seeing
from tests.bench.subject import REPOSITORY

Array = NDArray[np.float64]
Fractions = Literal["fixed", "by filling", "by lot"]

LOT: Final = 5  # fillings of ten
ENOUGH: Final = 2_000  # readings after which nobody waits for a product to be learned
COMPOUNDS: Final = {"AC": "acetaminophen", "AA": "ascorbic acid", "LA": "lactose"}
PEAK: Final = 10_000.0  # counts of a solvent's strongest band
NOISE: Final = 0.005  # of it, there; photons, and a little of the detector's own
POWDER_DRIFTS: Final = {
    "lamp": ("lamp=-0.01",),
    "axis": ("axis=0.4",),
    "presentation": ("offset=0.06", "path=1.1"),
    "product": ("product=other:0.01", "product=other:0.02", "product=other:0.05"),
}
SOLVENT_DRIFTS: Final = {
    "axis": ("axis=0.5", "axis=1"),
    "presentation": ("path=0.7",),
    "product": ("product=other:0.01", "product=other:0.02", "product=other:0.03"),
}
PAGE = REPOSITORY / "docs" / "results" / "drift-mixtures.md"


class Model:
    """A built-in bundle that names what readings hold."""

    def __init__(self, name: str) -> None:
        (path,) = (path for path in built_ins() if path.stem.rpartition("-")[0] == name)
        bundle = read_bundle(path)
        self._manifest, self._analyzer = bundle.manifest, Analyzer(bundle)
        self.grid = grid_of(self._manifest)

    def names(self, row: Array, product: str) -> bool:
        """Whether it tells a reading as that product."""
        spectrum = Spectrum(
            axis=self.grid.axis.copy(),
            values=row.astype(np.float32),
            axis_unit=self.grid.unit,
            quantity=self._manifest.quantity,
        )
        verdict = self._analyzer.analyze(spectrum).verdict
        return verdict.outcome in ACCEPTED and product_of(verdict) == product


def powders(data: Path, grid: Grid) -> tuple[dict[str, list[list[Array]]], dict[str, Product]]:
    """Return the fillings [scans, points] of each set of compounds, mixture by mixture; and each compound, pure."""
    sets: dict[str, list[list[Array]]] = {}
    pure = {}
    for name in ("powders12", "powders-ternary"):
        spectra = load_set(name, data)
        rows, labels = np.array([np.interp(grid.axis, spectra.axis, row) for row in spectra.values]), spectra.labels
        for label in spectra.classes:
            mine = np.array(labels) == label
            fillings = [rows[mine & (spectra.groups == group)] for group in np.unique(spectra.groups[mine])]
            held = (
                [COMPOUNDS[part] for part in COMPOUNDS if part in label] if name == "powders12" else COMPOUNDS.values()
            )
            compounds = " + ".join(sorted(held))
            if label.startswith("100"):
                pure[compounds] = Product(name=compounds, grid=grid, fillings=fillings)
            elif label != "1090AALA":  # told as lactose alone two times in three: no set of two
                sets.setdefault(compounds, []).append(fillings)
    return sets, pure


def of_powders(sets: dict[str, list[list[Array]]], grid: Grid, fractions: Fractions) -> list[Product]:
    """Return products: each mixture by itself, or all of a set together, in lots or not."""
    if fractions == "fixed":
        return [Product(name=name, grid=grid, fillings=one) for name, all_ in sets.items() for one in all_]
    size = LOT if fractions == "by lot" else 1
    return [
        Product(
            name=name,
            grid=grid,
            fillings=[np.concatenate(one[at : at + size]) for one in all_ for at in range(0, len(one), size)],
        )
        for name, all_ in sets.items()
    ]


def of_solvents(grid: Grid, fractions: Fractions, *, fillings: int = 120) -> list[tuple[Product, Product]]:
    """Return products, each with a solvent that is not in it, pure."""
    library, chance = Library.named("solvents13"), np.random.default_rng(9)
    pure = np.array([np.interp(grid.axis, library.shift_cm1, row) for row in library.spectra])
    count = len(library.labels)
    found = []
    for members in [*((first, (first + 1) % count) for first in range(0, count, 2)), (0, 4, 8)]:
        made = []
        for number in range(fillings):
            if number == 0 or fractions == "by filling" or (fractions == "by lot" and number % LOT == 0):
                shares = 0.2 + (1.0 - 0.2 * len(members)) * chance.dirichlet(np.ones(len(members)))
            made.append(_readings(grid.axis, shares @ pure[list(members)], chance))
        if fractions == "by lot":
            made = [np.concatenate(made[at : at + LOT]) for at in range(0, fillings, LOT)]
        name = " + ".join(sorted(library.labels[member] for member in members))
        stranger = (members[-1] + 3) % count
        others = [_readings(grid.axis, pure[stranger], chance) for _ in range(10)]
        found.append(
            (
                Product(name=name, grid=grid, fillings=made, in_rounds=True),
                Product(name=library.labels[stranger], grid=grid, fillings=others),
            )
        )
    return found


def _readings(axis: Array, bands: Array, chance: np.random.Generator) -> Array:
    """Ten of one filling."""
    glowing = chance.uniform(*GLOW) * np.exp(-(((axis - GLOW_AT_CM1) / GLOW_WIDTH_CM1) ** 2))
    light = chance.uniform(*FOCUS) * (bands + glowing)
    noise = NOISE * np.sqrt(np.maximum(light, 0.0) + 0.05) * chance.standard_normal((10, len(axis)))
    return np.asarray(PEAK * (light + noise))


def quiet(products: list[Product], rules: Rules, baselines: int, readings: int) -> Kept:
    """Learn each product, and watch it while nothing happens but what its fractions do."""
    kept = Kept()
    for number, product in enumerate(products):
        for again in range(baselines):
            stream = product.stream(np.random.default_rng([number, again, 1]))
            watch: Learning | Watching = Learning(
                grid=product.grid, wanted=rules.readings, false_alarm_every=rules.false_alarm_every, varies=True
            )
            took = 0
            while isinstance(watch, Learning) and took < ENOUGH:
                watch, took = watch.take(Seen(at=took, row=next(stream)[0]))[0], took + 1
            if isinstance(watch, Learning):
                kept.held_up += 1
                continue
            kept.at_once += took == rules.readings
            kept.later += took > rules.readings
            found = [watch.take(Seen(at=took + at, row=next(stream)[0]))[1] for at in range(readings)]
            alarms = Counter(str(one.signal) for one in found if isinstance(one, Alarm))
            kept.readings += readings
            kept.alarms += alarms
            kept.alarmed += bool(alarms)
    return kept


def drifted(
    pairs: list[tuple[Product, Product | None]], making: str, rules: Rules, repeats: int, model: Model
) -> tuple[Seeing, float]:
    """Return what became of a drift, and the share of its readings that the model still tells as the same set."""
    drift, seeing, named = Drift.parse(making), Seeing(), []
    for number, (product, other) in enumerate(pairs):
        if drift.other is not None and other is None:
            continue
        for repeat in range(repeats):
            stranger = other if drift.other is not None else None
            disturbed(product, stranger, drift, rules, 1000 * number + repeat, seeing)
        chance = np.random.default_rng([number, 5])
        for filling in chance.permutation(len(product.fillings))[:3]:
            one = other.fillings[0][0] if drift.other is not None and other is not None else None
            row = drift.absorbance(product.grid.axis, product.fillings[filling][0], one)
            named.append(model.names(row - np.log10(drift.light(product.grid.axis)), product.name))
    return seeing, float(np.mean(named))


@click.command()
@click.option("--baselines", default=6, show_default=True, help="Of each product, watched while nothing happens.")
@click.option("--readings", default=2_000, show_default=True, help="Watched of each.")
@click.option("--repeats", default=4, show_default=True, help="Runs of each drift and product.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Public spectra.  [default: $EDGED_DATA or ../shared/data]"
)
@click.option("--out", type=click.Path(path_type=Path), default=PAGE, show_default=True)
def main(baselines: int, readings: int, repeats: int, data: Path | None, out: Path) -> None:
    """Measure and write the page."""
    folder = data or Path(os.environ.get("EDGED_DATA") or REPOSITORY.parent / "shared" / "data")
    rules, began_s = Rules(), time.process_time()
    nir, raman = Model("powders-components"), Model("solvents13")
    grid = nir.grid
    sets, pure = powders(folder, grid)
    kept: dict[tuple[str, str], Kept] = {}
    seen: dict[tuple[str, str, str], tuple[Seeing, float]] = {}
    every: tuple[Fractions, ...] = ("fixed", "by filling", "by lot")
    for fractions in every:
        kept["powders-components", fractions] = quiet(of_powders(sets, grid, fractions), rules, baselines, readings)
        solvents = [product for product, _ in of_solvents(raman.grid, fractions)]
        kept["solvents13", fractions] = quiet(solvents, rules, baselines, readings)
    mixed = [
        (product, next((one for name, one in pure.items() if name not in product.name), None))
        for product in of_powders(sets, grid, "by filling")
    ]
    for name, pairs, drifts, model in (
        ("powders-components", mixed, POWDER_DRIFTS, nir),
        ("solvents13", of_solvents(raman.grid, "by filling"), SOLVENT_DRIFTS, raman),
    ):
        for cause, makings in drifts.items():
            for making in makings:
                seen[name, cause, making] = drifted([*pairs], making, rules, repeats, model)
    spent_s = time.process_time() - began_s
    measured = Measured(rules=rules, kept=kept, seen=seen, before=QUIET, patience=PATIENCE, spent_s=spent_s)
    out.write_text(page(measured), encoding="utf-8")
    click.echo(out)


if __name__ == "__main__":
    main()
