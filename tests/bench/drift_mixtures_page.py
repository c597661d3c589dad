"""The page docs/results/drift-mixtures.md from what `tests.bench.drift_mixtures` measured."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from edged.monitor.monitor import Rules
from edged.monitor.words import CAUSES
from tests.bench.drift_page import Seeing, named_of
from tests.bench.drift_targets import of_alarms, of_names

HEAD = """# Drift of mixtures: sets of compounds, whose fractions may vary

Each set is learned from {learned} readings; one false alarm in {every:,.0f} readings of a set is what the charts are
set to. `powders-components`: real scans of pairs of three powders, and of all three, at two to four compositions a set,
ten fillings of ten scans of each, drawn with return. Every scan counts as what was weighed in, whatever the model would
have called it. `solvents13`: seven pairs and one set of three, measured Raman spectra of the pure solvents added up,
120 fillings of ten readings, none twice before all have come; focus and glow differ from filling to filling.
{spent:.0f} s of CPU. Written by

```sh
python -m tests.bench.drift_mixtures
```

## False alarms

Fractions: *fixed*, each composition a product of its own; *by filling*, any composition in any filling; *by lot*, the
same in five fillings of ten. A lot of powders is always the same five fillings, and a set has four to eight lots; that
is the hardest case, and a made one. At once: learned from the first {learned} readings. Later: held up since those came
in lots, and learned from 500 of the first 2,000. Never: held up to the end, and not watched.

| set | fractions | at once | later | never | readings | alarms | one in | runs with an alarm | by signal |
|---|---|--:|--:|--:|--:|--:|--:|--:|---|
"""

SEEN = """
## Drifts

Laid over readings whose fractions vary by filling, after {before} quiet ones. `other`: a compound that is not in the
set, by its share; of powders another pure one of the three, of solvents another of the thirteen. `path` 0.7 is three
tenths less light in Raman scattering. Still told: share of readings after the change, of three fillings a set, that the
model calls the same set. The rest are another product, or none, and no chart sees them; the runs take all readings, so
a delay is right where the name is left alone. Delay: readings from the change to the alarm, of those that were
seen within {patience}. Early: alarmed before anything was changed. Right names are bold.

| set | drift | still told | runs | early | {causes} | not seen | delay, mean | 95 % |
|---|---|--:|--:|--:|{columns}--:|--:|--:|
"""


@dataclass(slots=True)
class Kept:
    """What became of baselines: learned at once or later, or held up; readings watched, and alarms without a cause."""

    at_once: int = 0
    later: int = 0
    held_up: int = 0
    readings: int = 0
    alarmed: int = 0
    alarms: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """kept: by set and fractions; seen: by set, right name, and drift, with the share that is still told."""

    rules: Rules
    kept: dict[tuple[str, str], Kept]
    seen: dict[tuple[str, str, str], tuple[Seeing, float]]
    before: int
    patience: int
    spent_s: float


def page(measured: Measured) -> str:
    """Return the page."""
    rules = measured.rules
    head = HEAD.format(learned=rules.readings, every=rules.false_alarm_every, spent=measured.spent_s)
    seen = SEEN.format(
        before=measured.before, patience=measured.patience, causes=" | ".join(CAUSES), columns="--:|" * len(CAUSES)
    )
    quiet = [_kept_row(name, fractions, kept) for (name, fractions), kept in sorted(measured.kept.items())]
    drifts = [_seen_row(name, cause, making, *found) for (name, cause, making), found in measured.seen.items()]
    alarms = {
        f"{name} {fractions}": (kept.alarms.total(), kept.readings)
        for (name, fractions), kept in sorted(measured.kept.items())
    }
    names = [named_of(*key, seeing) for key, (seeing, _) in measured.seen.items()]
    return "".join([head, *quiet, of_alarms(alarms, rules.false_alarm_every), seen, *drifts, of_names(names)])


def _kept_row(name: str, fractions: str, kept: Kept) -> str:
    count = kept.alarms.total()
    apart = f"{kept.readings / count:,.0f}" if count else "-"
    signals = ", ".join(f"{signal} {times}" for signal, times in kept.alarms.most_common()) or "none"
    watched = kept.at_once + kept.later
    learned = f"{kept.at_once} | {kept.later} | {kept.held_up}"
    return (
        f"| {name} | {fractions} | {learned} | {kept.readings:,} | {count} | {apart} | {kept.alarmed} of {watched} "
        f"| {signals} |\n"
    )


def _seen_row(name: str, cause: str, making: str, seeing: Seeing, told: float) -> str:
    names = " | ".join(f"**{seeing.called[c]}**" if c == cause else str(seeing.called[c]) for c in CAUSES)
    late = f"{np.mean(seeing.delays):.0f} | {np.quantile(seeing.delays, 0.95):.0f}" if seeing.delays else "- | -"
    return (
        f"| {name} | `{making}` | {told:.0%} | {seeing.runs} | {seeing.before} | {names} "
        f"| {seeing.called['not seen']} | {late} |\n"
    )
