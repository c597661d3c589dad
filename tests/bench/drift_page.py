"""The page docs/results/drift.md from what `tests.bench.drift` measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import chi2

from edged.monitor.monitor import Rules
from edged.monitor.words import CAUSES

HEAD = """# Drift: how soon, how rightly named, how often for nothing

Each product is learned from {learned} readings; one false alarm in {every:,.0f} readings of a product is what the
charts are set to. Background: whole fillings of real scans of one product on one handheld, drawn again and again in
random order (powders12: 12 powders of 10 fillings of 10 scans; isoniazid: four doses in capsules, 22 to 30 runs of
ten, whose grouping is a guess). Drifts are steps, laid over it by the simulator's optics after {before} quiet
readings. {spent:.0f} s of CPU; one reading costs {cost:.0f} us. Written by

```sh
python -m tests.bench.drift
```

## False alarms

{readings:,} undisturbed readings a set, ten baselines a product. Plain names: fillings drawn with return, as
everywhere else on this page, so that an odd filling that {learned} readings have missed comes back as often as any.
`in rounds`: every filling once before any comes back; a baseline has then seen nearly all that will ever come.
`simulated`: independent normal readings of the simulator's twin. `simulated fillings`: the same, each filling read ten
times, none ever again. Real fillings are odder than normal ones and do not come back; the truth lies between.
95 %: of one alarm in so many readings, if alarms were independent; of one baseline they are not, so it is wider.

| set | readings | alarms | one in | 95 % | by signal | runs without | most in one run |
|---|--:|--:|--:|---|---|--:|--:|
"""

ORDERED = """
Readings averaged, by baseline: {batches}.

In the order in which they were scanned, where warming up, refilling and whatever else happened that day is left in.
Whether these alarms are false nobody knows. Powders were learned from 50 scans and the next 50 watched, capsules
from 100 and the rest, so there is little to see.

| set | readings | alarms | by signal | products with an alarm |
|---|--:|--:|---|--:|
"""

SEEN = """
## Drifts

Delay: readings from the change to the alarm, of those that were seen within {patience}. Dated: how many readings
after the change the alarm says it was (median; negative: before it). Early: runs that alarmed before anything was
changed; they do not count further. Right names are bold. The naming of a change and the charts were designed in sight
of powders12, by other draws than these; the confidence of centre and spread (95 %, not 90 %) in sight of isoniazid. So
these are figures of the designers' own data, not of a blind trial. These sets tell nothing of the lamp's own sensor,
nor does the score of the gates count here.

| set | drift | runs | early | {causes} | not seen | delay, mean | 95 % | dated |
|---|---|--:|--:|{columns}--:|--:|--:|--:|
"""


@dataclass(slots=True)
class Wolf:
    """Alarms without a cause, by signal, product, and readings averaged."""

    readings: int = 0
    alarms: Counter[str] = field(default_factory=Counter)
    by_product: Counter[str] = field(default_factory=Counter)
    batches: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Seeing:
    """What became of one kind of drift. dated: how many readings the change was dated too late."""

    runs: int = 0
    before: int = 0
    called: Counter[str] = field(default_factory=Counter)
    delays: list[int] = field(default_factory=list)
    dated: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All of it. before: quiet readings before a drift; patience: readings within which it has to be seen."""

    rules: Rules
    readings: int
    quiet: dict[str, list[Wolf]]
    ordered: dict[str, list[Wolf]]
    seen: dict[tuple[str, str, str], Seeing]
    before: int
    patience: int
    spent_s: float
    cost_us: float


def page(measured: Measured) -> str:
    """Return the page."""
    rules = measured.rules
    head = HEAD.format(
        learned=rules.readings,
        every=rules.false_alarm_every,
        before=measured.before,
        spent=measured.spent_s,
        cost=measured.cost_us,
        readings=measured.readings,
    )
    batches = "; ".join(f"{name}: {_batches(wolves)}" for name, wolves in measured.quiet.items())
    seen = SEEN.format(patience=measured.patience, causes=" | ".join(CAUSES), columns="--:|" * len(CAUSES))
    parts = [
        head,
        *(_wolf_row(name, wolves) for name, wolves in measured.quiet.items()),
        ORDERED.format(batches=batches),
        *(_ordered_row(name, wolves) for name, wolves in measured.ordered.items()),
        seen,
        *(_seen_row(name, cause, making, seeing) for (name, cause, making), seeing in measured.seen.items()),
    ]
    return "".join(parts)


def _wolf_row(name: str, wolves: list[Wolf]) -> str:
    alarms: Counter[str] = sum((wolf.alarms for wolf in wolves), Counter())
    count, total = alarms.total(), sum(wolf.readings for wolf in wolves)
    runs = [wolf.alarms.total() for wolf in wolves]
    most = total / (chi2.ppf(0.025, 2 * count) / 2.0) if count else None
    least = total / (chi2.ppf(0.975, 2 * count + 2) / 2.0)
    between = f"{least:,.0f} to {most:,.0f}" if most else f"over {least:,.0f}"
    return (
        f"| {name} | {total:,} | {count} | {f'{total / count:,.0f}' if count else '-'} | {between} | {_counts(alarms)} "
        f"| {sum(not run for run in runs)} of {len(runs)} | {max(runs)} |\n"
    )


def _ordered_row(name: str, wolves: list[Wolf]) -> str:
    signals: Counter[str] = sum((wolf.alarms for wolf in wolves), Counter())
    alarmed = sum(bool(wolf.alarms) for wolf in wolves)
    total = sum(wolf.readings for wolf in wolves)
    return f"| {name} | {total:,} | {signals.total()} | {_counts(signals)} | {alarmed} of {len(wolves)} |\n"


def _seen_row(name: str, cause: str, making: str, seeing: Seeing) -> str:
    called = seeing.called
    names = " | ".join(f"**{called[c]}**" if c == cause else str(called[c]) for c in CAUSES)
    if seeing.delays:
        mean, late, dated = np.mean(seeing.delays), np.quantile(seeing.delays, 0.95), np.median(seeing.dated)
        delays = f"{mean:.0f} | {late:.0f} | {dated:+.0f}"
    else:
        delays = "- | - | -"
    return f"| {name} | `{making}` | {seeing.runs} | {seeing.before} | {names} | {called['not seen']} | {delays} |\n"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in counter.most_common()) or "none"


def _batches(wolves: list[Wolf]) -> str:
    batches: Counter[int] = sum((wolf.batches for wolf in wolves), Counter())
    return ", ".join(f"{times} of {size}" for size, times in sorted(batches.items()))
