"""The page docs/results/drift.md from what `tests.bench.drift` measured."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import beta, chi2

from edged.monitor.monitor import Rules
from edged.monitor.words import CAUSES, FITTED, SIGNALS
from tests.bench.drift_targets import Named, of_alarms, of_names

HEAD = """# Drift: how soon, how rightly named, how often for nothing

Each product is learned from {learned} readings; one false alarm in {every:,.0f} readings of a product is what the
charts are set to. Background: whole fillings of real scans of one product on one handheld, drawn again and again in
random order (powders12: 12 powders of 10 fillings of 10 scans; isoniazid: four doses in capsules, in runs of ten scans
whose grouping is a guess, and a last one of fewer). Drifts are steps, laid over it by the simulator's optics after
{before} quiet readings. {spent:.0f} s of CPU; one reading costs {cost:.0f} us. Written by

```sh
python -m tests.bench.drift
```

## False alarms

{readings:,} undisturbed readings a set, ten baselines a product. Plain names: fillings drawn with return, as
everywhere else on this page, so that an odd filling that {learned} readings have missed comes back as often as any.
`in rounds`: every filling once before any comes back; a baseline has then seen nearly all that will ever come.
`simulated`: independent normal readings of the simulator's twin. `simulated fillings`: the same, each filling read ten
times, none ever again. **Every row of real scans watches the very fillings that its baselines learned from**; what
others do is told below. 95 %: of one alarm in so many readings, if alarms were independent; of one baseline they are
not, so it is wider.

| set | readings | alarms | one in | 95 % | by signal | runs without | most in one run |
|---|--:|--:|--:|---|---|--:|--:|
"""

UNSEEN = """
Readings averaged, by baseline: {batches}.

### Fillings that were not learned from

Some fillings of a product are learned, drawn with return or in rounds, until {learned} readings are known; the others
are then watched, once each, which is one run; beside it as many of the learned ones. {dealt} ways to deal each
product's fillings; runs of one product share fillings, so that 95 % is wider than it says. **A baseline is as good as
the number of different fillings in it**: a few that are read again and again are too narrow a law for the next ones.
What a reading leaves unexplained (`residual`) is learned by leaving out a fifth of the readings at a time, and comes
out too small where the same filling lies in the other fifths.

{by_chance}

| set | learned | watched | runs | readings | runs with an alarm | 95 % | by signal |
|---|--:|---|--:|--:|--:|---|---|
"""

ORDERED = """
### In the order of scanning

In the order in which they were scanned, where warming up, refilling and whatever else happened that day is left in.
Whether these alarms are false nobody knows. Powders were learned from 50 scans and the next 50 watched, capsules
from 100 and the rest, so there is little to see, and what was wanted is neither met nor missed here.

| set | readings | alarms | by signal | products with an alarm |
|---|--:|--:|---|--:|
"""

SEEN = """
## Drifts

Delay: readings from the change to the alarm, of those that were seen within {patience}. Dated: how many readings
after the change the alarm says it was (median; negative: before it). Early: runs that alarmed before anything was
changed; they do not count further. **All drifts of a set are laid over the same quiet readings, so that this column is
one observation ({quiet}), and not one a row.** Right names are bold. The naming of
a change and the charts were designed in sight of powders12, by other draws than these; the confidence of centre and
spread (95 %, not 90 %) in sight of isoniazid. So these are figures of the designers' own data, not of a blind trial.
These sets tell nothing of the lamp's own sensor, nor does the score of the gates count here.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """Runs that learned from `learned` of the `least` to `most` fillings that a product has, and watched the others
    (`new`), or as many of the same (`known`)."""

    learned: int
    least: int
    most: int
    products: int
    new: list[Wolf]
    known: list[Wolf]


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
    unseen: dict[str, Unseen]
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
    quiet = ", ".join(f"{seeing.runs} runs in {name}" for name, seeing in _widest(measured).items())
    seen = SEEN.format(quiet=quiet, patience=measured.patience, causes=" | ".join(CAUSES), columns="--:|" * len(CAUSES))
    parts = [
        head,
        *(_wolf_row(name, wolves) for name, wolves in measured.quiet.items()),
        of_alarms({name: _alarms(wolves) for name, wolves in measured.quiet.items()}, rules.false_alarm_every),
        _unseen_head(measured, batches),
        *(row for name, found in measured.unseen.items() for row in _unseen_rows(name, found)),
        of_alarms(
            {
                f"{name}: {watched}": _alarms(wolves)
                for name, found in measured.unseen.items()
                for watched, wolves in _watched(found)
            },
            rules.false_alarm_every,
        ),
        ORDERED,
        *(_ordered_row(name, wolves) for name, wolves in measured.ordered.items()),
        seen,
        *(_seen_row(name, cause, making, seeing) for (name, cause, making), seeing in measured.seen.items()),
        of_names([named_of(*key, seeing) for key, seeing in measured.seen.items()]),
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


def _unseen_head(measured: Measured, batches: str) -> str:
    (dealt,) = {len(found.new) // found.products for found in measured.unseen.values()}
    dealings = {(found.learned, found.most) for found in measured.unseen.values() if found.least == found.most}
    by_chance = "\n".join(_by_chance(learned, fillings) for learned, fillings in sorted(dealings))
    return UNSEEN.format(batches=batches, learned=measured.rules.readings, dealt=dealt, by_chance=by_chance)


def _by_chance(learned: int, fillings: int) -> str:
    """What exchangeable fillings give: all that are watched lie beyond all that were learned."""
    watched = fillings - learned
    sides = sum(1 if signal.rises_only else 2 for signal in SIGNALS if signal.name in FITTED)
    once_in = math.comb(fillings, watched)
    return (
        f"By chance alone all {watched} others of {fillings} lie beyond {learned} learned ones, on one side, once in "
        f"{once_in} times; and there are {sides} sides\nof {len(FITTED)} signals to look at: {sides / once_in:.1%} of "
        "runs."
    )


def _unseen_rows(name: str, found: Unseen) -> list[str]:
    many = str(found.least) if found.least == found.most else f"{found.least} to {found.most}"
    return [
        f"| {name} | {found.learned} of {many} | {watched} | {len(wolves)} | {sum(wolf.readings for wolf in wolves):,} "
        f"| {_share(sum(bool(wolf.alarms) for wolf in wolves), len(wolves))} "
        f"| {_counts(sum((wolf.alarms for wolf in wolves), Counter()))} |\n"
        for watched, wolves in _watched(found)
    ]


def _watched(found: Unseen) -> list[tuple[str, list[Wolf]]]:
    return [("the others", found.new), ("as many of the same", found.known)]


def _alarms(wolves: list[Wolf]) -> tuple[int, int]:
    """Alarms and readings."""
    return sum(wolf.alarms.total() for wolf in wolves), sum(wolf.readings for wolf in wolves)


def named_of(name: str, cause: str, making: str, seeing: Seeing) -> Named:
    """What a row of drifts tells of names; runs that alarmed before the change do not count."""
    runs = seeing.runs - seeing.before
    return Named(row=f"{name} `{making}`", runs=runs, seen=runs - seeing.called["not seen"], right=seeing.called[cause])


def _share(hits: int, of: int) -> str:
    """Hits, and between what their share lies with 95 % (Clopper and Pearson)."""
    low = beta.ppf(0.025, hits, of - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, of - hits) if hits < of else 1.0
    return f"{hits} | {low:.1%} to {high:.1%}"


def _widest(measured: Measured) -> dict[str, Seeing]:
    """The drift of each set that most products were tried with."""
    widest: dict[str, Seeing] = {}
    for (name, _, _), seeing in measured.seen.items():
        if name not in widest or seeing.runs > widest[name].runs:
            widest[name] = seeing
    return widest


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
