"""The page docs/results/charts.md from what `tests.bench.charts` measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from tests.monitor.run_length import cusum, ewma, run_rules

KNOWN_BETWEEN = (500.0, 6_000.0)  # values: the usual one, and that of a chart in fillings of ten as the daemon is set
KNOWN_SHIFTS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)

HEAD = """# Charts: one CUSUM a signal, or EWMA and run rules

What each kind of chart costs in false alarms and gains in time, on what the daemon gives it. [Decision
14](../decisions/0014-one-chart-a-signal.md) rests on this page. {spent:.0f} s of CPU. Written by

```sh
python -m tests.bench.charts
```

## Where centre and spread are known

Mean number of independent normal values until an alarm, of a shift in standard deviations: from the integral equations
of Page and Crowder and the Markov chain of Champ and Woodall; tests compare these with tables of Montgomery, Hawkins,
Lucas and Saccucci, and Champ and Woodall. Each limit is the one by which an undisturbed chart runs as long as is said.
`2 of 3, 4 of 5` are rules 2 and 3 of Western Electric (5 and 6 of Nelson), their zones farther out by one factor.

Other rules cannot be set to a rate. Rule 1, one value far out, is what an odd filling is. Eight in a row on one side of
the centre (rule 4) come once in {eight:,.0f} values, nine (rule 2 of Nelson) once in {nine:,.0f}, and the centre is not
known that well.

"""

FOUND = """
## Where they are learned from 200 readings

Fillings of ten readings, which scatter by {within} of what fillings do. Centre and spread are what `edged.monitor`
makes of the first 200: means of so many readings, the spread at its upper 95 % limit, the centre in doubt by as much as
it is known badly. Every chart gets the same, and where a limit is on a sum, the same limit on how much one mean counts.
Simulated products have six signals, by the law of their fillings; `powders12` are five signals of the daemon on real
scans, whole fillings drawn with return.

Set: readings of a product from one false alarm to the next that were asked for; *as seldom*: found in hindsight, so
that false alarms are as far apart as those of the CUSUM as it is set, as near as that setting can come. Of
each chart the first alarm counts. Steps and a ramp are in standard deviations of the fillings; the ramp goes {ramp} of
them a filling, of ten readings. Seen: within {patience} readings. Delay: mean readings to the alarm, {patience} where
there was none.

| law | chart | set | false alarms | one in, of a product | {steps} | ramp, seen | delay |
|---|---|---|--:|--:|{columns}--:|--:|
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One kind of chart, set to `every` readings of a product. watched: readings of a product until the first alarms of
    its charts, or the end. delays: of each change, readings, infinite where it was not seen.
    """

    kind: str
    is_equal: bool
    every: float
    watched: float
    alarms: int
    delays: list[NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """By law."""

    found: dict[str, list[Shown]]
    within: float
    patience: int
    steps: tuple[float, ...]
    ramp: float
    spent_s: float


def page(measured: Measured) -> str:
    """Return the page."""
    steps = " | ".join(f"step {step:g}, seen | delay" for step in measured.steps)
    head = HEAD.format(spent=measured.spent_s, eight=one_side(8), nine=one_side(9))
    found = FOUND.format(
        within=measured.within,
        ramp=measured.ramp,
        patience=measured.patience,
        steps=steps,
        columns="--:|--:|" * len(measured.steps),
    )
    rows = [_row(law, one, measured.patience) for law, shown in measured.found.items() for one in shown]
    return head + known_table() + found + "".join(rows)


def one_side(run: int) -> float:
    """Return the mean number of values to so many in a row on one side of their median."""
    return 2.0**run - 1.0


def known_table() -> str:
    """Return the table of charts whose centre and spread are known."""
    lines = [
        f"| chart | once in | {' | '.join(f'{shift:g}' for shift in KNOWN_SHIFTS)} |",
        "|---|--:|" + "--:|" * len(KNOWN_SHIFTS),
    ]
    for between in KNOWN_BETWEEN:
        for name, length in _known(between).items():
            told = " | ".join(f"{length(shift=shift):.3g}" for shift in KNOWN_SHIFTS)
            lines.append(f"| {name} | {between:,.0f} | {told} |")
    return "\n".join(lines) + "\n"


def _known(between: float) -> dict[str, partial[float]]:
    h = _solved(lambda h: cusum(0.5, h), between, 1.0, 12.0)
    fast = _solved(lambda sds: ewma(0.2, sds), between, 0.5, 6.0)
    slow = _solved(lambda sds: ewma(0.1, sds), between, 0.5, 6.0)
    factor = _solved(lambda f: run_rules({(2, 3): 2.0 * f, (4, 5): f}), between, 0.5, 2.5)
    four = _solved(lambda f: run_rules({(4, 5): f}), between, 0.5, 2.5)
    return {
        "CUSUM 0.5": partial(cusum, 0.5, h),
        "EWMA 0.2": partial(ewma, 0.2, fast),
        "EWMA 0.1": partial(ewma, 0.1, slow),
        "2 of 3, 4 of 5": partial(run_rules, {(2, 3): 2.0 * factor, (4, 5): factor}),
        "4 of 5": partial(run_rules, {(4, 5): four}),
    }


def _solved(length: Callable[[float], float], between: float, low: float, high: float) -> float:
    return float(brentq(lambda x: math.log(length(x) / between), low, high, xtol=1e-4))


def _row(law: str, one: Shown, patience: int) -> str:
    apart = f"{one.watched / one.alarms:,.0f}" if one.alarms else f"over {one.watched:,.0f}"
    cells = []
    for delays in one.delays:
        seen, delay = np.mean(delays <= patience), np.minimum(delays, patience).mean()
        cells += [f"{seen:.0%}", f"{delay:.0f}"]
    how = f"{one.every:,.0f}, as seldom" if one.is_equal else f"{one.every:,.0f}"
    return f"| {law} | {one.kind} | {how} | {one.alarms} | {apart} | {' | '.join(cells)} |\n"
