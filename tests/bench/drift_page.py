"""The page docs/results/drift.md from what `tests.bench.drift` measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

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

{readings:,} undisturbed readings a set, ten baselines a product. Three backgrounds. Plain names: fillings drawn
with return, as everywhere else on this page. `in rounds`: every filling once before any comes back. `simulated`:
independent normal readings of the simulator's twin. Where readings are normal the charts keep what they are set to,
with room, since spread and centre are taken at their 90 % confidence limits; in rounds nearly so. Drawn with return
they do not: an odd filling comes back soon, often twice within three, which is what run rules and CUSUM take for a
change, and {learned} readings may have missed it. In rounds, on the other hand, a baseline has seen every filling
that will ever come. Real fillings neither come back nor are known beforehand, so the truth lies between.

| set | readings | alarms | one in | by signal | by chart | runs without | most in one run |
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
changed; they do not count further. Right names are bold. Charts and their limits were designed in sight of both sets,
the naming of a change in sight of powders12 alone, so that the figures are those of the designers' own data, not of a
blind trial. These sets tell nothing of the lamp's own sensor, nor does the score of the gates count here.

| set | drift | runs | early | {causes} | not seen | delay, mean | 95 % | dated |
|---|---|--:|--:|{columns}--:|--:|--:|--:|
"""


@dataclass(slots=True)
class Wolf:
    """Alarms without a cause."""

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
    signals, charts = _by_part(alarms, 0), _by_part(alarms, 1)
    runs = [wolf.alarms.total() for wolf in wolves]
    one_in = f"{total / count:,.0f}" if count else "-"
    return (
        f"| {name} | {total:,} | {count} | {one_in} | {_counts(signals)} | {_counts(charts)} "
        f"| {sum(not run for run in runs)} of {len(runs)} | {max(runs)} |\n"
    )


def _ordered_row(name: str, wolves: list[Wolf]) -> str:
    signals = _by_part(sum((wolf.alarms for wolf in wolves), Counter()), 0)
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


def _by_part(alarms: Counter[str], part: int) -> Counter[str]:
    found: Counter[str] = Counter()
    for both, times in alarms.items():
        found[both.split()[part]] += times
    return found


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in counter.most_common()) or "none"


def _batches(wolves: list[Wolf]) -> str:
    batches: Counter[int] = sum((wolf.batches for wolf in wolves), Counter())
    return ", ".join(f"{times} of {size}" for size, times in sorted(batches.items()))
