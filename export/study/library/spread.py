"""How much figures of a SYNTHETIC library move with the library and with where a network starts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edged.infer.verdict import Preset
from export.page import Heading, Part, Table, Text
from export.study.library.banks import TARGETS, BankOutcome, PresetOutcome
from export.study.library.made import MARK
from export.study.library.strangers import KINDS, REST, WRONGLY

Row = tuple[BankOutcome, PresetOutcome]


def title(outcome: BankOutcome, preset: PresetOutcome) -> str:
    """Return what tables call a detector at a preset."""
    return outcome.cell.name + (", confirmed" if preset.confirmed else "")


def spread(outcomes: Sequence[BankOutcome]) -> list[Part]:
    """Return mean and standard deviation over libraries: of false names and recall, and of strangers refused."""
    libraries = sorted({outcome.cell.library.seed for outcome in outcomes})
    if len(libraries) < 2:
        return []
    rows = [(outcome, preset) for outcome in outcomes for preset in outcome.presets]
    names = list(dict.fromkeys((title(o, p), p.preset) for o, p in rows))
    text = (
        f"{len(libraries)} libraries, each with compounds, mixtures, members drawn and first weights of its own: mean "
        f"± standard deviation. All tables below are of the first. All {MARK.lower()}."
    )
    found: list[Part] = [Heading(f"From library to library ({MARK})"), Text(text), _names(rows, names)]
    asked = [outcome for outcome in outcomes if outcome.refusals]
    if asked:
        told = (
            "Mixtures with a stranger that are refused by what the daemon asks, with a limit that is to refuse "
            f"{WRONGLY:.0%} of those without, percent; see there."
        )
        found += [Text(told), _refused(asked)]
    return found


def _names(rows: Sequence[Row], names: Sequence[tuple[str, Preset]]) -> Table:
    table = []
    for name, preset in names:
        of = [p for o, p in rows if (title(o, p), p.preset) == (name, preset)]
        table.append(
            [
                f"{name}, {preset}",
                f"{TARGETS[of[0].preset]:g}",
                _mean([p.false_names for p in of], ".3f"),
                *(_mean([100 * getattr(p, figure) for p in of], ".1f") for figure in ("precision", "recall")),
                str(len(of)),
            ]
        )
    return Table([MARK, "target", "false names", "precision, %", "recall, %", "libraries"], table)


def _refused(outcomes: Sequence[BankOutcome]) -> Table:
    table = []
    for name in dict.fromkeys(outcome.cell.name for outcome in outcomes):
        of = [r for o in outcomes if o.cell.name == name for r in o.refusals if r.statistic == REST]
        shares = [[r.wrongly, *(r.refused[kind] for kind in KINDS)] for r in of]
        columns = [_mean([100 * float(np.mean(one[c])) for one in shares], ".1f") for c in range(1 + len(KINDS))]
        table.append([name, *columns, str(len(of))])
    return Table([MARK, "wrongly", *KINDS, "libraries"], table)


def _mean(values: Sequence[float], form: str) -> str:
    """Mean ± standard deviation; of one value, the value."""
    mean = f"{float(np.mean(values)):{form}}"
    return f"{mean} ± {float(np.std(values, ddof=1)):{form}}" if len(values) > 1 else mean
